"""Numbers that cannot be meant: missing, counted and named before training starts; serving treats them alike."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts import artifacts as contract
from contracts import features
from contracts.columns import Column, Kind
from functions.shared.serving.tower import UserTower
from tests.training import worlds
from tests.training.conftest import Published
from training import artifact_writer, numbers, pipeline
from training.__main__ import main
from training.data import from_table
from training.entities import EntityTable
from training.features import encode, fit
from training.fit import Settings
from training.model import ColumnEmbedding

LIMIT = "creditLimit"
DOUBLE_MAX = 1.7976931348623157e308


def shop_with(values: list[Any]) -> pa.Table:
    """The sample shop's rows; the first customers' credit limits are `values`."""
    table = worlds.shop_table(worlds.small_shop())
    customers = table["customerNumber"].to_pylist()
    changed = dict(zip(sorted(set(customers)), values, strict=False))
    told = [changed.get(key, old) for key, old in zip(customers, table[LIMIT].to_pylist(), strict=True)]
    return table.set_column(table.column_names.index(LIMIT), LIMIT, pa.array(told, pa.float64()))


@pytest.mark.parametrize("sentinel", [1e300, DOUBLE_MAX, -DOUBLE_MAX, 3.4e38, 1e39, 1e25, float("inf")])
def test_a_number_that_cannot_be_meant_is_missing_counted_and_named_before_training(
    sentinel: float, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    usual = from_table(shop_with([]), worlds.CLASSIC, "lake")
    data = from_table(shop_with([sentinel, sentinel]), worlds.CLASSIC, "lake")
    assert np.flatnonzero(np.isnan(data.users.columns[LIMIT])).tolist() == [0, 1]
    assert [note.partition(":")[0] for note in data.notes] == [LIMIT]
    assert "2 numbers cannot be meant" in data.notes[0]
    assert not usual.notes
    if sentinel == DOUBLE_MAX:
        lake = worlds.write(shop_with([sentinel, sentinel]), worlds.CLASSIC, tmp_path / "lake")
        command = ["train", "--data", str(lake), "--output", str(tmp_path / "out"), "--work", str(tmp_path / "work")]
        assert main([*command, "--epochs", "1", "--force"]) == 0
        assert f"training: {LIMIT}: 2 numbers cannot be meant" in capsys.readouterr().err


ODD = st.one_of(
    st.floats(allow_nan=False, allow_infinity=True),
    st.sampled_from([0.0, -1.0, 1e-45, 5e-324, 1e12, 1e12 + 1, 1e29, 3.4e38, DOUBLE_MAX, 2.0**63]),
    st.integers(-5, 5).map(float),
)


@settings(deadline=None, max_examples=300)
@given(st.lists(ODD, min_size=1, max_size=30), ODD)
def test_every_number_that_training_accepts_serving_treats_alike(column: list[float], other: float) -> None:
    """And whatever a column holds, its scale tells something: the tower reads finite numbers."""
    read = np.array([features.number(value) for value in column])
    scale = numbers.range_of(read)
    assert np.isfinite([np.float32(scale.mean), np.float32(scale.scale)]).all()
    assert np.float32(scale.scale) > 0
    spec = Column("n", Kind.NUMERIC)
    kept = numbers.without_far(read, scale)
    table = EntityTable(tuple(map(str, range(len(kept)))), {"n": kept}, {"n": scale})
    (encoding,) = fit(table, (spec,))
    (trained,) = encode(table, (encoding,))
    tower = ColumnEmbedding(encoding, 4)
    missing = tower(torch.tensor([float("nan")]))

    def vector(value: float) -> torch.Tensor:
        """Reads an event's number as serving does."""
        result: torch.Tensor = tower(torch.tensor(np.array([features.number(value)], dtype=np.float32)))
        return result

    for told, value, is_missing in zip(column, trained, np.isnan(kept), strict=True):
        assert torch.equal(vector(told), tower(value.unsqueeze(0)))
        assert torch.equal(vector(told), missing) == is_missing
    assert torch.isfinite(vector(other)).all()


