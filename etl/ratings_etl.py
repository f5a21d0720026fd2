"""The Glue job: the shop's users, items and ratings become training data, `load → check → transform → save`.

Arguments: `--connection_name` (the Glue connection of the shop's MySQL), `--dataset_uri` (dataset.toml on S3),
`--data_lake_uri` (`s3://<bucket>`).
"""

import sys
from datetime import UTC, datetime

from awsglue.context import GlueContext
from awsglue.utils import getResolvedOptions
from pyspark import SparkContext
from pyspark.sql import SparkSession

from contracts import dataset
from etl import lake, tables
from etl.quality import check
from etl.source import Source

ARGUMENTS = ("JOB_NAME", "connection_name", "dataset_uri", "data_lake_uri")


def run(spark: SparkSession, source: Source, dataset_uri: str, data_lake_uri: str) -> None:
    """One run of the job. Raises `QualityError` where the data are not fit to replace what is there."""
    run_id = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{spark.sparkContext.applicationId[-6:]}"
    spec = load_dataset(spark, dataset_uri)
    folder = lake.Folder(spark, f"{data_lake_uri}/{spec.name}")
    loaded = tables.load(spark, source, spec)
    checked, rows = check(loaded, spec)
    training_data = tables.join(checked, spec)
    lake.replace(folder, training_data, spec.partition, run_id, rows, max_rows_a_file=1_000_000)
    print(f"run {run_id}: {rows} rows of training data in {folder.uri}")


def load_dataset(spark: SparkSession, uri: str) -> dataset.Dataset:
    """Raises `DatasetError` with every mistake of the file, or where there is none."""
    place, _, name = uri.rpartition("/")
    text = lake.Folder(spark, place).read(name)
    if text is None:
        raise dataset.DatasetError(f"{uri}: expected a dataset specification, found no file")
    return dataset.parse(text, source=uri)


def configure(spark: SparkSession) -> None:
    settings: dict[str, str | int] = {
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
        "spark.sql.autoBroadcastJoinThreshold": 64 * 1024 * 1024,
    }
    for key, value in settings.items():
        spark.conf.set(key, value)
    # The marker is the job's own to write, after everything else.
    spark.sparkContext._jsc.hadoopConfiguration().set("mapreduce.fileoutputcommitter.marksuccessfuljobs", "false")


def main() -> None:
    options = getResolvedOptions(sys.argv, list(ARGUMENTS))
    context = GlueContext(SparkContext.getOrCreate())
    configure(context.spark_session)
    connection = context.extract_jdbc_conf(options["connection_name"])
    source = Source(connection["fullUrl"], connection["user"], connection["password"])
    run(context.spark_session, source, options["dataset_uri"], options["data_lake_uri"])


if __name__ == "__main__":
    main()
