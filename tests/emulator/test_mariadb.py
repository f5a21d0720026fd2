"""MariaDB as the local run's RDS MySQL."""

import subprocess
import tempfile
from pathlib import Path

import pymysql
import pytest

from contracts.mysql import Login, SourceError
from emulator.mariadb import MariaDB
from emulator.process import LOOPBACK
from tests.databases import execute


def test_the_programs_master_user_logs_in_and_finds_its_data_again_after_a_restart(tmp_path: Path) -> None:
    server = MariaDB(tmp_path / "Läufe 1", user="shop-admin", password="it's a \\ pass`word", database="shop")
    login = Login(server.host, server.port, "shop", "shop-admin", "it's a \\ pass`word")
    server.start()
    try:
        execute(login, ["CREATE TABLE kept (id INT)", "INSERT INTO kept VALUES (7)"])
        server.stop()
        with pytest.raises(SourceError, match="cannot be reached"):
            execute(login, ["SELECT 1"])
        server.start()
        assert execute(login, ["SELECT id FROM kept"]) == [(7,)]
    finally:
        server.stop()
    place = server._data.parent
    assert place.stat().st_mode & 0o077 == 0
    assert not (place / "first.sql").exists(), "the file with the password outlived the start"


@pytest.mark.parametrize(
    ("user", "password"),
    [("admin", "wrong"), ("admin", ""), ("root", ""), ("root", "invalid"), ("", ""), ("mysql", "")],
)
def test_nobody_else_logs_in_over_tcp(mariadb: MariaDB, user: str, password: str) -> None:
    with pytest.raises(pymysql.err.OperationalError, match="Access denied"):
        pymysql.connect(host=mariadb.host, port=mariadb.port, user=user, password=password)


def test_the_server_listens_on_loopback_only_and_not_as_root(mariadb: MariaDB) -> None:
    listening = subprocess.run(["ss", "-ltnp"], capture_output=True, text=True, check=True).stdout
    places = {line.split()[3] for line in listening.splitlines() if f":{mariadb.port} " in line}
    assert places == {f"{LOOPBACK}:{mariadb.port}"}
    assert Path(f"/proc/{mariadb._process.pid}").stat().st_uid != 0


def test_a_server_that_starts_leaves_the_temporary_tables_of_others_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Set up beside another run on Debian 13, it ended with `Unknown table 'mysql.tmp_user_nopasswd'`."""
    with tempfile.TemporaryDirectory() as name:  # which the server's user can reach, as it cannot reach `tmp_path`
        shared = Path(name)
        shared.chmod(0o777)
        others = [shared / f"#sql-temptable-1fda-1-8.{ending}" for ending in ("MAI", "MAD")]
        for path in others:
            path.touch()
        monkeypatch.setenv("TMPDIR", name)
        server = MariaDB(tmp_path / "run", user="admin", password="master-password")
        server.start()
        server.stop()
        assert all(path.exists() for path in others)
