"""Every column type of MySQL with every kind of dataset.toml, by both JDBC drivers: the value, or the refusal.

The table in docs/batch.md says the same; a case here is a row there.
"""

from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import pytest
from pyspark.sql import SparkSession

from contracts import column_types
from contracts.column_types import ColumnType, Family
from contracts.columns import Column, KeyType, Kind
from contracts.dataset import Dataset, Entity, Ratings
from contracts.mysql import Login
from contracts.mysql_columns import result_type
from etl import tables
from tests.databases import execute
from tests.etl import connector_j, shops

C, B, N, W, D = Kind.CATEGORICAL, Kind.BOOLEAN, Kind.NUMERIC, Kind.INTEGER, Kind.DATE


class Rejected(str):
    """The row is rejected, and this is the value that it tells."""


@dataclass(frozen=True)
class Case:
    """A column type, a value of it in SQL, and what each kind makes of it; a kind that is not here is refused."""

    ddl: str
    value: str
    expected: dict[Kind, Any]


def whole(ddl: str, value: int, sql: str | None = None, text: str | None = None, integer: Any = None) -> Case:
    shown = text or str(value)
    boolean = shown if shown in ("0", "1") else Rejected(shown)
    given = value if integer is None else integer
    return Case(ddl, sql or str(value), {C: shown, B: boolean, N: float(value), W: given})


CASES = [
    whole("TINYINT(1)", -1),
    whole("TINYINT(1)", 5),
    whole("BOOLEAN", 1, "TRUE"),
    whole("TINYINT UNSIGNED", 255),
    whole("SMALLINT", -32768),
    whole("MEDIUMINT UNSIGNED", 2**24 - 1),
    whole("INT", -(2**31)),
    whole("INT UNSIGNED", 2**32 - 1),
    whole("INT(6) UNSIGNED ZEROFILL", 42, text="000042"),
    whole("BIGINT", -(2**63)),
    whole("BIGINT UNSIGNED", 2**63 - 1),
    whole("BIGINT UNSIGNED", 2**64 - 1, integer=Rejected(2**64 - 1)),
    whole("DECIMAL(20,0)", 10**19, integer=Rejected(10**19)),
    whole("DECIMAL(20,0)", -7),
    whole("BIT(1)", 1, "b'1'"),
    whole("BIT(1)", 0, "b'0'"),
    whole("BIT(9)", 257),
    whole("BIT(64)", 2**64 - 1, "18446744073709551615", integer=Rejected(2**64 - 1)),
    Case("YEAR", "2024", {C: "2024", N: 2024.0, W: 2024}),
    Case("DECIMAL(10,2)", "-12.50", {C: "-12.50", N: -12.5}),
    Case(
        "DECIMAL(65,30)",
        "12345678901234567890123456789012345.123456789012345678901234567890",
        {C: "12345678901234567890123456789012345.123456789012345678901234567890", N: 1.2345678901234568e34},
    ),
    Case("FLOAT", "0.1", {N: 0.10000000149011612}),
    Case("FLOAT", "16777215", {N: 16777215.0}),
    Case("DOUBLE", "0.1", {N: 0.1}),
    Case("DOUBLE", "1.7976931348623157e308", {N: 1.7976931348623157e308}),
    Case("CHAR(5)", "' a '", {C: "a"}),
    Case("VARCHAR(20) CHARACTER SET latin1", "'größe'", {C: "größe"}),
    Case("VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", "' \t€ 😀\n'", {C: "€ 😀"}),
    Case("TINYTEXT", "'a'", {C: "a"}),
    Case("MEDIUMTEXT", "'Größe'", {C: "Größe"}),
    Case("LONGTEXT", "REPEAT('ä', 100000)", {C: "ä" * 100_000}),
    Case("ENUM('x', 'größe')", "'größe'", {C: "größe"}),
    Case("SET('a', 'b', 'c')", "'a,c'", {C: "a,c"}),
    Case("JSON", "'{\"a\": [1]}'", {C: '{"a": [1]}'}),
    Case("DATE", "'2024-02-29'", {C: "2024-02-29", D: date(2024, 2, 29)}),
    Case("DATE", "'0000-00-00'", {C: "0000-00-00", D: None}),
    Case("DATE", "'2024-00-00'", {C: "2024-00-00", D: Rejected("2024-00-00")}),
    Case("DATETIME(6)", "'2026-10-25 02:30:00.123456'", {C: "2026-10-25 02:30:00.123456", D: date(2026, 10, 25)}),
    Case("TIMESTAMP", "'2026-10-25 22:30:00'", {C: "2026-10-25 22:30:00", D: date(2026, 10, 25)}),
    Case("TIME", "'-12:34:56'", {C: "-12:34:56"}),
    Case("BINARY(4)", "'a'", {}),
    Case("VARBINARY(4)", "'a '", {}),
    Case("TINYBLOB", "'a'", {}),
    Case("LONGBLOB", "'a'", {}),
    Case("POINT", "POINT(1, 2)", {}),
    Case("GEOMETRY", "POINT(1, 2)", {}),
]


