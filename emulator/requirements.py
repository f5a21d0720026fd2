"""What the local run needs beside Python packages: checked before anything starts."""

import re
import shutil
import subprocess
from pathlib import Path

JDBC_DRIVER = Path("/usr/share/java/mariadb-java-client.jar")
JAVA_MAJOR = 17
"""What Glue 5.1 runs; Spark 3.5 takes 8, 11 and 17."""
EXTRA_PATHS = "/usr/sbin:/usr/local/sbin"
"""Where Debian keeps mariadbd, which an ordinary user's PATH lacks."""


def find_program(name: str) -> str | None:
    """The program's path, also where only root's PATH leads to it."""
    return shutil.which(name) or shutil.which(name, path=EXTRA_PATHS)


def missing() -> str | None:
    """One line that says what this machine lacks and how to install it; `None` where nothing is missing."""
    lacking = {
        "MariaDB (mariadbd)": ("mariadb-server", find_program("mariadbd") and find_program("mariadb-install-db")),
        f"Java {JAVA_MAJOR}": (f"openjdk-{JAVA_MAJOR}-jre-headless", java_major() == JAVA_MAJOR),
        f"MariaDB's JDBC driver ({JDBC_DRIVER})": ("libmariadb-java", JDBC_DRIVER.exists()),
    }
    absent = {thing: package for thing, (package, found) in lacking.items() if not found}
    if not absent:
        return None
    packages = " ".join(absent.values())
    return f"missing: {', '.join(absent)}; as root: apt-get install --no-install-recommends {packages}"


def java_major() -> int | None:
    """The major version of the `java` on the PATH."""
    java = shutil.which("java")
    if java is None:
        return None
    answer = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)
    found = re.search(r'version "(\d+)', answer.stderr)
    return int(found[1]) if found else None
