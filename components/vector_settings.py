"""Settings of the vector store, with their defaults and the limits that AWS sets."""

from typing import TypedDict

from components.common import INSTANCE_CLASS, check_name, check_range, check_text

MIN_STORAGE_GB, MAX_STORAGE_GB = 20, 65_536
MAX_BACKUP_DAYS = 35
MAX_INSTANCE_IDENTIFIER = 63
"""Limits of gp3 storage, backups and identifiers (RDS User Guide)."""


class VectorStoreSettings(TypedDict, total=False):
    """Settings of the vector store, as given under `recommender:vectors` in the stack's configuration."""

    instance_class: str
    """Instance class of the database, `db.<type>.<size>`."""
    storage_gb: int
    """Storage of the database in GiB, 20 to 65,536; less than a live one has is refused."""
    multi_az: bool
    """True keeps a standby in a second availability zone."""
    iam_authentication: bool
    """True lets functions log in to the database by their IAM role instead of a password. It can be switched on and off
    while events flow; until the functions have their new settings, batches are tried again."""
    backup_retention_days: int
    """Days that automatic backups are kept, 0 to 35; 0 means no backups, and is refused on a live, protected
    database, whose backups it would delete."""
    deletion_protection: bool
    """True lets AWS refuse to delete the database, and the engine refuse to delete or replace it before it changes
    anything. Another network, or `customer_managed_key` on a live stack, needs a new, empty database."""
    apply_immediately: bool
    """True applies a change of class, storage or authentication at once, with an outage of minutes if the database
    restarts; false in the next maintenance window."""
    skip_final_snapshot: bool
    """True deletes the database without a last snapshot."""


VECTOR_STORE_DEFAULTS: VectorStoreSettings = {
    "instance_class": "db.t4g.micro",
    "storage_gb": MIN_STORAGE_GB,
    "multi_az": False,
    "iam_authentication": False,
    "backup_retention_days": 7,
    "deletion_protection": True,
    "apply_immediately": True,
    "skip_final_snapshot": False,
}


def check(name: str, settings: VectorStoreSettings) -> None:
    """Raises `ValueError` for a name or a value outside of its limits."""
    check_name("VectorStore", f"{name}-postgres", MAX_INSTANCE_IDENTIFIER)
    check_text("VectorStore", "instance_class", settings["instance_class"], INSTANCE_CLASS, "db.<type>.<size>")
    check_range("VectorStore", "storage_gb", settings["storage_gb"], (MIN_STORAGE_GB, MAX_STORAGE_GB))
    check_range("VectorStore", "backup_retention_days", settings["backup_retention_days"], (0, MAX_BACKUP_DAYS))
