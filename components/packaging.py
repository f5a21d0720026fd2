"""Packages Python code for Lambda and Glue, in zips that have the same bytes for the same content."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / ".build"
HASHES = ROOT / "functions" / "hashes.lock"
"""Every package of the functions, with the sha256 of its wheels for all platforms."""

LAMBDA_PYTHON = "3.13"
LAMBDA_PLATFORMS = ("manylinux_2_28_aarch64", "manylinux_2_17_aarch64", "manylinux2014_aarch64")
LAMBDA_WHEELS = ("--python-version", LAMBDA_PYTHON, *(f"--platform={platform}" for platform in LAMBDA_PLATFORMS))
"""The options by which pip fetches wheels for Lambda; without them it fetches wheels for this machine."""
LAMBDA_UNZIPPED_LIMIT = 250 * 1024 * 1024
"""Bytes of a function's code and layers, unzipped (AWS: Lambda quotas)."""

_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip can hold; a real one would make every build differ."""


class PackagingError(Exception):
    """Code cannot be packaged. The text says which code, and what to do."""


def function_zip(function: str, *, with_dependencies: bool, wheels: Sequence[str] = LAMBDA_WHEELS) -> Path:
    """Packages `functions/<function>` with what it imports, and returns the zip's path, named by its content.

    `with_dependencies` adds the wheels of the function's `requirements.lock` for Lambda's platform, or what `wheels`
    tells pip; without it the zip holds the sources alone, for a machine that has the packages already. Raises
    `PackagingError` where a wheel is not to be had or the result is larger than Lambda takes.
    """
    folder = ROOT / "functions" / function
    if not (folder / "handler.py").is_file():
        raise PackagingError(f"functions/{function}: expected a handler.py, found none")
    sources = [
        ROOT / "functions" / "__init__.py",
        *python_files(ROOT / "functions" / "shared"),
        *python_files(folder),
        *python_files(ROOT / "contracts"),
    ]
    files = [(path.relative_to(ROOT).as_posix(), path) for path in sources]
    if with_dependencies:
        installed = _install_wheels(folder / "requirements.lock", wheels)
        files += [(path.relative_to(installed).as_posix(), path) for path in _package_files(installed)]
    _check_size(function, files)
    return write_zip(function, files)


def package_zip(*packages: str) -> Path:
    """Packages whole folders of the project, such as `contracts`, for Glue's `--extra-py-files`."""
    files = [path for package in packages for path in python_files(ROOT / package)]
    return write_zip("-".join(packages), [(path.relative_to(ROOT).as_posix(), path) for path in files])


def python_files(folder: Path) -> list[Path]:
    """The sources below a folder, sorted."""
    kept = {".py", ".pem", ".html", ".json"}
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix in kept)


def write_zip(name: str, files: Iterable[tuple[str, Path]]) -> Path:
    """Writes `(name in the zip, file)` pairs to `.build/<name>-<digest>.zip`: sorted, with fixed times and modes."""
    entries = sorted(files)
    digest = hashlib.sha256()
    for inside, path in entries:
        digest.update(f"{inside}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    target = BUILD / f"{name}-{digest.hexdigest()[:16]}.zip"
    if target.exists():
        return target
    BUILD.mkdir(exist_ok=True)
    partial = target.with_suffix(f".{os.getpid()}.partial")
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for inside, path in entries:
            entry = zipfile.ZipInfo(inside, date_time=_EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, path.read_bytes())
    partial.replace(target)
    return target


def _install_wheels(lock: Path, wheels: Sequence[str]) -> Path:
    """Installs a function's packages for a platform into a folder named by what was asked for.

    pip refuses every file whose sha256 is not in `HASHES` (pip: "Secure installs", hash-checking mode).
    """
    requirements = _with_hashes(lock)
    asked = (requirements + " ".join(wheels)).encode()
    target = BUILD / f"wheels-{lock.parent.name}-{hashlib.sha256(asked).hexdigest()[:16]}"
    if target.exists():
        return target
    BUILD.mkdir(exist_ok=True)
    partial = target.with_suffix(f".{os.getpid()}.partial")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(partial), "--only-binary=:all:"]
    command += ["--implementation", "cp", "--no-compile", "--upgrade", *wheels]
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write(requirements)
        file.flush()
        command += ["--require-hashes", "--requirement", file.name]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise PackagingError(
            f"{lock}: pip found no wheels that it names ({' '.join(wheels) or 'for this machine'}):\n{result.stderr}"
        )
    try:
        partial.rename(target)
    except OSError:
        # Another build of the same packages was first, and has the same content.
        shutil.rmtree(partial)
    return target


def _with_hashes(lock: Path) -> str:
    """Returns a lock's pins with their hashes, as requirements for pip."""
    hashed = {block.split()[0]: block for block in re.findall(r"(?m)^\S+==.*(?:\n .*)*", HASHES.read_text())}
    pins = [line for line in lock.read_text().splitlines() if "==" in line]
    if missing := [pin for pin in pins if pin not in hashed]:
        raise PackagingError(f"{lock}: {', '.join(missing)}: expected in {HASHES}, found nothing: run scripts/lock.sh")
    return "\n".join(hashed[pin] for pin in pins)


def _package_files(folder: Path) -> list[Path]:
    """Returns the files of installed packages that a function needs: without caches, tests and command-line scripts."""
    left_out = {"__pycache__", "bin", "tests", "test"}
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and left_out.isdisjoint(path.relative_to(folder).parts) and path.name != "RECORD"
    )


def _check_size(function: str, files: Iterable[tuple[str, Path]]) -> None:
    size = sum(path.stat().st_size for _, path in files)
    if size > LAMBDA_UNZIPPED_LIMIT:
        raise PackagingError(
            f"function {function}: {size / 2**20:.0f} MiB unzipped, Lambda takes "
            f"{LAMBDA_UNZIPPED_LIMIT / 2**20:.0f} MiB: leave packages out of functions/{function}/requirements.txt"
        )
