"""Recommendations over HTTP as one would write them first: FastAPI and pgvector. The API is measured beside it."""

from typing import Annotated, Any

import numpy as np
import psycopg
from fastapi import FastAPI, Query
from pgvector.psycopg import register_vector
from psycopg import sql
from pydantic import BaseModel

from functions.shared.environment import Database


class Item(BaseModel):
    id: str
    score: float


class Answer(BaseModel):
    items: list[Item]


def service(where: Database, schema: sql.Identifier) -> FastAPI:
    """Serves one version's tables: the customer's stored vector, or the mean of the visit's items."""
    connection = psycopg.connect(
        host=where.host, port=where.port, dbname=where.name, user=where.user, password=where.password, autocommit=True
    )
    register_vector(connection)
    user = sql.SQL("SELECT embedding FROM {}.users WHERE id = %s").format(schema)
    known = sql.SQL("SELECT embedding FROM {}.items WHERE id = ANY(%s)").format(schema)
    nearest = sql.SQL(
        "SELECT id, 1 - (embedding <=> %(vector)s) FROM {}.items WHERE in_stock AND id <> ALL(%(seen)s)"
        " ORDER BY embedding <=> %(vector)s LIMIT %(limit)s"
    ).format(schema)
    app = FastAPI()

    def recommendations(
        customer: str | None = None,
        items: Annotated[list[str] | None, Query()] = None,
        limit: int = 10,
    ) -> Answer:
        seen = items or []
        row: Any = connection.execute(user, [customer]).fetchone()
        vectors = [row] if row else connection.execute(known, [seen]).fetchall()
        vector = np.mean([vector.to_numpy() for (vector,) in vectors], axis=0)
        found = connection.execute(nearest, {"vector": vector, "seen": seen, "limit": limit})
        return Answer(items=[Item(id=id_, score=score) for id_, score in found])

    app.add_api_route("/v1/recommendations", recommendations)
    return app
