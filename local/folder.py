"""The run's folder. It belongs to one run at a time, and keeps the model of an earlier run."""

import contextlib
import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from emulator.errors import LocalRunError
from operations.run_note import RUN_NOTE

LOCK = "run.lock"
"""The file that is locked while a run is at work. It marks a folder that a run made."""
MODEL_NOTE = "model.json"
"""The file that names the model in the folder, and the data that it was trained on."""
STATE = ("aws", "glue", "mysql", "postgres", "quality", "error.log", "recommendations.jsonl", RUN_NOTE)
"""The parts that each run makes anew: passwords, ports and the emulated AWS are its own."""
NEEDED_BYTES = 500_000_000
"""Free space that a run needs, with a reserve: a run of the sample shop leaves 170 MB behind."""
FULL_BYTES = 2_000_000
PREFIX = "recommender-"


@contextlib.contextmanager
def claimed(wanted: Path | None) -> Iterator[Path]:
    """Gives the folder to this run alone until the context ends.

    Without `wanted`, it is a new one in the temporary folder. Files that an earlier run's services left in it are
    removed; the model is kept. Raises `LocalRunError` for a folder that cannot be used, before anything in it is
    changed.
    """
    folder = _made(wanted)
    _check_space(folder)
    with _locked(folder):
        for name in STATE:
            _remove(folder / name)
        yield folder
        if wanted is None and [path.name for path in folder.iterdir()] == [LOCK]:
            shutil.rmtree(folder, ignore_errors=True)


def kept_model(folder: Path, made_of: Any) -> Path | None:
    """Returns the model version that an earlier run left in the folder, if it was made of the same data."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        note = json.loads((folder / MODEL_NOTE).read_text())
        version = folder / str(note["version"])
        if note["made_of"] == json.loads(json.dumps(made_of)) and (version / "manifest.json").is_file():
            return version
    return None


def note_model(folder: Path, version: Path, made_of: Any) -> None:
    """Notes this model version, a folder below it, for the next run on the folder."""
    note = {"version": str(version.relative_to(folder)), "made_of": made_of}
    (folder / MODEL_NOTE).write_text(json.dumps(note), encoding="utf-8")


def disk_is_full(folder: Path) -> bool:
    """Returns True if so little space is left in the folder that it may be the cause of a failure."""
    with contextlib.suppress(OSError):
        return shutil.disk_usage(folder).free < FULL_BYTES
    return False


def _made(wanted: Path | None) -> Path:
    if wanted is None:
        return Path(tempfile.mkdtemp(prefix=PREFIX)).resolve()
    folder = wanted.resolve()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        found = sorted(path.name for path in folder.iterdir())
    except FileExistsError:
        raise LocalRunError(f"--folder {wanted}: expected a folder, found a file") from None
    except OSError as error:
        raise LocalRunError(f"--folder {wanted}: cannot be used: {error.strerror}") from None
    if found and LOCK not in found:
        some = ", ".join(found[:3]) + (", …" if len(found) > 3 else "")
        raise LocalRunError(
            f"--folder {wanted}: expected a new or empty folder, or that of an earlier run, found one with {some}"
        )
    return folder


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    try:
        with (folder / LOCK).open("a+", encoding="ascii") as lock:
            _take(lock, folder)
            yield
    except OSError as error:
        if error.filename != str(folder / LOCK):
            raise
        raise LocalRunError(f"--folder {folder}: cannot be written to: {error.strerror}") from None


def _take(lock: IO[str], folder: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        raise LocalRunError(
            f"--folder {folder}: another run (process {lock.read().strip() or 'unknown'}) is at work in it: "
            "end that one, or give another folder"
        ) from None
    lock.truncate(0)
    lock.write(f"{os.getpid()}\n")
    lock.flush()


def _check_space(folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if free < NEEDED_BYTES:
        raise LocalRunError(
            f"--folder {folder}: a run needs {NEEDED_BYTES / 1e6:,.0f} MB of free space, found {free / 1e6:,.0f} MB: "
            "give a folder on another disk"
        )


def _remove(path: Path) -> None:
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise LocalRunError(f"{path}: left by an earlier run, and cannot be removed: {error.strerror}") from None
