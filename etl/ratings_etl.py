"""The Glue job: the shop's users, items and ratings become training data, `load → check → transform → save`.

Arguments: `--login_uri` (JSON on S3: `url`, `username` and `password` of the shop's MySQL), `--dataset_uri`
(dataset.toml on S3), `--data_lake_uri` (`s3://<bucket>`); `--incremental true`, where given, reads only what has
changed.
"""

import json
import secrets
import sys
from datetime import UTC, datetime

from awsglue.context import GlueContext
from awsglue.utils import getResolvedOptions
from pyspark import SparkContext
from pyspark.sql import SparkSession

from contracts import column_types, dataset_file
from contracts.dataset import Dataset
from contracts.training_data import QUALITY, QUARANTINE
from etl import incremental, lake, quality, tables
from etl.mysql import Source
from etl.quality import Report
from etl.report import to_html

ARGUMENTS = ("login_uri", "dataset_uri", "data_lake_uri")
OPTIONAL_ARGUMENTS = ("incremental",)
TASKS_A_CORE = 4
QUARANTINE_FILES = 4
"""The files of a quarantine folder: people read them, so they are few."""


def run(
    spark: SparkSession, source: Source, dataset_uri: str, data_lake_uri: str, only_changed: bool = False
) -> Report:
    """Runs the job once. Raises `QualityError` if the data are not fit to replace the last run's."""
    run_id = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
    spec = load_dataset(spark, dataset_uri)
    types = checked_types(spark, source, spec)
    data_lake = lake.Folder(spark, data_lake_uri)
    training_data = lake.Folder(spark, f"{data_lake.uri}/{spec.name}")
    last = lake.read_success(training_data)
    user, item = tables.entity_keys(spec)
    users, user_count = quality.checked_entity(
        tables.load(spark, source, spec, types, "users"), user, "users", spec.users.label
    )
    items, item_count = quality.checked_entity(
        tables.load(spark, source, spec, types, "items"), item, "items", spec.items.label
    )
    state = incremental.state(source, spec, types, users) if only_changed else None
    plan = incremental.plan(source, spec, types, training_data, last, state, items) if state else incremental.EVERYTHING
    ratings = tables.load(spark, source, spec, types, "ratings", plan.where)
    ratings, rating_count = quality.checked_ratings(tables.Tables(users, items, ratings), spec)
    checked = tables.Tables(users, items, ratings)
    kept, kept_rows = incremental.kept(spark, training_data, last, plan, spec)
    report = quality.judge(
        run_id,
        (user_count, item_count, rating_count),
        spec.quality,
        last,
        kept_rows,
        (*quality.notes(checked, spec), *([f"everything was read: {plan.why}"] if plan.why else [])),
    )
    publish(report, checked, data_lake)
    if report.problems:
        raise quality.QualityError("\n".join(report.problems))
    lake.replace(
        training_data,
        tables.join(checked, spec, tables.rating_type(spec, types)),
        tables.accepted(items),
        spec.partition,
        run_id,
        report.rows,
        report.row_bytes,
        kept,
    )
    if state:
        incremental.write_state(training_data, run_id, state)
    print(f"run {run_id}: {report.rows:,} rows of training data in {training_data.uri}")
    for note in report.notes:
        print(note)
    return report


def checked_types(spark: SparkSession, source: Source, spec: Dataset) -> tables.Types:
    """Returns the source's columns. Raises `DatasetError` with a line for each that is missing or not of its kind."""
    found = source.column_types(spark, spec)
    if mistakes := column_types.mistakes(spec, found):
        raise dataset_file.DatasetError("the source database is not as dataset.toml says:\n" + "\n".join(mistakes))
    return {role: columns for role, columns in found.items() if columns is not None}


def publish(report: Report, checked: tables.Tables, data_lake: lake.Folder) -> None:
    """Writes the report, and the rejected rows into quarantine; also when the gate refuses the data."""
    for count, frame in zip(report.tables, (checked.users, checked.items, checked.ratings), strict=True):
        if set(count.rejected) - {tables.MERGED}:
            rejected = tables.rejected(frame).coalesce(QUARANTINE_FILES)
            rejected.write.mode("overwrite").json(f"{data_lake.uri}/{QUARANTINE}/{report.run}/{count.role}")
    place = f"{QUALITY}/{report.run}"
    data_lake.write(f"{place}/report.json", json.dumps(report.to_dict(), indent=1))
    data_lake.write(f"{place}/report.html", to_html(report))


def load_dataset(spark: SparkSession, uri: str) -> Dataset:
    """Reads dataset.toml. Raises `DatasetError` with every mistake of the file, or if there is no such file."""
    place, _, name = uri.rpartition("/")
    text = lake.Folder(spark, place).read(name)
    if text is None:
        raise dataset_file.DatasetError(f"{uri}: expected a dataset specification, found no file")
    return dataset_file.parse(text, source=uri)


def load_source(spark: SparkSession, uri: str) -> Source:
    """Reads the login of the shop's MySQL. Raises `FileNotFoundError` if it is not there."""
    place, _, name = uri.rpartition("/")
    text = lake.Folder(spark, place).read(name)
    if text is None:
        raise FileNotFoundError(f"{uri}: expected the login of the source database, found no file")
    login = json.loads(text)
    return Source(login["url"], login["username"], login["password"])


def configure(spark: SparkSession) -> None:
    settings: dict[str, str | int] = {
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
        "spark.sql.autoBroadcastJoinThreshold": 64 * 1024 * 1024,
        # The default, 200 whatever the cluster, costs a small shop most of the run.
        "spark.sql.shuffle.partitions": TASKS_A_CORE * spark.sparkContext.defaultParallelism,
    }
    for key, value in settings.items():
        spark.conf.set(key, value)
    # The marker is the job's own to write, after everything else.
    spark.sparkContext._jsc.hadoopConfiguration().set("mapreduce.fileoutputcommitter.marksuccessfuljobs", "false")


def main() -> None:
    optional = [name for name in OPTIONAL_ARGUMENTS if f"--{name}" in sys.argv]
    options = getResolvedOptions(sys.argv, [*ARGUMENTS, *optional])
    context = GlueContext(SparkContext.getOrCreate())
    configure(context.spark_session)
    source = load_source(context.spark_session, options["login_uri"])
    only_changed = options.get("incremental", "false") == "true"
    run(context.spark_session, source, options["dataset_uri"], options["data_lake_uri"], only_changed)


if __name__ == "__main__":
    main()
