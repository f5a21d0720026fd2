"""Chooses the folder for a database server's data: the run's, or one that belongs to the server's own user.

PostgreSQL and MariaDB refuse to run as root. A run's folder holds customers' data and is closed to all other users
(0700), so a server that runs as another user could not enter it. Its data lies in a folder that belongs to that user
and is closed to all others too.
"""

import os
import pwd
import shutil
import tempfile
import weakref
from pathlib import Path

from emulator.errors import LocalRunError
from emulator.process import goes_with_the_run, has_gone


def server_folder(owner: object, folder: Path, user: str | None) -> Path:
    """Returns the folder for a server that runs as `user`, or as the current user (None). A folder outside of `folder`
    is removed with `owner`, the object that stands for the server, or with this process. A folder that is made is
    closed to all others."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if user is None:
        return folder
    account = pwd.getpwnam(user)
    made = Path(tempfile.mkdtemp(prefix=f"{user}-", dir=_place()))
    os.chown(made, account.pw_uid, account.pw_gid)
    goes_with_the_run(made)
    weakref.finalize(owner, _remove, made)
    return made


def passable(path: Path) -> bool:
    """Returns True if any user may enter the folder and all above it."""
    return all(parent.stat().st_mode & 0o001 for parent in [path.resolve(), *path.resolve().parents])


def may_all_run(program: Path) -> bool:
    """Returns True if any user may run a program. Installed under a umask of 077, only its owner may."""
    return program.stat().st_mode & 0o005 == 0o005


def _place() -> Path:
    places = [Path(tempfile.gettempdir()), Path("/var/tmp"), Path("/tmp")]  # noqa: S108 (a folder of 0700 is made there)
    for place in places:
        if place.is_dir() and passable(place):
            return place
    told = ", ".join(map(str, dict.fromkeys(places)))
    raise LocalRunError(
        f"the database servers run as users of their own: expected a place for temporary files that every user may "
        f"pass, found none of {told}: set TMPDIR to one, or run as another user than root"
    )


def _remove(path: Path) -> None:
    shutil.rmtree(path, ignore_errors=True)
    has_gone(path)
