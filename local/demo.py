"""The whole system once through, a stage after the other: from a shop's MySQL to recommendations on S3."""

import threading
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from contracts import dataset
from emulator.errors import LocalRunError
from emulator.process import goes_with_the_run, has_gone, left_over
from emulator.program import ROOT, Stack, read_stack
from local import batch, model, source
from local.events import Event, describe, make_events, read_events
from local.session import Deployment, deploy, running_services
from local.shop import Login, Shop, read_shop
from local.streaming import Streaming
from local.summary import show_examples, show_places, write_records
from local.switchover import MIN_EVENTS, Switchover
from local.ui import Stages
from operations.replay import RUN_NOTE, noted_run


@dataclass(frozen=True)
class Options:
    """What a run is asked for."""

    folder: Path
    stack: str = "dev"
    sql_dump: Path | None = None
    ratings: Path | None = None
    source: Login | None = None
    dataset: Path | None = None
    events: Path | None = None
    n_events: int = 200
    seed: int = 1
    keep_running: bool = False


def run(options: Options, console: Console) -> int:
    """Runs every stage and shows a summary. Returns 0 only if every event came back as a recommendation."""
    given_events = read_events(options.events) if options.events else None
    stack = _stack(options)
    spec = dataset.load(ROOT / stack.config.get("recommender:dataset_file", "dataset.toml"))
    stages = Stages(console)
    _tell_what_was_left(options.folder, console)
    with ExitStack() as services:
        with stages.stage("services") as stage:
            cloud = services.enter_context(running_services(options.folder, stack.config["aws:region"]))
            stage.result = "AWS, emulated by MiniStack with IAM enforced"
        with stages.stage("pulumi program") as stage:
            deployment = deploy(cloud, stack)
            stage.result = (
                f"{len(deployment.resources)} resources, {deployment.n_realised} of them realised on this machine"
            )
        login = _load_source(options, stages, deployment, spec)
        with stages.stage("Glue job") as stage:
            stage.result = batch.run_glue_job(deployment, options.folder)
        with stages.stage("crawler") as stage:
            stage.result = batch.run_crawler(deployment)
        streaming = services.enter_context(Streaming(deployment))
        with stages.stage("training") as stage:
            trained = model.train_and_publish(deployment, options.folder, options.seed, stage.say)
            stage.result, stage.remark = trained.describe(), trained.remark()
        with stages.stage("loader") as stage:
            stage.result = streaming.wait_for_load(trained.version)
        shop = read_shop(login, spec)
        events = given_events or make_events(shop, spec, options.n_events, options.seed)
        if len(events) >= MIN_EVENTS:
            switchover = Switchover(deployment, streaming, stages, trained.version)
            switchover.run(events, options.folder, options.seed + 1)
            missing, switched = switchover.missing, f"rolled back in {switchover.rollback_ms:.0f} ms"
        else:
            missing, switched = _send(streaming, stages, events), f"no second one for fewer than {MIN_EVENTS} events"
        came_back = f"{len(events) - len(missing)} of {len(events)} came back as recommendations"
        summary = {"events": came_back, "model versions": f"{_count(streaming)}; {switched}"}
        status = _finish(options, console, deployment, shop, streaming, missing, summary)
        if options.keep_running:
            _wait_for_interrupt(options.folder, console, deployment)
        return status


def _tell_what_was_left(folder: Path, console: Console) -> None:
    """Says what a run that was killed, with its watchdog, could not clear away."""
    if found := left_over():
        told = "\n".join(f"  process {pid}: {command}" for pid, command in sorted(found.items()))
        console.print(f"an earlier run was killed and left running (end them by their ids):\n{told}", markup=False)
    note = folder / RUN_NOTE
    if note.exists():
        note.unlink()
        console.print(f"an earlier run in {folder} was killed: its note for a replay, {RUN_NOTE}, is removed")


def _stack(options: Options) -> Stack:
    """The stack's own configuration, with what differs on this machine."""
    # The Lambda processes run in this very environment, which has the functions' packages.
    # Somebody watches, so the delivery stream gathers records for a second where a stack's own would for longer.
    overrides: dict[str, object] = {
        "common.bundle_dependencies": False,
        "stream.processor_buffer_seconds": 1,
        "stream.delivery_buffer_seconds": 1,
        "source.sample_shop_seed": options.seed,
    }
    if options.dataset:
        overrides["dataset_file"] = str(options.dataset.resolve())
    if options.sql_dump:
        overrides["source.sample_shop"] = False
    if options.source:
        overrides |= {
            "source.host": options.source.host,
            "source.port": options.source.port,
            "source.database": options.source.database,
            "source.username": options.source.username,
            "source.password": options.source.password,
        }
    return read_stack(options.stack, overrides)


def _load_source(options: Options, stages: Stages, deployment: Deployment, spec: dataset.Dataset) -> Login:
    """Fills the trial database that the program declares, or checks the one that exists."""
    with stages.stage("source") as stage:
        if options.source:
            stage.result = source.check_existing(options.source, spec)
            return options.source
        instance = deployment.database("mysql")
        if instance is None:
            raise LocalRunError(f"stack {options.stack}: its source is an existing database: give it with --source")
        login = Login(
            instance.server.host, instance.server.port, instance.database, instance.username, instance.password
        )
        if options.sql_dump:
            assert options.ratings is not None
            stage.result = source.load_dump(login, options.sql_dump, options.ratings, spec)
        else:
            stage.result = f"sample shop: {source.check_existing(login, spec)}"
        return login


def _send(streaming: Streaming, stages: Stages, events: list[Event]) -> list[Event]:
    with stages.stage("events") as stage:
        missing = streaming.send(events, lambda back: stage.say(f"{back} of {len(events)} came back"))
        stage.result = f"{len(events) - len(missing)} of {len(events)} came back as recommendations"
        return missing


def _count(streaming: Streaming) -> str:
    """Records by model version, the oldest version first."""
    return ", ".join(f"{version}: {number} records" for version, number in sorted(streaming.versions().items()))


def _wait_for_interrupt(folder: Path, console: Console, deployment: Deployment) -> None:
    """Leaves everything up until Ctrl-C, with a note by which `replay --run` finds it."""
    aws = deployment.cloud.aws
    bucket, stream = deployment.output("recommendations_bucket"), deployment.output("event_stream_name")
    note = folder / RUN_NOTE
    with noted_run(folder, aws.environment(aws.root), bucket, stream), suppress(KeyboardInterrupt):
        goes_with_the_run(note)
        console.print(f"\nstill up, until Ctrl-C. Failed events go back by: python -m operations replay --run {folder}")
        threading.Event().wait()
    has_gone(note)


def _finish(
    options: Options,
    console: Console,
    deployment: Deployment,
    shop: Shop,
    streaming: Streaming,
    missing: list[Event],
    summary: dict[str, str],
) -> int:
    records = streaming.records()
    kept = options.folder / "recommendations.jsonl"
    write_records(kept, records)
    console.print()
    show_examples(console, shop, records)
    places = {
        **summary,
        "recommendations": f"{kept} ({len(records)} records)",
        "training data": f"s3://{deployment.output('data_lake_bucket')}",
        "model artifacts": f"s3://{deployment.output('ml_artifacts_bucket')}",
        "logs": str(options.folder),
    }
    show_places(console, places)
    if missing:
        raise LocalRunError(
            f"{len(missing)} events did not come back as recommendations"
            f" ({streaming.reasons() or 'no failure was delivered'}); the first: {describe(missing[0])}"
        )
    return 0
