"""Loading a shop into the source database: dumps, ratings files, databases that exist."""

import os
import re
from dataclasses import replace
from pathlib import Path

import pytest

from contracts.dataset import Dataset
from contracts.dataset_file import load, parse
from contracts.mysql import Login
from emulator.errors import LocalRunError
from local.login import parse_url
from local.source import check_existing, check_given, load_dump
from tests.databases import execute

PROJECT = Path(__file__).parents[2]
CLASSICMODELS = Path(os.environ.get("CLASSICMODELS", PROJECT.parent / "shared" / "data" / "classicmodels"))
DUMP = """\
/*!40101 SET NAMES {charset} */;
CREATE DATABASE /*!32312 IF NOT EXISTS*/`somewhere_else` /*!40100 DEFAULT CHARACTER SET latin1 */;
USE `somewhere_else`;
CREATE TABLE `customers` (`customerNumber` int PRIMARY KEY, `city` varchar(50), `state` varchar(50),
  `postalCode` varchar(15), `country` varchar(50), `creditLimit` decimal(10,2)) DEFAULT CHARSET=latin1;
insert into `customers` values (1, 'Besançon; it''s
use `far`, far away', NULL, '25000', 'France', '100.50');
CREATE TABLE `products` (`productCode` varchar(15) PRIMARY KEY, `productName` text, `productLine` varchar(50),
  `productScale` varchar(10), `productVendor` varchar(50), `quantityInStock` smallint,
  `buyPrice` decimal(10,2), `MSRP` decimal(10,2));
insert into `products` values ('S1', 'Car', 'Cars', '1:10', 'Acme', 3, '1.5', '2.5');
"""


@pytest.fixture
def dataset() -> Dataset:
    return load(PROJECT / "dataset.toml")


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    dump, ratings = tmp_path / "dump.sql", tmp_path / "ratings.csv"
    dump.write_text(DUMP.format(charset="utf8"), encoding="utf-8")
    ratings.write_text("customerNumber,productCode,productRating\n1,S1,5\n1,S1,4\n")
    return dump, ratings


@pytest.mark.parametrize(("charset", "encoding"), [("utf8", "utf-8"), ("latin1", "latin-1")])
def test_a_dump_lands_in_the_programs_database_whatever_its_own_is_called(
    shop_database: Login, dataset: Dataset, files: tuple[Path, Path], charset: str, encoding: str
) -> None:
    files[0].write_text(DUMP.format(charset=charset), encoding=encoding)
    assert load_dump(shop_database, *files, dataset) == "1 customers, 1 products, 2 ratings"
    assert execute(shop_database, ["SELECT city FROM customers"]) == [("Besançon; it's\nuse `far`, far away",)]
    assert execute(shop_database, ["SELECT productRating FROM ratings ORDER BY 1"]) == [(4,), (5,)]
    assert execute(shop_database, ["SHOW DATABASES LIKE 'somewhere_else'"]) == []


@pytest.mark.parametrize(
    ("ratings", "message"),
    [
        ("customer,productCode,productRating\n", "expected the header customerNumber,productCode,productRating"),
        ("", "expected the header"),
        ("customerNumber,productCode,productRating\n1,S1,5\n1,S1\n", "line 3: expected 3 values, found 2"),
        ("customerNumber,productCode,productRating\nx,S1,5\n", "line 2: customerNumber: expected a whole number"),
        ("customerNumber,productCode,productRating\n1,,5\n", "line 2: productCode: expected some text"),
        ("customerNumber,productCode,productRating\n1,S1,good\n", "line 2: productRating: expected a number"),
        ("customerNumber,productCode,productRating\n1,S1,nan\n", "line 2: productRating: expected a number"),
    ],
)
def test_a_ratings_file_that_is_not_one_is_refused_with_its_place(
    shop_database: Login, dataset: Dataset, files: tuple[Path, Path], ratings: str, message: str
) -> None:
    files[1].write_text(ratings)
    with pytest.raises(LocalRunError, match=message):
        load_dump(shop_database, *files, dataset)


