"""Glue jobs on local Spark: role credentials only, real S3 calls, and the ratings job end to end."""

import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from contracts.dataset_file import load
from contracts.mysql import Login
from contracts.training_data import read_marker
from emulator.errors import LocalRunError
from emulator.program import ROOT
from emulator.requirements import JAVA_HOME
from local.source import load_dump
from tests.emulator.aws import Aws, allow, policy, unique
from tests.emulator.glue_jobs import JobStack
from tests.local.test_source import CLASSICMODELS

FOLDER = "ratings-ml-training"


@pytest.mark.skipif(not CLASSICMODELS.is_dir(), reason=f"no sample database at {CLASSICMODELS} (set CLASSICMODELS)")
def test_the_public_sample_database_becomes_training_data_and_a_rerun_replaces_it(
    aws: Aws, shop_database: Login, tmp_path: Path
) -> None:
    dataset = load(ROOT / "dataset.toml")
    load_dump(shop_database, CLASSICMODELS / "mysqlsampledatabase.sql", CLASSICMODELS / "ratings.csv", dataset)
    stack = JobStack(aws, shop_database, tmp_path)
    markers = []
    for _ in range(2):
        stack.run()
        marker = read_marker(stack.read(f"{FOLDER}/_SUCCESS").decode())
        listed = {f"{FOLDER}/{name}" for name in marker.files}
        assert listed == {key for key in stack.keys(f"{FOLDER}/") if not key.endswith("/_SUCCESS")}
        tables = [pq.read_table(io.BytesIO(stack.read(key)), partitioning=None) for key in listed]
        assert marker.rows == sum(table.num_rows for table in tables) == 2_532
        assert len({name.split("/")[0] for name in marker.files}) == len(marker.files) == 98
        assert len(set(pa.concat_tables(tables)["productCode"].to_pylist())) == 109
        markers.append(marker)
    assert markers[0].run != markers[1].run
    assert not set(markers[0].files) & set(markers[1].files)
    assert tables[0].schema.types == [
        *[pa.string()] * 4, pa.float64(), *[pa.string()] * 3, pa.int32(), pa.float64(), pa.float64(), pa.int32(),
    ]  # fmt: skip


PROBE = """
import os, sys
from pyspark.sql import SparkSession
from awsglue.utils import getResolvedOptions
options = getResolvedOptions(sys.argv, ["JOB_NAME", "data_lake_uri", "connection-name"])
print("CONNECTION", options["connection_name"])
print("ENVIRONMENT", *sorted(os.environ))
try:
    import local
except ImportError:
    print("ISOLATED")
spark = SparkSession.builder.getOrCreate()
print("JAVA", spark._jvm.java.lang.System.getProperty("java.home"))
uri = options["data_lake_uri"] + "/probe"
rows = spark.range(1000).selectExpr("id", "concat('Größe € 100%/', id % 3) AS part")
rows.write.partitionBy("part").parquet(uri)
rows.write.mode("overwrite").partitionBy("part").parquet(uri)
print("READ", spark.read.parquet(uri).count(), spark.read.parquet(uri).where("part = 'Größe € 100%/1'").count())
"""


def test_a_job_reads_and_writes_s3_as_its_role_and_knows_nothing_else_of_the_machine(
    aws: Aws, shop_database: Login, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_THE_MACHINE", "x")
    monkeypatch.setenv("JAVA_HOME", "/another/java")
    folder = tmp_path / "Läufe 1"
    folder.mkdir()
    stack = JobStack(aws, shop_database, folder, script=PROBE)
    run = stack.run(**{"connection-name": "with-dash"})
    log = run.log.read_text()
    assert "CONNECTION with-dash" in log
    assert "ISOLATED" in log
    assert "SECRET_OF_THE_MACHINE" not in log
    assert f"JAVA {JAVA_HOME.resolve()}" in log
    assert "READ 1000 333" in log
    assert len([key for key in stack.keys("probe/") if key.endswith(".parquet")]) == len(stack.keys("probe/")) - 1


def test_a_failure_names_the_refused_action_and_leaves_nothing_running(
    aws: Aws, shop_database: Login, tmp_path: Path
) -> None:
    stack = JobStack(aws, shop_database, tmp_path, script=PROBE, without="s3:PutObject")
    with pytest.raises(LocalRunError, match=r"not authorized to perform: s3:PutObject.*/probe/"):
        stack.run(**{"connection-name": "unused"})
    assert stack.keys() == []
    folder = str(tmp_path)
    assert not [entry for entry in Path("/proc").iterdir() if entry.name.isdigit() and folder in _command(entry)]


READ_SECRET = """
import sys
import boto3
from awsglue.utils import getResolvedOptions
secrets = boto3.client("secretsmanager")
print("SECRET", secrets.get_secret_value(SecretId=getResolvedOptions(sys.argv, ["secret"])["secret"])["SecretString"])
"""


def test_a_secret_is_out_of_reach_in_a_subnet_without_the_services_endpoint(
    aws: Aws, shop_database: Login, tmp_path: Path
) -> None:
    stack = JobStack(aws, shop_database, tmp_path, script=READ_SECRET)
    secret = unique("login")
    aws.client("secretsmanager").create_secret(Name=secret, SecretString="u and p")
    permission = policy(allow("secretsmanager:GetSecretValue", "*"))
    role = stack.role.rsplit("/", 1)[-1]
    aws.client("iam").put_role_policy(RoleName=role, PolicyName="secret", PolicyDocument=permission)
    url = aws.ministack.endpoint_url
    stack.reach = {"AWS_ENDPOINT_URL": "https://nowhere.invalid", "AWS_ENDPOINT_URL_S3": url}
    with pytest.raises(LocalRunError, match=r"Could not connect to the endpoint URL: .https://nowhere.invalid"):
        stack.run(secret=secret)
    stack.reach["AWS_ENDPOINT_URL_SECRETS_MANAGER"] = url
    assert "SECRET u and p" in stack.run(secret=secret).log.read_text()


def test_a_script_that_the_role_may_not_read_is_named(aws: Aws, shop_database: Login, tmp_path: Path) -> None:
    stack = JobStack(aws, shop_database, tmp_path, script="print('not reached')", without="s3:GetObject")
    with pytest.raises(LocalRunError, match=r"its role cannot read s3://job-.*-code-.*\.py"):
        stack.run()


def test_an_error_of_the_script_is_told_once_and_whole(aws: Aws, shop_database: Login, tmp_path: Path) -> None:
    script = "class QualityError(Exception): pass\nraise QualityError('too many rejected\\nand too few rows')"
    stack = JobStack(aws, shop_database, tmp_path, script=script)
    with pytest.raises(LocalRunError) as raised:
        stack.run(**{"connection-name": "unused"})
    lines = str(raised.value).splitlines()
    assert lines[0].endswith("failed (exit 1): QualityError: too many rejected")
    assert lines[1] == "and too few rows"
    assert lines[2].startswith("log /")
    assert len(lines) == 3


def _command(process: Path) -> str:
    try:
        return (process / "cmdline").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
