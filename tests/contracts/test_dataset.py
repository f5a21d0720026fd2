"""dataset.toml: what it may say, and that every mistake in it is told with its line, causes without consequences."""

from datetime import date
from pathlib import Path

import pytest

from contracts.columns import DatePart, Kind
from contracts.dataset import Exclude, Serving
from contracts.dataset_file import DatasetError, from_dict, load, parse
from contracts.toml_lines import key_lines

PURCHASES = """
[users]
table = "customer"
where = "customer_id > 0"
key = "id"
key_type = "integer"
[users.columns]
status = "categorical"
born = "date"
[items]
table = "track"
key = "id"
key_type = "integer"
[items.columns]
status = "boolean"
"Unit. Price" = "numeric"
[ratings]
query = \"\"\"
SELECT customer_id, track_id, invoice_date, quantity  # table = "no key"
FROM invoice JOIN invoice_line USING (invoice_id);
\"\"\"
user = "customer_id"
item = "track_id"
time = "invoice_date"
quantity = "quantity"
[event.features]
birthday = "born"
"""


def test_purchases_need_no_rating_and_come_from_a_statement() -> None:
    spec = parse(PURCHASES)
    assert (spec.ratings.rating, spec.ratings.scale, spec.ratings.liked) == (None, (1, 1), 1)
    assert spec.ratings.sql.startswith("(SELECT customer_id")
    assert not spec.ratings.query.endswith(";")
    assert spec.users.sql == "(SELECT * FROM `customer` WHERE customer_id > 0\n) AS source_rows"
    assert spec.items.sql == "`track`"
    assert parse(PURCHASES).to_dict() == spec.to_dict()


def test_names_are_per_table_and_clashing_ones_get_their_role_in_the_training_data() -> None:
    names = parse(PURCHASES.replace('born = "date"', 'born = "date"\nusers_id = "integer"')).training_names
    assert names == {
        ("users", "id"): "users_id_",
        ("users", "status"): "users_status",
        ("users", "born"): "born",
        ("users", "users_id"): "users_id",
        ("items", "id"): "items_id",
        ("items", "status"): "items_status",
        ("items", "Unit. Price"): "Unit__Price",
        ("ratings", "invoice_date"): "invoice_date",
        ("ratings", "quantity"): "quantity",
    }


def test_a_date_is_read_by_its_parts() -> None:
    features = {column.name: (column.kind, column.part) for column in parse(PURCHASES).users.features}
    assert features == {
        "status": (Kind.CATEGORICAL, None),
        "born.year": (Kind.CATEGORICAL, DatePart.YEAR),
        "born.month": (Kind.CATEGORICAL, DatePart.MONTH),
        "born.weekday": (Kind.CATEGORICAL, DatePart.WEEKDAY),
        "born.age": (Kind.NUMERIC, DatePart.AGE),
    }
    day, today = date(2000, 2, 29), date(2026, 2, 28)
    assert [part.of(day, today) for part in DatePart][:3] == ["2000", "2", "2"]
    assert DatePart.AGE.of(day, today) == pytest.approx(26, abs=0.01)
    assert [part.of(None, today) for part in DatePart][:3] == ["", "", ""]


def test_every_mistake_is_told_with_its_line_and_no_consequence_of_one() -> None:
    text = (
        PURCHASES.replace('status = "categorical"', 'status = "categorial"\nSTATUS = "numeric"')
        .replace('where = "customer_id > 0"', "where = 1")
        .replace('key_type = "integer"\n[items', 'key_type = "integer"\nin_stock = "Unit. Price"\n[items')
        .replace('"numeric"\n[ratings]', '"number"\n[ratings]\nliked = 3')
        .replace('birthday = "born"', 'birthday = "borne"\nstate = "status"')
    )
    with pytest.raises(DatasetError) as raised:
        parse(text, "shop.toml")
    assert str(raised.value).splitlines() == [
        "shop.toml:4: users.where: expected an SQL condition, found 1",
        "shop.toml:8: users.columns.status: expected categorical, boolean, numeric, integer, date, passthrough or "
        "'tags:<separator>', found 'categorial'",
        "shop.toml:9: users.columns.STATUS: expected a column that is not a column of [users.columns] already, "
        "found 'STATUS'",
        "shop.toml:18: items.columns.Unit. Price: expected categorical, boolean, numeric, integer, date, text, "
        "passthrough or 'tags:<separator>', found 'number'",
        "shop.toml:20: ratings.liked: expected it only beside rating, found 3",
        "shop.toml:30: event.features.birthday: expected a feature of [users.columns] (status, STATUS, born), "
        "found 'borne'",
    ]


