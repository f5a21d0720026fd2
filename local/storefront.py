"""`python -m local shop`: everything up on this machine, with a storefront and a console in the browser."""

import json
import os
import threading
import webbrowser
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from emulator.errors import LocalRunError
from local import keep, training_stage
from local.bring_up import System, brought_up, make_training_data
from local.options import Options
from local.session import Deployment
from local.summary import show_places
from local.ui import Stages
from storefront.server import PortTakenError, Server, listen
from storefront.stack import Keys, Stack, Statement, console_statements, shop_statements

LOG = "storefront.log"


def run(options: Options, place: Path, console: Console) -> int:
    """Serves until Ctrl-C, which is the end that a run without failure has: it returns 0 then."""
    is_open = False
    try:
        listener = listen(options.port)
    except PortTakenError as error:
        raise LocalRunError(f"--{error}") from error
    stages = Stages(console)
    try:
        with listener, brought_up(options, place, stages) as system:
            deployment = system.deployment
            with (
                keep.noted(place, deployment, options.spec, system.login),
                Server(stack_of(deployment), listener, place / LOG) as pages,
            ):
                is_open = True
                _show(console, pages, place)
                if options.open_browser and _has_screen():
                    webbrowser.open(pages.address)
                _second_version(options, stages, console, system, place)
                threading.Event().wait()
    except KeyboardInterrupt:
        if not is_open:
            raise
        console.print("closed")
    return 0


def stack_of(deployment: Deployment) -> Stack:
    """Returns the deployed stack as the pages use it, with two users of their own that may do what a page needs."""
    aws = deployment.cloud.aws
    functions = aws.client("lambda")
    configurations = [functions.get_function_configuration(FunctionName=name) for name in deployment.cloud.functions]
    log_groups = [configuration["LoggingConfig"]["LogGroup"] for configuration in configurations]
    loader, _ = deployment.function("embedding_loader")
    api_url = str(deployment.output("api_url"))
    artifacts, records = (str(deployment.output(f"{name}_bucket")) for name in ("ml_artifacts", "recommendations"))
    statements = console_statements(
        deployment.cloud.arn("lambda", f"function:{loader}"),
        [deployment.cloud.arn("logs", f"log-group:{group}") for group in log_groups],
        f"arn:aws:s3:::{artifacts}",
        f"arn:aws:s3:::{records}",
    )
    return Stack(
        environment={
            name: value for name, value in aws.environment(aws.root).items() if name not in aws.root.environment()
        },
        api_url=api_url,
        loader=loader,
        log_groups=log_groups,
        artifacts_bucket=artifacts,
        recommendations_bucket=records,
        shop=_user(
            deployment,
            "storefront-shop",
            shop_statements(deployment.cloud.arn("execute-api", api_url.rsplit("/", 1)[-1])),
        ),
        console=_user(deployment, "storefront-console", statements),
    )


def _user(deployment: Deployment, name: str, statements: Sequence[Statement]) -> Keys:
    iam = deployment.cloud.client("iam")
    iam.create_user(UserName=name)
    document = json.dumps({"Version": "2012-10-17", "Statement": statements})
    iam.put_user_policy(UserName=name, PolicyName="pages", PolicyDocument=document)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return Keys(key["AccessKeyId"], key["SecretAccessKey"])


def _show(console: Console, pages: Server, place: Path) -> None:
    console.print()
    show_places(
        console,
        {
            "shop": pages.address,
            "console": f"{pages.url}console   (once the shop is open)",
            "logs": str(place),
            "until": "Ctrl-C",
        },
    )
    console.print()


def _has_screen() -> bool:
    """Returns False at a terminal without a desktop, where a browser for terminals would take the terminal over."""
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _second_version(options: Options, stages: Stages, console: Console, system: System, place: Path) -> None:
    """Trains a second version from another seed, for the console to switch to and from, while the shop is open."""
    try:
        if system.kept:
            make_training_data(stages, system.deployment, place)
        with stages.stage("second version") as stage:
            trained = training_stage.train_and_publish(system.deployment, place, options.seed + 1, stage.say)
            stage.result, stage.remark = system.streaming.wait_for_load(trained.version), trained.remark()
    except LocalRunError as error:
        console.print(f"[yellow]the shop stays open with one version:[/] {error}", soft_wrap=True)
