"""Makes the database user that functions log in as with IAM tokens; only the master user, by password, can do that."""

from dataclasses import replace

from psycopg import sql

from functions.shared.database import connect
from functions.shared.environment import Database


def grant(database: Database, user: str, master_user: str, master_password: str) -> None:
    """Makes `user` where it is missing, and lets it log in by IAM and make schemas. Safe to run again.

    A member of `rds_iam` can no longer log in by password ("IAM database authentication", Amazon RDS User Guide).
    """
    with connect(replace(database, user=master_user, password=master_password)) as connection:
        # The master user alone may, so that the loader finds it there.
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        if connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [user]).fetchone() is None:
            connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(user)))
        connection.execute(sql.SQL("GRANT rds_iam TO {}").format(sql.Identifier(user)))
        grants = sql.SQL("GRANT CONNECT, CREATE, TEMPORARY ON DATABASE {} TO {}")
        connection.execute(grants.format(sql.Identifier(database.name), sql.Identifier(user)))
