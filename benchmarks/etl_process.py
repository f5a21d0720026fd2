"""One measured run of the ETL, in a process of its own: the job on Spark, or the same job in pandas."""

import json
import sys
from pathlib import Path
from typing import Any

from contracts import dataset_file
from contracts.columns import Kind
from contracts.dataset import Dataset
from contracts.mysql import Login
from contracts.training_data import SUCCESS_MARKER, SuccessMarker


def run_spark(login: Login, spec: Dataset, folder: Path, memory: str, jar: str) -> None:
    from pyspark.sql import SparkSession

    from tests.etl.shops import ratings_etl, source_of

    spark = (
        SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.driver.memory", memory)
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.extraClassPath", jar)
        .config("spark.driver.extraJavaOptions", "-Duser.timezone=UTC")
        .config("spark.local.dir", str(folder / "spark"))
        .config("spark.sql.warehouse.dir", str(folder / "warehouse"))
        .getOrCreate()
    )
    ratings_etl.configure(spark)
    lake = folder / "lake"
    ratings_etl.load_dataset = lambda *_: spec
    ratings_etl.run(spark, source_of(login), "", lake.as_uri())


def run_pandas(login: Login, spec: Dataset, folder: Path) -> None:
    """Does the job in the obvious way: three tables in memory, two merges, a partitioned Parquet data set."""
    import zlib

    import pandas as pd
    import pymysql

    connection = pymysql.connect(
        host=login.host, port=login.port, user=login.username, password=login.password, database=login.database
    )

    def read(table: str, columns: list[str]) -> Any:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT {', '.join(columns)} FROM {table}")
            return pd.DataFrame(cursor.fetchall(), columns=columns)

    users, items, ratings = (
        read(spec.users.table, [spec.users.key, *(column.name for column in spec.users.columns)]),
        read(spec.items.table, [spec.items.key, *(column.name for column in spec.items.columns)]),
        read(spec.ratings.table, [spec.users.key, spec.items.key, spec.ratings.rating or ""]),
    )
    for frame in (users, items, ratings):
        for column in frame.select_dtypes("object"):
            if isinstance(frame[column].iloc[0], str):
                frame[column] = frame[column].str.strip()
    for entity, frame in ((spec.users, users), (spec.items, items)):
        for column in entity.columns:
            if column.kind is Kind.NUMERIC:
                frame[column.name] = frame[column.name].astype(float)
    lowest, highest = spec.ratings.scale
    ratings = ratings[ratings[spec.ratings.rating or ""].between(lowest, highest)].drop_duplicates(
        [spec.users.key, spec.items.key]
    )
    data = ratings.merge(users, on=spec.users.key).merge(items, on=spec.items.key)
    if spec.buckets:
        bucket_of = {key: zlib.crc32(str(key).encode()) % spec.buckets for key in users[spec.users.key]}
        data["bucket"] = data[spec.users.key].map(bucket_of)
    target = folder / "lake" / spec.name
    data.to_parquet(target, partition_cols=[spec.partition], compression="snappy", max_partitions=len(users) + 1)
    files = tuple(path.relative_to(target).as_posix() for path in target.rglob("*.parquet"))
    (target / SUCCESS_MARKER).write_text(SuccessMarker("pandas", len(data), files).to_json())


def main(implementation: str, text: str) -> None:
    settings = json.loads(text)
    login, spec = Login(**settings["login"]), dataset_file.from_dict(settings["dataset"])
    folder = Path(settings["folder"])
    (folder / "lake").mkdir()
    if implementation == "spark":
        run_spark(login, spec, folder, settings["memory"], settings["jar"])
    else:
        run_pandas(login, spec, folder)


if __name__ == "__main__":
    main(*sys.argv[1:])
