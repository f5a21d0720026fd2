"""The entry point of a job's process: connects Spark's `s3://` to S3 and runs the job's script.

`python -m runtime.launch SETTINGS SCRIPT ARGUMENT…`; SETTINGS is a JSON file with `folder` (the run's own), `cores`,
`memory` and `jdbc_driver`.
"""

import json
import os
import runpy
import sys
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from .s3_files import S3Files
from .webhdfs import Gateway

_LOGGING = """
rootLogger.level = warn
rootLogger.appenderRef.stderr.ref = stderr
appender.stderr.type = Console
appender.stderr.name = stderr
appender.stderr.target = SYSTEM_ERR
appender.stderr.layout.type = PatternLayout
appender.stderr.layout.pattern = %d{HH:mm:ss} %p %c{1}: %m%n%ex
logger.native.name = org.apache.hadoop.util.NativeCodeLoader
logger.native.level = error
"""


def main(settings_file: str, script: str, *arguments: str) -> None:
    settings = json.loads(Path(settings_file).read_text())
    folder = Path(settings["folder"])
    client = boto3.client("s3", config=Config(max_pool_connections=32, s3={"addressing_style": "path"}))
    gateway = Gateway(S3Files(client, str(folder)))
    buckets = {argument.split("/")[2] for argument in arguments if argument.startswith("s3://")}
    configuration = folder / "conf"
    configuration.mkdir()
    (configuration / "log4j2.properties").write_text(_LOGGING)
    (configuration / "spark-defaults.conf").write_text(
        "".join(f"{key} {value}\n" for key, value in _spark_settings(settings, gateway, buckets).items())
    )
    os.environ["SPARK_CONF_DIR"] = str(configuration)
    sys.argv = [script, *arguments]
    runpy.run_path(script, run_name="__main__")


def _spark_settings(settings: dict[str, Any], gateway: Gateway, buckets: set[str]) -> dict[str, object]:
    folder = settings["folder"]
    mounts = {
        f"spark.hadoop.fs.viewfs.mounttable.{bucket}.linkFallback": f"{gateway.root}/{bucket}" for bucket in buckets
    }
    return mounts | {
        "spark.master": f"local[{settings['cores']}]",
        "spark.driver.memory": settings["memory"],
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.extraClassPath": settings["jdbc_driver"],
        # As on Glue, whose machines run in UTC. The optimising compiler is left out: on the small shops of a local run
        # it takes more time than it saves (measured: half of the run).
        # The folder's name may contain spaces.
        "spark.driver.extraJavaOptions": f'-Duser.timezone=UTC "-Djava.io.tmpdir={folder}" -XX:TieredStopAtLevel=1',
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.warehouse.dir": f"{folder}/warehouse",
        "spark.hadoop.fs.s3.impl": "org.apache.hadoop.fs.viewfs.ViewFileSystemOverloadScheme",
        # A task's files become objects at its commit, as with Glue's S3-optimized committer.
        "spark.hadoop.mapreduce.fileoutputcommitter.algorithm.version": 2,
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
