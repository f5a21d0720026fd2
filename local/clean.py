"""`python -m local clean` removes what earlier runs left in the temporary folder."""

import argparse
import fcntl
import os
import shutil
import tempfile
from pathlib import Path

from local.folder import LOCK, PREFIX


def main(arguments: list[str]) -> int:
    argparse.ArgumentParser(prog="python -m local clean", description=__doc__).parse_args(arguments)
    folders = earlier_runs()
    described = describe(folders)
    for folder in folders:
        shutil.rmtree(folder)
    print(f"removed {described}")
    return 0


def earlier_runs() -> list[Path]:
    """Returns this user's folders of runs that are over and had no folder named for them."""
    random = "?" * 8  # tempfile.mkdtemp names folders like this
    return [path for path in sorted(Path(tempfile.gettempdir()).glob(PREFIX + random)) if _is_over(path)]


def describe(folders: list[Path]) -> str:
    files = (path for folder in folders for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    size = sum(path.stat().st_blocks for path in files) * 512
    runs = "run" if len(folders) == 1 else "runs"
    return f"{len(folders)} earlier {runs} in {tempfile.gettempdir()}, {size / 1e6:,.0f} MB"


def _is_over(folder: Path) -> bool:
    try:
        if folder.stat().st_uid != os.getuid():
            return False
        with (folder / LOCK).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except (BlockingIOError, FileNotFoundError):  # a run uses it, or has just made it
        return False
    return True
