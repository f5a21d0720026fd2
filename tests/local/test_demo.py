"""The whole system, by the command that a user types: on the generated shop, and on the public sample database."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from emulator.program import ROOT
from local.__main__ import main
from operations.run_note import RUN_NOTE
from tests.emulator.aws import wait_until

CLASSICMODELS = Path(os.environ.get("CLASSICMODELS", ROOT.parent / "shared" / "data" / "classicmodels"))

HANGS_SECONDS = 900
"""A run that is not done by then hangs; beside other work, a minute may become five."""


@dataclass(frozen=True)
class Run:
    status: int
    output: str
    folder: Path

    @property
    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "recommendations.jsonl").read_text().splitlines()]


def run_local(folder: Path, *arguments: str) -> Run:
    done = subprocess.run(
        [sys.executable, "-m", "local", "--folder", str(folder), *arguments],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "200", "RUN_OF_A_TEST": str(folder)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=HANGS_SECONDS,
        check=False,
    )
    return Run(done.returncode, done.stdout + done.stderr, folder)


def start_local(folder: Path, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "local", "--folder", str(folder), *arguments],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "200", "RUN_OF_A_TEST": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # A shell's background job ignores Ctrl-C; this one must not, whatever runs the tests.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def left_running(folder: Path) -> list[str]:
    """The command lines of this machine's processes that name the folder, or that a run in it has started.

    As root the databases have their data elsewhere: their environment alone says whose they are.
    """
    lines = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            command, environment = ((process / name).read_bytes() for name in ("cmdline", "environ"))
            if str(folder).encode() in command + environment:
                lines.append(command.replace(b"\0", b" ").decode(errors="replace"))
    return [line for line in lines if "-m local " not in line]


def kept_up(folder: Path) -> Run:
    """Runs until all is done, sends an event, puts what failed back (nothing did), and ends the run by Ctrl-C."""
    process = start_local(folder, "--keep-running")
    try:
        wait_until(lambda: (folder / RUN_NOTE).exists() or process.poll() is not None, seconds=HANGS_SECONDS)
        sent = use(folder, "local send --customer 103 --items S10_1015 --cart S10_NONE --folder")
        replayed = use(folder, "operations replay --run")
        second = use(folder, "local --folder")
    finally:
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=HANGS_SECONDS)
    assert "0 files read; 0 events put back" in replayed.stdout, output + replayed.stderr
    assert re.search(
        r"╭─ customer 103, (.|\n)*looked at +\d{4} .*S10_1015(.|\n)*recommended \(personalized\)", sent.stdout
    )
    assert second.returncode == 2
    assert "another run (process" in second.stdout
    return Run(process.returncode, output, folder)


def use(folder: Path, command: str) -> "subprocess.CompletedProcess[str]":
    """Runs a command that takes the run's folder as its last argument."""
    arguments = [sys.executable, "-m", *command.split(), str(folder)]
    return subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, timeout=HANGS_SECONDS, check=False)


def test_every_event_of_the_generated_shop_comes_back_and_nothing_keeps_running(run_folder: Path) -> None:
    run = kept_up(run_folder)
    assert run.status == 0, run.output
    assert re.search(r"\d+ resources, \d+ of them realised", run.output)
    assert "200 of 200 came back as recommendations" in run.output
    records = run.records
    assert len({record["event_id"] for record in records}) == len(records) == 200
    assert {record["strategy"] for record in records} >= {"personalized", "session"}
    first, second = sorted({record["model_version"] for record in records})
    versions = [record["model_version"] for record in records]
    switched = versions.index(second)
    assert versions == [first] * switched + [second] * (len(versions) - switched - 10) + [first] * 10
    assert f"{first}: {versions.count(first)} records, {second}: {versions.count(second)} records" in run.output
    assert re.search(r"rolled back in \d+ ms", run.output)
    assert re.search(
        r"follow-ups +20 impressions, 20 clicks, 10 purchases, 10 ratings; "
        r"what was bought or rated has left its customer's list",
        run.output,
    )
    for record in records:
        recommended = [item["id"] for item in record["recommended_items"]]
        seen = {item["product_code"] for item in record["browse_history"]}
        assert len(set(recommended)) == 5, record
        assert not seen & set(recommended), record
        scores = [item["score"] for item in record["recommended_items"]]
        assert scores == sorted(scores, reverse=True), record
    assert run.output.count("╭─ customer") == 3
    for line in ("send an event", "read answers", "vector store"):
        assert re.search(rf"^{line} +\S", run.output, re.MULTILINE)
    assert left_running(run_folder) == []
    again = run_local(run_folder, "--n-events", "5")
    assert again.status == 0, again.output
    assert f"version {first}, which an earlier run left in the folder" in again.output
    assert "5 of 5 came back as recommendations" in again.output
    assert "Glue job" not in again.output


