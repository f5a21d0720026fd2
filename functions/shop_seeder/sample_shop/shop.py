"""Generates the sample shop: customers, products and ratings with tastes hidden in them, the same for the same seed."""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from functions.shop_seeder.sample_shop import sql, words

FIRST_CUSTOMER = 103
LIKED = 4
FAVOURITE_SHARE = 0.6
"""The share of a customer's ratings that goes to products of a theme that the customer collects."""


@dataclass(frozen=True)
class Customer:
    """A row of `customers`, and what the customer collects: in no column, only ratings tell."""

    customerNumber: int  # noqa: N815 – the columns' own names
    customerName: str  # noqa: N815
    contactLastName: str  # noqa: N815
    contactFirstName: str  # noqa: N815
    phone: str
    addressLine1: str  # noqa: N815
    city: str
    state: str | None
    postalCode: str  # noqa: N815
    country: str
    creditLimit: float  # noqa: N815
    favourites: tuple[str, ...]


@dataclass(frozen=True)
class Product:
    """A row of `products`, and the theme it belongs to: in no column but the name."""

    productCode: str  # noqa: N815
    productName: str  # noqa: N815
    productLine: str  # noqa: N815
    productScale: str  # noqa: N815
    productVendor: str  # noqa: N815
    productDescription: str  # noqa: N815
    quantityInStock: int  # noqa: N815
    buyPrice: float  # noqa: N815
    MSRP: float
    theme: str
    appeal: float
    """The product's weight among all products when a customer's rated products are drawn."""


@dataclass(frozen=True)
class Rating:
    customerNumber: int  # noqa: N815
    productCode: str  # noqa: N815
    productRating: int  # noqa: N815


@dataclass(frozen=True)
class Shop:
    """A whole shop. The last customer and the last product have no ratings, as new ones do."""

    customers: tuple[Customer, ...]
    products: tuple[Product, ...]
    ratings: tuple[Rating, ...]

    def to_sql(self) -> Iterator[str]:
        """Statements for MySQL or MariaDB that make the three tables and fill them; run them in their order."""
        return sql.statements(self.customers, self.products, self.ratings)


def generate(customers: int = 300, products: int = 120, ratings: int = 8_000, seed: int = 7) -> Shop:
    """Generates a shop; `ratings` is met within a few per cent. Raises `ValueError` for one too small for tastes."""
    if customers < 2 or products < 2 * len(words.THEMES) or ratings < customers:
        raise ValueError(
            f"sample shop: expected 2 or more customers, {2 * len(words.THEMES)} or more products and a rating or more "
            f"a customer, found {customers} customers, {products} products, {ratings} ratings"
        )
    random = Random(seed)  # noqa: S311 – a sample, not a secret
    all_products = tuple(_product(number, random) for number in range(products))
    all_customers = tuple(_customer(FIRST_CUSTOMER + number, random) for number in range(customers))
    mean = ratings / (customers - 1)
    rated = [rating for each in all_customers[:-1] for rating in _ratings(each, all_products[:-1], mean, random)]
    return Shop(all_customers, all_products, tuple(rated))


def _product(number: int, random: Random) -> Product:
    line, (scales, makers, kinds) = list(words.LINES.items())[number % len(words.LINES)]
    theme = list(words.THEMES)[number % len(words.THEMES)]
    scale = random.choice(scales)
    year = random.randint(1904, 1939) if line == "Vintage Cars" else random.randint(1926, 1998)
    model = f"{year} {random.choice(makers)} {random.choice(kinds)}"
    price = round(random.uniform(15, 105), 2)
    return Product(
        productCode=f"S{scale.removeprefix('1:')}_{1000 + number}",
        productName=f"{model}, {theme}",
        productLine=line,
        productScale=scale,
        productVendor=random.choice(words.VENDORS),
        productDescription=f"A {scale} model of the {model}, {words.THEMES[theme]}.",
        quantityInStock=0 if random.random() < 0.05 else random.randint(1, 9_999),
        buyPrice=price,
        MSRP=round(price * random.uniform(1.3, 2.2), 2),
        theme=theme,
        appeal=random.paretovariate(2.5),
    )


def _customer(number: int, random: Random) -> Customer:
    place = random.randrange(len(words.PLACES))
    city, state, postal_code, country = words.PLACES[place]
    first, last = random.choice(words.FIRST_NAMES), random.choice(words.LAST_NAMES)
    # Where a customer lives hints at one of the two themes; the other shows only in what the customer rates.
    themes = list(words.THEMES)
    regional = themes[list(dict.fromkeys(p[3] for p in words.PLACES)).index(country) % len(themes)]
    favourites = (regional if random.random() < 0.6 else random.choice(themes), random.choice(themes))
    return Customer(
        customerNumber=number,
        customerName=f"{last} {random.choice(words.SHOP_KINDS)}",
        contactLastName=last,
        contactFirstName=first,
        phone=f"555-{random.randint(0, 9_999):04}",
        addressLine1=f"{random.randint(1, 199)} {random.choice(words.STREETS)}",
        city=city,
        state=state,
        postalCode=postal_code,
        country=country,
        creditLimit=float(random.randint(10, 150) * 1_000),
        favourites=favourites,
    )


def _ratings(customer: Customer, products: tuple[Product, ...], mean: float, random: Random) -> Iterator[Rating]:
    """Rates mostly what the customer collects, and likes mostly that."""
    collected = [product for product in products if product.theme in customer.favourites]
    others = [product for product in products if product.theme not in customer.favourites]
    count = max(1, round(random.uniform(0.5, 1.5) * mean))
    n_collected = min(len(collected), sum(random.random() < FAVOURITE_SHARE for _ in range(count)))
    for product in _sample(collected, n_collected, random):
        yield Rating(customer.customerNumber, product.productCode, random.choices((5, 4, 3, 2), (50, 35, 10, 5))[0])
    for product in _sample(others, min(len(others), count - n_collected), random):
        yield Rating(customer.customerNumber, product.productCode, random.choices((4, 3, 2, 1), (8, 37, 35, 20))[0])


def _sample(products: list[Product], count: int, random: Random) -> list[Product]:
    """Draws products without replacement, by appeal (Efraimidis and Spirakis: the largest of u^(1/weight))."""
    drawn = sorted(products, key=lambda product: -(random.random() ** (1 / product.appeal)))
    return drawn[:count]
