"""The way of a well-known course lab, for comparison: one call for each event, and three queries a call, as text."""

from typing import Any

from functions.shared.database import Connection
from functions.shared.serving.store import Store

LIMIT = 5


class NaiveWay:
    """Answers one event at a time: the customer's vector, its nearest items, the nearest items of the first product.

    Without the index each search reads every vector, as in the lab, whose tables have none. The connection is kept; the
    lab's function may open one for each event, which would only be slower.
    """

    def __init__(self, connection: Connection, store: Store, indexed: bool) -> None:
        self._connection = connection
        self._user = store.statement("SELECT embedding::text FROM {users} WHERE id = %s")
        # Adding nothing to the distance is enough to keep the index out.
        order = "(embedding {operator} (%s)::vector)" + ("" if indexed else " + 0")
        search = "SELECT id, embedding {operator} (%s)::vector FROM {items} WHERE in_stock ORDER BY " + order
        self._search = store.statement(search + " LIMIT {limit}", LIMIT)
        self._item = store.statement("SELECT embedding::text FROM {items} WHERE id = %s")

    def answer(self, event: dict[str, Any]) -> Any:
        vector = self._one(self._user, str(event["customer_number"]))
        item = self._one(self._item, event["browse_history"][0]["product_code"])
        vector = vector or item
        return self._nearest(vector), self._nearest(item)

    def _one(self, statement: bytes, id_: str) -> Any:
        row = self._connection.execute(statement, (id_,), prepare=False).fetchone()
        return row[0] if row else None

    def _nearest(self, vector: Any) -> Any:
        return self._connection.execute(self._search, (vector, vector), prepare=False).fetchall()
