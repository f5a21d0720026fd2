"""Property: whatever MySQL tables hold, and however they are called, `check` passes or names the column, and what
`--propose` writes passes. Types and kinds that go together are those of tests/etl/test_column_types.py."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hypothesis import HealthCheck, Phase, event, given, settings
from hypothesis import strategies as st

from contracts.columns import KeyType, Kind
from contracts.mysql import Login
from contracts.source_rows import quoted
from tests.databases import execute
from tests.etl.test_column_types import CASES, Case
from tests.local.shops import check

ODD = st.text("aZ0_ .`'\"%{}?;#/\\-$@[]~äßü€あ", max_size=8)
"""Parts of names; something of one's own follows, which keeps names different in every collation."""
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
DATES = st.from_regex(r"(0000|1970|2026)-(00|01|13|12)-(00|31) 0[0-9]:00:00", fullmatch=True)


@dataclass(frozen=True)
class Column:
    name: str
    case: Case
    kind: Kind
    values: tuple[str, ...]
    """Values in SQL, one a row."""

    @property
    def accepted(self) -> bool:
        kind = Kind.CATEGORICAL if self.kind in (Kind.TAGS, Kind.TEXT, Kind.PASSTHROUGH) else self.kind
        return kind in self.case.expected


@dataclass(frozen=True)
class Table:
    name: str
    columns: tuple[Column, ...]
    queried: bool
    """True if dataset.toml has a statement in place of the table's name."""

    @property
    def toml(self) -> str:
        if self.queried:
            return f"query = {json.dumps(f'SELECT * FROM {quoted(self.name)}')}"
        return f"table = {json.dumps(self.name)}"

    def statements(self) -> Iterator[str]:
        defined = ", ".join(f"{quoted(column.name)} {column.case.ddl} NULL" for column in self.columns)
        yield f"CREATE OR REPLACE TABLE {quoted(self.name)} ({defined})"
        for row in zip(*(column.values for column in self.columns), strict=True):
            yield f"INSERT IGNORE INTO {quoted(self.name)} VALUES ({', '.join(row)})"


def values(case: Case) -> st.SearchStrategy[str]:
    """The type's own value, none, numbers, dates, texts: of all of them a server that is not strict makes something."""
    if case.ddl.startswith(("POINT", "GEOMETRY")):
        return st.sampled_from(["NULL", case.value])
    numbers = st.integers(-(2**70), 2**70).map(str)
    texts = (TEXTS | DATES).map(lambda text: f"_utf8mb4 0x{text.encode().hex()}" if text else "''")
    plain = st.just("'{}'") if case.ddl == "JSON" else numbers | texts
    return st.sampled_from(["NULL", case.value, "0", "1"]) | plain if case.ddl != "JSON" else st.just("NULL") | plain


@st.composite
def columns(draw: st.DrawFn, rows: int, names: Sequence[str], kinds: Sequence[Kind]) -> tuple[Column, ...]:
    """One for each name; most have a kind that their type goes with."""
    found = []
    for name in names:
        case = draw(st.sampled_from(CASES))
        fitting = [kind for kind in kinds if kind in case.expected]
        kind = draw(st.sampled_from([*kinds, *fitting * 6]))
        cells = draw(st.lists(values(case), min_size=rows, max_size=rows))
        found.append(Column(draw(ODD) + name, case, kind, tuple(cells)))
    return tuple(found)


@st.composite
def tables(draw: st.DrawFn, key: str = "key") -> tuple[Table, Table, Table]:
    """Users and items, each with a key first, and ratings: user, item, then a quantity and a time or not."""
    key_kinds = [Kind.CATEGORICAL, Kind.INTEGER]
    found = []
    for role in ("users", "items"):
        rows = draw(st.integers(0, 3))
        names = [f"column{n}" for n in range(draw(st.integers(0, 4)))]
        keys = draw(columns(rows, [key], key_kinds))
        kinds = [kind for kind in Kind if kind is not Kind.TEXT or role == "items"]
        found.append(Table(draw(ODD) + role, keys + draw(columns(rows, names, kinds)), draw(st.booleans())))
    rows = draw(st.integers(0, 3))
    ratings = draw(columns(rows, ["user", "item"], key_kinds))
    ratings += draw(columns(rows, ["quantity"], [Kind.NUMERIC])) + draw(columns(rows, ["at"], [Kind.DATE]))
    return found[0], found[1], Table(draw(ODD) + "ratings", ratings[: draw(st.integers(2, 4))], draw(st.booleans()))


