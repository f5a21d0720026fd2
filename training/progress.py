"""Progress bars and the table of metrics at the terminal."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from training import pipeline
from training.evaluate import standing
from training.metrics import ERROR, figure

STAGES = {
    pipeline.CHOICE: "Training (settings)",
    pipeline.TEST: "Training (to be tested)",
    pipeline.NEW_ITEMS: "Training (without some items)",
    pipeline.FINAL: "Training (to be served)",
}


@contextlib.contextmanager
def progress_bars() -> Iterator[pipeline.Progress]:
    """Shows a bar for each stage, in epochs. Early stopping ends a bar before it is full."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bars:
        tasks = {stage: bars.add_task(text, total=None, start=False) for stage, text in STAGES.items()}

        def advance(stage: str, epoch: int, epochs: int) -> None:
            bars.start_task(tasks[stage])
            bars.update(tasks[stage], completed=epoch, total=epochs)

        yield advance


def print_metrics(metrics: Mapping[str, Any]) -> None:
    """Prints a table with a row for the model and for each baseline."""
    results = metrics["all"]
    names = [name for name in results["model"] if name not in ("cases", ERROR)]
    shown = Table("", *names, title=f"{results['model']['cases']} held-out items, full ranking")
    for model, values in results.items():
        shown.add_row(model, *(figure(values, name) for name in names))
    console = Console()
    console.print(shown)
    console.print(standing(metrics), highlight=False, soft_wrap=True)
    for note in metrics["baselines"]["notes"]:
        console.print(note, highlight=False, soft_wrap=True)
