"""Small shops by name: four shop systems, and the sample databases Chinook and sakila."""

import contextlib
import io
from collections.abc import Callable, Iterable
from pathlib import Path

from contracts.mysql import Login
from local.__main__ import main
from tests.databases import execute, source_url
from tests.local.shop_rows import CITIES, N_USERS, insert, items, visits
from tests.local.shop_systems import magento, opencart, prestashop, woocommerce


def fill(login: Login, shop: str) -> None:
    execute(login, ["SET SESSION sql_mode = ''", *SHOPS[shop]()])


def check(login: Login, *arguments: str | Path) -> tuple[int, str]:
    """Runs `check` on a database, and returns its exit status and what it printed."""
    told = io.StringIO()
    with contextlib.redirect_stdout(told):
        status = main(["check", "--source", source_url(login), *map(str, arguments)])
    return status, told.getvalue()


def music_store() -> Iterable[str]:
    """Invoices and their lines, as Chinook has them; no ratings."""
    yield """CREATE TABLE Customer (CustomerId INT PRIMARY KEY, FirstName VARCHAR(40), Email VARCHAR(60),
      City VARCHAR(40), Country VARCHAR(40), SupportRepId INT)"""
    yield "CREATE TABLE Genre (GenreId INT PRIMARY KEY, Name VARCHAR(120))"
    yield """CREATE TABLE Track (TrackId INT PRIMARY KEY, Name VARCHAR(200) NOT NULL, GenreId INT,
      Composer VARCHAR(220),
      Milliseconds INT NOT NULL, UnitPrice DECIMAL(10,2) NOT NULL, FOREIGN KEY (GenreId) REFERENCES Genre (GenreId))"""
    yield """CREATE TABLE Invoice (InvoiceId INT PRIMARY KEY, CustomerId INT NOT NULL, InvoiceDate DATETIME NOT NULL,
      BillingCity VARCHAR(40), FOREIGN KEY (CustomerId) REFERENCES Customer (CustomerId))"""
    yield """CREATE TABLE InvoiceLine (InvoiceLineId INT PRIMARY KEY, InvoiceId INT NOT NULL, TrackId INT NOT NULL,
      UnitPrice DECIMAL(10,2) NOT NULL, Quantity INT NOT NULL,
      FOREIGN KEY (InvoiceId) REFERENCES Invoice (InvoiceId), FOREIGN KEY (TrackId) REFERENCES Track (TrackId))"""
    yield insert(
        "Customer", ((n, "A", f"u{n}@example.org", CITIES[n % 4], "PL", n % 3 + 1) for n in range(1, N_USERS + 1))
    )
    yield insert("Genre", ((n, f"Genre {n}") for n in range(1, 7)))
    yield insert("Track", ((i.number, i.name, i.group, None, 1000 * i.number, 0.99) for i in items()))
    yield insert("Invoice", ((v.number, v.user, v.when, "x") for v in visits()))
    yield insert("InvoiceLine", ((v.number, v.number, v.item, 0.99, 1) for v in visits()))


def rental_store() -> Iterable[str]:
    """Rentals of copies of films, as sakila has them."""
    yield "CREATE TABLE language (language_id TINYINT UNSIGNED PRIMARY KEY, name CHAR(20) NOT NULL)"
    yield """CREATE TABLE film (film_id SMALLINT UNSIGNED PRIMARY KEY, title VARCHAR(128) NOT NULL, description TEXT,
      release_year YEAR, language_id TINYINT UNSIGNED NOT NULL, rental_rate DECIMAL(4,2) NOT NULL,
      rating ENUM('G','PG','R'), special_features SET('Trailers','Commentaries','Deleted Scenes'),
      last_update TIMESTAMP NOT NULL, FOREIGN KEY (language_id) REFERENCES language (language_id))"""
    yield """CREATE TABLE inventory (inventory_id MEDIUMINT UNSIGNED PRIMARY KEY, film_id SMALLINT UNSIGNED NOT NULL,
      FOREIGN KEY (film_id) REFERENCES film (film_id))"""
    yield """CREATE TABLE customer (customer_id SMALLINT UNSIGNED PRIMARY KEY, store_id TINYINT UNSIGNED NOT NULL,
      first_name VARCHAR(45), active BOOLEAN NOT NULL, create_date DATETIME NOT NULL, photo BLOB)"""
    yield """CREATE TABLE rental (rental_id INT PRIMARY KEY, rental_date DATETIME NOT NULL,
      inventory_id MEDIUMINT UNSIGNED NOT NULL, customer_id SMALLINT UNSIGNED NOT NULL, return_date DATETIME,
      FOREIGN KEY (inventory_id) REFERENCES inventory (inventory_id),
      FOREIGN KEY (customer_id) REFERENCES customer (customer_id))"""
    yield insert("language", [(1, "English"), (2, "Polish")])
    yield insert(
        "film",
        (
            (
                i.number,
                i.name,
                f"A tale of {i.name}",
                2006 + i.group,
                i.number % 2 + 1,
                i.price,
                "PG",
                "Trailers",
                "2020-01-01",
            )
            for i in items()
        ),
    )
    yield insert("inventory", ((i.number + 500, i.number) for i in items()))
    yield insert(
        "customer", ((n, n % 2 + 1, f"A{n}", n % 5 > 0, f"2022-0{n % 9 + 1}-01", None) for n in range(1, N_USERS + 1))
    )
    yield insert("rental", ((v.number, v.when, v.item + 500, v.user, None) for v in visits()))


SHOPS: dict[str, Callable[[], Iterable[str]]] = {
    "WooCommerce": woocommerce,
    "PrestaShop": prestashop,
    "OpenCart": opencart,
    "Magento": magento,
    "Chinook": music_store,
    "sakila": rental_store,
}