@pytest.mark.skipif(not CLASSICMODELS.is_dir(), reason=f"{CLASSICMODELS}: the public sample database is not there")
def test_the_public_sample_database_and_its_real_event(run_folder: Path) -> None:
    run = run_local(
        run_folder,
        "--sql-dump",
        str(CLASSICMODELS / "mysqlsampledatabase.sql"),
        "--ratings",
        str(CLASSICMODELS / "ratings.csv"),
        "--events",
        str(CLASSICMODELS / "stream_event.json"),
    )
    assert run.status == 0, run.output
    assert "2,532 training rows in 98 folders" in run.output
    # All 110 products: the one that nobody has rated gets a vector from its features.
    assert "110 items and 98 users" in run.output
    (record,) = run.records
    event = json.loads((CLASSICMODELS / "stream_event.json").read_text())
    assert {key: record[key] for key in event} == event
    assert record["strategy"] == "session"
    in_the_cart = {"S50_1514", "S700_1938"}
    assert {entry["product_code"] for entry in record["similar_items"]} == in_the_cart


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_stops_its_services(run_folder: Path, signum: signal.Signals) -> None:
    process = start_local(run_folder)
    wait_until(
        lambda: any("mariadbd" in line for line in left_running(run_folder)) or process.poll() is not None,
        seconds=HANGS_SECONDS,
    )
    process.send_signal(signum)
    output, _ = process.communicate(timeout=HANGS_SECONDS)
    assert process.returncode == 130, output
    assert "stopped; logs in" in output
    assert left_running(run_folder) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--ratings ratings.csv", "--ratings goes with --sql-dump"),
        ("--source mysql://a:b@c/d --sql-dump shop.sql", "give one of them"),
        ("--sql-dump none.sql", "--sql-dump none.sql: expected a file"),
        ("--sql-dump README.md --ratings README.md", "README.md: expected the header customerNumber,"),
        ("--dataset dataset.toml", "give them with --source or --sql-dump"),
        ("--dataset none.toml --source mysql://a@b/c", "none.toml: expected a file"),
        ("--dataset README.md --source mysql://a:b@c/d", "README.md: not TOML"),
        ("--source postgres://a:b@c/d", "expected mysql://user:password@host"),
        ("--source mysql://a:b@127.0.0.1:1/d", "a@127.0.0.1:1/d: cannot be reached"),
        ("--events none.json", "none.json: cannot be read"),
        ("--events README.md", "README.md: expected a JSON event"),
        ("--n-events -5", "argument --n-events: expected a whole number from 1 to 100,000, found '-5'"),
        ("--seed one", "argument --seed: expected a whole number"),
        ("--stack none", "stack none: expected Pulumi.none.yaml, found stacks dev, prod"),
        ("--nonsense", "unrecognized arguments: --nonsense"),
        ("--folder /proc/run", "--folder /proc/run: cannot be used"),
        ("shop --port 65536", "argument --port: expected a whole number from 0 to 65,535"),
        ("shop --n-events 5", "unrecognized arguments: --n-events 5"),
        ("shop --port 22222 --folder /proc/run", "--folder /proc/run: cannot be used"),
        ("send --folder /nowhere", "--folder /nowhere: no run is up in it"),
        ("send --seconds never", "argument --seconds: expected a whole number"),
        ("graph --stack none", "stack none: expected Pulumi.none.yaml"),
        ("graph --svg /nowhere/graph.svg", "--svg /nowhere/graph.svg: cannot be written: No such file"),
    ],
)
def test_a_bad_value_is_one_line_before_anything_starts(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, arguments: str, message: str
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("COLUMNS", "500")
    monkeypatch.setenv("SOURCE_PASSWORD", "")
    before = set(Path(tempfile.gettempdir()).glob("recommender-*"))
    try:
        status = main(arguments.split())
    except SystemExit as raised:
        status = raised.code  # type: ignore[assignment]
    told = capsys.readouterr()
    assert status == 2
    assert message in told.out + told.err
    assert (told.out + told.err).count("\n") == 1
    assert set(Path(tempfile.gettempdir()).glob("recommender-*")) == before


def test_a_missing_program_is_named_with_how_to_install_it(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "local", "--folder", str(tmp_path / "run")],
        cwd=ROOT,
        env={"PATH": str(tmp_path), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=HANGS_SECONDS,
        check=False,
    )
    assert done.returncode == 2
    assert "missing: openssl" in done.stdout
    assert "apt-get install" in done.stdout
    assert not (tmp_path / "run").exists()
