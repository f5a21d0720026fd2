"""Brings the whole system up: from a shop's database to a loaded model version, ready for visitors."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from contracts.mysql import Login
from emulator.errors import LocalRunError
from local import folder, glue_stage, source, training_stage
from local.ahead import Command
from local.options import Options
from local.session import Deployment, deploy, running_services
from local.shop import Shop, read_shop
from local.streaming import Streaming
from local.ui import Stages
from local.watch import watched


@dataclass(frozen=True)
class System:
    """A system that is up."""

    deployment: Deployment
    login: Login
    """The source database."""
    shop: Shop
    streaming: Streaming
    version: str
    """The model version that is active."""
    kept: Path | None
    """That version's folder, if an earlier run left it: then this run has made no training data."""


@contextmanager
def brought_up(options: Options, place: Path, stages: Stages) -> Iterator[System]:
    """Runs the stages up to the loader. Everything stops when the context ends."""
    with ExitStack() as services:
        with stages.stage("services") as stage:
            cloud = services.enter_context(running_services(place, options.stack.config["aws:region"]))
            stage.result = "AWS, emulated by MiniStack with IAM enforced"
        services.enter_context(watched(place, cloud))
        training = services.enter_context(training_stage.command_ahead(cloud, place))
        with stages.stage("pulumi program") as stage:
            deployment = deploy(cloud, options.stack)
            stage.result = (
                f"{len(deployment.resources)} resources, {deployment.n_realised} of them realised on this machine"
            )
        login = _load_source(options, stages, deployment)
        shop = read_shop(login, options.spec)
        training_stage.write_names(place, shop.item_names)
        kept = None if options.retrain else folder.kept_model(place, options.made_of)
        if kept is None:
            make_training_data(stages, deployment, place)
        streaming = services.enter_context(Streaming(deployment))
        version = _first_version(options, stages, deployment, place, kept, training)
        with stages.stage("loader") as stage:
            stage.result = streaming.wait_for_load(version)
        yield System(deployment, login, shop, streaming, version, kept)


def _load_source(options: Options, stages: Stages, deployment: Deployment) -> Login:
    """Fills the trial database that the program declares, or checks the one that exists."""
    with stages.stage("source") as stage:
        if options.source:
            stage.result = source.check_existing(options.source, options.spec)
            return options.source
        instance = deployment.database("mysql")
        if instance is None:
            raise LocalRunError(
                f"stack {options.stack.name}: its source is an existing database: give it with --source"
            )
        login = Login(
            instance.server.host, instance.server.port, instance.database, instance.username, instance.password
        )
        if options.sql_dump:
            stage.result = source.load_dump(login, options.sql_dump, options.ratings, options.spec)
        else:
            stage.result = f"sample shop: {source.check_existing(login, options.spec)}"
        return login


def make_training_data(stages: Stages, deployment: Deployment, place: Path) -> None:
    with stages.stage("Glue job") as stage:
        stage.result = glue_stage.run_glue_job(deployment, place)
    with stages.stage("crawler") as stage:
        stage.result = glue_stage.run_crawler(deployment)


def _first_version(
    options: Options, stages: Stages, deployment: Deployment, place: Path, kept: Path | None, training: Command
) -> str:
    """Publishes the model that the folder has, or trains one, and returns its version."""
    if kept:
        with stages.stage("model") as stage:
            version = training_stage.publish_kept(deployment, kept, place, training)
            stage.result = f"version {version}, which an earlier run left in the folder (--retrain makes a new one)"
            return version
    with stages.stage("training") as stage:
        trained = training_stage.train_and_publish(deployment, place, options.seed, stage.say, command=training)
        stage.result, stage.remark = trained.describe(), trained.remark()
    folder.note_model(place, trained.folder, options.made_of)
    return trained.version
