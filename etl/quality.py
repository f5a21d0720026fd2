"""The data-quality gate: counts what was rejected, and why."""

from pyspark import StorageLevel

from contracts.dataset import Dataset
from etl.tables import REASON, Tables, check_entity, check_ratings


def check(loaded: Tables, dataset: Dataset) -> tuple[Tables, int]:
    users = check_entity(loaded.users, dataset.users).persist(StorageLevel.MEMORY_AND_DISK)
    items = check_entity(loaded.items, dataset.items).persist(StorageLevel.MEMORY_AND_DISK)
    for f in (users, items):
        f.groupBy(REASON).count().collect()
    ratings = check_ratings(Tables(users, items, loaded.ratings), dataset).persist(StorageLevel.MEMORY_AND_DISK)
    counts = {row[REASON]: row["count"] for row in ratings.groupBy(REASON).count().collect()}
    print(counts)
    return Tables(users, items, ratings), counts.get(None, 0)
