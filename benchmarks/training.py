"""The model beside the baselines of every run, iALS and BPR, on the same split of the same ratings.

python -m benchmarks.training [--data FOLDER --dataset FILE] [--seeds 7 8 9]

Without `--data` the ratings are generated, in the size of MovieLens-100K; with it they are read from training data as
the ETL job writes them. Each user's last liked item is held out and looked for among all items that the user has not
rated (`training.histories.split`). The rivals' settings are chosen by a grid on the validation items; the model's
early stopping reads the same items. The model, iALS and BPR are fitted in a process of their own each, on one thread
for the rivals: `seconds` is the fit with the chosen settings (of the model: the whole run, which trains a model to be
measured and one to be served, and tunes the baselines), `memory` the most that the process ever held, libraries and
data included. Figures are means over the seeds; ± is the standard deviation of NDCG between them.
"""

import argparse
import multiprocessing
import resource
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from math import nan
from pathlib import Path
from typing import TypeVar

import numpy as np
from rich.console import Console
from rich.table import Table
from threadpoolctl import threadpool_limits

from contracts import dataset_file
from training.data import RatingData, from_table, load
from training.metrics import K

MODEL = "two towers"
T = TypeVar("T")


@dataclass(frozen=True)
class Measured:
    ndcg: float
    recall: float
    coverage: float
    seconds: float
    megabytes: float
    setting: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="a path or s3://bucket with training data; left out: generated ratings")
    parser.add_argument("--dataset", type=Path, default=Path("dataset.toml"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[7])
    arguments = parser.parse_args()
    data = load(arguments.data, dataset_file.load(arguments.dataset)) if arguments.data else _generated()
    from benchmarks.rivals import RIVALS

    runs = [_alone(_measure_model, data, seed) for seed in arguments.seeds]
    results = {name: [run[name] for run in runs] for name in runs[0]}
    for name in RIVALS:
        results[name] = [_alone(_measure_rival, data, seed, name) for seed in arguments.seeds]
    console = Console()
    console.print(_table(results, data, arguments.seeds))
    for name, measured in results.items():
        console.print(f"{name}: {measured[0].setting}")


def _generated() -> RatingData:
    from tests.training import worlds

    return from_table(worlds.films(n_users=943, n_films=1682, mean=105), worlds.FILMS, "generated films")


def _alone(measure: Callable[..., T], *arguments: object) -> T:
    """Measures in a process of its own, so that no other one's memory counts."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(measure, *arguments).result()


def _measure_model(data: RatingData, seed: int) -> dict[str, Measured]:
    """The model, and the baselines of its run."""
    from training import pipeline
    from training.fit import Settings

    start = time.perf_counter()
    metrics = pipeline.train(data, Settings(seed=seed)).metrics
    seconds = time.perf_counter() - start
    settings = metrics["baselines"]["settings"]
    found = {name: _measured(metrics["all"][name], nan, nan, _text(setting)) for name, setting in settings.items()}
    epochs = f"{metrics['training']['epochs']} epochs"
    return {MODEL: _measured(metrics["all"]["model"], seconds, _megabytes(), epochs), **found}


def _measure_rival(data: RatingData, seed: int, name: str) -> Measured:
    from benchmarks.rivals import RIVALS, fit, tune
    from training.histories import split
    from training.metrics import rank, summary

    parts = split(data, seed)
    with threadpool_limits(1):  # `implicit` asks for it: BLAS's threads and its own collide
        setting = tune(RIVALS[name], data, parts.validation, seed)
        start = time.perf_counter()
        scorer = fit(RIVALS[name], setting, data, parts.test, seed)
        seconds = time.perf_counter() - start
    popularity = np.bincount(data.item[parts.test.known], minlength=len(data.items)) / parts.test.known.sum()
    found = summary(rank(scorer, parts.test, data), popularity)
    return _measured(found, seconds, _megabytes(), _text(setting))


def _measured(found: Mapping[str, float], seconds: float, megabytes: float, setting: str) -> Measured:
    return Measured(found[f"ndcg@{K}"], found[f"recall@{K}"], found["coverage"], seconds, megabytes, setting)


def _megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _text(setting: Mapping[str, object]) -> str:
    return ", ".join(f"{key} {value}" for key, value in setting.items())


def _table(results: dict[str, list[Measured]], data: RatingData, seeds: list[int]) -> Table:
    title = f"{len(data.user):,} ratings, {len(data.users):,} users, {len(data.items):,} items; seeds {seeds}"
    table = Table("", f"NDCG@{K}", f"recall@{K}", "coverage", "seconds", "memory, MB", title=title)
    ndcg = {name: float(np.mean([run.ndcg for run in runs])) for name, runs in results.items()}
    for name, runs in results.items():
        columns = [[run.recall, run.coverage, run.seconds, run.megabytes] for run in runs]
        recall, coverage, seconds, megabytes = np.mean(columns, axis=0)
        spread = np.std([run.ndcg for run in runs], ddof=min(1, len(runs) - 1))
        figures = (f"{ndcg[name]:.4f} ± {spread:.4f}", f"{recall:.4f}", f"{coverage:.3f}")
        table.add_row(name, *figures, f"{seconds:.1f}", f"{megabytes:.0f}")
    best = max((name for name in ndcg if name != MODEL), key=lambda name: ndcg[name])
    table.caption = f"NDCG@{K} of the model over the best of the others, {best}: {ndcg[MODEL] / ndcg[best] - 1:+.1%}"
    return table


if __name__ == "__main__":
    main()
