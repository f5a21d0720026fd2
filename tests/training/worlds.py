"""Rating data for the tests: the sample shop, and a film site with tastes that drift, popular films and genres."""

import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from contracts import dataset_file
from contracts.columns import Column, Kind
from contracts.dataset import Dataset
from contracts.training_data import SUCCESS_MARKER, SuccessMarker
from functions.shop_seeder.sample_shop import Shop, generate
from training.entities import EntityTable
from training.features import Encoding

CLASSIC = dataset_file.load(Path(__file__).parents[2] / "dataset.toml")

FILMS = dataset_file.parse("""
[users]
table = "viewers"
key = "viewer"
key_type = "text"
[users.columns]
occupation = "categorical"
region = "categorical"
[items]
table = "films"
key = "film"
key_type = "integer"
[items.columns]
genres = "tags:|"
year = "integer"
title = "passthrough"
[ratings]
table = "views"
user = "viewer"
item = "film"
rating = "stars"
liked = 4
time = "seen_at"
[event.features]
job = "occupation"
[output]
name = "views-training"
buckets = 4
""")


def small_shop() -> Shop:
    return generate(customers=40, products=32, ratings=800)


def shop_table(shop: Shop) -> pa.Table:
    """The rows that the ETL job makes of the shop."""
    users = {customer.customerNumber: customer for customer in shop.customers}
    items = {product.productCode: product for product in shop.products}
    rows = []
    for rating in shop.ratings:
        user, item = users[rating.customerNumber], items[rating.productCode]
        row = {"customerNumber": user.customerNumber, "productCode": item.productCode}
        row |= {column.name: getattr(user, column.name) for column in CLASSIC.users.columns}
        row |= {column.name: getattr(item, column.name) for column in CLASSIC.items.columns}
        rows.append(row | {"productRating": rating.productRating})
    return pa.Table.from_pylist(rows)


def write(table: pa.Table, dataset: Dataset, root: Path) -> Path:
    """Writes the table as the ETL job does, and returns what `--data` takes."""
    folder, files = root / dataset.name, []
    keys = np.asarray(table[dataset.training_names["users", dataset.users.key]].to_pylist(), dtype=object)
    groups = np.array([zlib.crc32(str(key).encode()) % dataset.buckets for key in keys]) if dataset.buckets else keys
    for value in sorted(set(groups)):
        part = table.filter(pa.array(groups == value))
        if not dataset.buckets:  # Spark keeps the partition's column in the path only
            part = part.drop_columns(dataset.partition)
        path = f"{dataset.partition}={value}/part-0.snappy.parquet"
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(part, folder / path)
        files.append(path)
    (folder / SUCCESS_MARKER).write_text(SuccessMarker("test", len(table), tuple(files)).to_json())
    return root


