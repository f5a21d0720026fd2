"""Lambda: fills a trial stack's source database with the sample shop, once, from inside the VPC."""

from typing import Any

from pymysql.cursors import Cursor

from contracts.mysql import Login, Tls, connected
from functions.shared import environment
from functions.shared.hosts import is_loopback
from functions.shared.telemetry import logger_of
from functions.shop_seeder.sample_shop import generate

FUNCTION = "shop_seeder"

logger = logger_of(FUNCTION)


@logger.inject_lambda_context
def handler(event: dict[str, Any], _: Any) -> dict[str, Any]:
    """`{"seed": …}` → how many rows each table has. A database that has tables is left as it is."""
    with connected(_login(environment.source())) as connection, connection.cursor() as cursor:
        cursor.execute("SHOW TABLES")
        seeded = not cursor.fetchall()
        if seeded:
            for statement in generate(seed=int(event.get("seed", 1))).to_sql():
                cursor.execute(statement)
            connection.commit()
        cursor.execute("SHOW TABLES")
        tables = sorted(name for (name,) in cursor.fetchall())
        counts = {table: _count(cursor, table) for table in tables}
    logger.info("seeded" if seeded else "left as it is", extra={"rows": counts})
    return {"seeded": seeded, "rows": counts}


def _login(database: environment.Database) -> Login:
    # A database that the stack has just made, by its address in a private network: encrypted, not verified.
    tls = Tls("PREFERRED" if is_loopback(database.host) else "REQUIRED")
    return Login(database.host, database.port, database.name, database.user, database.password or "", tls)


def _count(cursor: Cursor, table: str) -> int:
    cursor.execute(f"SELECT COUNT(*) FROM `{table}`")  # noqa: S608  (a name that the server itself gave)
    row = cursor.fetchone()
    assert row is not None
    return int(row[0])
