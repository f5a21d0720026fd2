"""`pulumi destroy`: refused before it changes anything where data is kept, and complete where it is given up."""

from collections.abc import Callable

import pytest
from pulumi.automation import CommandError

from tests.engine.cloud import BUCKET, DATABASE, KEY
from tests.engine.stacks import EngineStack

NewStack = Callable[..., EngineStack]

GIVE_UP = {"common.force_destroy": True, "vectors.deletion_protection": False}
"""Settings that README asks for before a stack that keeps its data is destroyed."""


def test_a_stack_that_keeps_its_data_refuses_before_anything_is_deleted_and_goes_when_it_is_given_up(
    new_stack: NewStack,
) -> None:
    stack = new_stack("prod")
    stack.up()
    stack.cloud.full_buckets = {bucket.name for bucket in stack.cloud.of(BUCKET)}
    stack.cloud.forget_calls()
    with pytest.raises(CommandError, match="cannot be deleted"):
        stack.destroy()
    assert stack.cloud.calls == []

    stack.configure(GIVE_UP)
    stack.up()
    stack.destroy()
    (key,) = stack.cloud.resources.values()
    assert key.type == KEY
    assert list(stack.cloud.snapshots.values()) == [key.outputs["arn"]], "the last snapshot can be read"
    assert stack.cloud.dying_keys == set()


def test_a_database_that_took_anothers_place_leaves_a_snapshot_of_its_own(new_stack: NewStack) -> None:
    stack = new_stack("dev")
    keep_snapshots = {"vectors.skip_final_snapshot": False}
    stack.configure(keep_snapshots)
    stack.up()
    first = stack.cloud.one(DATABASE, "vectors").id
    stack.configure({**keep_snapshots, "customer_managed_key": True})
    stack.up()
    assert stack.cloud.one(DATABASE, "vectors").id != first
    stack.destroy()
    assert len(stack.cloud.snapshots) == 2


def test_a_bucket_that_is_not_deleted_keeps_what_guards_it(new_stack: NewStack) -> None:
    stack = new_stack("dev")
    stack.configure({"common.force_destroy": False})
    stack.up()
    stack.command("state", "unprotect", "--all", "--yes")
    stack.cloud.full_buckets = {"batch-data-lake-bucket"}
    with pytest.raises(CommandError, match="BucketNotEmpty"):
        stack.destroy()
    bucket = stack.cloud.one(BUCKET, "data-lake")
    guards = {thing.name for thing in stack.cloud.resources.values() if thing.inputs.get("bucket") == bucket.id}
    assert guards == {
        "batch-data-lake-bucket",
        "batch-data-lake-private",
        "batch-data-lake-encryption",
        "batch-data-lake-tls-only",
        "batch-data-lake-versioning",
        "batch-data-lake-lifecycle",
    }
    stack.up()
