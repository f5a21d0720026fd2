"""The files of a local run are closed to other users, even if the servers run as users of their own."""

import gc
import os
from pathlib import Path
from typing import Any

import psycopg
import pytest

from emulator import postgres
from emulator.mariadb import MariaDB
from emulator.postgres import Postgres
from emulator.postgres_programs import copy_of, installation
from local.session import running_services

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only as root do the servers run as other users")
LOGIN: Any = {"user": "master", "password": "pass", "database": "shop"}


@pytest.fixture
def closed(tmp_path: Path) -> Path:
    folder = tmp_path / "private" / "run"
    folder.mkdir(parents=True)
    folder.parent.chmod(0o700)
    return folder


def modes(folder: Path) -> list[int]:
    return [path.stat().st_mode & 0o777 for path in (folder, *folder.parents)]


@as_root
def test_servers_run_from_a_closed_folder_and_leave_every_folder_above_as_it_was(
    closed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The programs too may lie in somebody's private folder, as a virtual environment below /root does."""
    programs = copy_of(installation(), closed.parent / "programs")
    monkeypatch.setattr(postgres, "installation", lambda: programs)
    before = modes(closed), modes(programs / "bin")
    vectors, shop = Postgres(closed / "postgres", **LOGIN), MariaDB(closed / "mysql", **LOGIN)
    try:
        for server in (vectors, shop):
            server.start()
        with psycopg.connect(
            host=vectors.host, port=vectors.port, user="master", password="pass", dbname="shop"
        ) as connection:
            connection.execute("CREATE EXTENSION vector")
        for pid, place in ((vectors._service.pid, vectors.folder), (shop._process.pid, shop._data.parent)):
            assert place.stat().st_mode & 0o777 == 0o700
            assert place.stat().st_uid == Path(f"/proc/{pid}").stat().st_uid != 0
    finally:
        for server in (vectors, shop):
            server.stop()
    assert (modes(closed), modes(programs / "bin")) == before
    places = [vectors.folder, shop._data.parent]
    del vectors, shop, server
    gc.collect()
    assert not any(place.exists() for place in places), "what lies elsewhere goes with its server"


def test_a_runs_folder_is_closed(tmp_path: Path) -> None:
    open_one = tmp_path / "open"
    open_one.mkdir(mode=0o755)
    open_one.chmod(0o755)
    for folder in (open_one, tmp_path / "new"):
        with running_services(folder, "us-east-1"):
            assert folder.stat().st_mode & 0o777 == 0o700
