"""The steps of an acceptance run once the stack is up. Each does one thing as a user does, and returns its result as
text."""

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from acceptance.events import bought, put, visits
from acceptance.target import AcceptanceError, Target
from acceptance.wait import until
from contracts import dataset_file, training_data
from contracts.events import CUSTOMER, HISTORY, SESSION
from operations.recommendations import Receiver

EVENTS = 1_000
EVENTS_AFTER_A_SWITCH = 50
JOB_SECONDS, CATALOGUE_SECONDS, LOAD_SECONDS = 1800, 900, 600
STREAM_SECONDS, ALARM_SECONDS = 600, 900
SECOND_VERSION = ("--epochs", "3")
"""A few epochs: the second version has to be another model, not a better one."""
ROOT = Path(__file__).resolve().parent.parent


@dataclass
class Run:
    """The values that steps pass to later steps."""

    target: Target
    receiver: Receiver
    versions: list[str] = field(default_factory=list)
    events: int = 0
    """Events put on the stream so far."""


def started(target: Target) -> Run:
    """A run on a stack that is up and has done nothing yet."""
    return Run(target, Receiver(target.client("s3"), target.output("recommendations_bucket")))


def job(run: Run) -> str:
    """Starts the Glue job, waits for it, and reads from the data lake how many rows it wrote."""
    target, name = run.target, run.target.output("glue_job_name")
    glue = target.client("glue")
    started_run = glue.start_job_run(JobName=name)["JobRunId"]

    def ended() -> dict[str, Any] | None:
        found: dict[str, Any] = glue.get_job_run(JobName=name, RunId=started_run)["JobRun"]
        return found if found["JobRunState"] not in ("STARTING", "RUNNING", "STOPPING", "WAITING") else None

    result = until(ended, f"Glue job {name}", JOB_SECONDS * target.patience, every=2.0)
    if result["JobRunState"] != "SUCCEEDED":
        raise AcceptanceError(
            f"Glue job {name}: {result['JobRunState']}: {result.get('ErrorMessage', 'no reason given')}"
        )
    key = f"{dataset_file.load(target.dataset_file).name}/{training_data.SUCCESS_MARKER}"
    marker = target.client("s3").get_object(Bucket=target.output("data_lake_bucket"), Key=key)["Body"].read()
    rows = training_data.read_marker(marker.decode()).rows
    if not rows:
        raise AcceptanceError("training data: expected rows, found none")
    return f"{rows:,} training rows"


def catalogue(run: Run) -> str:
    """Waits until the training data can be queried: the crawler gave its table partitions."""
    glue, database = run.target.client("glue"), run.target.output("glue_database_name")

    def table() -> str | None:
        for entry in glue.get_tables(DatabaseName=database)["TableList"]:
            partitions = glue.get_partitions(DatabaseName=database, TableName=entry["Name"])["Partitions"]
            if partitions:
                return f"table {entry['Name']} with {len(partitions)} partitions or more"
        return None

    return until(table, f"a table in {database}", CATALOGUE_SECONDS * run.target.patience, every=2.0)


def train(run: Run) -> str:
    """Trains on the data lake and publishes, by the data scientist's command, and waits until the version is served."""
    return _train(run, seed=1, arguments=())


def second_version(run: Run) -> str:
    """Publishes another version, and waits until it is active."""
    return _train(run, seed=2, arguments=SECOND_VERSION)


def _train(run: Run, seed: int, arguments: Sequence[str]) -> str:
    target = run.target
    command = [sys.executable, "-m", "training", "train", "--data", f"s3://{target.output('data_lake_bucket')}"]
    command += ["--dataset", str(target.dataset_file), "--output", f"s3://{target.output('ml_artifacts_bucket')}"]
    # The gate compares models; this step only tests that one arrives.
    command += ["--work", str(target.folder / "training"), "--seed", str(seed), "--force", *target.training, *arguments]
    log = target.folder / f"training-{seed}.log"
    with log.open("w") as output:
        done = subprocess.run(
            command, cwd=ROOT, env=dict(target.environment), stdout=output, stderr=subprocess.STDOUT, check=False
        )
    if done.returncode != 0:
        raise AcceptanceError(f"training ended with {done.returncode}: {log.read_text().strip()[-500:]}")
    known = set(run.versions)

    def served() -> str | None:
        active: str | None = _loader(run, {"action": "status"})["active"]
        return active if active not in known else None

    version = until(served, "a new active version", LOAD_SECONDS * target.patience)
    run.versions.append(version)
    return f"version {version} is active"


def thousand_events(run: Run) -> str:
    """Sends a thousand visits and counts the recommendations."""
    return _send(run, EVENTS)


def purchase(run: Run) -> str:
    """Lets a customer buy the item that was recommended first: their next visit must not bring it again."""
    answers = run.receiver.poll().recommendations
    known = [id_ for id_, a in answers.items() if a["strategy"] == "personalized" and a["recommended_items"]]
    if not known:
        raise AcceptanceError(f"answers: expected one for a known customer among {len(answers)}, found none")
    customer, item = answers[known[0]][CUSTOMER], answers[known[0]]["recommended_items"][0]["id"]
    began = time.monotonic()
    _come_back(run, bought(customer, item, known[0]))
    record = _come_back(run, {SESSION: "acceptance-again", CUSTOMER: customer, HISTORY: []})
    if item in [each["id"] for each in record["recommended_items"]]:
        raise AcceptanceError(
            f"purchase: expected item {item} not to be recommended again, found it in the next answer"
        )
    return f"an item has left its buyer's recommendations {time.monotonic() - began:.0f} s later"


