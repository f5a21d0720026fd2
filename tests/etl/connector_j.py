"""MySQL's own JDBC driver, of the version that Glue 5.1 carries, beside MariaDB's: fetched once by Maven."""

import shutil
import subprocess
from pathlib import Path

ARTIFACT = "com.mysql:mysql-connector-j:8.0.33"
"""AWS Glue Developer Guide, "JDBC connections": the driver's version in Glue 5.0 and 5.1."""
DRIVER = "com.mysql.cj.jdbc.Driver"
FOLDER = Path(__file__).parents[2] / ".build" / "jdbc"
SECONDS = 180


def fetch() -> Path | None:
    """The driver's jar; None where Maven is not there or reaches no repository."""
    _, name, version = ARTIFACT.split(":")
    jar = FOLDER / f"{name}-{version}.jar"
    maven = shutil.which("mvn")
    if not jar.exists() and maven:
        copy = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy"
        command = [maven, "-q", "-B", copy, f"-Dartifact={ARTIFACT}", f"-DoutputDirectory={FOLDER}"]
        try:
            subprocess.run(command, capture_output=True, check=False, timeout=SECONDS)
        except subprocess.TimeoutExpired:
            return None
    return jar if jar.exists() else None