def films(
    n_users: int = 300, n_films: int = 500, mean: int = 60, seed: int = 1, fame: float = 1.3, originality: float = 0.8
) -> pa.Table:
    """Views of films, one after the other: what a viewer sees next depends on taste, on what came before, on fame.

    `originality`: how much of a film is not in its genres.
    """
    random = np.random.default_rng(seed)
    n_genres, width = 16, 8
    genre_vectors = random.normal(size=(n_genres, width))
    genres = [random.choice(n_genres, random.integers(1, 4), replace=False) for _ in range(n_films)]
    vectors = np.stack([genre_vectors[each].mean(0) for each in genres]) + originality * random.normal(
        size=(n_films, width)
    )
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    fames = fame * random.normal(size=n_films)
    jobs = random.normal(size=(12, width))
    quality = 0.4 * random.normal(size=n_films)
    rows = []
    for user in range(n_users):
        job = int(random.integers(12))
        taste = 0.7 * jobs[job] + random.normal(size=width)
        mood, seen = np.zeros(width), np.zeros(n_films, dtype=bool)
        clock = 1.6e9 + float(random.integers(10**7))
        for _ in range(min(n_films // 2, 10 + int(random.exponential(mean - 10)))):
            score = fames + 1.0 * vectors @ taste + 3.0 * vectors @ mood + random.gumbel(size=n_films)
            score[seen] = -np.inf
            film = int(score.argmax())
            seen[film] = True
            like = 3.4 + 0.6 * vectors[film] @ taste + quality[film] + 0.8 * random.normal()
            mood = 0.7 * mood + 0.3 * vectors[film]
            taste += 0.05 * random.normal(size=width)
            clock += float(random.exponential(3_600))
            rows.append((user, job, film, int(np.clip(round(like), 1, 5)), int(clock)))
    return pa.table(
        {
            "viewer": [f"v{row[0]}" for row in rows],
            "occupation": [f"job {row[1]}" for row in rows],
            "region": [("north", "south", None)[row[0] % 3] for row in rows],
            "film": [row[2] for row in rows],
            "genres": ["|".join(f"genre {genre}" for genre in genres[row[2]]) for row in rows],
            "year": [1950 + row[2] % 70 for row in rows],
            "title": [f"Film {row[2]}" for row in rows],
            "stars": [row[3] for row in rows],
            "seen_at": pa.array([row[4] for row in rows], pa.timestamp("s")),
        }
    )


def _views(seen: Sequence[Sequence[int]]) -> pa.Table:
    """Views of films that are all liked: of each viewer, in this order."""
    rows = [(user, film, place) for user, films in enumerate(seen) for place, film in enumerate(films)]
    return pa.table(
        {
            "viewer": [f"v{user}" for user, _, _ in rows],
            "film": [film for _, film, _ in rows],
            "stars": [4 + n % 2 for n in range(len(rows))],
            "seen_at": pa.array([1_600_000_000 + 1_000 * place for _, _, place in rows], pa.timestamp("s")),
        }
    )


def moods(n_users: int = 200, n_films: int = 200, size: int = 10, stays: float = 0.9, seed: int = 1) -> pa.Table:
    """Who has seen a film of a group sees another one of it next, mostly, and then goes on to any other group."""
    random, seen = np.random.default_rng(seed), []
    for _ in range(n_users):
        films: list[int] = []
        group = int(random.integers(n_films // size))
        for _ in range(20):
            of_it = set(range(group * size, group * size + size))
            if random.random() > stays or of_it <= set(films):
                group = int(random.integers(n_films // size))
                of_it = set(range(group * size, group * size + size))
            if left := sorted(of_it - set(films)):
                films.append(int(random.choice(left)))
        seen.append(films)
    return _views(seen)


def bundles(n_users: int = 120, n_films: int = 200, size: int = 8, seed: int = 2) -> pa.Table:
    """Each viewer sees five films of each of two groups, in any order, and four that everybody sees."""
    random, seen = np.random.default_rng(seed), []
    fame = np.exp(1.5 * random.normal(size=n_films))
    for _ in range(n_users):
        groups = random.choice(n_films // size, 2, replace=False)
        films = [group * size + film for group in groups for film in random.choice(size, 5, replace=False)]
        films += list(random.choice(n_films, 4, replace=False, p=fame / fame.sum()))
        seen.append([int(film) for film in random.permutation(list(dict.fromkeys(films)))])
    return _views(seen)


NAMED = replace(FILMS, items=replace(FILMS.items, columns=(Column("year", Kind.INTEGER), Column("title", Kind.TEXT))))
"""The films without genres: if anything tells what a film is about, its title does."""


def titled(table: pa.Table, telling: bool, seed: int = 1) -> pa.Table:
    """The films with a title of their own: words that say nothing, and where `telling` one of three for each genre."""
    random = np.random.default_rng(seed)
    titles = {}
    for film, genres in sorted(set(zip(table["film"].to_pylist(), table["genres"].to_pylist(), strict=True))):
        words = (
            [f"{genre.replace(' ', '')}{random.choice(list('abc'))}" for genre in genres.split("|")] if telling else []
        )
        words += [f"filler{n}" for n in random.integers(0, 60, 3)]
        titles[film] = f"The {' '.join(random.permutation(words)).title()} of {film}!"
    return table.set_column(
        table.column_names.index("title"), "title", pa.array([titles[film] for film in table["film"].to_pylist()])
    )


def random_table(encodings: Sequence[Encoding], count: int, random: np.random.Generator) -> EntityTable:
    """Users or items of values seen and never seen in training, and of missing ones."""
    columns = {}
    for encoding in encodings:
        words = np.array([*encoding.vocabulary, "", "never seen", "žluťoučký"], dtype=object)
        if encoding.column.kind.is_number:
            values = random.normal(encoding.numbers.mean, 3 * encoding.numbers.scale, count)
            values[random.random(count) < 0.2] = np.nan
        elif encoding.column.kind.is_list:
            values = np.empty(count, dtype=object)
            values[:] = [tuple(filter(None, random.choice(words, random.integers(0, 5)))) for _ in range(count)]
        else:
            values = random.choice(words, count)
        columns[encoding.column.name] = values
    ranges = {encoding.column.name: encoding.numbers for encoding in encodings}
    return EntityTable(tuple(map(str, range(count))), columns, ranges)