def _come_back(run: Run, event: dict[str, Any]) -> dict[str, Any]:
    """Puts an event on the stream and returns its record. Raises `AcceptanceError` if it does not come back."""
    target = run.target
    (number,) = put(target.client("kinesis"), target.output("event_stream_name"), [event])
    run.events += 1
    if run.receiver.wait_for([number], STREAM_SECONDS * target.patience):
        raise AcceptanceError(f"event {number}: it did not come back: {run.receiver.received.reasons()}")
    return run.receiver.received.recommendations[number]


def recommendations_of_active(run: Run) -> str:
    """Sends a few more visits: every recommendation must be by the version that is active now."""
    return _send(run, EVENTS_AFTER_A_SWITCH)


def _send(run: Run, n: int) -> str:
    target, version = run.target, _loader(run, {"action": "status"})["active"]
    run.receiver.poll()
    events = visits(target.client("s3"), target.output("ml_artifacts_bucket"), version, n, seed=run.events)
    sent = put(target.client("kinesis"), target.output("event_stream_name"), events)
    run.events += n
    missing = run.receiver.wait_for(sent, STREAM_SECONDS * target.patience)
    received = run.receiver.received
    if missing:
        raise AcceptanceError(
            f"{len(missing)} of {n} events did not come back: {received.reasons() or 'no failure kept'}"
        )
    _check(run, sent, version)
    strategies = Counter(str(received.recommendations[number]["strategy"]) for number in sent)
    return f"{n:,} of {n:,} events came back by {version}: {', '.join(f'{n} {s}' for s, n in strategies.most_common())}"


def _check(run: Run, sent: Collection[str], version: str) -> None:
    records = [run.receiver.received.recommendations[number] for number in sent]
    others = {record["model_version"] for record in records} - {version}
    if others:
        raise AcceptanceError(
            f"model version: expected {version} in all records, found {', '.join(sorted(others))} too"
        )
    if empty := sum(not record["recommended_items"] for record in records):
        raise AcceptanceError(f"recommended items: expected some in each of {len(records)} records, {empty} have none")


def roll_back(run: Run) -> str:
    """Makes the first version active again."""
    first = run.versions[0]
    active = _loader(run, {"action": "activate", "version": first})["active"]
    if active != first:
        raise AcceptanceError(f"rollback: expected {first} to be active, found {active}")
    return f"version {first} is active again"


def ring_alarm(run: Run) -> str:
    """Makes the loader fail, and waits until its alarm rings and the alarm's action is executed."""
    function, cloudwatch = run.target.functions["embedding_loader"], run.target.client("cloudwatch")
    alarms = cloudwatch.describe_alarms_for_metric(
        MetricName="Errors", Namespace="AWS/Lambda", Dimensions=[{"Name": "FunctionName", "Value": function}]
    )["MetricAlarms"]
    if not alarms:
        raise AcceptanceError(f"function {function}: expected an alarm on its errors, found none")
    name = alarms[0]["AlarmName"]
    answer = run.target.client("lambda").invoke(FunctionName=function, Payload=json.dumps({"action": "ring"}))
    if "FunctionError" not in answer:
        raise AcceptanceError(f"function {function}: expected an error for an action that there is none of, found none")

    def ringing() -> datetime | None:
        (alarm,) = cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
        since: datetime = alarm["StateUpdatedTimestamp"]
        return since if alarm["StateValue"] == "ALARM" else None

    seconds = ALARM_SECONDS * run.target.patience
    since = until(ringing, f"alarm {name}", seconds, every=2.0)

    def executed() -> str | None:
        # Only actions since it rings: becoming OK after its first data has an action too.
        items = cloudwatch.describe_alarm_history(AlarmName=name, HistoryItemType="Action", StartDate=since)
        return next((str(item["HistorySummary"]) for item in items["AlarmHistoryItems"]), None)

    told = until(executed, f"the action of alarm {name}", seconds, every=2.0)
    if not told.startswith("Successfully"):
        raise AcceptanceError(f"alarm {name}: it rang, but nobody was told: {told}")
    return f"alarm {name} rang: {told}"


def _loader(run: Run, request: dict[str, str]) -> dict[str, Any]:
    answer = run.target.client("lambda").invoke(
        FunctionName=run.target.functions["embedding_loader"], Payload=json.dumps(request)
    )
    told = answer["Payload"].read().decode()
    if answer.get("FunctionError"):
        raise AcceptanceError(f"loader, {request['action']}: {told}")
    document: dict[str, Any] = json.loads(told)
    return document


STEPS: Sequence[tuple[str, Callable[[Run], str]]] = (
    ("job", job),
    ("catalogue", catalogue),
    ("train", train),
    ("events", thousand_events),
    ("purchase", purchase),
    ("second version", second_version),
    ("its events", recommendations_of_active),
    ("roll back", roll_back),
    ("events again", recommendations_of_active),
    ("alarm", ring_alarm),
)
