"""Versions that must not become active: each is a good one with one change, as attackers and accidents make."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from contracts.artifacts import (
    ITEM_CATALOG,
    ITEM_EMBEDDINGS,
    ITEM_TOWER,
    MANIFEST,
    SIMILAR_ITEMS,
    USER_CATALOG,
    USER_EMBEDDINGS,
    USER_TOWER,
)
from tests.functions import graph_edits
from tests.functions.conftest import Store
from tests.functions.worlds import DIM, embeddings_csv, item_tower, user_tower, world

GOOD, BAD = "20261101T000000Z-000001", "20261102T000000Z-000002"
SHOP = world(BAD, seed=2, with_similar=True)
Document = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """A change of a good version, and the loader's error. Digests are those of the changed files."""

    message: str
    files: Mapping[str, bytes | Callable[[bytes], bytes]] | None = None
    manifest: Callable[[Document], Any] = lambda document: None
    text: bytes | None = None
    """The manifest's whole content."""


def publish(store: Store, row: Row) -> None:
    files = SHOP.files()
    for name, content in (row.files or {}).items():
        files[name] = content if isinstance(content, bytes) else content(files[name])
    document = json.loads(SHOP.manifest(files).to_json())
    row.manifest(document)
    for name, content in files.items():
        store.s3.put_object(Bucket=store.bucket, Key=f"{BAD}/{name}", Body=content)
    body = json.dumps(document).encode() if row.text is None else row.text
    store.s3.put_object(Bucket=store.bucket, Key=f"{BAD}/{MANIFEST}", Body=body)


def tower(edit: Callable[[Any], Any]) -> Row:
    """The good version with its user tower's graph changed."""
    return Row("user tower", {USER_TOWER: graph_edits.edited(user_tower(DIM), edit)})


def of_items(edit: Callable[[Any], Any]) -> Row:
    """The good version with its item tower's graph changed."""
    return Row("item tower", {ITEM_TOWER: graph_edits.edited(item_tower(DIM), edit)})


def _set(path: str, value: Any) -> Callable[[Document], None]:
    """Sets `a > b > c` of a document."""

    def change(document: Document) -> None:
        *way, last = path.split(" > ")
        for key in way:
            document = document[key]
        document[last] = value

    return change


def _drop(path: str) -> Callable[[Document], None]:
    def change(document: Document) -> None:
        *way, last = path.split(" > ")
        for key in way:
            document = document[key]
        del document[last]

    return change


def _renamed_feature(document: Document) -> None:
    columns = document["dataset"]["users"]["columns"]
    columns["town"] = columns.pop("city")
    events = document["dataset"]["event"]["features"]
    events.update({key: "town" for key, column in events.items() if column == "city"})


def _line(n: int, content: str) -> Callable[[bytes], bytes]:
    """Replaces a line of a csv file (0 is the header)."""

    def change(before: bytes) -> bytes:
        lines = before.decode().splitlines()
        lines[n] = content
        return ("\n".join(lines) + "\n").encode()

    return change


def _twice(before: bytes) -> bytes:
    lines = before.splitlines(keepends=True)
    return before + lines[1]


def _vectors(factor: float) -> bytes:
    items = [[float(x) * factor for x in vector] for vector in SHOP.items]
    rows = "".join(f'{id_},"{json.dumps(v)}"\n' for id_, v in zip(SHOP.item_ids, items, strict=True))
    return f"id,embedding\n{rows}".encode()


def _norms(document: Document) -> None:
    lengths = np.linalg.norm(SHOP.users, axis=1)
    document["norms"] = {"users": [float(lengths.min()), float(lengths.max())]}


def _longer_than_declared() -> Row:
    row = tower(lambda graph: graph_edits.times(graph, 1000.0))
    return Row("about as long as the stored users'", row.files, _norms)


