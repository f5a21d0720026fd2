"""Settings of the source database, with their defaults and the limits that AWS sets."""

from typing import TypedDict

import pulumi

from components.common import INSTANCE_CLASS, check_range, check_text

MYSQL_PORT = 3306
PORTS = (1, 65_535)
MYSQL_STORAGE_GB = (20, 65_536)
"""gp3 (RDS User Guide, "DB instance storage")."""
MADE_DATABASE = r"[A-Za-z][A-Za-z0-9]{0,63}"
MADE_USERNAME = r"[A-Za-z][A-Za-z0-9_]{0,15}"
"""Limits of RDS for MySQL (API reference, CreateDBInstance)."""


class SourceDatabaseSettings(TypedDict, total=False):
    """Settings of the source, as given under `recommender:source` in the stack's configuration, where the password
    stands too."""

    database: str
    """The schema that holds the tables of dataset.toml."""
    host: str
    """Host name of an existing MySQL. Required unless `trial` is true."""
    trial: bool
    """True makes a small MySQL for trial: no backups, no standby, deleted with the stack."""
    port: int
    """Port of the existing database, 1 to 65,535."""
    username: str
    """User of the existing database; it needs `SELECT` on the tables of dataset.toml."""
    options: str
    """Options of the JDBC driver, as a URL has them, TLS above all: `sslMode=VERIFY_CA`. Default: none."""
    instance_class: str
    """Instance class of the trial database."""
    sample_shop: bool
    """True fills the trial database with the sample shop."""
    sample_shop_seed: int
    """Seed of the sample shop's random numbers: another seed gives another shop."""
    storage_gb: int
    """Storage of the trial database in GiB, 20 to 65,536; less than a live one has is refused."""


SOURCE_DEFAULTS: SourceDatabaseSettings = {
    "database": "classicmodels",
    "trial": False,
    "port": MYSQL_PORT,
    "username": "shop",
    "options": "",
    "instance_class": "db.t4g.micro",
    "sample_shop": True,
    "sample_shop_seed": 1,
    "storage_gb": MYSQL_STORAGE_GB[0],
}


def check(settings: SourceDatabaseSettings, password: pulumi.Input[str] | None) -> None:
    """Raises `ValueError` for a value that is missing, outside of its limits, or does not go with another one."""
    host, trial = settings.get("host"), settings["trial"]
    if host is not None and trial:
        raise ValueError(f"SourceDatabase: trial: expected it without a host, got the host {host!r}")
    if host is None and not trial:
        raise ValueError(
            "SourceDatabase: expected host, username and password of the shop's MySQL, or trial: true for a small one: "
            "pulumi config set --path recommender:source.host <host>"
        )
    if host is not None and password is None:
        raise ValueError(
            "SourceDatabase: expected the password of the existing database, got its host alone: "
            "pulumi config set --path --secret recommender:source.password"
        )
    check_text("SourceDatabase", "host", host, r"[A-Za-z0-9.:-]+", "a host name or address")
    check_range("SourceDatabase", "port", settings["port"], PORTS)
    if trial:
        check_text("SourceDatabase", "database", settings["database"], MADE_DATABASE, "up to 64 letters and digits")
        check_text("SourceDatabase", "username", settings["username"], MADE_USERNAME, "up to 16 letters, digits and _")
        check_text("SourceDatabase", "instance_class", settings["instance_class"], INSTANCE_CLASS, "db.<type>.<size>")
        check_range("SourceDatabase", "storage_gb", settings["storage_gb"], MYSQL_STORAGE_GB)
        check_range("SourceDatabase", "sample_shop_seed", settings["sample_shop_seed"], (0, 2**32 - 1))
