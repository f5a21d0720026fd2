"""Vectors between NumPy and PostgreSQL's binary format (pgvector: src/vector.c, `vector_send`).

pgvector-python writes the vectors of a query. Rows for COPY are packed, and received vectors read, a batch at a time:
a vector at a time takes 3 and 70 times as long (docs/adr/0019-pgvector-python-for-queries.md).
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import psycopg
from pgvector.psycopg import register_vector
from psycopg.adapt import Buffer, Loader
from psycopg.pq import Format

Vectors = npt.NDArray[np.float32]
"""(n, dim)"""

COPY_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
COPY_TRAILER = b"\xff\xff"

_VECTOR_HEADER = 4
"""Bytes before a vector's numbers: the dimension and an unused field, 16 bits each."""


def pack_rows(ids: Sequence[bytes], vectors: Vectors) -> Iterator[bytes]:
    """Yields rows (id text, embedding vector) for `COPY … (FORMAT binary)`, sorted by the length of the id.

    Rows whose ids have the same length have the same size, so NumPy writes all of them at once.
    """
    lengths = np.fromiter(map(len, ids), np.int64, len(ids))
    text = np.array(ids, dtype=np.bytes_)
    for length in np.unique(lengths):
        chosen = np.flatnonzero(lengths == length)
        rows = np.zeros(len(chosen), dtype=_row_type(int(length), vectors.shape[1]))
        rows["fields"] = 2
        rows["id_length"] = length
        rows["id"] = text[chosen]
        rows["vector_length"] = _VECTOR_HEADER + 4 * vectors.shape[1]
        rows["dim"] = vectors.shape[1]
        rows["vector"] = vectors[chosen]
        yield rows.tobytes()


def _row_type(id_length: int, dim: int) -> np.dtype[Any]:
    return np.dtype(
        [
            ("fields", ">i2"),
            ("id_length", ">i4"),
            ("id", f"S{id_length}"),
            ("vector_length", ">i4"),
            ("dim", ">u2"),
            ("unused", ">u2"),
            ("vector", ">f4", (dim,)),
        ]
    )


def unpack(packed: Sequence[bytes], dim: int) -> Vectors:
    """Reads vectors in PostgreSQL's binary format into an array (n, dim)."""
    row = np.dtype([("header", ">u4"), ("vector", ">f4", (dim,))])
    return np.frombuffer(b"".join(packed), dtype=row)["vector"].astype(np.float32)


class _RawVector(Loader):
    """Leaves a received vector as bytes, so that `unpack` can read a whole batch at once."""

    format = Format.BINARY

    def load(self, data: Buffer) -> bytes:
        return bytes(data)


def register(connection: psycopg.Connection[Any]) -> None:
    """Teaches the connection to send lists of NumPy vectors as `vector[]`, and to receive vectors as bytes.

    Raises `psycopg.ProgrammingError` if the database has no extension `vector` yet.
    """
    register_vector(connection)
    connection.adapters.register_loader("vector", _RawVector)