def test_a_broken_dump_and_missing_files_are_named(
    shop_database: Login, dataset: Dataset, files: tuple[Path, Path]
) -> None:
    dump, ratings = files
    with pytest.raises(LocalRunError, match=r"--ratings .*nowhere.csv: cannot be read"):
        load_dump(shop_database, dump, ratings.with_name("nowhere.csv"), dataset)
    dump.write_text("CREATE TABLE broken (")
    with pytest.raises(LocalRunError, match=r"--sql-dump .*dump.sql, line 1: You have an error"):
        load_dump(shop_database, dump, ratings, dataset)


def test_a_dump_without_ratings_asks_for_them_and_a_file_of_purchases_fills_its_table(
    shop_database: Login, dataset: Dataset, files: tuple[Path, Path], tmp_path: Path
) -> None:
    with pytest.raises(LocalRunError, match=r"has no table ratings: give it with --ratings"):
        load_dump(shop_database, files[0], None, dataset)
    execute(shop_database, ["DROP TABLE customers, products"])
    toml = (PROJECT / "dataset.toml").read_text(encoding="utf-8")
    before, after = re.split(r"^\[ratings\].*?(?=^\[event)", toml, flags=re.MULTILINE | re.DOTALL)
    bought = 'table = "bought"\nuser = "customerNumber"\nitem = "productCode"\ntime = "at"\nquantity = "n"\n'
    spec = parse(f"{before}[ratings]\n{bought}{after}")
    files[1].write_text("customerNumber,productCode,at,n\n1,S1,2026-11-20,2\n1,S1,2026-11-20 17:30:00,0.5\n")
    assert load_dump(shop_database, *files, spec) == "1 customers, 1 products, 2 bought"
    files[1].write_text("customerNumber,productCode,at,n\n1,S1,yesterday,2\n")
    with pytest.raises(LocalRunError, match="line 2: at: expected a date or time, such as"):
        check_given(None, files[1], spec)


def test_half_stars_stay_what_they_are(shop_database: Login, dataset: Dataset, files: tuple[Path, Path]) -> None:
    files[1].write_text("customerNumber,productCode,productRating\n1,S1,3.5\n")
    load_dump(shop_database, *files, dataset)
    assert execute(shop_database, ["SELECT productRating FROM ratings"]) == [(3.5,)]


def test_a_database_that_exists_is_checked_for_every_table_and_column(
    shop_database: Login, dataset: Dataset, files: tuple[Path, Path]
) -> None:
    load_dump(shop_database, *files, dataset)
    assert check_existing(shop_database, dataset) == "1 customers, 1 products, 2 ratings"
    execute(shop_database, ["ALTER TABLE customers DROP city", "ALTER TABLE products DROP MSRP", "DROP TABLE ratings"])
    with pytest.raises(LocalRunError) as raised:
        check_existing(shop_database, dataset)
    for mistake in ("customers has no column city", "products has no column MSRP", "no table ratings in the database"):
        assert mistake in str(raised.value)
    with pytest.raises(LocalRunError, match=r"cannot be reached: Access denied") as refused:
        check_existing(replace(shop_database, password="wrong-secret"), dataset)
    assert "wrong-secret" not in str(refused.value)


def test_a_source_url_gives_its_parts_and_a_wrong_one_never_shows_its_password() -> None:
    assert parse_url("mysql://shop:p%40ss%2Fword@db.example:3307/my%20shop") == Login(
        "db.example", 3307, "my shop", "shop", "p@ss/word"
    )
    assert parse_url("mysql://shop:x@db/shop").port == 3306
    for wrong in (
        "postgres://u:secret@h/d",
        "mysql://u:secret@h/d/e",
        "mysql://u:secret@h",
        "mysql://u:secret@h:port/d",
        "mysql://h/d",
        "secret",
    ):
        with pytest.raises(LocalRunError, match="expected mysql://user:password@host:port/database") as raised:
            parse_url(wrong)
        assert "secret" not in str(raised.value)


@pytest.mark.skipif(not CLASSICMODELS.is_dir(), reason=f"no sample database at {CLASSICMODELS} (set CLASSICMODELS)")
def test_the_public_sample_database_loads(shop_database: Login, dataset: Dataset) -> None:
    loaded = load_dump(shop_database, CLASSICMODELS / "mysqlsampledatabase.sql", CLASSICMODELS / "ratings.csv", dataset)
    assert loaded == "122 customers, 110 products, 2,532 ratings"
