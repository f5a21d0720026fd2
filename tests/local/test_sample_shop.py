"""The sample shop."""

import subprocess
import sys
from collections import Counter

import pytest

from functions.shop_seeder.sample_shop import Shop, generate
from functions.shop_seeder.sample_shop.shop import LIKED


@pytest.fixture(scope="module")
def shop() -> Shop:
    return generate()


def test_the_same_seed_gives_the_same_shop_in_every_process(shop: Shop) -> None:
    program = "from functions.shop_seeder.sample_shop import generate; print(generate())"
    runs = {
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    }
    assert len(runs) == 1
    assert generate(seed=8) != shop


def test_the_sizes_are_those_asked_for(shop: Shop) -> None:
    assert (len(shop.customers), len(shop.products)) == (300, 120)
    assert 7_500 < len(shop.ratings) < 8_500
    small = generate(customers=20, products=16, ratings=100)
    assert (len(small.customers), len(small.products)) == (20, 16)


def test_ratings_reference_the_shop_once_a_pair_and_are_in_scale(shop: Shop) -> None:
    pairs = Counter((rating.customerNumber, rating.productCode) for rating in shop.ratings)
    assert max(pairs.values()) == 1
    assert {customer for customer, _ in pairs} <= {customer.customerNumber for customer in shop.customers}
    assert {product for _, product in pairs} <= {product.productCode for product in shop.products}
    assert {rating.productRating for rating in shop.ratings} == {1, 2, 3, 4, 5}


def test_customers_like_what_they_collect(shop: Shop) -> None:
    theme = {product.productCode: product.theme for product in shop.products}
    favourites = {customer.customerNumber: customer.favourites for customer in shop.customers}
    liked = [rating for rating in shop.ratings if rating.productRating >= LIKED]
    hits = sum(theme[rating.productCode] in favourites[rating.customerNumber] for rating in liked)
    assert hits / len(liked) > 0.8


def test_a_shop_too_small_for_tastes_is_refused() -> None:
    with pytest.raises(ValueError, match="expected 2 or more customers, 16 or more products"):
        generate(products=3)


def test_names_fit_the_columns_and_quotes_are_escaped(shop: Shop) -> None:
    assert max(len(product.productName) for product in shop.products) <= 70
    assert max(len(customer.customerName) for customer in shop.customers) <= 50
    assert len({product.productCode for product in shop.products}) == len(shop.products)
