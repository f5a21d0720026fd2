"""Events of people on the sample shop's site, in the format of the stream."""

import uuid
from collections import defaultdict
from random import Random
from typing import Any

from local.sample_shop import words
from local.sample_shop.shop import Customer, Product, Shop

UNKNOWN_CUSTOMERS_FROM = 900_000
UNKNOWN_PRODUCT = "S99_9999"
"""A product that the shop does not have, as a page that is still open somewhere may send."""


def events(shop: Shop, n: int = 200, seed: int = 7) -> list[dict[str, Any]]:
    """`n` valid events: about a fifth from unknown customers, a tenth with an empty history, some unknown products.

    People browse what they collect, so a good recommendation is of a theme that they collect, too.
    """
    random = Random(seed)  # noqa: S311 – a sample, not a secret
    by_theme: dict[str, list[Product]] = defaultdict(list)
    for product in shop.products:
        by_theme[product.theme].append(product)
    return [_event(number, shop, by_theme, random) for number in range(n)]


def _event(number: int, shop: Shop, by_theme: dict[str, list[Product]], random: Random) -> dict[str, Any]:
    customer = random.choice(shop.customers)
    unknown = random.random() < 0.2
    event: dict[str, Any] = {
        "session_id": str(uuid.UUID(int=random.getrandbits(128), version=4)),
        "customer_number": UNKNOWN_CUSTOMERS_FROM + number if unknown else customer.customerNumber,
        "city": customer.city,
        "state": customer.state,
        "postal_code": customer.postalCode,
        "country": customer.country,
        "credit_limit": round(customer.creditLimit),
        "browse_history": [] if random.random() < 0.1 else _history(customer, by_theme, random),
    }
    if unknown:  # a visitor who is not signed in tells less
        del event["postal_code"]
    if unknown or customer.state is None:
        del event["state"]
    return event


def _history(customer: Customer, by_theme: dict[str, list[Product]], random: Random) -> list[dict[str, Any]]:
    history = []
    for _ in range(random.randint(1, 5)):
        theme = random.choice(customer.favourites) if random.random() < 0.8 else random.choice(list(words.THEMES))
        code = random.choice(by_theme[theme]).productCode
        quantity = random.randint(1, 7)
        history.append(
            {
                "product_code": UNKNOWN_PRODUCT if random.random() < 0.03 else code,
                "quantity": str(quantity) if random.random() < 0.5 else quantity,
                "in_shopping_cart": random.random() < 0.4,
            }
        )
    return history