@pytest.mark.parametrize(
    ("wrong", "right", "message"),
    [
        (
            "[users]",
            "[usrs]",
            "dataset.toml:2: usrs: expected one of event, items, output, quality, ratings, serving, users",
        ),
        ('table = "track"', "", "dataset.toml:10: items: expected either table or query, found nothing"),
        ("SELECT", "DELETE", "dataset.toml:18: ratings.query: expected one SELECT statement, found 'DELETE"),
        ('item = "track_id"', 'item = "Customer_id"', "not ratings.user already, found 'Customer_id'"),
        ('quantity = "quantity"', 'rating = "quantity"\nquantity="x"', "it only beside purchases (no ratings.rating)"),
    ],
)
def test_a_mistake_is_named(wrong: str, right: str, message: str) -> None:
    with pytest.raises(DatasetError) as raised:
        parse(PURCHASES.replace(wrong, right, 1))
    assert message in str(raised.value)


RATED = PURCHASES.replace('quantity = "quantity"', 'rating = "stars"')


def test_what_was_rated_is_not_recommended_again_unless_the_file_says_otherwise() -> None:
    assert parse(RATED).serving == Serving(Exclude.RATED)
    bought = parse(PURCHASES + '[serving]\nexclude = "bought"\nexclude_days = 30\n')
    assert bought.serving == Serving(Exclude.BOUGHT, 30)
    assert from_dict(bought.to_dict()) == bought
    before = {key: value for key, value in bought.to_dict().items() if key != "serving"}
    assert from_dict(before).serving == Serving()


@pytest.mark.parametrize(
    ("text", "serving", "message"),
    [
        (RATED, 'exclude = "seen"', "serving.exclude: expected 'rated', 'bought' or 'none', found 'seen'"),
        (
            RATED,
            'exclude = "bought"',
            "serving.exclude: expected 'rated' or 'none' (ratings do not tell what was bought)",
        ),
        (RATED, "exclude_days = 0", "serving.exclude_days: expected a whole number from 1 to 36500, found 0"),
        (RATED, 'exclude = "none"\nexclude_days = 9', "expected it only beside exclude = 'rated' or 'bought', found 9"),
        (
            RATED.replace('time = "invoice_date"', ""),
            "exclude_days = 9",
            "expected it only beside ratings.time, found 9",
        ),
        (RATED, "days = 9", "serving.days: expected one of exclude, exclude_days, found 'days'"),
    ],
)
def test_an_exclusion_that_makes_no_sense_is_refused(text: str, serving: str, message: str) -> None:
    with pytest.raises(DatasetError) as raised:
        parse(f"{text}[serving]\n{serving}\n")
    (line,) = str(raised.value).splitlines()
    assert message in line


def test_a_file_in_another_encoding_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "dataset.toml"
    path.write_bytes(PURCHASES.encode("utf-8-sig"))
    assert load(path) == parse(PURCHASES)
    path.write_bytes(PURCHASES.replace("born", "größe").encode("latin-1"))
    with pytest.raises(DatasetError, match=r"dataset.toml:9: expected UTF-8, found the byte 0xf6"):
        load(path)


def test_lines_of_keys_are_found_beside_strings_of_several_lines() -> None:
    text = 'a = """x""" # """\n[t."q.r"]\nb = \'\'\'\nc = 1\n\'\'\'\nd.e = 2\n'
    assert key_lines(text) == {("a",): 1, ("t", "q.r"): 2, ("t", "q.r", "b"): 3, ("t", "q.r", "d", "e"): 6}