def test_a_far_number_does_not_make_all_the_others_one() -> None:
    usual = np.arange(100.0)
    for far in (99_999.0, 1e7, 1e12, 1e29):
        scale = numbers.range_of(np.append(usual, far))
        assert 0.05 < 50 / scale.scale < 5, far


def test_numbers_that_32_bits_cannot_tell_apart_are_named() -> None:
    data = from_table(shop_with([1e20 + 1e5 * n for n in range(100)]), worlds.CLASSIC, "lake")
    assert [note for note in data.notes if "cannot tell" in note and note.startswith(LIMIT)]


@pytest.mark.parametrize("change", ["added", "removed", "kind"])
def test_a_version_with_other_features_is_compared_and_evaluated(
    change: str, published: Published, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec, lake = worlds.CLASSIC, published.lake
    columns = spec.users.columns
    if change == "added":
        spec = replace(spec, users=replace(spec.users, columns=(*columns, Column("vip", Kind.BOOLEAN))))
        table = worlds.shop_table(worlds.small_shop())
        lake = worlds.write(table.append_column("vip", pa.array(["1"] * len(table))), spec, tmp_path / "lake")
    else:
        kept = [column for column in columns if column.name != LIMIT]
        if change == "kind":
            kept.append(Column(LIMIT, Kind.CATEGORICAL))
        spec = replace(
            spec,
            users=replace(spec.users, columns=tuple(kept)),
            event_features={key: name for key, name in spec.event_features.items() if name != LIMIT},
        )
    out, lines = str(tmp_path / "out"), list[str]()
    run = pipeline.run(
        str(lake), spec, out, Settings(epochs=1), active=str(published.folder), force=True, work=tmp_path / "work",
        note=lines.append,
    )  # fmt: skip
    assert run.metrics["as_served"]["active"]["cases"] > 0
    assert [line for line in lines if f"reads {LIMIT}" in line] == ([] if change != "removed" else lines)
    assert pipeline.evaluate_version(str(lake), spec, str(published.folder))["all"]["model"]["ndcg@10"] > 0


def test_a_damaged_active_version_is_refused_before_training(
    published: Published, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "broken"
    for path in published.folder.rglob("*"):
        if path.is_file():
            (broken / path.relative_to(published.folder)).parent.mkdir(parents=True, exist_ok=True)
            (broken / path.relative_to(published.folder)).write_bytes(path.read_bytes())
    tower = broken / contract.USER_TOWER
    tower.write_bytes(b"no graph")
    manifest = contract.read_manifest((broken / contract.MANIFEST).read_bytes())
    (broken / contract.MANIFEST).write_text(replace(manifest, files=artifact_writer.digests(broken)).to_json())
    monkeypatch.setattr(pipeline, "train", None)
    command = ["train", "--data", str(published.lake), "--output", str(tmp_path / "out")]
    assert main([*command, "--active", str(broken), "--work", str(tmp_path / "work")]) == 2
    assert "ONNX Runtime cannot load it" in capsys.readouterr().err


def test_a_visitor_is_known_by_what_training_has_seen(published: Published) -> None:
    tower = UserTower((published.folder / contract.USER_TOWER).read_bytes(), worlds.CLASSIC)
    country = next(key for key, column in tower.event_features.items() if column.name == "country")
    seen: list[dict[str, Any]] = [{country: "USA"}, {"credit_limit": 50_000}]
    unseen: list[dict[str, Any]] = [{country: "Atlantis"}, {"credit_limit": 1e300}, {country: "", "credit_limit": 1e25}]
    assert all(tower.has_features(user) for user in (*seen, unseen[0]))
    dim = contract.read_manifest((published.folder / contract.MANIFEST).read_bytes()).dim
    assert tower.knows([*seen, *unseen], dim) == [True, True, False, False, False]
