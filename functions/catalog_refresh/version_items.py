"""The items of one loaded version: which of them differ from the source, and what is written of those."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, LiteralString

import numpy as np
from psycopg import sql

from contracts.artifacts import ITEM_TOWER, MAX_SIMILAR_ITEMS, SCORE_DIGITS, Manifest, ManifestError, has_length
from functions.catalog_refresh import statements
from functions.catalog_refresh.source import Item, Row, SourceItems
from functions.shared import precomputed, versions
from functions.shared.artifact_bucket import ArtifactBucket
from functions.shared.database import Connection
from functions.shared.s3 import ObjectUnavailableError
from functions.shared.serving.graph import ModelError
from functions.shared.serving.tower import ItemTower, load_item_tower
from functions.shared.vectors import Vectors

NO_VECTOR = "the item tower gives no vector that distances can be computed to"
TOWER_ERRORS = (ModelError, ManifestError, ObjectUnavailableError)
WRITTEN_ROWS = 4096
"""Rows of a statement."""


class VanishedError(RuntimeError):
    """The source lacks so many items that it must be broken."""


@dataclass
class Counts:
    """The items of a version that a refresh wrote, by what happened to them."""

    added: int = 0
    """New in the source, embedded by the item tower."""
    embedded: int = 0
    """Added by an earlier refresh, changed since, and embedded again."""
    changed: int = 0
    """Stock or attributes written; items of the training keep their trained vector."""
    vanished: int = 0
    """No longer in the source, so marked as out of stock."""
    without_vector: int = 0
    """New in the source, and left out: the version has no item tower that can be used."""


class VersionItems:
    """The items of a version. `min_rows` is the gate's least share of the items that must still be there."""

    def __init__(self, connection: Connection, bucket: ArtifactBucket, manifest: Manifest, min_rows: float) -> None:
        self._connection, self._bucket, self._manifest, self._min_rows = connection, bucket, manifest, min_rows
        self.counts = Counts()
        self.tower_problem = ""
        """The reason why the item tower cannot be used. Stock and attributes are written all the same."""

    def prepare(self) -> None:
        """Makes the table of what the last refresh read, and the attributes of a version that an earlier release
        loaded, where they are missing."""
        self._run(statements.PREPARE)
        if not versions.has_attributes(self._connection, self._manifest.version):
            self._run(statements.ADD_ATTRIBUTES)

    def refresh(self, source: SourceItems, rows: Sequence[Row]) -> None:
        """Writes those of a portion of rows that differ from what the last refresh wrote."""
        changed, unseen = self._differences(source, rows)
        if changed:
            with self._connection.transaction():
                self.counts.changed += self._write(statements.UPDATE, changed)
                # One that is to be embedded again stays different until the tower can.
                self._remember([item for item in changed if not item.embedded], embedded=False)
        if unseen:
            self._embed(source, unseen)

    def vanish(self, seen: set[int]) -> None:
        """Marks the items that a whole read of the source has not met as out of stock.

        Raises `VanishedError` where that is more of the catalogue than the ETL's gate lets go (`[quality] min_rows`).
        """
        with self._connection.transaction(), self._connection.cursor("in_stock") as cursor:
            cursor.itersize = WRITTEN_ROWS
            total, gone = 0, []
            for (id_,) in cursor.execute(self._sql(statements.IN_STOCK)):
                total += 1
                if hash(id_) not in seen:
                    gone.append(id_)
        if len(gone) > (1 - self._min_rows) * total:
            raise VanishedError(
                f"the source lacks {len(gone):,} of the {total:,} items in stock, expected {1 - self._min_rows:.0%} at "
                "most ([quality] min_rows of dataset.toml): look at the items' table; a new training takes it as it is"
            )
        for start in range(0, len(gone), WRITTEN_ROWS):
            with self._connection.transaction():
                self._run(statements.VANISH, [gone[start : start + WRITTEN_ROWS]])
                self._run(statements.FORGET, [gone[start : start + WRITTEN_ROWS]])
        self.counts.vanished += len(gone)

    def _differences(self, source: SourceItems, rows: Sequence[Row]) -> tuple[list[Item], list[Item]]:
        """Returns the items to update, and those to embed: new ones, and changed ones that a refresh added."""
        given = [[row.key for row in rows], [row.digest for row in rows]]
        changed, unseen = [], []
        for n, known, embedded in self._run(statements.DIFFERENCES, given):
            if (item := source.item(rows[n - 1])) is None:
                continue
            if (embedded or not known) and self._can_embed:
                unseen.append(item._replace(embedded=embedded))
            elif known:
                changed.append(item._replace(embedded=embedded))
            else:
                self.counts.without_vector += 1
        return changed, unseen

    @property
    def _can_embed(self) -> bool:
        return ITEM_TOWER in self._manifest.files and not self.tower_problem

    @cached_property
    def _tower(self) -> ItemTower:
        """The item tower, read from the bucket when the first new item asks for it."""
        tower = load_item_tower(self._bucket, self._manifest)
        assert tower is not None, "only a version whose manifest names the tower asks for it"
        return tower

    def _embed(self, source: SourceItems, items: Sequence[Item]) -> None:
        try:
            vectors = self._tower.vectors([item.values for item in items])
        except TOWER_ERRORS as error:
            self.tower_problem = str(error)
            self.counts.without_vector += len(items)
            return
        usable = self._usable(vectors)
        for item in (item for item, good in zip(items, usable, strict=True) if not good):
            source.refused.add(item.key, NO_VECTOR)
        if kept := [item for item, good in zip(items, usable, strict=True) if good]:
            self._insert(kept, vectors[usable])

    def _insert(self, items: Sequence[Item], vectors: Vectors) -> None:
        keys = [item.key for item in items]
        with self._connection.transaction():
            self._write(statements.EMBED, items, list(vectors))
            precomputed.set_search(self._connection)
            self._run(statements.SIMILAR, [keys])
            self._run(statements.LAST_IN_POPULAR, [keys])
            self._remember(items, embedded=True)
        again = sum(item.embedded for item in items)
        self.counts.embedded += again
        self.counts.added += len(items) - again

    def _usable(self, vectors: Vectors) -> list[bool]:
        """Returns True for each vector (n, dim) that is finite, and of a length that distances can be computed with."""
        lengths = np.linalg.norm(vectors.astype(np.float64), axis=1)
        return [has_length(float(length), self._manifest.similarity) for length in lengths]

    def _write(self, statement: LiteralString, items: Sequence[Item], *more: Any) -> int:
        """Writes stock and attributes, and what else the statement takes. Returns the number of rows written."""
        columns = [[item.key for item in items], [item.in_stock for item in items], [item.attributes for item in items]]
        return self._connection.execute(self._sql(statement), [*columns, *more]).rowcount

    def _remember(self, items: Sequence[Item], *, embedded: bool) -> None:
        keys, digests = [item.key for item in items], [item.digest for item in items]
        self._run(statements.REMEMBER, [keys, digests, [embedded] * len(items)])

    def _run(self, statement: LiteralString, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        cursor = self._connection.execute(self._sql(statement), parameters)
        return cursor.fetchall() if cursor.description else []

    def _sql(self, statement: LiteralString) -> sql.Composed:
        tables = versions.tables(self._manifest.version)
        return sql.SQL(statement).format(
            items=tables.items,
            item_sources=tables.item_sources,
            similar_items=tables.similar_items,
            popular_items=tables.popular_items,
            operator=sql.SQL(versions.DISTANCE_OPERATOR[self._manifest.similarity]),
            digits=sql.Literal(SCORE_DIGITS),
            similar=sql.Literal(MAX_SIMILAR_ITEMS),
            popular=sql.Literal(precomputed.POPULAR_ITEMS),
        )
