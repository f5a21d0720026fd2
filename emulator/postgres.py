"""PostgreSQL 18 with pgvector on loopback, as RDS has it: nobody who connects is a superuser."""

import os
import pwd
import secrets
import shutil
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

import psycopg

from emulator.errors import LocalRunError
from emulator.postgres_programs import SERVICE_USER, copy_of, ensure_system_user, installation
from emulator.process import LOOPBACK, ServiceProcess, free_port
from emulator.server_folder import may_all_run, passable, server_folder

SUPERUSER = "rdsadmin"
"""The owner of the system tables, named as on RDS. Its password is random and not kept: nobody connects as it."""

SERVER_SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "password_encryption": "scram-sha-256",
    # A killed server loses no data: the operating system keeps its page cache. A power cut ends a local run anyway.
    "fsync": "off",
    "max_wal_size": "4GB",
    # Parallel workers share memory through files of the data folder, and not of /dev/shm, of which a container has
    # 64 MB: the index of a large version needs more (PostgreSQL, "Resource Consumption", and Docker's --shm-size).
    "dynamic_shared_memory_type": "mmap",
    # Close to what RDS sets for its smallest instances.
    "max_connections": "60",
}


class Postgres:
    """One server with its data in `folder`. A stop and a start keep port and data.

    `user` is like the master user of RDS: it owns `database`, may create databases, roles and the `vector` extension,
    and is no superuser. A role `rds_iam` exists. `settings` are server parameters, for instance
    `{"max_connections": "5"}`.
    """

    def __init__(
        self,
        folder: Path,
        *,
        user: str,
        password: str,
        database: str,
        port: int | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder.absolute()
        """The folder of all files but the log; for root a folder of the server's own user. Known from the first start
        on."""
        self.user = user
        self.database = database
        self.host = LOOPBACK
        self.port = port or free_port()
        self._password = password
        self._settings = dict(settings or {})
        self._service = ServiceProcess("PostgreSQL", self.folder / "postgres.log")
        self._system_user = SERVICE_USER if os.geteuid() == 0 else None
        self._programs: Path | None = None

    @property
    def log(self) -> Path:
        return self._service.log

    @property
    def running(self) -> bool:
        return self._service.running

    @property
    def ended(self) -> str | None:
        return self._service.ended

    def start(self) -> None:
        """Makes the data folder if there is none, and starts the server. Raises `LocalRunError`."""
        if self._programs is None:
            self._settle()
        if not self._data.exists():
            self._make_data()
        self._service.start(
            [self._program("postgres"), "-D", str(self._data), "-p", str(self.port), *self._options()],
            self._ready,
            env=_environment(),
            as_user=self._system_user,
            cwd=self.folder,
            # SIGINT is PostgreSQL's fast shutdown: it does not wait for clients to leave.
            stop_signal=signal.SIGINT,
        )

    def stop(self) -> None:
        self._service.stop()

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _program(self, name: str) -> str:
        assert self._programs is not None, "known from the first start on"
        return str(self._programs / "bin" / name)

    def _settle(self) -> None:
        """Finds a folder and the programs, both readable by the user that the server runs as."""
        programs = installation()
        if self._system_user:
            ensure_system_user(self._system_user)
        self.folder = server_folder(self, self.folder, self._system_user)
        if self._system_user and not (passable(programs / "bin") and may_all_run(programs / "bin" / "postgres")):
            # They lie inside a private folder, which stays private: the server gets a copy (40 MB).
            programs = copy_of(programs, self.folder / "programs")
            for path in (self.folder / "programs").rglob("*"):
                if not path.is_symlink():
                    shutil.chown(path, self._system_user)
            shutil.chown(self.folder / "programs", self._system_user)
        self._programs = programs

    def as_superuser(self, statement: str) -> None:
        """Runs one statement with all rights, in single-user mode, while the server is stopped. Raises
        `LocalRunError`."""
        self._run("postgres", "--single", "-j", "-D", str(self._data), "postgres", text=f"{statement};\n\n")

    def _options(self) -> list[str]:
        extensions = f"{self.folder / 'extensions'}:$system"
        settings = {**SERVER_SETTINGS, "extension_control_path": extensions, **self._settings}
        return [argument for name, value in settings.items() for argument in ("-c", f"{name}={value}")]

    def _ready(self) -> bool:
        try:
            psycopg.connect(
                host=self.host,
                port=self.port,
                user=self.user,
                password=self._password,
                dbname=self.database,
                connect_timeout=2,
            ).close()
        except psycopg.OperationalError:
            return False
        return True

    def _make_data(self) -> None:
        """Builds the data folder beside its place and renames it when it is whole, so that a killed start can be
        repeated."""
        self._trust_vector_extension()
        unfinished = self.folder / "data.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        password_file = self.folder / "initdb.password"
        password_file.touch(mode=0o600)
        password_file.write_text(secrets.token_urlsafe(32))
        if self._system_user:
            shutil.chown(unfinished, self._system_user)
            shutil.chown(password_file, self._system_user)
        try:
            authentication = ["--auth=scram-sha-256", f"--pwfile={password_file}"]
            locale = ["--encoding=UTF8", "--locale-provider=builtin", "--locale=C.UTF-8", "--no-sync"]
            self._run("initdb", f"--username={SUPERUSER}", *authentication, *locale, "-D", str(unfinished))
        finally:
            password_file.unlink()
        # Single-user mode asks for no password: this is the only time that somebody acts as superuser.
        self._run("postgres", "--single", "-j", "-D", str(unfinished), "postgres", text=self._set_up())
        unfinished.rename(self._data)

    def _set_up(self) -> str:
        user, password, database = _identifier(self.user), _literal(self._password), _identifier(self.database)
        statements = [
            "CREATE ROLE rds_iam",
            f"CREATE ROLE {user} LOGIN CREATEDB CREATEROLE PASSWORD {password}",
            f"GRANT rds_iam TO {user} WITH ADMIN TRUE, INHERIT FALSE, SET FALSE",
            f"GRANT pg_monitor, pg_signal_backend TO {user}",
            f"CREATE DATABASE {database} OWNER {user}" if self.database != "postgres" else "SELECT 1",
        ]
        # With -j a statement ends at a semicolon followed by an empty line.
        return "".join(f"{statement};\n\n" for statement in statements)

    def _trust_vector_extension(self) -> None:
        """Makes a copy of `vector`'s control file that says `trusted`, so that the master user can create it, as on
        RDS.

        `extension_control_path` puts the copy in front of the installation's file.
        """
        copy = self.folder / "extensions" / "extension"
        copy.mkdir(parents=True, exist_ok=True)
        for source in (installation() / "share" / "postgresql" / "extension").glob("vector*"):
            shutil.copy(source, copy)
        control = copy / "vector.control"
        control.write_text(control.read_text().rstrip() + "\ntrusted = true\n")
        for path in (copy.parent, copy, *copy.iterdir()):
            path.chmod(0o755 if path.is_dir() else 0o644)

    def _run(self, program: str, *arguments: str, text: str = "") -> None:
        command = [self._program(program), *arguments]
        group = pwd.getpwnam(self._system_user).pw_gid if self._system_user else None
        done = subprocess.run(
            command,
            input=text.encode(),
            capture_output=True,
            env=_environment(),
            cwd=self.folder,
            user=self._system_user,
            group=group,
            extra_groups=[] if self._system_user else None,
        )
        output = (done.stdout + done.stderr).decode(errors="replace")
        # Single-user mode exits with 0 even if a statement failed.
        if done.returncode or "ERROR:" in output or "FATAL:" in output:
            safe = output.replace(self._password, "…") if self._password else output
            raise LocalRunError(f"PostgreSQL: {program} failed (exit {done.returncode}) in {self.folder}:\n{safe}")


def _environment() -> dict[str, str]:
    return {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"}


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