NONE_IN_STOCK = b"id,in_stock,popularity\n" + b"".join(f"{i},false,0.5\n".encode() for i in SHOP.item_ids)
TOO_MANY = json.dumps([[f"I{n}", 1] for n in range(1, 22)]).replace('"', '""')
ROWS: dict[str, Row] = {
    # The tower.
    "garbage": Row("ONNX Runtime cannot load it", {USER_TOWER: b"\x00garbage" * 100}),
    "empty": Row("user tower", {USER_TOWER: b""}),
    "cut in half": Row("user tower", {USER_TOWER: lambda content: content[: len(content) // 2]}),
    "another model": Row("expected the inputs", {USER_TOWER: graph_edits.identity()}),
    "NaN": tower(partial(graph_edits.times, factor=float("nan"))),
    "infinite": tower(partial(graph_edits.times, factor=float("inf"))),
    "zeros": tower(partial(graph_edits.times, factor=0.0)),
    "vectors of 1e30": tower(partial(graph_edits.times, factor=1e30)),
    "vectors of 1e-30": tower(partial(graph_edits.times, factor=1e-30)),
    "longer than declared": _longer_than_declared(),
    "another dimension": Row("user tower", {USER_TOWER: user_tower(DIM // 2)}),
    "one vector for all": tower(graph_edits.same_for_all),
    "vectors of other users mixed in": tower(graph_edits.mixes_rows),
    "doubles": tower(graph_edits.double),
    "another rank": tower(graph_edits.another_rank),
    "no output of the name": tower(graph_edits.rename_output),
    "an input that is no feature": tower(partial(graph_edits.rename, old="city", new="town")),
    "an input too many": tower(graph_edits.one_more_input),
    "an input too few": tower(graph_edits.drop_input),
    "a text input for numbers": tower(graph_edits.text_as_number),
    "one user at a time": tower(partial(graph_edits.fixed, axis=0, size=1)),
    "three items at a time": tower(partial(graph_edits.fixed, axis=1, size=3)),
    "NaN where a number is missing": tower(graph_edits.no_care_for_missing),
    "NaN where there is no history": tower(graph_edits.no_care_for_no_history),
    # The tower of items.
    "item tower: garbage": Row("ONNX Runtime cannot load it", {ITEM_TOWER: b"\x00garbage" * 100}),
    "item tower: the users'": Row("item tower: expected the inputs", {ITEM_TOWER: user_tower(DIM)}),
    "item tower: NaN": of_items(partial(graph_edits.times, factor=float("nan"))),
    "item tower: zeros": of_items(partial(graph_edits.times, factor=0.0)),
    "item tower: vectors of 1e30": of_items(partial(graph_edits.times, factor=1e30)),
    "item tower: NaN where a number is missing": of_items(graph_edits.no_care_for_missing),
    "item tower: another dimension": Row("item tower: expected float32", {ITEM_TOWER: item_tower(DIM // 2)}),
    "item tower: other items mixed in": of_items(graph_edits.mixes_rows),
    "item tower: no output of the name": of_items(graph_edits.rename_output),
    "item tower: an input too many": of_items(graph_edits.one_more_input),
    "item tower: a feature of another kind": Row(
        "item tower: expected the inputs", manifest=_set("dataset > items > columns > productLine", "numeric")
    ),
    "item tower: another file's digest": Row(
        "expected sha256", manifest=_set(f"files > {ITEM_TOWER}", hashlib.sha256(b"").hexdigest())
    ),
    # The dataset specification.
    "dataset null": Row("expected a dataset specification", manifest=_set("dataset", None)),
    "dataset a text": Row("dataset", manifest=_set("dataset", "garbage")),
    "dataset a list": Row("dataset", manifest=_set("dataset", [1])),
    "dataset empty": Row("expected a table", manifest=_set("dataset", {})),
    "dataset a number where tables are": Row("expected a table", manifest=_set("dataset > users", 7)),
    "dataset a list where a name is": Row("expected", manifest=_set("dataset > ratings > table", [])),
    "dataset without ratings": Row("ratings", manifest=_drop("dataset > ratings")),
    "a renamed feature": Row("expected the inputs", manifest=_renamed_feature),
    "a feature of another kind": Row(
        "expected the inputs", manifest=_set("dataset > users > columns > city", "numeric")
    ),
    "a feature too many": Row(
        "expected the inputs", manifest=_set("dataset > users > columns > horoscope", "categorical")
    ),
    "an event's feature of no column": Row(
        "horoscope", manifest=_set("dataset > event > features > sign", "horoscope")
    ),
    # Vectors and catalog.
    "popularity of 1e300": Row("popularity", {ITEM_CATALOG: _line(1, "I0,true,1e300")}),
    "popularity NaN": Row("popularity", {ITEM_CATALOG: _line(1, "I0,true,nan")}),
    "an item twice in the catalog": Row("every id once", {ITEM_CATALOG: _twice}),
    "a customer twice in the catalog": Row("every id once", {USER_CATALOG: _twice}),
    "an item twice": Row("every id once", {ITEM_EMBEDDINGS: _twice}),
    "a customer twice": Row("every id once", {USER_EMBEDDINGS: _twice}),
    "nothing in stock": Row("items in stock", {ITEM_CATALOG: NONE_IN_STOCK}),
    "recent items that are none": Row("recent_items", {USER_CATALOG: _line(1, '100,"[1]",[]')}),
    "excluded items that are none": Row("excluded_items", {USER_CATALOG: _line(1, "100,[],{}")}),
    "a NUL in an excluded item": Row("without NUL", {USER_CATALOG: _line(1, r'100,[],"[""\u0000""]"')}),
    "too many excluded items": Row(
        "10,000 ids at most", {USER_CATALOG: _line(1, '100,[],"[' + ",".join(['""1""'] * 10_001) + ']"')}
    ),
    "too many recent items": Row(
        "10,000 ids at most", {USER_CATALOG: _line(1, '100,"[' + ",".join(['""1""'] * 10_001) + ']",[]')}
    ),
    "a recent item that no index holds": Row("512 characters", {USER_CATALOG: _line(1, f'100,"[""{"x" * 513}""]",[]')}),
    "items of 1e20": Row("expected a length", {ITEM_EMBEDDINGS: _vectors(1e20)}),
    "items of 1e-20": Row("expected a length", {ITEM_EMBEDDINGS: _vectors(1e-20)}),
    "customers of zeros": Row(
        "only zeros", {USER_EMBEDDINGS: embeddings_csv(SHOP.user_ids, np.zeros_like(SHOP.users))}
    ),
    "an id that no index holds": Row("an id of 1 to", {ITEM_CATALOG: _line(1, "x" * 5000 + ",true,1")}),
    "items of lengths that are not declared": Row("as the manifest declares", manifest=_set("norms > items", [1, 1])),
    # Similar items.
    "similar items of another version": Row(
        "expected distances", {SIMILAR_ITEMS: world(BAD, seed=3, with_similar=True).files()[SIMILAR_ITEMS]}
    ),
    "a similar item that is not there": Row("expected items of", {SIMILAR_ITEMS: _line(1, 'I0,"[[""gone"",0.1]]"')}),
    "similar items of an item that is not there": Row(
        "expected items of", {SIMILAR_ITEMS: _line(1, 'gone,"[[""I0"",0.1]]"')}
    ),
    "an item similar to itself": Row("other items", {SIMILAR_ITEMS: _line(1, 'I0,"[[""I0"",0]]"')}),
    "the farthest first": Row("nearest first", {SIMILAR_ITEMS: _line(1, 'I0,"[[""I1"",0.2],[""I2"",0.1]]"')}),
    "similar items that are no list": Row("a JSON list such as", {SIMILAR_ITEMS: _line(1, "I0,{}")}),
    "too many similar items": Row("20 items at most", {SIMILAR_ITEMS: _line(1, f'I0,"{TOO_MANY}"')}),
    # The manifest.
    "no JSON": Row("manifest.json cannot be used", text=b"{"),
    "not UTF-8": Row("UTF-8|cannot be used", text=b"\xff\xfe"),
    "nested deeply": Row("manifest.json cannot be used", text=b'{"metrics":' + b"[" * 100_000),
    "a list": Row("manifest.json cannot be used", text=b"[]"),
    "another version's": Row("expected version", manifest=_set("version", GOOD)),
    "another dim": Row("finite numbers", manifest=_set("dim", DIM + 1)),
    "dim true": Row("dim", manifest=_set("dim", True)),
    "an unknown similarity": Row("similarity", manifest=_set("similarity", "euclid")),
    "an item less": Row("rows, as the manifest counts", manifest=_set("counts > items", len(SHOP.item_ids) - 1)),
    "a digest that is none": Row("its sha256", manifest=_set(f"files > {USER_TOWER}", 7)),
    "another file's digest": Row(
        "expected sha256", manifest=_set(f"files > {USER_TOWER}", hashlib.sha256(b"").hexdigest())
    ),
    "no customers' file": Row("its sha256", manifest=_drop(f"files > {USER_EMBEDDINGS}")),
    "norms that are none": Row("norms", manifest=_set("norms", {"items": "long"})),
    "metrics a list": Row("metrics", manifest=_set("metrics", [1])),
}
