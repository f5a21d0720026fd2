"""Proposes a dataset.toml for a database, from its foreign keys, the names of tables and columns, and their values.

A proposal is a start, to be read and corrected: comments name what was left out, and the reason.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pymysql

from contracts.column_types import Family
from contracts.mysql import Login
from contracts.source_rows import quoted
from emulator.errors import LocalRunError
from local.check.names import (
    ITEM_WORDS,
    NAME_WORDS,
    PERSONAL_WORDS,
    QUANTITY_WORDS,
    STOCK_WORDS,
    TIME_WORDS,
    USER_WORDS,
    first_of,
    named,
    only_of,
)
from local.check.relations import Interactions, Link, Source, rating_of

MOST_VALUES = 200
"""The most different values of a useful text column. One with more, and more than a third of the rows, is left out: its
values are shared by too few."""
TAG_SEPARATORS = "|;,"


def propose(cursor: Any, login: Login) -> str:
    """Returns the text of a dataset.toml. Raises `LocalRunError` if no table leads to both users and items."""
    source = Source.read(cursor)
    found = source.best_interactions()
    if found is None:
        raise LocalRunError(
            f"database {login.database}: found no table whose columns lead to a table of users (by name one of "
            f"{USER_WORDS}) and to one of items ({ITEM_WORDS}): write a dataset.toml after this project's. "
            f"The database has: {', '.join(sorted(source.schema)) or 'no tables'}"
        )
    return "\n".join(_lines(source, found)) + "\n"


def _lines(source: Source, one: Interactions) -> Iterator[str]:
    user, item = one.to_user[-1], one.to_item[-1]
    yield "# Proposed from the database's foreign keys, names and values: read it, and correct it."
    yield "# What each line means: dataset.toml of this project. Look at what it gives: python -m local check"
    features: list[str] = []
    for role, end in (("users", user), ("items", item)):
        yield ""
        yield from _entity_lines(source, role, end, features)
    yield ""
    yield from _rating_lines(source, one)
    if features:
        yield "\n[event.features]                    # a key of an event's JSON = the column of [users] that it fills"
        keys: dict[str, str] = {}
        for name in features:
            key = _snake(name)
            keys[f"{key}_{len(keys)}" if key in keys else key] = name  # `a-b` beside `a b`
        yield from (f"{_toml_key(key)} = {_toml(name)}" for key, name in keys.items())


def _entity_lines(source: Source, role: str, end: Link, features: list[str]) -> Iterator[str]:
    columns = source.schema[end.target]
    whole = columns[end.key].family is Family.WHOLE
    key_type = "integer" if whole else "text"
    yield f'[{role}]\ntable = {_toml(end.target)}\nkey = {_toml(end.key)}\nkey_type = "{key_type}"'
    kinds: dict[str, str] = {}
    left_out: dict[str, str] = {}
    for name in columns:
        if name != end.key:
            kind, reason = _kind(source, end.target, name)
            if kind:
                kinds[name] = kind
            else:
                left_out[name] = reason
    if role == "items":
        stock = first_of({name: columns[name] for name in kinds}, STOCK_WORDS, {Family.WHOLE, Family.FRACTION})
        if stock:
            kinds[stock] = "integer" if columns[stock].family is Family.WHOLE else "numeric"
            yield f"in_stock = {_toml(stock)}"
        if called := first_of(columns, NAME_WORDS, {Family.TEXT}):
            yield f"name = {_toml(called)}"
            kinds.pop(called, None)
            left_out.pop(called, None)
    else:
        features += [name for name, kind in kinds.items() if not kind.startswith("tags")]
    yield f"\n[{role}.columns]"
    yield from (f"{_toml_key(name)} = {_toml(kind)}" for name, kind in kinds.items())
    yield from (f"# {name}: {reason}" for name, reason in left_out.items())


def _kind(source: Source, table: str, column: str) -> tuple[str, str]:
    """Returns the column's kind; or "" and the reason to leave it out."""
    found = source.schema[table][column]
    if named(column, PERSONAL_WORDS) and found.family is Family.TEXT:
        return "", "personal, or one of its own for each row"
    name = quoted(column)
    try:
        counts = f"SELECT COUNT(*), COUNT({name}), COUNT(DISTINCT {name}) FROM {quoted(table)}"  # noqa: S608
        rows, filled, values = source.one(counts)
    except pymysql.err.MySQLError as error:
        return "", f"cannot be read: {error.args[-1]}"
    if rows and (not filled or (values == 1 and filled == rows)):
        return "", "the same in every row" if filled else "empty"
    if found.name == "set":
        return "tags:,", ""
    if found.family is Family.BITS or found.full.startswith("tinyint(1)"):
        return ("boolean", "") if values <= 2 else ("integer", "")
    if found.family is Family.DATE:
        return "date", ""
    if source.refers(table, column) or (found.family is Family.WHOLE and re.search(r"(_id|Id|ID|_code)$", column)):
        return ("categorical", "") if values <= max(MOST_VALUES, rows // 3) else ("", "refers to a row of its own")
    if found.name == "year":
        return "integer", ""
    if found.family in (Family.WHOLE, Family.FRACTION, Family.FLOAT):
        return "numeric", ""
    if found.family is not Family.TEXT:
        return "", f"{found.full.upper()} is no feature"
    if found.name == "enum" or (values <= MOST_VALUES and values <= max(2, rows * 0.9)):
        return "categorical", ""
    if separator := _separator(source, table, column, filled):
        return f"tags:{separator}", ""
    if values <= rows // 3:
        return "categorical", ""
    return "", "a text of its own for nearly each row"


def _separator(source: Source, table: str, column: str, filled: int) -> str:
    for separator in TAG_SEPARATORS:
        name = quoted(column)
        (joined, longest) = source.one(
            f"SELECT COUNT(*), MAX(CHAR_LENGTH({name})) FROM {quoted(table)} "  # noqa: S608
            f"WHERE {name} LIKE '%{separator}%' AND {name} NOT LIKE '%{separator} %'"
        )
        if joined > filled / 3 and longest < 200:
            return separator
    return ""


def _rating_lines(source: Source, one: Interactions) -> Iterator[str]:
    tables = {"a": one.table}
    user = _column(one.to_user, tables, "u")
    item = _column(one.to_item, tables, "i")
    rating = _on_the_way(source, tables, rating_of, first_only=True)
    numbers, dates = {Family.WHOLE, Family.FRACTION}, {Family.DATE}
    quantity = None if rating else _on_the_way(source, tables, lambda c: first_of(c, QUANTITY_WORDS, numbers), True)
    time = _on_the_way(source, tables, lambda c: first_of(c, TIME_WORDS, dates) or only_of(c, dates), False)
    places = {"user": user, "item": item, "rating": rating, "time": time, "quantity": quantity}
    used = {key: place for key, place in places.items() if place}
    yield "[ratings]" + ("" if rating else "                           # no rating column: each row is a purchase")
    if len(tables) == 1:
        yield f"table = {_toml(one.table)}"
        yield from (f"{key} = {_toml(column)}" for key, (_, column) in used.items())
    else:
        names = {"user": "user_id", "item": "item_id", "rating": "rating", "time": "at", "quantity": "quantity"}
        selected = ", ".join(f"{alias}.{quoted(column)} AS {names[key]}" for key, (alias, column) in used.items())
        joins = "".join(f"\nJOIN {join}" for join in _joins(one))
        yield f'query = """\nSELECT {selected}\nFROM {quoted(one.table)} AS a{joins}\n"""'
        yield from (f"{key} = {_toml(names[key])}" for key in used)
    if rating:
        lowest, highest = source.one(
            f"SELECT FLOOR(MIN({quoted(rating[1])})), CEIL(MAX({quoted(rating[1])})) FROM {quoted(one.table)}"  # noqa: S608
        )
        lowest, highest = int(lowest or 0), int(highest or 1)
        highest = max(highest, lowest + 1)
        yield f"scale = [{lowest}, {highest}]"
        yield f"liked = {lowest + round((highest - lowest) * 0.75)}"


def _column(path: tuple[Link, ...], tables: dict[str, str], prefix: str) -> tuple[str, str]:
    """Returns alias and column of the id, and adds the tables on the way to it."""
    for number, link in enumerate(path[:-1]):
        tables[f"{prefix}{number}"] = link.target
    return (f"{prefix}{len(path) - 2}" if len(path) > 1 else "a", path[-1].column)


def _joins(one: Interactions) -> Iterator[str]:
    for prefix, path in (("u", one.to_user), ("i", one.to_item)):
        before = "a"
        for number, link in enumerate(path[:-1]):
            alias = f"{prefix}{number}"
            condition = f"{alias}.{quoted(link.key)} = {before}.{quoted(link.column)}"
            yield f"{quoted(link.target)} AS {alias} ON {condition}"
            before = alias


def _on_the_way(source: Source, tables: Mapping[str, str], wanted: Any, first_only: bool) -> tuple[str, str] | None:
    for alias, table in list(tables.items())[: 1 if first_only else None]:
        if column := wanted(source.schema[table]):
            return alias, column
    return None


def _snake(name: str) -> str:
    return re.sub(r"\W", "_", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name)).lower()


def _toml(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _toml_key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _toml(name)
