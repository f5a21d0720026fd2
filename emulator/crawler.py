"""Crawls a folder of Parquet files as a Glue crawler does: it writes a table and its partitions to the Data Catalog."""

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from botocore.exceptions import ClientError

from emulator.errors import LocalRunError

BATCH = 100
"""The most partitions of a BatchCreatePartition call (AWS Glue API); a BatchDeletePartition call takes 25."""
DELETE_BATCH = 25

_HIVE_TYPES = {"int8": "tinyint", "int16": "smallint", "int32": "int", "int64": "bigint", "float": "float"}


@dataclass(frozen=True)
class CrawledTable:
    """The table that a crawl wrote to the catalog."""

    name: str
    n_partitions: int


def crawl(client: Callable[[str], Any], path: str, database: str) -> CrawledTable:
    """Registers the folder `s3://bucket/name/` as table `name`, with a partition for each `key=value` folder.

    `client` makes clients with the credentials of the crawler's role. Raises `LocalRunError` if the folder has no
    Parquet files, or the role lacks a permission.
    """
    bucket, _, prefix = path.removeprefix("s3://").partition("/")
    table = prefix.rstrip("/").rsplit("/", 1)[-1].replace("-", "_").lower()
    try:
        files = [key for key in _keys(client("s3"), bucket, prefix) if key.endswith(".parquet")]
        if not files:
            raise LocalRunError(f"crawler: {path}: expected Parquet files, found none")
        body = client("s3").get_object(Bucket=bucket, Key=files[0])["Body"].read()
        partitions = sorted({key[len(prefix) :].rsplit("/", 1)[0] for key in files if "/" in key[len(prefix) :]})
        glue = client("glue")
        glue.get_database(Name=database)
        descriptor = _descriptor(path, pq.read_schema(io.BytesIO(body)), partitions)
        _put_table(glue, database, table, descriptor, partitions)
        _put_partitions(glue, database, table, descriptor, partitions)
        _put_index(glue, database, table, partitions)
    except ClientError as error:
        raise LocalRunError(f"crawler of {path}: {error}") from error
    return CrawledTable(table, len(partitions))


def _keys(s3: Any, bucket: str, prefix: str) -> Iterator[str]:
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for entry in page.get("Contents", []):
            yield entry["Key"]


def _descriptor(path: str, schema: pa.Schema, partitions: Sequence[str]) -> dict[str, Any]:
    taken = _partition_names(partitions)
    return {
        "Columns": [{"Name": field.name.lower(), "Type": _type(field)} for field in schema if field.name not in taken],
        "Location": path,
        "InputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
        "OutputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
        "SerdeInfo": {"SerializationLibrary": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"},
    }


def _type(field: pa.Field) -> str:
    name = str(field.type)
    return _HIVE_TYPES.get(name, "timestamp" if name.startswith("timestamp") else name.replace("date32[day]", "date"))


def _partition_names(partitions: Sequence[str]) -> list[str]:
    return [part.split("=", 1)[0] for part in partitions[0].split("/")] if partitions else []


def _put_table(glue: Any, database: str, table: str, descriptor: dict[str, Any], partitions: Sequence[str]) -> None:
    given = {
        "Name": table,
        "TableType": "EXTERNAL_TABLE",
        "Parameters": {"classification": "parquet"},
        "StorageDescriptor": descriptor,
        "PartitionKeys": [{"Name": name.lower(), "Type": "string"} for name in _partition_names(partitions)],
    }
    try:
        glue.get_table(DatabaseName=database, Name=table)
    except glue.exceptions.EntityNotFoundException:
        glue.create_table(DatabaseName=database, TableInput=given)
    else:
        glue.update_table(DatabaseName=database, TableInput=given)


def _put_partitions(
    glue: Any, database: str, table: str, descriptor: dict[str, Any], partitions: Sequence[str]
) -> None:
    wanted = {tuple(part.split("=", 1)[1] for part in folder.split("/")): folder for folder in partitions}
    pages = glue.get_paginator("get_partitions").paginate(DatabaseName=database, TableName=table)
    there = {tuple(entry["Values"]) for page in pages for entry in page["Partitions"]}
    new = [
        {"Values": list(values), "StorageDescriptor": {**descriptor, "Location": f"{descriptor['Location']}{folder}/"}}
        for values, folder in wanted.items()
        if values not in there
    ]
    for start in range(0, len(new), BATCH):
        glue.batch_create_partition(
            DatabaseName=database, TableName=table, PartitionInputList=new[start : start + BATCH]
        )
    gone = [{"Values": list(values)} for values in sorted(there - wanted.keys())]
    for start in range(0, len(gone), DELETE_BATCH):
        glue.batch_delete_partition(
            DatabaseName=database, TableName=table, PartitionsToDelete=gone[start : start + DELETE_BATCH]
        )


def _put_index(glue: Any, database: str, table: str, partitions: Sequence[str]) -> None:
    """Makes a partition index, as a crawler does by itself (Glue Developer Guide, "Generating partition indexes")."""
    indexes = glue.get_partition_indexes(DatabaseName=database, TableName=table)["PartitionIndexDescriptorList"]
    if partitions and not indexes:
        keys = [name.lower() for name in _partition_names(partitions)]
        index = {"IndexName": "crawler_partition_index", "Keys": keys}
        glue.create_partition_index(DatabaseName=database, TableName=table, PartitionIndex=index)
