"""Writes the sample shop as SQL: the `classicmodels` tables that the program reads, with their types."""

from collections.abc import Iterator, Sequence
from typing import Any

ROWS_PER_STATEMENT = 500

TABLES = {
    "customers": """CREATE TABLE customers (
  customerNumber int(11) NOT NULL,
  customerName varchar(50) NOT NULL,
  contactLastName varchar(50) NOT NULL,
  contactFirstName varchar(50) NOT NULL,
  phone varchar(50) NOT NULL,
  addressLine1 varchar(50) NOT NULL,
  city varchar(50) NOT NULL,
  state varchar(50) DEFAULT NULL,
  postalCode varchar(15) DEFAULT NULL,
  country varchar(50) NOT NULL,
  creditLimit decimal(10,2) DEFAULT NULL,
  PRIMARY KEY (customerNumber)
)""",
    "products": """CREATE TABLE products (
  productCode varchar(15) NOT NULL,
  productName varchar(70) NOT NULL,
  productLine varchar(50) NOT NULL,
  productScale varchar(10) NOT NULL,
  productVendor varchar(50) NOT NULL,
  productDescription text NOT NULL,
  quantityInStock smallint(6) NOT NULL,
  buyPrice decimal(10,2) NOT NULL,
  MSRP decimal(10,2) NOT NULL,
  PRIMARY KEY (productCode)
)""",
    "ratings": """CREATE TABLE ratings (
  customerNumber int(11) NOT NULL,
  productCode varchar(15) NOT NULL,
  productRating smallint(6) NOT NULL,
  PRIMARY KEY (customerNumber, productCode),
  FOREIGN KEY (customerNumber) REFERENCES customers (customerNumber),
  FOREIGN KEY (productCode) REFERENCES products (productCode)
)""",
}

_COLUMNS = {
    table: tuple(
        line.split()[0] for line in ddl.splitlines()[1:-1] if not line.strip().startswith(("PRIMARY", "FOREIGN"))
    )
    for table, ddl in TABLES.items()
}


def statements(*tables: Sequence[object]) -> Iterator[str]:
    """The statements for customers, products and ratings, in this order."""
    for (table, ddl), rows in zip(TABLES.items(), tables, strict=True):
        yield f"{ddl} ENGINE=InnoDB DEFAULT CHARSET=utf8mb4"
        columns = _COLUMNS[table]
        for start in range(0, len(rows), ROWS_PER_STATEMENT):
            values = ",\n".join(
                f"({', '.join(_literal(getattr(row, column)) for column in columns)})"
                for row in rows[start : start + ROWS_PER_STATEMENT]
            )
            yield f"INSERT INTO {table} ({', '.join(columns)}) VALUES\n{values}"


def _literal(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, int | float):
        return str(value)
    return "'" + str(value).replace("\\", "\\\\").replace("'", "''") + "'"
