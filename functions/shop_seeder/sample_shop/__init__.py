"""A small invented shop with the `classicmodels` schema: the local run's default input."""

from functions.shop_seeder.sample_shop.shop import Customer, Product, Rating, Shop, generate

__all__ = ["Customer", "Product", "Rating", "Shop", "generate"]
