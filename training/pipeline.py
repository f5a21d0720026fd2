"""Makes a published model version from training data: load, train and test, train on everything, judge, publish."""

import hashlib
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from contracts import artifacts as contract
from contracts.dataset import Dataset
from training import artifact_writer, new_items, recipe, served
from training.baselines import baselines
from training.data import RatingData, load
from training.errors import TrainingError
from training.evaluate import as_served, evaluate
from training.fit import Settings
from training.gate import Verdict, judge
from training.histories import Cases, Flags, split
from training.history import published
from training.joined import Model
from training.publish import publish

DEFAULT_WORK = Path(".build/training")

CHOICE, TEST, NEW_ITEMS, FINAL = "choice", "test", "new items", "final"
"""The stages of a run: choose the settings, test a model with them, test one that lacks a tenth of the items, and train
the one to be served."""

Progress = Callable[[str, int, int], None]
"""Called with the stage, the epoch, and the most epochs of the stage."""

Note = Callable[[str], None]
"""Called before training starts, with a line for each value that is read in another way than it is written."""


@dataclass(frozen=True)
class Result:
    """`version` is published, unless `verdict` failed without force: then it only lies in `folder`."""

    version: str
    folder: Path
    verdict: Verdict
    published: bool
    metrics: dict[str, Any]


class GateError(TrainingError):
    """The gate refused the model; `result` holds the version that was made."""

    def __init__(self, result: Result) -> None:
        super().__init__(
            f"not published: {result.verdict.reason}. "
            f"Version {result.version} lies in {result.folder}; --force publishes it all the same"
        )
        self.result = result


def run(
    data: str,
    dataset: Dataset,
    output: str,
    settings: Settings | None = None,
    *,
    active: str | None = None,
    force: bool = False,
    names: Mapping[str, str] | None = None,
    work: Path = DEFAULT_WORK,
    progress: Progress = lambda stage, epoch, epochs: None,
    note: Note = lambda line: None,
) -> Result:
    """Trains on `<data>/<dataset.name>/` and publishes to `<output>/<version>/`; both a path or `s3://…`.

    `active` is the folder of the version that is served now: the new one must not be worse. `names` maps an item's id
    to its name in the report. A killed run resumes if it is started again with the same data, settings and `work`.
    Raises `TrainingError` for data that no model can be trained on, and without `force` `GateError` for a model that
    the gate refuses.
    """
    settings = settings or Settings()
    ratings = load(data, dataset)
    for line in ratings.notes:
        note(line)
    served_now = _active(active, ratings, note)
    run_folder = work / _digest(ratings, settings)
    run_folder.mkdir(parents=True, exist_ok=True)
    trained = train(ratings, settings, run_folder, progress, active=served_now, force=force)
    staged = run_folder / "staged"
    shutil.rmtree(staged, ignore_errors=True)
    manifest = artifact_writer.write(trained, staged, published(output), names)
    (staged / contract.MANIFEST).write_text(manifest.to_json(), encoding="utf-8")
    folder = run_folder / manifest.version
    shutil.rmtree(folder, ignore_errors=True)  # a run again in the same second gives the same version
    staged.rename(folder)
    gate = trained.metrics["gate"]
    verdict = Verdict(gate["passed"], gate["reason"])
    result = Result(manifest.version, folder, verdict, verdict.passed or force, dict(trained.metrics))
    if not result.published:
        raise GateError(result)
    publish(folder, output)
    return result


def _active(location: str | None, data: RatingData, note: Note) -> served.Served | None:
    """Loads the active version, and tries it on a few users before anything is trained. Raises `TrainingError`."""
    if location is None:
        return None
    active = served.load(location)
    some = np.arange(min(8, len(data.users)))
    everything = np.ones(len(data.user), dtype=bool)
    served.scorer(active, data, Cases(some, np.zeros_like(some), everything))(some)
    if missing := served.lacks(active, data):
        note(f"the active version reads {', '.join(missing)}, which the data do not have: missing when it is compared")
    return active


def train(
    data: RatingData,
    settings: Settings,
    work: Path | None = None,
    progress: Progress = lambda stage, epoch, epochs: None,
    *,
    active: served.Served | None = None,
    force: bool = False,
) -> artifact_writer.TrainedModel:
    """Finds a recipe on the validation items, measures a model of it on the test items, and makes the one to serve."""
    parts = split(data, settings.seed)
    rivals = baselines(data, parts)

    def told(stage: str, epochs: int) -> recipe.OnEpoch:
        return lambda curve: progress(stage, len(curve.loss), epochs)

    def checkpoint(stage: str) -> Path | None:
        return None if work is None else work / f"{stage}.pt"

    found = recipe.find(data, parts, rivals, settings, told(CHOICE, settings.epochs), checkpoint(CHOICE))

    def make(stage: str, known: Flags) -> Model:
        return found.make(data, known, told(stage, found.epochs), checkpoint(stage))

    inputs = found.inputs
    evaluation = evaluate(served.of(make(TEST, parts.test.known), inputs, data), data, parts, rivals)
    evaluation["new_items"] = new_items.measure(lambda known: make(NEW_ITEMS, known), data, inputs, settings.seed)
    final = make(FINAL, np.ones(len(data.user), dtype=bool))
    if active is not None:
        evaluation["as_served"] = as_served(served.of(final, inputs, data), active, data, parts.test)
    verdict = judge(evaluation, cut_short=found.curve.best_epoch == settings.epochs)
    metrics = {
        **evaluation,
        "gate": {"passed": verdict.passed, "reason": verdict.reason, "forced": force and not verdict.passed},
        "training": {
            **asdict(found.curve),
            "epochs": found.epochs,
            "settings": asdict(settings),
            "ratings": len(data.user),
            "linear_part": found.blend.to_dict(),
            "texts": found.texts.to_dict(),
        },
    }
    return artifact_writer.TrainedModel(data, inputs, final, settings, metrics)


def evaluate_version(data: str, dataset: Dataset, location: str, seed: int = Settings.seed) -> dict[str, Any]:
    """Measures a published version on each user's last liked item, beside the baselines. Raises `TrainingError`.

    The result is meaningful only for ratings that the version was not trained on: use newer data.
    """
    ratings = load(data, dataset)
    parts = split(ratings, seed)
    return evaluate(served.load(location), ratings, parts, baselines(ratings, parts))


def _digest(data: RatingData, settings: Settings) -> str:
    """Returns a digest of everything that a training run depends on. Runs with the same digest may share a
    checkpoint."""
    digest = hashlib.sha256(repr((data.dataset.to_dict(), asdict(settings), data.users.ids, data.items.ids)).encode())
    for part in (data.user, data.item, data.rating, data.time):
        digest.update(b"" if part is None else part.tobytes())
    for table in (data.users, data.items):
        for name, values in sorted(table.columns.items()):
            digest.update(repr((name, values.tolist())).encode())
    return digest.hexdigest()[:16]