def name(number: int, kind: Kind) -> str:
    return f"c{number}_{kind.value}"


EXPECTED = {(row, name(row, kind)): value for row, case in enumerate(CASES) for kind, value in case.expected.items()}
ALL = Entity(
    table="things",
    key="id",
    key_type=KeyType.INTEGER,
    columns=tuple(Column(name(row, kind), kind) for row, case in enumerate(CASES) for kind in case.expected),
)
OTHER = Entity(table="things", key="other", key_type=KeyType.INTEGER, columns=())
SPEC = Dataset(ALL, OTHER, Ratings(table="things", user="id", item="other"), {}, "things")


@pytest.fixture
def things(shop_database: Login) -> Login:
    """A table with a column for each case and kind, and a row for each case."""
    columns = [f"{name(row, kind)} {case.ddl} NULL" for row, case in enumerate(CASES) for kind in (C, B, N, W, D)]
    inserts = [
        f"INSERT INTO things (id, other, {', '.join(name(row, kind) for kind in (C, B, N, W, D))}) "
        f"VALUES ({row}, 1, {', '.join([case.value] * 5)})"
        for row, case in enumerate(CASES)
    ]
    execute(
        shop_database,
        [
            "SET sql_mode = 'NO_ENGINE_SUBSTITUTION,ALLOW_INVALID_DATES', time_zone = '+00:00'",
            # Short rows: the many long texts lie outside of them.
            f"CREATE TABLE things (id INT PRIMARY KEY, other INT, {', '.join(columns)}) ROW_FORMAT=DYNAMIC",
            *inserts,
        ],
    )
    return shop_database


@pytest.mark.parametrize("place", ["table", "query"])
def test_each_value_arrives_unchanged_or_is_rejected_with_its_column_and_value(
    spark: SparkSession, things: Login, driver: str, place: str
) -> None:
    users = ALL if place == "table" else replace(ALL, table="", query="SELECT * FROM things")
    spec = replace(SPEC, users=users)
    source = shops.source_of(things, driver)
    execute(things, ["SET GLOBAL time_zone = '+02:00'"])  # a server in another zone: what is read is UTC all the same
    try:
        types = shops.ratings_etl.checked_types(spark, source, spec)
        rows = tables.load(spark, source, spec, types, "users").collect()
    finally:
        execute(things, ["SET GLOBAL time_zone = 'SYSTEM'"])
    found = {row["id"]: row for row in rows}
    assert len(found) == len(CASES)
    wrong = {}
    for (row, column), value in EXPECTED.items():
        shown = found[row][column]
        if isinstance(value, Rejected):
            told = {found[row][tables.REASON].split(":")[0]: found[row][tables.VALUE]}
            kinds = {name(row, kind) for kind, other in CASES[row].expected.items() if isinstance(other, Rejected)}
            ok = shown is None or column.endswith("boolean")
            ok &= told.keys() <= kinds and set(told.values()) == {str(value)}
        else:
            ok = shown == value and type(shown) is type(value)
        if not ok:
            wrong[f"{CASES[row].ddl} {CASES[row].value} {column}"] = (value, shown, found[row][tables.REASON])
    assert not wrong
    rejected = {row for (row, _), value in EXPECTED.items() if isinstance(value, Rejected)}
    assert {row for row in found if found[row][tables.REASON]} == rejected


