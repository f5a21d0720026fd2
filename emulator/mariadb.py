"""MariaDB standing for RDS MySQL: private, on loopback, with the master user that the program names."""

import getpass
import os
import pwd
import subprocess
from pathlib import Path

import pymysql

from emulator.errors import LocalRunError
from emulator.process import LOOPBACK, ServiceProcess, free_port, primary_group
from emulator.requirements import find_program

_SERVER_USER = "mysql"
"""The system user of Debian's package: the server refuses to run as root."""

_SETTINGS = (
    "--skip-name-resolve",
    "--skip-log-bin",
    "--local-infile=0",
    "--performance-schema=OFF",
    "--character-set-server=utf8mb4",
    "--innodb-buffer-pool-size=256M",
    "--innodb-flush-log-at-trx-commit=2",  # the data can be loaded again
    "--innodb-doublewrite=OFF",
)


class MariaDB:
    """One server over the data in `folder`; `start` after `stop` finds them again, on the same port.

    `user` with `password` is what the RDS master user is: all privileges, over TCP. Besides it only the system's own
    administrator may log in, through a socket inside the data folder. `database`, where given, is there at the start.
    """

    def __init__(
        self, folder: Path, *, user: str, password: str, database: str | None = None, port: int | None = None
    ) -> None:
        self.host = LOOPBACK
        self.port = port or free_port()
        self._folder = folder
        self._data = folder / "data"
        self._login = (user, password, database)
        self._server_user = _SERVER_USER if os.geteuid() == 0 else None
        self._process = ServiceProcess("MariaDB", folder / "mariadb.log")

    def start(self) -> None:
        """Starts the server, after making its system tables where the folder has none. Raises `LocalRunError`."""
        self._folder.mkdir(parents=True, exist_ok=True)
        if self._server_user:
            _check_reachable(self._folder)
        if not self._data.exists():
            self._install()
        first_statements = self._write_first_statements()
        try:
            self._process.start(
                [
                    _program("mariadbd"),
                    "--no-defaults",
                    f"--datadir={self._data}",
                    f"--bind-address={self.host}",
                    f"--port={self.port}",
                    "--socket=server.sock",  # relative to the data folder, so that no path is too long for a socket
                    "--pid-file=server.pid",
                    f"--init-file={first_statements}",
                    *_SETTINGS,
                ],
                self._answers,
                as_user=self._server_user,
            )
        finally:
            first_statements.unlink()

    def stop(self) -> None:
        self._process.stop()

    @property
    def running(self) -> bool:
        return self._process.running

    def _answers(self) -> bool:
        """Whether the master user can log in: the port is open before that."""
        user, password, _ = self._login
        try:
            pymysql.connect(host=self.host, port=self.port, user=user, password=password).close()
        except (pymysql.err.OperationalError, OSError):
            return False
        return True

    def _install(self) -> None:
        """Makes the system tables, beside the place and then moved there: a folder half made is never used."""
        partial = self._folder / "data.partial"
        partial.mkdir(mode=0o700, exist_ok=True)
        self._give(partial)
        result = subprocess.run(
            [
                _program("mariadb-install-db"),
                "--no-defaults",
                f"--datadir={partial}",
                "--auth-root-authentication-method=socket",
                f"--auth-root-socket-user={getpass.getuser()}",
                "--skip-test-db",
                "--skip-name-resolve",
            ],
            # Not by its --user: it would change the owner of a folder whose name it does not quote.
            user=self._server_user,
            group=primary_group(self._server_user) if self._server_user else None,
            extra_groups=[] if self._server_user else None,
            cwd=partial,
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode != 0:
            raise LocalRunError(f"MariaDB: mariadb-install-db failed: {result.stdout[-1500:]}{result.stderr[-1500:]}")
        partial.rename(self._data)

    def _write_first_statements(self) -> Path:
        """What the server executes before it answers anybody: the master user and its database."""
        user, password, database = self._login
        account = f"{_text(user)}@'%'"
        statements = [
            f"CREATE USER IF NOT EXISTS {account} IDENTIFIED BY {_text(password)};",
            f"ALTER USER {account} IDENTIFIED BY {_text(password)};",
            f"GRANT ALL PRIVILEGES ON *.* TO {account} WITH GRANT OPTION;",
        ]
        if database:
            statements.append(f"CREATE DATABASE IF NOT EXISTS {quoted(database)};")
        path = self._folder / "first.sql"
        path.unlink(missing_ok=True)
        path.touch(mode=0o600)
        path.write_text("\n".join(statements) + "\n")
        self._give(path)
        return path

    def _give(self, path: Path) -> None:
        if self._server_user:
            account = pwd.getpwnam(self._server_user)
            os.chown(path, account.pw_uid, account.pw_gid)


def quoted(name: str) -> str:
    """A table's, column's or database's name as SQL has it."""
    return "`" + name.replace("`", "``") + "`"


def _text(value: str) -> str:
    if not (value.isascii() and value.isprintable()):
        raise LocalRunError("MariaDB: user and password: expected printable ASCII, as RDS does, found something else")
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"


def _program(name: str) -> str:
    path = find_program(name)
    if path is None:
        raise LocalRunError(f"MariaDB: {name} is missing; as root: apt-get install mariadb-server")
    return path


def _check_reachable(folder: Path) -> None:
    """As root the server runs as another user, who must be able to pass every folder on the way to its data."""
    for parent in [folder.resolve(), *folder.resolve().parents]:
        if not parent.stat().st_mode & 0o001:
            raise LocalRunError(
                f"MariaDB runs as the user {_SERVER_USER}, who cannot pass {parent}: expected a folder that others may "
                f"enter (mode 711 or more), found {parent.stat().st_mode & 0o777:o}: chmod o+x it, or choose another"
            )
