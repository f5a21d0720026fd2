"""The gate's rules on any rows: nothing is lost, nothing wrong gets through, and the reasons are the right ones."""

from collections import Counter
from functools import reduce

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from contracts import dataset_file
from contracts.column_types import ColumnType, reads
from etl import quality, tables
from tests.etl import shops

LEFT_OUT = 'name = "title"\n', '[items.display]\ncover = "picture"\nprice = "Price"\n', 'time = "scored_at"\n'
SPEC = dataset_file.parse(reduce(lambda text, line: text.replace(line, ""), LEFT_OUT, shops.BOOKS))
TEXT, INT, DOUBLE = ColumnType("text", "text"), ColumnType("int", "int"), ColumnType("double", "double")
TYPES = {
    "users": {"reader_id": TEXT, "home_town": TEXT},
    "items": {"isbn": TEXT, "genres": TEXT, "pages": INT},
    "ratings": {"reader": TEXT, "book": TEXT, "score": DOUBLE},
}
KEYS = st.sampled_from([None, "", " ", "a", " a", "a ", "b", "B", "c\t", "é", "it's", "0", "a/b"])
READERS = st.lists(st.tuples(KEYS, st.none() | st.text("xyz ", max_size=3)), max_size=8)
BOOKS = st.lists(st.tuples(KEYS, st.none() | st.just("x|y"), st.none() | st.integers(-5, 5)), max_size=8)
SCORES = st.none() | st.sampled_from([-0.5, 0.0, 0.5, 5.0, 9.5, 10.0, 10.5, 1e300, float("nan"), float("inf")])
STARS = st.lists(st.tuples(KEYS, KEYS, SCORES), max_size=40)


def accepted_keys(rows: list[tuple[object, ...]]) -> set[str]:
    keys = Counter(str(row[0]).strip() for row in rows if row[0] is not None and str(row[0]).strip())
    return {key for key, count in keys.items() if count == 1}


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(readers=READERS, books=BOOKS, stars=STARS)
def test_exactly_the_rows_that_keep_every_rule_become_training_data(
    spark: SparkSession,
    readers: list[tuple[str | None, str | None]],
    books: list[tuple[str | None, str | None, int | None]],
    stars: list[tuple[str | None, str | None, float | None]],
) -> None:
    frames = {
        "users": spark.createDataFrame(readers, "reader_id string, home_town string"),
        "items": spark.createDataFrame(books, "isbn string, genres string, pages int"),
        "ratings": spark.createDataFrame(stars, "reader_id string, isbn string, score double"),
    }
    targets = tables.targets(SPEC, TYPES)
    loaded = tables.Tables(**{role: tables.typed(frame, reads(SPEC)[role], targets) for role, frame in frames.items()})
    known_readers, known_books = accepted_keys(list(readers)), accepted_keys(list(books))
    best: dict[tuple[str, str], float] = {}
    for reader, book, score in stars:
        pair = ((reader or "").strip(), (book or "").strip())
        if pair[0] in known_readers and pair[1] in known_books and score is not None and 0 <= score <= 10:
            best[pair] = max(score, best.get(pair, score))
    checked, counts = quality.check(loaded, SPEC)
    try:
        data = [row.asDict() for row in tables.join(checked, SPEC).collect()]
        rejected = tables.rejected(checked.ratings).collect()
    finally:
        spark.catalog.clearCache()
    assert {(row["reader_id"], row["isbn"]): row["score"] for row in data} == best
    assert len(data) == len(best) == counts[-1].accepted
    assert len(data) + len(rejected) == counts[-1].rows == len(stars)
    assert all(row["reason"] for row in rejected)
    assert counts[0].accepted == len(known_readers)
    assert counts[1].accepted == len(known_books)