def test_a_kind_that_a_type_does_not_go_with_is_refused_by_name(
    spark: SparkSession, things: Login, driver: str
) -> None:
    refused = [(row, kind) for row, case in enumerate(CASES) for kind in (C, B, N, W, D) if kind not in case.expected]
    users = replace(ALL, columns=tuple(Column(name(row, kind), kind) for row, kind in refused))
    spec = replace(SPEC, users=users)
    source = shops.source_of(things, driver)
    lines = column_types.mistakes(spec, source.column_types(spark, spec))
    assert [line.split(":")[0] for line in lines] == [f"users.columns.{name(*pair)}" for pair in refused]
    in_query = replace(spec, users=replace(users, table="", query="SELECT * FROM things"))
    lines = column_types.mistakes(in_query, source.column_types(spark, in_query))
    # The drivers do not tell a query's TIME or YEAR from others; their values are then looked at one by one.
    unclear = {f"users.columns.{name(*pair)}" for pair in refused if CASES[pair[0]].ddl in ("TIME", "YEAR")}
    assert {line.split(":")[0] for line in lines} >= {f"users.columns.{name(*pair)}" for pair in refused} - unclear


def test_a_refusal_says_what_to_do() -> None:
    users = replace(ALL, columns=(Column("c", Kind.NUMERIC), Column("d", Kind.CATEGORICAL), Column("e", Kind.DATE)))
    columns = {
        "id": ColumnType("varchar", "varchar(20)"),
        "c": ColumnType("text", "text"),
        "d": ColumnType("blob", "blob"),
    }
    lines = column_types.mistakes(replace(SPEC, users=users), {"users": columns, "items": None, "ratings": columns})
    assert lines == [
        "users.key: things.id is VARCHAR(20), which cannot be a key of type integer: declare it categorical (a key: "
        "key_type = 'text'), or convert it in a query",
        "users.columns.c: things.c is TEXT, which cannot be numeric: declare it categorical (a key: key_type = "
        "'text'), or convert it in a query",
        "users.columns.d: things.d is BLOB, which cannot be categorical: convert it in a query, for instance with "
        "HEX()",
        "users.columns.e: things has no column e; it has id, c, d",
        "items.table: no table things in the database",
        "ratings.user: things.id is VARCHAR(20), which cannot be a key of type integer: declare it categorical (a "
        "key: key_type = 'text'), or convert it in a query",
        "ratings.item: things has no column other; it has id, c, d",
    ]


def test_a_result_column_has_the_type_that_a_table_would_have() -> None:
    assert result_type(8, 63, 0, unsigned=True) == ColumnType("bigint", "bigint unsigned")
    assert result_type(252, 63, 0, unsigned=False).family is Family.BYTES
    assert result_type(252, 45, 0, unsigned=False).family is Family.TEXT
    assert result_type(246, 63, 0, unsigned=False).family is Family.WHOLE
    assert result_type(246, 63, 2, unsigned=False).family is Family.FRACTION


def test_a_time_is_read_in_utc(spark: SparkSession, shop_database: Login) -> None:
    execute(
        shop_database,
        [
            "SET time_zone = '+00:00'",
            "CREATE TABLE things (id INT PRIMARY KEY, other INT, at TIMESTAMP(6) NULL, local DATETIME(3))",
            "INSERT INTO things VALUES (1, 1, '2026-10-25 00:30:00.000001', '2026-10-25 02:30:00.5')",
        ],
    )
    execute(shop_database, ["SET GLOBAL time_zone = '+02:00'"])
    expected = {"at": "2026-10-25 00:30:00.000001", "local": "2026-10-25 02:30:00.500000"}
    try:
        for driver in (shops.MARIADB_DRIVER, *([connector_j.DRIVER] if connector_j.fetch() else [])):
            source = shops.source_of(shop_database, driver)
            for column, time in expected.items():
                spec = replace(SPEC, users=replace(OTHER, key="id"), ratings=replace(SPEC.ratings, time=column))
                types = shops.ratings_etl.checked_types(spark, source, spec)
                rows = tables.load(spark, source, spec, types, "ratings")
                (row,) = rows.selectExpr(f"date_format({column}, 'yyyy-MM-dd HH:mm:ss.SSSSSS') AS shown").collect()
                assert row["shown"] == time
    finally:
        execute(shop_database, ["SET GLOBAL time_zone = 'SYSTEM'"])
