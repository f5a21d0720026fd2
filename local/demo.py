"""Runs the whole system once, stage after stage: from a shop's MySQL to recommendations on S3."""

import threading
from collections import Counter
from contextlib import suppress
from pathlib import Path

from rich.console import Console

from contracts.events import RECOMMENDED, TYPE, EventType
from contracts.mysql import Login
from emulator.errors import LocalRunError
from local import keep
from local.bring_up import brought_up
from local.events import Event, describe, make_events
from local.followups import FollowUps
from local.options import Options
from local.session import Deployment
from local.shop import Shop
from local.streaming import Streaming
from local.summary import count_lists, show_examples, show_places, write_records
from local.switchover import MIN_EVENTS, Switchover
from local.ui import Stages
from operations.recommendations import Record


def run(options: Options, place: Path, console: Console) -> int:
    """Runs every stage and shows a summary. Returns 0 only if every event came back with recommendations."""
    stages = Stages(console)
    with brought_up(options, place, stages) as system:
        deployment, streaming, shop = system.deployment, system.streaming, system.shop
        events = options.events or make_events(shop, options.spec, options.n_events, options.seed)
        missing, switched = _recommend(
            options, stages, deployment, streaming, place, system.version, events, system.kept
        )
        records = streaming.records()
        asked = [event for event in events if event.get(TYPE, EventType.BROWSE) in RECOMMENDED]
        with stages.stage("follow-ups") as stage:
            follow_ups = FollowUps(streaming, options.spec)
            stage.result = follow_ups.run(records)
            missing += follow_ups.missing
        summary = {
            "events": count_lists(records, len(asked)),
            "follow-ups": stage.result,
            "model versions": f"{_count(records)}; {switched}",
        }
        _show(options, console, deployment, shop, records, place, summary)
        status = _judge(records if asked else None, streaming, missing)
        if options.keep_running:
            _wait_for_interrupt(options, place, console, deployment, system.login)
        return status


def _recommend(
    options: Options,
    stages: Stages,
    deployment: Deployment,
    streaming: Streaming,
    place: Path,
    version: str,
    events: list[Event],
    kept: Path | None,
) -> tuple[list[Event], str]:
    """Sends the events. If there are enough of them, a second version is switched to in between."""
    if len(events) >= MIN_EVENTS and not kept:
        switchover = Switchover(deployment, streaming, stages, version)
        switchover.run(events, place, options.seed + 1)
        return switchover.missing, f"rolled back in {switchover.rollback_ms:.0f} ms"
    with stages.stage("events") as stage:
        missing = streaming.send(events, lambda back: stage.say(f"{back} of {len(events)} came back"))
        stage.result = f"{len(events) - len(missing)} of {len(events)} came back, by version {version}"
    return missing, "no second one " + ("with a kept model" if kept else f"for fewer than {MIN_EVENTS} events")


def _count(records: list[Record]) -> str:
    """Returns the number of records of each model version, the oldest version first."""
    versions = Counter(str(record["model_version"]) for record in records)
    return ", ".join(f"{version}: {number} records" for version, number in sorted(versions.items()))


def _wait_for_interrupt(options: Options, place: Path, console: Console, deployment: Deployment, login: Login) -> None:
    """Keeps everything up until Ctrl-C, with notes by which `send` and `replay --run` find the run."""
    with keep.noted(place, deployment, options.spec, login), suppress(KeyboardInterrupt):
        console.print()
        show_places(console, keep.places(place, deployment, login))
        threading.Event().wait()


def _show(
    options: Options,
    console: Console,
    deployment: Deployment,
    shop: Shop,
    records: list[Record],
    place: Path,
    summary: dict[str, str],
) -> None:
    kept = place / "recommendations.jsonl"
    write_records(kept, records)
    console.print()
    show_examples(console, shop, records, options.spec)
    places = {
        **summary,
        "recommendations": f"{kept} ({len(records)} records)",
        "training data": f"s3://{deployment.output('data_lake_bucket')}",
        "model artifacts": f"s3://{deployment.output('ml_artifacts_bucket')}",
        "logs": str(place),
    }
    show_places(console, places)


def _judge(records: list[Record] | None, streaming: Streaming, missing: list[Event]) -> int:
    """Raises `LocalRunError` if an event did not come back, or none came back with a recommendation (`None`: none was
    asked for)."""
    if missing:
        raise LocalRunError(
            f"{len(missing)} events did not come back as recommendations"
            f" ({streaming.reasons() or 'no failure was delivered'}); the first: {describe(missing[0])}"
        )
    if records is not None and not any(record["recommended_items"] for record in records):
        raise LocalRunError("every event came back with an empty list: no item was left to recommend to anybody")
    return 0
