"""The wiring is proved by the run: a wrong name, type or output fails it, and the error names it."""

from dataclasses import replace
from pathlib import Path

import pytest

from emulator.deploy.resource import Resource
from emulator.errors import LocalRunError
from emulator.program import Stack, read_stack
from local.session import Deployment, deploy, running_services
from local.streaming import Streaming
from tests.local.harness import EVENT, QUICK, Edit, impatient, publish, version_name


def rename_variable(function: str, variable: str) -> Edit:
    """A component that gives a function a variable under a wrong name."""

    def edit(resource: Resource) -> Resource:
        resource = impatient(resource)
        if resource.type != "aws:lambda/function:Function" or function not in resource.name:
            return resource
        variables = dict(resource["environment"]["variables"])
        variables["MISSPELT"] = variables.pop(variable)
        return replace(resource, inputs={**resource.inputs, "environment": {"variables": variables}})

    return edit


@pytest.mark.parametrize(
    ("function", "variable"),
    [
        ("loader", "VECTOR_DB_PASSWORD"),
        ("inference", "VECTOR_DB_HOST"),
        ("transformation", "MODEL_INFERENCE_FUNCTION"),
    ],
)
def test_a_misspelt_environment_variable_fails_the_run_by_name(
    run_folder: Path, artifacts: Path, function: str, variable: str
) -> None:
    with running_services(run_folder, "us-east-1") as cloud:
        deployment = deploy(cloud, read_stack("dev", QUICK), rename_variable(function, variable))
        with Streaming(deployment) as streaming, pytest.raises(LocalRunError, match=variable):
            load_and_recommend(deployment, streaming, artifacts)


def load_and_recommend(deployment: Deployment, streaming: Streaming, artifacts: Path) -> None:
    publish(deployment, artifacts, version_name(0))
    streaming.wait_for_load(version_name(0))
    if streaming.send([EVENT], timeout=60):
        raise LocalRunError(streaming.reasons())


def test_a_misspelt_stack_output_fails_the_run_by_name() -> None:
    deployment = Deployment(None, Stack("dev", {}), [], {"event_stream": "s"})  # type: ignore[arg-type]
    with pytest.raises(LocalRunError, match="stack output event_stream_name: the program does not export it"):
        deployment.output("event_stream_name")


def test_a_resource_type_that_nobody_listed_is_an_error_that_names_it(run_folder: Path) -> None:
    def edit(resource: Resource) -> Resource:
        return replace(resource, type="aws:sns/platform:Platform") if resource.type.startswith("aws:sqs") else resource

    with running_services(run_folder, "us-east-1") as cloud, pytest.raises(LocalRunError, match="aws:sns/platform"):
        deploy(cloud, read_stack("dev", QUICK), edit)
