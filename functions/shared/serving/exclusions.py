"""Items that customers bought and rated since the training: noted from events, and left out of recommendations.

One row a customer, in a table that all versions share: an item is left out seconds after its purchase, and a new
version or a rollback loses nothing of it. What the training knew is in the version's own table.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import LiteralString

from psycopg import sql

from contracts.artifacts import MAX_EXCLUDED_ITEMS
from contracts.dataset import Exclude, Serving
from contracts.events import EventType
from functions.shared.database import Connection
from functions.shared.serving.requests import Act


@dataclass(frozen=True)
class Policy:
    """The days for which items that a customer has bought or rated are left out.

    `serving` is of the version's dataset. `bought_days` is of a rule; 0 where `serving` leaves out all that the rule
    would.
    """

    serving: Serving
    bought_days: int = 0

    @classmethod
    def of(cls, serving: Serving, bought_days: int) -> "Policy":
        is_longer = serving.exclude_days is not None and serving.exclude_days < bought_days
        if not bought_days or (serving.exclude is not Exclude.NONE and not is_longer):
            return cls(serving)
        if serving.exclude is Exclude.RATED:
            return cls(serving, bought_days)
        return cls(Serving(Exclude.BOUGHT, bought_days))


_COLUMN: Mapping[Exclude, LiteralString] = {Exclude.RATED: "bought_or_rated", Exclude.BOUGHT: "bought"}
"""A policy → the column of what it excludes."""

_LOCK = 0x5EC1
"""The advisory lock of who makes the table: two that make it at once would fail."""

_IS_MISSING = "SELECT to_regnamespace('recommender') IS NOT NULL AND to_regclass('recommender.customer_items') IS NULL"
_TABLE = """
CREATE TABLE IF NOT EXISTS recommender.customer_items (
    customer        text PRIMARY KEY,
    bought          jsonb NOT NULL,
    bought_or_rated jsonb NOT NULL
)
"""
"""Both columns are objects: an item's id → the second since 1970 in which its last event was noted."""

# Sorted, so that two batches that note the same customers wait for each other, and never each for the other.
_NOTE = sql.SQL("""
INSERT INTO recommender.customer_items AS noted (customer, bought, bought_or_rated)
SELECT customer,
    coalesce(jsonb_object_agg(item, extract(epoch FROM now())::bigint) FILTER (WHERE type = 'purchase'), '{{}}'),
    jsonb_object_agg(item, extract(epoch FROM now())::bigint)
FROM unnest(%b::text[], %b::text[], %b::text[]) AS given (customer, item, type)
GROUP BY customer ORDER BY customer
ON CONFLICT (customer) DO UPDATE SET bought = {bought}, bought_or_rated = {bought_or_rated}
""")
_LATEST: LiteralString = """(
    SELECT coalesce(jsonb_object_agg(key, value), '{{}}') FROM (
        SELECT key, value FROM jsonb_each(noted.{column} || excluded.{column}) ORDER BY value DESC LIMIT {most}
    ) latest
)"""

_FORGET = (
    sql.SQL("""
UPDATE recommender.customer_items SET bought = {bought}, bought_or_rated = {bought_or_rated} WHERE customer IN (
    SELECT customer FROM recommender.customer_items
    WHERE EXISTS (SELECT FROM jsonb_each(bought_or_rated) WHERE value::bigint <= {since}) FOR UPDATE SKIP LOCKED
)
"""),
    sql.SQL("""
DELETE FROM recommender.customer_items WHERE customer IN (
    SELECT customer FROM recommender.customer_items WHERE bought_or_rated = '{{}}' FOR UPDATE SKIP LOCKED
)
"""),
)
"""A row that a batch holds just now is left to the next time: the loader keeps no batch waiting for another row."""
_AFTER: LiteralString = """(
    SELECT coalesce(jsonb_object_agg(key, value) FILTER (WHERE value::bigint > {since}), '{{}}')
    FROM jsonb_each({column})
)"""
_SINCE: LiteralString = "extract(epoch FROM now()) - {seconds}"
_DAY_SECONDS = 86_400

