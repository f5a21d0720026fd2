"""The customers, items and orders that the small shops' tables are filled with; all data is made up."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache

from tests.training import worlds

N_USERS, N_ITEMS = 80, 60


GUESTS_EVERY = 10
"""Each tenth order or review is a guest's: its customer is 0 or NULL, as the system has it."""


CITIES = ("Köln", "Besançon", "O'Fallon", "Łódź")


@dataclass(frozen=True)
class Visit:
    """A customer buys or rates a thing; numbers from 1 on."""

    number: int
    user: int
    item: int
    stars: int
    when: datetime

    @property
    def by_guest(self) -> bool:
        return self.number % GUESTS_EVERY == 0


@dataclass(frozen=True)
class Item:
    number: int
    name: str
    group: int
    price: float
    stock: int | None
    """None: not managed."""


@cache
def visits() -> tuple[Visit, ...]:
    rows = worlds.films(n_users=N_USERS, n_films=N_ITEMS, mean=20).to_pylist()
    users = {name: number for number, name in enumerate(sorted({row["viewer"] for row in rows}), 1)}
    films = {name: number for number, name in enumerate(sorted({row["film"] for row in rows}), 1)}
    return tuple(
        Visit(number, users[row["viewer"]], films[row["film"]], row["stars"], row["seen_at"])
        for number, row in enumerate(rows, 1)
    )


def items() -> list[Item]:
    """Every third one with a stock that is not managed, every seventh sold out; three that nobody has bought."""
    return [
        Item(n, f"Thing {n} «ö»", n % 6 + 1, 5 + n / 4, None if n % 3 == 0 else 0 if n % 7 == 0 else n)
        for n in range(1, N_ITEMS + 4)
    ]


def insert(table: str, rows: Iterable[Sequence[object]]) -> str:
    return f"INSERT INTO {table} VALUES " + ", ".join("(" + ", ".join(map(literal, row)) + ")" for row in rows)


def literal(value: object) -> str:
    if value is None:
        return "NULL"
    return str(value) if isinstance(value, int | float) else "'" + str(value).replace("'", "''") + "'"
