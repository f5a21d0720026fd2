"""The words by which tables and columns are recognised, and the search for them in names."""

import re
from collections.abc import Mapping

from contracts.column_types import ColumnType, Family

USER_WORDS = "user|customer|client|member|viewer|buyer|visitor|reader|subscriber|account|shopper|guest|person"
ITEM_WORDS = "product|item|film|movie|track|song|book|article|game|course|recipe|title|variant|sku"
RATING_WORDS = "rating|stars|score|grade|vote"
TIME_WORDS = "date|time|created|_at|_on|day|when"
QUANTITY_WORDS = "quantity|qty|amount|count"
STOCK_WORDS = "stock|inventory|qty_available|onhand|on_hand"
NAME_WORDS = "name|title|label"
PERSONAL_WORDS = "passw|hash|salt|token|secret|mail|phone|fax|first|last|surname|street|address"
"""Parts of names in small letters, separated by |. Earlier parts are tried first."""


def first_of(columns: Mapping[str, ColumnType], words: str, families: set[Family]) -> str | None:
    """Returns the first column of these families whose name has one of the words; earlier words win."""
    for word in words.split("|"):
        for name, found in columns.items():
            if word in name.lower() and found.family in families:
                return name
    return None


def only_of(columns: Mapping[str, ColumnType], families: set[Family]) -> str | None:
    """Returns the one column of these families, or None where there is none or more than one."""
    names = [name for name, found in columns.items() if found.family in families]
    return names[0] if len(names) == 1 else None


def named(name: str, words: str) -> bool:
    """True if the name has one of the words."""
    return re.search(words, name.lower()) is not None


def singular(name: str) -> str:
    """Returns a table's name without a shop system's prefix and in the singular: `tbl_categories` → `category`."""
    name = re.sub(r"^(tbl|wp|oc|ps)_", "", name)
    return name[:-3] + "y" if name.endswith("ies") else name.removesuffix("s")
