"""The prices of `prices.toml`."""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

PRICES = Path(__file__).with_name("prices.toml")


@dataclass(frozen=True)
class Price:
    """US dollars for a unit, with the page that states the price."""

    amount: float
    unit: str
    page: str
    checked: str

    def __str__(self) -> str:
        dollars = f"{self.amount:.10f}".rstrip("0")
        decimals = max(2, len(dollars.partition(".")[2]))
        mark = "" if self.checked == "quoted" else " (from memory)"
        return f"${self.amount:.{decimals}f} / {self.unit}{mark}"


class UnknownPriceError(LookupError):
    """A resource costs money and has no price here. The text names it, and where to add the price."""


class Prices:
    """Returns all prices, by name."""

    def __init__(self, path: Path = PRICES) -> None:
        document = tomllib.loads(path.read_text())
        classes = document.pop("rds")
        self._prices: Mapping[str, Price] = {name: Price(**entry) for name, entry in document.items()}
        self._classes: Mapping[str, Price] = {name: Price(**entry) for name, entry in classes.items()}

    def __getitem__(self, name: str) -> Price:
        return self._prices[name]

    def __iter__(self) -> Iterator[Price]:
        return iter([*self._prices.values(), *self._classes.values()])

    @property
    def hours(self) -> float:
        """Hours in a month."""
        return self["hours_a_month"].amount

    def database(self, instance_class: str) -> Price:
        """Returns the price of an hour of a database instance in one zone. Raises `UnknownPriceError`."""
        if instance_class not in self._classes:
            raise UnknownPriceError(
                f"{instance_class}: expected its price in {PRICES.name}, found those of {', '.join(self._classes)}: "
                'add it as [rds."<class>"], with its page'
            )
        return self._classes[instance_class]
