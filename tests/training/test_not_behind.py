"""The promise beside the best baseline: the model is not behind it by more than a standard error, or the report's first
line says which it is and by how much."""

import re
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from contracts import artifacts as contract
from contracts.dataset import Dataset
from tests.training import worlds
from training import artifact_writer, pipeline
from training.artifact_writer import TrainedModel
from training.data import from_table
from training.fit import Settings

# A run makes three trainings: half a minute of one processor, which other work may share.
pytestmark = pytest.mark.timeout(900)

BARE = replace(
    worlds.FILMS,
    users=replace(worlds.FILMS.users, columns=()),
    items=replace(worlds.FILMS.items, columns=()),
)
UNTIMED = replace(BARE, ratings=replace(BARE.ratings, time=None))


def trained(table: pa.Table, dataset: Dataset, folder: Path) -> TrainedModel:
    made = pipeline.train(from_table(table, dataset, "films"), Settings())
    artifact_writer.write(made, folder)
    return made


def first_line(folder: Path) -> str:
    found = re.search(r"<p><strong>(.*?)</strong>", (folder / contract.REPORT).read_text(encoding="utf-8"))
    assert found
    return found[1]


def test_where_the_history_fades_the_model_is_not_behind_ease_that_fades_it(tmp_path: Path) -> None:
    figures = trained(worlds.moods(), BARE, tmp_path).metrics["all"]
    rivals = {name: values["ndcg@10"] for name, values in figures.items() if name != "model"}
    assert max(rivals, key=rivals.__getitem__) == "EASE, fading history"
    assert rivals["EASE, fading history"] > 1.15 * rivals["EASE"], "in this world the order tells"
    assert first_line(tmp_path).startswith("Not behind:"), first_line(tmp_path)


def test_where_item_knn_is_the_best_it_teaches_the_model_and_the_report_begins_with_how_far_the_model_is_from_it(
    tmp_path: Path,
) -> None:
    """The model is nearer to item-kNN than EASE is, but may be behind: the towers have a share."""
    made = trained(worlds.bundles(), UNTIMED, tmp_path)
    figures = made.metrics["all"]
    model, best, ease = (figures[name]["ndcg@10"] for name in ("model", "item-kNN", "EASE"))
    assert best > 1.15 * ease > figures["popularity"]["ndcg@10"]
    assert model > ease
    assert made.metrics["training"]["linear_part"]["teacher"]["setting"].keys() >= {"neighbours", "shrinkage"}
    error = made.metrics["lift_over_best"]["standard_error"]
    assert 0 < error < 0.05
    assert first_line(tmp_path) == (
        f"{'Behind' if model - best < -error else 'Not behind'}: ndcg@10 {model:.4f} against {best:.4f} of the best "
        f"baseline, item-kNN: {model - best:+.4f} ± {error:.4f}."
    )
