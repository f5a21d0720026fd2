"""A training run as a whole: the same bytes again, going on after a kill, the gate, S3."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from contracts import artifacts as contract
from emulator.ministack import MiniStack
from tests.training import worlds
from tests.training.conftest import Published
from training import folders, pipeline
from training.__main__ import main
from training.errors import TrainingError
from training.fit import Settings
from training.gate import judge
from training.publish import publish, write_manifest

QUICK = Settings(epochs=3)
SMALL = worlds.shop_table(worlds.small_shop())


class Killed(BaseException):
    """Ends a run as a signal would."""


@pytest.fixture
def lake(tmp_path: Path) -> str:
    return str(worlds.write(SMALL, worlds.CLASSIC, tmp_path / "lake"))


def embeddings(folder: Path) -> bytes:
    return (folder / contract.ITEM_EMBEDDINGS).read_bytes() + (folder / contract.USER_EMBEDDINGS).read_bytes()


@pytest.mark.parametrize("killed_in", [pipeline.CHOICE, pipeline.TEST, pipeline.FINAL])
def test_a_killed_run_goes_on_and_gives_the_bytes_of_one_that_was_not_killed(
    lake: str, tmp_path: Path, killed_in: str
) -> None:
    settings = Settings(epochs=8, seed=2)  # a seed whose best epoch is not the first: the final run can be killed
    whole = pipeline.run(lake, worlds.CLASSIC, str(tmp_path / "a"), settings, force=True, work=tmp_path / "work a")
    stages: list[tuple[str, int]] = []

    def kill(stage: str, epoch: int, epochs: int) -> None:
        stages.append((stage, epoch))
        if (stage, epoch) == (killed_in, 2) and len(stages) == stages.index((killed_in, 2)) + 1:
            raise Killed

    work = tmp_path / "work b"
    with pytest.raises(Killed):
        pipeline.run(lake, worlds.CLASSIC, str(tmp_path / "b"), settings, force=True, work=work, progress=kill)
    resumed = pipeline.run(lake, worlds.CLASSIC, str(tmp_path / "b"), settings, force=True, work=work, progress=kill)
    assert embeddings(resumed.folder) == embeddings(whole.folder)
    assert len(stages) == len(set(stages)), "an epoch was trained twice"


def test_the_report_says_which_version_of_which_shop_and_what_earlier_ones_reached(lake: str, tmp_path: Path) -> None:
    first, second = (
        pipeline.run(
            lake, worlds.CLASSIC, str(tmp_path / "out"), Settings(epochs=1, seed=seed), force=True, work=tmp_path / "w",
            names={item: f"Name of {item}" for item in SMALL["productCode"].to_pylist()},
        )
        for seed in (1, 2)
    )  # fmt: skip
    report = (second.folder / contract.REPORT).read_text(encoding="utf-8")
    version = second.version
    made = f"{version[:4]}-{version[4:6]}-{version[6:8]} at {version[9:11]}:{version[11:13]} UTC"
    assert f"Version {version}, made on {made}, of customers and products" in report
    ndcg = f"{first.metrics['all']['model']['ndcg@10']:.4f}"
    assert f'<td>{first.version}</td><td class="number">{len(SMALL):,}</td><td class="number">{ndcg}</td>' in report
    assert "Name of S" in report
    assert second.version not in (first.folder / contract.REPORT).read_text(encoding="utf-8")


def test_a_stock_that_is_not_managed_counts_as_in_stock_and_a_version_without_any_is_not_published(
    tmp_path: Path,
) -> None:
    stock = SMALL.column_names.index("quantityInStock")
    for number, value in enumerate((None, 0)):
        table = SMALL.set_column(stock, "quantityInStock", pa.array([value] * len(SMALL), pa.int32()))
        lake = str(worlds.write(table, worlds.CLASSIC, tmp_path / f"lake {number}"))
        out = tmp_path / f"out {number}"

        def run(lake: str = lake, out: Path = out) -> pipeline.Result:
            return pipeline.run(lake, worlds.CLASSIC, str(out), Settings(epochs=1), force=True, work=out / "work")

        if value is None:
            result = run()
            catalog = (result.folder / contract.ITEM_CATALOG).read_text()
            assert "false" not in catalog
            assert catalog.count("true") == len(set(SMALL["productCode"].to_pylist()))
        else:
            with pytest.raises(TrainingError, match="none of its 31 items is in stock"):
                run()
            assert not list(out.glob("2*"))


def test_another_seed_is_another_model(lake: str, tmp_path: Path) -> None:
    runs = [
        pipeline.run(
            lake, worlds.CLASSIC, str(tmp_path / "out"), Settings(epochs=1, seed=seed), force=True, work=tmp_path
        )
        for seed in (1, 2)
    ]
    assert embeddings(runs[0].folder) != embeddings(runs[1].folder)


def shuffled_ratings() -> pa.Table:
    """Ratings without taste: whatever a customer rated, the stars are drawn by lot."""
    random = np.random.default_rng(3)
    products = SMALL.select(["productCode", *(column.name for column in worlds.CLASSIC.items.columns)])
    table = SMALL
    for name, column in zip(products.column_names, products.take(random.permutation(len(SMALL))).columns, strict=True):
        table = table.set_column(table.column_names.index(name), name, column)
    return table


def test_the_gate_refuses_a_model_of_ratings_without_taste_unless_forced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lake = worlds.write(shuffled_ratings(), worlds.CLASSIC, tmp_path / "lake")
    command = ["train", "--data", str(lake), "--output", str(tmp_path / "out"), "--work", str(tmp_path / "work")]
    assert main(command) == 1
    assert "not published: the model does not beat popularity: ndcg@10" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert main([*command, "--force"]) == 0
    manifest = contract.read_manifest(next((tmp_path / "out").rglob(contract.MANIFEST)).read_bytes())
    assert manifest.metrics["gate"]["passed"] is False
    assert manifest.metrics["gate"]["forced"] is True


def test_a_refusal_asks_for_more_epochs_where_training_was_cut_short(published: Published) -> None:
    worse = published.result.metrics | {"lift_over_popularity": {"difference": -0.01, "standard_error": 0.01}}
    assert "no taste to learn was found" in judge(worse).reason
    assert judge(worse, cut_short=True).reason.endswith("still getting better: allow it more (--epochs)")


@pytest.mark.parametrize("n_cases", [2, 3, 5, 10, 30, 100])
@pytest.mark.parametrize("n_items", [12, 30, 110])
def test_of_models_that_rank_by_lot_no_more_than_five_percent_pass(n_cases: int, n_items: int) -> None:
    random, rounds = np.random.default_rng(n_cases), 4_000
    model, popularity = random.integers(1, n_items + 1, (2, rounds, n_cases))
    difference = np.where(model <= 10, 1 / np.log2(1 + model), 0) - np.where(
        popularity <= 10, 1 / np.log2(1 + popularity), 0
    )
    means, errors = difference.mean(1), difference.std(1, ddof=1) / n_cases**0.5
    results = {name: {"cases": n_cases, "ndcg@10": 0.1} for name in ("model", "popularity")}
    passed = [
        judge({"all": results, "lift_over_popularity": {"difference": mean, "standard_error": error}}).passed
        for mean, error in zip(means, errors, strict=True)
    ]
    assert np.mean(passed) <= 0.05 + 2 * (0.05 * 0.95 / rounds) ** 0.5


def test_a_new_version_is_compared_with_the_active_one_on_the_same_data(published: Published, tmp_path: Path) -> None:
    lake, out, active = str(published.lake), str(tmp_path / "out"), str(published.folder)
    worse = Settings(epochs=1, linear_dim=0)
    run = pipeline.run(lake, worlds.CLASSIC, out, worse, active=active, force=True, work=tmp_path / "work")
    served = run.metrics["as_served"]
    assert served["version"] == published.result.version
    assert served["active"]["ndcg@10"] > 2 * served["model"]["ndcg@10"], "one epoch of one part"


@pytest.mark.parametrize(("ndcg", "passed"), [(0.951, True), (0.949, False)])
def test_the_gate_refuses_a_model_that_falls_behind_the_active_version_by_more_than_the_margin(
    published: Published, ndcg: float, passed: bool
) -> None:
    served = {"version": "the active one", "model": {"ndcg@10": ndcg}, "active": {"ndcg@10": 1.0}}
    verdict = judge(published.result.metrics | {"as_served": served})
    assert verdict.passed is passed
    assert ("falls behind the active version by more than 5%" in verdict.reason) is not passed


def test_artifacts_made_elsewhere_need_only_embeddings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = tmp_path / "made" / "embeddings"
    made.mkdir(parents=True)
    (made / "item_embeddings.csv").write_text('id,embedding\na,"[1,0]"\nb,"[0,1]"\n')
    (made / "user_embeddings.csv").write_text('id,embedding\nu,"[1,0]"\n')
    command = ["publish", "--artifacts", str(made.parent), "--output", str(tmp_path / "out")]
    assert main(command) == 0
    manifest = contract.read_manifest(next((tmp_path / "out").rglob(contract.MANIFEST)).read_bytes())
    assert (manifest.n_items, manifest.n_users, manifest.dim, manifest.dataset) == (2, 1, 2, None)
    (made / "item_embeddings.csv").write_text('id,embedding\na,"[1,0]"\n')
    assert main(command) == 2
    assert "names other content (sha256) for: embeddings/item_embeddings.csv" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('id,vector\na,"[1,0]"\n', "expected the columns id,embedding, found 'id,vector'"),
        ('id,embedding\na,"[1,0]"\nb,"[1]"\n', "row 2: expected 2 finite numbers such as .*, found 1 of them"),
        ('id,embedding\na,"[1,NaN]"\n', "row 1: expected 2 finite numbers such as .*, found .*NaN"),
        ('id,embedding\na,"[0,0]"\n', "row 1: expected a vector with a direction"),
        ("id,embedding\n", "n_items: expected 1 or more, found 0"),
    ],
)
def test_embeddings_that_cannot_be_loaded_get_no_manifest(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "embeddings").mkdir()
    (tmp_path / "embeddings" / "item_embeddings.csv").write_text(content)
    (tmp_path / "embeddings" / "user_embeddings.csv").write_text("id,embedding\n")
    with pytest.raises(TrainingError, match=message):
        write_manifest(tmp_path)


def test_evaluate_measures_a_published_version(published: Published, capsys: pytest.CaptureFixture[str]) -> None:
    metrics = pipeline.evaluate_version(str(published.lake), worlds.CLASSIC, str(published.folder))
    assert metrics["all"]["model"]["ndcg@10"] > 2 * metrics["all"]["popularity"]["ndcg@10"]
    assert main(["evaluate", "--data", str(published.lake), "--artifacts", str(published.folder / "nowhere")]) == 2
    assert "expected a version's manifest.json, found none" in capsys.readouterr().err


def test_a_run_reads_and_writes_s3_with_the_environments_endpoint_and_credentials(
    ministack: MiniStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3 = ministack.client("s3")
    for bucket in ("training-lake", "training-artifacts"):
        s3.create_bucket(Bucket=bucket)
    lake = worlds.write(SMALL, worlds.CLASSIC, tmp_path / "lake")
    for path in (path for path in lake.rglob("*") if path.is_file()):
        s3.upload_file(str(path), "training-lake", path.relative_to(lake).as_posix())
    for name, value in ministack.environment(ministack.root).items():
        monkeypatch.setenv(name, value)
    command = ["train", "--data", "s3://training-lake", "--output", "s3://training-artifacts", "--epochs", "2"]
    assert main([*command, "--force", "--work", str(tmp_path / "work")]) == 0
    listing = s3.list_objects_v2(Bucket="training-artifacts")["Contents"]
    manifest_object = next(each for each in listing if each["Key"].endswith(contract.MANIFEST))
    version = manifest_object["Key"].split("/")[0]
    manifest = contract.read_manifest(
        s3.get_object(Bucket="training-artifacts", Key=manifest_object["Key"])["Body"].read()
    )
    assert manifest.version == version
    assert {each["Key"] for each in listing} == {f"{version}/{path}" for path in (*manifest.files, contract.MANIFEST)}
    assert manifest_object["LastModified"] == max(each["LastModified"] for each in listing)


def test_the_manifest_is_uploaded_last(published: Published, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    written: list[str] = []
    write = folders.LocalFolder.write

    def note_and_write(folder: folders.LocalFolder, path: str, content: bytes) -> None:
        written.append(path)
        write(folder, path, content)

    monkeypatch.setattr(folders.LocalFolder, "write", note_and_write)
    publish(published.folder, str(tmp_path))
    assert written[-1] == contract.MANIFEST
    assert written.count(contract.MANIFEST) == 1