# The parts of a search, which has a row `given` with the customer, a row `query` and for each candidate a row `i`. What
# the training knew has no time: it is excluded as long as the version is served.
_JOINS: LiteralString = """
LEFT JOIN LATERAL (SELECT r.excluded FROM {trained} r WHERE r.user_id = given.customer LIMIT 1) past ON true
LEFT JOIN LATERAL ({noted}) lately ON true
"""
_NOTHING_TRAINED: LiteralString = "(SELECT NULL::text AS user_id, NULL::jsonb AS excluded WHERE false)"
_NOTED: LiteralString = """
SELECT noted.{column} AS items FROM recommender.customer_items noted WHERE noted.customer = given.customer LIMIT 1
"""
# A rule leaves out what was bought for longer than the dataset leaves out what was rated: each has its own time.
_NOTED_LONGER: LiteralString = """
SELECT {rated} || {bought} AS items FROM recommender.customer_items noted WHERE noted.customer = given.customer LIMIT 1
"""
_NOTHING_NOTED: LiteralString = "SELECT NULL::jsonb AS items WHERE false"
_EXCLUDED: LiteralString = "coalesce(lately.items, '{{}}') || coalesce(past.excluded, '{{}}')"
_IS_EXCLUDED: LiteralString = "query.excluded ? i.id"
_IS_STILL_EXCLUDED: LiteralString = (
    "(query.excluded ? i.id AND coalesce((query.excluded ->> i.id)::bigint > {since}, true))"
)


def prepare(connection: Connection) -> None:
    """Makes the table if it is missing beside the registry, as it is where an earlier release loaded the versions.

    Without a registry nothing is served, and its schema is the loader's to make.
    """
    if connection.execute(_IS_MISSING).fetchone() != (True,):
        return
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        connection.execute(_TABLE)


def note(connection: Connection, acts: Iterable[Act], policy: Policy) -> None:
    """Notes the items of purchases and ratings, in one statement. The same again changes nothing but the time.

    What the policy does not exclude is not kept.
    """
    noted: dict[tuple[str, EventType], dict[str, None]] = {}
    for act in acts:
        if act.type in policy.serving.excluding:
            noted.setdefault((act.customer, act.type), {}).update(dict.fromkeys(act.items))
    rows = [
        (customer, item, type_.value)
        for (customer, type_), items in noted.items()
        for item in list(items)[-MAX_EXCLUDED_ITEMS:]
    ]
    if rows:
        latest = {column: _latest(column) for column in _COLUMN.values()}
        connection.execute(_NOTE.format(**latest), [list(values) for values in zip(*rows, strict=True)])


def fragments(trained: sql.Composable | None, policy: Policy) -> dict[str, sql.Composable]:
    """Returns the parts of a search by their names: the joins (`exclusions`), the object of a customer's excluded items
    (`excluded`), and whether a candidate is among them (`is_excluded`).

    `trained` is the version's table of what training knew; `None`: it has none.
    """
    column, days = _COLUMN.get(policy.serving.exclude), policy.serving.exclude_days
    noted = sql.SQL(_NOTHING_NOTED) if column is None else sql.SQL(_NOTED).format(column=sql.SQL(column))
    if policy.bought_days:
        parts = {
            "rated": _after("noted.bought_or_rated", days or 0),
            "bought": _after("noted.bought", policy.bought_days),
        }
        noted, days = sql.SQL(_NOTED_LONGER).format(**parts), None
    return {
        "exclusions": sql.SQL(_JOINS).format(trained=trained or sql.SQL(_NOTHING_TRAINED), noted=noted),
        "excluded": sql.SQL(_EXCLUDED).format(),
        "is_excluded": sql.SQL(_IS_EXCLUDED if days is None else _IS_STILL_EXCLUDED).format(since=_since(days or 0)),
    }


def forget(connection: Connection, policies: Iterable[Serving], bought_days: int = 0) -> None:
    """Drops what no policy of a loaded version excludes any longer, nor a rule for `bought_days`."""
    kept = [serving.exclude_days for serving in policies if serving.excluding]
    days = [number for number in kept if number is not None]
    if len(days) < len(kept):
        return  # one of them excludes for ever
    longest = max([bought_days, *days])
    after = {column: _after(column, longest) for column in _COLUMN.values()}
    for statement in _FORGET:
        connection.execute(statement.format(since=_since(longest), **after))


def _after(column: LiteralString, days: int) -> sql.Composable:
    return sql.SQL(_AFTER).format(column=sql.SQL(column), since=_since(days))


def _since(days: int) -> sql.Composable:
    return sql.SQL(_SINCE).format(seconds=sql.Literal(_DAY_SECONDS * days))


def _latest(column: LiteralString) -> sql.Composable:
    return sql.SQL(_LATEST).format(column=sql.SQL(column), most=sql.Literal(MAX_EXCLUDED_ITEMS))
