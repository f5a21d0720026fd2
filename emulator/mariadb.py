"""MariaDB in the place of RDS MySQL: private, on loopback, with the master user that the program names."""

import getpass
import os
import pwd
import subprocess
from pathlib import Path

import pymysql

from emulator.errors import LocalRunError
from emulator.process import LOOPBACK, ServiceProcess, free_port, primary_group
from emulator.requirements import find_program
from emulator.server_folder import server_folder

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
    """One server. `start` after `stop` finds its data again, on the same port.

    The log lies in `folder`; so does the data, or, if this runs as root, in a folder of the server's own user. `user`
    with `password` is like the RDS master user: it has all privileges, over TCP. Only the system's own administrator
    may log in besides, through a socket inside the data folder. `database`, if given, exists from the start.
    """

    def __init__(
        self, folder: Path, *, user: str, password: str, database: str | None = None, port: int | None = None
    ) -> None:
        self.host = LOOPBACK
        self.port = port or free_port()
        self._folder = folder
        self._place: Path | None = None
        self._login = (user, password, database)
        self._server_user = _SERVER_USER if os.geteuid() == 0 else None
        self._process = ServiceProcess("MariaDB", folder / "mariadb.log")

    def start(self) -> None:
        """Starts the server, and makes its system tables if the folder has none. Raises `LocalRunError`."""
        place = self._place = self._place or server_folder(self, self._folder, self._server_user)
        if not self._data.exists():
            self._install(place)
        first_statements = self._write_first_statements(place)
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
                env=self._environment(place),
                as_user=self._server_user,
            )
        finally:
            first_statements.unlink()

    def stop(self) -> None:
        self._process.stop()

    @property
    def _data(self) -> Path:
        assert self._place is not None, "known from the first start on"
        return self._place / "data"

    @property
    def running(self) -> bool:
        return self._process.running

    @property
    def ended(self) -> str | None:
        return self._process.ended

    def _answers(self) -> bool:
        """Returns True if the master user can log in; the port is open before that."""
        user, password, _ = self._login
        try:
            pymysql.connect(host=self.host, port=self.port, user=user, password=password).close()
        except (pymysql.err.OperationalError, OSError):
            return False
        return True

    def _install(self, place: Path) -> None:
        """Makes the system tables in a folder beside their place, and then moves it there: half a folder is never
        used."""
        partial = place / "data.partial"
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
            # Not by its --user option, which would change the owner of a folder whose name it does not quote.
            user=self._server_user,
            group=primary_group(self._server_user) if self._server_user else None,
            extra_groups=[] if self._server_user else None,
            env=self._environment(place),
            cwd=partial,
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode != 0:
            raise LocalRunError(f"MariaDB: mariadb-install-db failed: {result.stdout[-1500:]}{result.stderr[-1500:]}")
        partial.rename(self._data)

    def _environment(self, place: Path) -> dict[str, str]:
        """Names a folder of its own for temporary tables, as TMPDIR (MariaDB, "Server System Variables", `tmpdir`).

        A server that starts removes all `#sql` files of its folder, those of a server that runs beside it too.
        """
        temporary = place / "tmp"
        temporary.mkdir(mode=0o700, exist_ok=True)
        self._give(temporary)
        return {**os.environ, "TMPDIR": str(temporary)}

    def _write_first_statements(self, place: Path) -> Path:
        """Writes the statements that the server executes before it answers: they make the master user and its
        database."""
        user, password, database = self._login
        account = f"{_text(user)}@'%'"
        statements = [
            f"CREATE USER IF NOT EXISTS {account} IDENTIFIED BY {_text(password)};",
            f"ALTER USER {account} IDENTIFIED BY {_text(password)};",
            f"GRANT ALL PRIVILEGES ON *.* TO {account} WITH GRANT OPTION;",
        ]
        if database:
            statements.append(f"CREATE DATABASE IF NOT EXISTS {quoted(database)};")
        path = place / "first.sql"
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
    """Quotes a name of a table, column or database for SQL."""
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
