"""Makes the database user that functions log in as with IAM tokens; only the master user, by password, can do that."""

from dataclasses import replace
from typing import LiteralString

from psycopg import sql

from functions.shared.database import Connection, connect
from functions.shared.environment import Database

OWNER = "recommender_owner"
"""The role that owns all versions and cannot log in. Master and IAM user are members: each works with the other's
objects."""

_CREATOR = "recommender_creator"


def grant(database: Database, user: str, master_user: str, master_password: str) -> None:
    """Makes `user` if it is missing, lets it log in by IAM, and gives it what the master has made before.

    It is safe to run again, even after a time in which the functions logged in as the master. A member of `rds_iam`,
    also by way of another role, can no longer log in by password ("IAM database authentication", Amazon RDS User
    Guide).
    """
    with connect(replace(database, user=master_user, password=master_password)) as connection, connection.transaction():
        # The master user alone may, so that the loader finds it there.
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        if not _exists(connection, OWNER):
            _run(connection, "CREATE ROLE {}", OWNER)
        _run(connection, "GRANT {} TO {} WITH INHERIT TRUE, SET TRUE", OWNER, master_user)
        _run(connection, "GRANT CONNECT, CREATE, TEMPORARY ON DATABASE {} TO {}", database.name, OWNER)
        if not _exists(connection, user):
            _create(connection, user, master_user)
        _run(connection, "GRANT rds_iam TO {}", user)
        _run(connection, "GRANT {} TO {} WITH INHERIT TRUE, SET TRUE", OWNER, user)
        _hand_over(connection)


def _create(connection: Connection, user: str, master_user: str) -> None:
    """Makes the user by a role that is dropped at once.

    Who creates a role becomes its member with ADMIN, which nobody but a superuser can revoke (PostgreSQL 16 and later,
    "CREATE ROLE"). The master would be a member of the user, so of `rds_iam`, and lose its password login.
    """
    _run(connection, "CREATE ROLE {} CREATEROLE", _CREATOR)
    _run(connection, "GRANT {} TO {} WITH INHERIT FALSE, SET TRUE", _CREATOR, master_user)
    _run(connection, "SET LOCAL ROLE {}", _CREATOR)
    _run(connection, "CREATE ROLE {} LOGIN", user)
    # From the first statement of each session on, so that what it makes belongs to the owner.
    _run(connection, "ALTER ROLE {} SET role TO {}", user, OWNER)
    connection.execute("RESET ROLE")
    _run(connection, "DROP ROLE {}", _CREATOR)


def _hand_over(connection: Connection) -> None:
    """Gives the schemas and tables that the master owns to the owner; a schema first, so that its tables may follow."""
    schemas = connection.execute(
        r"SELECT nspname FROM pg_namespace WHERE nspowner = current_user::regrole AND nspname !~ '^(pg_|public$)'"
    ).fetchall()
    for (schema,) in schemas:
        _run(connection, "ALTER SCHEMA {} OWNER TO {}", schema, OWNER)
    tables = connection.execute(
        "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE c.relkind = 'r' AND c.relowner = current_user::regrole AND n.nspowner = %s::regrole",
        [OWNER],
    ).fetchall()
    for schema, table in tables:
        _run(connection, "ALTER TABLE {}.{} OWNER TO {}", schema, table, OWNER)


def _exists(connection: Connection, role: str) -> bool:
    return connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [role]).fetchone() is not None


def _run(connection: Connection, statement: LiteralString, *names: str) -> None:
    connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))
