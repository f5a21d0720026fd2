"""PostgreSQL as the local run's vector store."""

import subprocess
import sys
from pathlib import Path

import pytest

from emulator.program import ROOT

IN_A_CONTAINER = 'mount -t tmpfs -o size=64m tmpfs /dev/shm && exec "$@"'
"""Docker's default size of /dev/shm, in a mount namespace of its own."""

INDEX = """
import sys
from pathlib import Path
import psycopg
from emulator.postgres import Postgres

server = Postgres(Path(sys.argv[1]), user="master", password="pass", database="vectors", settings=dict(
    part.split("=") for part in sys.argv[2:]
))
server.start()
try:
    login = {"host": server.host, "port": server.port, "user": "master", "password": "pass", "dbname": "vectors"}
    with psycopg.connect(**login, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION vector")
        connection.execute("CREATE TABLE item (embedding vector(3))")
        connection.execute(
            "INSERT INTO item SELECT ARRAY[random(), random(), random()]::vector FROM generate_series(1, 5000)"
        )
        # As a large version has them: an index of 256 MB, built by several processes.
        connection.execute("SET maintenance_work_mem = '256MB'")
        connection.execute("SET min_parallel_table_scan_size = 0")
        connection.execute("SET client_min_messages = debug1")
        connection.add_notice_handler(lambda notice: print(notice.message_primary))
        connection.execute("CREATE INDEX ON item USING hnsw (embedding vector_cosine_ops)")
finally:
    server.stop()
"""


def build_index(folder: Path, *settings: str) -> "subprocess.CompletedProcess[str]":
    command = [
        "unshare",
        "--mount",
        "sh",
        "-c",
        IN_A_CONTAINER,
        "sh",
        sys.executable,
        "-c",
        INDEX,
        str(folder),
        *settings,
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    if done.stderr.startswith("unshare:") or "permission denied" in done.stderr.lower():
        pytest.skip(f"no mount namespaces here: {done.stderr.strip()[:100]}")
    return done


def test_a_large_index_is_built_with_a_containers_shared_memory(run_folder: Path) -> None:
    done = build_index(run_folder / "ours")
    assert done.returncode == 0, done.stderr
    assert "parallel workers" in done.stdout
    limited = build_index(run_folder / "posix", "dynamic_shared_memory_type=posix")
    assert "could not resize shared memory segment" in limited.stderr, "the limit does not hold here"
