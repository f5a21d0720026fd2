"""A shop without ratings: its invoices, from a database that asks for TLS, to recommendations."""

from datetime import date, timedelta
from pathlib import Path

from contracts.mysql import Login
from emulator.program import ROOT
from tests.databases import MASTER, execute, new_database, running_tls_mariadb
from tests.local.shop_rows import N_USERS, insert, items, visits
from tests.local.test_demo import run_local

MUSIC = ROOT / "tests" / "shops" / "music"
"""The worked example of docs/batch.md."""


def fill(login: Login) -> None:
    """The example's tables, with more in them than its few rows."""
    tables = [statement for statement in (MUSIC / "shop.sql").read_text().split(";\n") if "CREATE" in statement]
    born = [None if n % 9 == 0 else date(1950, 2, 28) + timedelta(days=200 * n) for n in range(N_USERS + 1)]
    execute(
        login,
        [
            *tables,
            insert("Customer", ((n, "Norway" if n % 3 else None, born[n]) for n in range(1, N_USERS + 1))),
            insert("Genre", ((n, f"Genre {n}") for n in range(1, 7))),
            insert("Track", ((i.number, i.name, None if i.number == 5 else i.group, i.price) for i in items())),
            insert("Invoice", ((v.number, v.user, v.when) for v in visits())),
            insert("InvoiceLine", ((v.number, v.number, v.item, -1 if v.number % 50 == 0 else 2) for v in visits())),
        ],
    )


def test_invoices_from_a_database_that_asks_for_tls_become_recommendations(run_folder: Path) -> None:
    with running_tls_mariadb() as (server, certificate):
        login = new_database(server)
        fill(login)
        url = f"mysql://tls:{MASTER[1]}@{login.host}:{login.port}/{login.database}"
        url += f"?ssl-mode=VERIFY_IDENTITY&ssl-ca={certificate}"
        run = run_local(run_folder, "--source", url, "--dataset", str(MUSIC / "dataset.toml"), "--n-events", "40")
    assert run.status == 0, run.output
    assert "40 of 40 came back as recommendations" in run.output
    assert {record["strategy"] for record in run.records} >= {"personalized", "session"}
    tracks = {item.number for item in items()}
    for record in run.records:
        recommended = {int(item["id"]) for item in record["recommended_items"]}
        assert len(recommended) == 5, record
        assert recommended <= tracks, record
