"""Another shop, by nothing but a dataset.toml of its own: from a database that runs already to recommendations."""

from pathlib import Path

import pytest

from contracts.mysql import Login
from tests.databases import execute, source_url
from tests.local.shop_rows import insert
from tests.local.test_demo import run_local
from tests.training import worlds

DATASET = """
[users]
table = "viewers"
key = "viewer"
key_type = "text"
[users.columns]
occupation = "categorical"
region = "categorical"
[items]
table = "films"
key = "film_code"
key_type = "text"
name = "title"
[items.columns]
genres = "tags:|"
year = "integer"
[ratings]
table = "views"
user = "viewer_name"
item = "film"
rating = "stars"
scale = [1, 10]
liked = 7
time = "seen_at"
[event.features]
job = "occupation"
region = "region"
[output]
name = "views-training"
"""


def fill(login: Login) -> int:
    """Makes the film site's tables, and returns how many views they hold."""
    rows = worlds.films(n_users=80, n_films=60, mean=20).to_pylist()
    viewers = {row["viewer"]: (viewer(row), row["occupation"], row["region"]) for row in rows}
    films = {row["film"]: (f"f-{row['film']} ö€", row["title"], row["genres"], row["year"]) for row in rows}
    views = [(viewer(row), f"f-{row['film']} ö€", 2 * row["stars"], str(row["seen_at"])) for row in rows]
    execute(
        login,
        [
            "CREATE TABLE viewers (viewer VARCHAR(40) PRIMARY KEY, occupation TEXT, region TEXT)",
            "CREATE TABLE films (film_code VARCHAR(40) PRIMARY KEY, title TEXT, genres TEXT, year INT)",
            "CREATE TABLE views (viewer_name VARCHAR(40), film VARCHAR(40), stars INT, seen_at DATETIME)",
            insert("viewers", viewers.values()),
            insert("films", films.values()),
            insert("views", views),
        ],
    )
    return len(views)


def viewer(row: dict[str, object]) -> str:
    """A key that is no good as a folder's name, nor in Latin-1."""
    return f"{row['viewer']} größe/€ 5%=1"


@pytest.mark.parametrize(("layout", "folders"), [("buckets = 4", 4), ("", 80)], ids=["buckets", "a folder a user"])
def test_another_shop_needs_only_a_dataset_file(
    shop_database: Login, run_folder: Path, tmp_path: Path, layout: str, folders: int
) -> None:
    n_views = fill(shop_database)
    (tmp_path / "films.toml").write_text(DATASET + layout)
    source = source_url(shop_database)
    run = run_local(run_folder, "--source", source, "--dataset", str(tmp_path / "films.toml"), "--n-events", "40")
    assert run.status == 0, run.output
    assert f"{n_views:,} training rows in {folders} folders" in run.output
    assert "40 of 40 came back as recommendations" in run.output
    assert {record["strategy"] for record in run.records} >= {"personalized", "session"}
    for record in run.records:
        recommended = {item["id"] for item in record["recommended_items"]}
        assert len(recommended) == 5, record
        assert all(item.startswith("f-") and item.endswith(" ö€") for item in recommended), record
