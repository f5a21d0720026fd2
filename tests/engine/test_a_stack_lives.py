"""Both stacks under the real engine: they come up, stay as they are, recover from failures and go."""

import json
import re
from collections.abc import Callable
from unittest import mock

import pulumi
import pytest
from pulumi.automation import CommandError, OpType

import components
from emulator.program import ROOT
from tests.engine.cloud import DATABASE
from tests.engine.resource_types import HOLDS_DATA
from tests.engine.stacks import SOURCE_PASSWORD, EngineStack, main

NewStack = Callable[..., EngineStack]


def outputs_in_the_readme() -> dict[str, bool]:
    """Each output of README's table, and whether it is called secret there."""
    table = (ROOT / "README.md").read_text().partition("| output | |")[2].partition("\n\n")[0]
    rows = [line.strip("|").split("|") for line in table.splitlines() if line.startswith("| `")]
    return {name: "secret" in meaning for names, meaning in rows for name in re.findall(r"`(\w+)`", names)}


@pytest.mark.parametrize("settings_of", ["dev", "prod"])
def test_a_stack_comes_up_as_previewed_and_stays_as_it_is(new_stack: NewStack, settings_of: str) -> None:
    stack = new_stack(settings_of)
    announced = stack.preview()
    assert {change.operation for change in announced} == {"create"}
    result = stack.up()
    assert len(stack.cloud.called("create")) == len(stack.cloud.resources)
    assert result.summary.resource_changes == {"create": len(announced) + 1}, "and the stack itself"
    for again in (stack.up(), stack.refresh()):
        assert set(again.summary.resource_changes or {}) == {"same"}

    outputs = stack.outputs()
    assert {name: output.secret for name, output in outputs.items()} == outputs_in_the_readme()
    assert all(output.value for output in outputs.values())
    state = stack.state_files()
    assert outputs["vector_db_host"].value in state
    assert outputs["vector_db_password"].value not in state
    assert SOURCE_PASSWORD not in state


def test_what_somebody_changed_by_hand_is_seen_and_set_right(new_stack: NewStack) -> None:
    stack = new_stack("dev")
    stack.up()
    database = stack.cloud.one(DATABASE, "vectors")
    for properties in (database.inputs, database.outputs):
        properties["publiclyAccessible"] = True
    assert (stack.refresh().summary.resource_changes or {})[OpType.UPDATE] == 1
    stack.up()
    assert stack.cloud.one(DATABASE, "vectors").inputs["publiclyAccessible"] is False


def test_a_creation_that_fails_in_the_middle_is_made_up_for_by_the_next_up(new_stack: NewStack) -> None:
    stack = new_stack("dev")
    stack.cloud.fail_once = "vectors-postgres"
    with pytest.raises(CommandError, match="InternalFailure"):
        stack.up()
    stack.up()
    assert len(stack.cloud.called("create")) == len(stack.cloud.resources) + 1, (
        "nothing but the database was tried twice"
    )
    assert set(stack.up().summary.resource_changes or {}) == {"same"}


def test_a_stack_that_came_up_by_half_goes_without_a_trace(new_stack: NewStack) -> None:
    stack = new_stack("dev")
    stack.cloud.fail_once = "stream-delivery"
    with pytest.raises(CommandError, match="InternalFailure"):
        stack.up()
    assert stack.cloud.resources
    stack.destroy()
    assert stack.cloud.resources == {}


def test_a_component_that_is_renamed_by_an_alias_keeps_all_that_it_has(new_stack: NewStack) -> None:
    def renamed() -> None:
        made = components.VectorStore

        def store(name: str, args: components.VectorStoreArgs) -> components.VectorStore:
            return made("embeddings", args, pulumi.ResourceOptions(aliases=[pulumi.Alias(name=name)]))

        with mock.patch.object(components, "VectorStore", store):
            main()

    stack = new_stack("prod")
    stack.up()
    stack.program = renamed
    lost = [change for change in stack.preview() if change.operation != "update"]
    assert lost == [], "only names that are part of a value may change"


@pytest.mark.parametrize("region", ["ap-southeast-2", "cn-north-1"])
def test_a_stack_of_a_long_name_in_another_region_or_partition_comes_up(new_stack: NewStack, region: str) -> None:
    stack = new_stack("prod", name="s" * 60)
    stack.configure({}, {"aws:region": region})
    stack.up()
    assert stack.cloud.region == region
    assert {thing.type for thing in stack.cloud.resources.values()} >= HOLDS_DATA
    partitions = set(
        re.findall(r"\barn:([\w-]+):", json.dumps([thing.inputs for thing in stack.cloud.resources.values()]))
    )
    assert partitions == {stack.cloud.partition}
