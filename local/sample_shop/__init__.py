"""A small invented shop with the `classicmodels` schema, and events of its visitors: the local run's default input."""

from local.sample_shop.events import events
from local.sample_shop.shop import Customer, Product, Rating, Shop, generate

__all__ = ["Customer", "Product", "Rating", "Shop", "events", "generate"]