def toml(users: Table, items: Table, ratings: Table) -> str:
    """The dataset.toml that says of each column what its kind is."""
    text = json.dumps
    lines = []
    for role, table in (("users", users), ("items", items)):
        key, *others = table.columns
        key_type = KeyType.INTEGER if key.kind is Kind.INTEGER else KeyType.TEXT
        lines += [f"[{role}]", table.toml, f"key = {text(key.name)}", f'key_type = "{key_type}"']
        lines += [f"[{role}.columns]"]
        kinds = {column.name: "tags:|" if column.kind is Kind.TAGS else column.kind.value for column in others}
        lines += [f"{text(name)} = {text(kind)}" for name, kind in kinds.items()]
    lines += ["[ratings]", ratings.toml]
    for name, column in zip(("user", "item", "quantity", "time"), ratings.columns, strict=False):
        lines.append(f"{name} = {text(column.name)}")
    return "\n".join(lines)


def refused(users: Table, items: Table, ratings: Table) -> set[str]:
    """The places of dataset.toml whose column's type does not go with what it is declared to be."""
    places = set()
    for role, table in (("users", users), ("items", items)):
        key, *others = table.columns
        places |= set() if key.accepted else {f"{role}.key"}
        places |= {f"{role}.columns.{column.name}" for column in others if not column.accepted}
    as_keys = [(ratings.columns[0], users.columns[0].kind), (ratings.columns[1], items.columns[0].kind)]
    for name, (column, kind) in zip(("user", "item"), as_keys, strict=True):
        places |= set() if kind in column.case.expected else {f"ratings.{name}"}
    more = zip(("quantity", "time"), ratings.columns[2:], strict=False)
    return places | {f"ratings.{name}" for name, column in more if not column.accepted}


def fresh(login: Login, made: Sequence[Table]) -> None:
    there = [str(name) for (name,) in execute(login, ["SHOW TABLES"])]
    drops = [f"DROP TABLE {', '.join(map(quoted, there))}"] if there else []
    execute(login, ["SET sql_mode = ''", *drops, *(statement for table in made for statement in table.statements())])


PROPERTY = settings(
    max_examples=25,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@PROPERTY
@given(made=tables())
def test_whatever_the_tables_hold_the_check_passes_or_names_the_column(
    shop_database: Login, tmp_path: Path, made: tuple[Table, Table, Table]
) -> None:
    fresh(shop_database, made)
    path = tmp_path / "dataset.toml"
    path.write_text(toml(*made), encoding="utf-8")
    status, told = check(shop_database, "--dataset", str(path))
    if expected := refused(*made):
        event("refused")
        assert status == 2, told
        lines = told.strip().splitlines()[1:]
        assert len(lines) == len(expected), told
        for place in expected:
            assert any(line.startswith(f"{place}: ") for line in lines), (place, told)
    else:
        event(f"passes with {status}")
        assert status in (0, 1), told
        for column in (*made[0].columns, *made[1].columns):
            assert column.name in told


@PROPERTY
@given(made=tables(key="_id"))
def test_whatever_the_tables_hold_what_is_proposed_passes(
    shop_database: Login, tmp_path: Path, made: tuple[Table, Table, Table]
) -> None:
    fresh(shop_database, made)
    users, items, ratings = made
    execute(
        shop_database,
        [
            "CREATE OR REPLACE TABLE customers (customer_id INT PRIMARY KEY)",
            "CREATE OR REPLACE TABLE products (product_id INT PRIMARY KEY)",
            "INSERT INTO customers VALUES (1), (2)",
            "INSERT INTO products VALUES (1), (2)",
            "CREATE OR REPLACE TABLE purchases (customer_id INT, product_id INT) "
            f"AS SELECT * FROM {quoted(ratings.name)}",
            "UPDATE purchases SET customer_id = 1, product_id = 2",
        ],
    )
    for target, table in (("customers", users), ("products", items)):
        more = ", ".join(f"ADD {quoted(column.name)} {column.case.ddl} NULL" for column in table.columns)
        filled = ", ".join(f"{quoted(column.name)} = {(*column.values, 'NULL')[0]}" for column in table.columns)
        execute(
            shop_database,
            ["SET sql_mode = ''", f"ALTER TABLE {target} {more}", f"UPDATE IGNORE {target} SET {filled} LIMIT 1"],
        )
    path = tmp_path / "proposed.toml"
    path.unlink(missing_ok=True)
    status, told = check(shop_database, "--propose", str(path))
    assert status in (0, 1), told + (path.read_text(encoding="utf-8") if path.exists() else "")
    assert re.search(r"table = \"customers\"", path.read_text(encoding="utf-8"))
