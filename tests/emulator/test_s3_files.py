"""S3 as Hadoop's file system: what a job remembers of S3 is what S3 would say, and it asks less."""

import io
from collections import Counter
from typing import Any

from botocore.config import Config
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emulator.glue.runtime import looks
from emulator.glue.runtime.s3_files import NotFoundError, S3Files
from tests.emulator.aws import Aws, unique

NAMES = st.sampled_from(["a", "b", "a/x", "a/y", "a/x/deep", "b/x", "ab"])
STEP = st.tuples(st.sampled_from(["create", "delete", "rename"]), NAMES, NAMES)


def files_of(client: Any) -> S3Files:
    return S3Files(client, "/tmp")


def put(files: S3Files, path: str, content: bytes = b"x") -> None:
    files.create(path, io.BytesIO(content), len(content))


def seen(files: S3Files, bucket: str) -> dict[str, Any]:
    """Everything that a job can ask about the names."""
    found: dict[str, Any] = {}
    for name in ("", "/a", "/b", "/ab", "/a/x", "/a/y", "/a/x/deep", "/b/x", "/nothing/at/all"):
        for ask in (files.status, files.children) if name else (files.children,):
            try:
                answer = ask(f"{bucket}{name}")
            except NotFoundError:
                answer = None
            told = answer if isinstance(answer, list) else [answer]
            found[f"{ask.__name__} {name}"] = [(each.name, each.is_folder, each.size) for each in told if each]
    return found


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(STEP, max_size=6))
def test_a_job_that_remembers_sees_what_one_without_memory_sees(aws: Aws, steps: list[tuple[str, str, str]]) -> None:
    client, bucket = aws.client("s3"), unique("files")
    client.create_bucket(Bucket=bucket)
    files = files_of(client)
    for number, (step, name, other) in enumerate(steps):
        if step == "create":
            put(files, f"{bucket}/{name}", b"x" * number)
        elif step == "delete":
            files.delete(f"{bucket}/{name}", recursive=number % 2 == 0)
        elif not f"{other}/".startswith(f"{name}/"):
            files.rename(f"{bucket}/{name}", f"{bucket}/{other}")
        expected = files_of(client)
        expected._folders = set(files._folders)
        assert seen(files, bucket) == seen(expected, bucket)


def test_a_tree_of_folders_is_listed_by_one_call_and_what_is_absent_is_asked_for_once(
    aws: Aws, monkeypatch: Any
) -> None:
    client = aws.ministack.client("s3", config=Config(user_agent_extra="counted"))
    bucket, calls = unique("files"), Counter[str]()
    client.create_bucket(Bucket=bucket)
    client.meta.events.register("before-call.s3", lambda model, **_: calls.update([model.name]))
    files = files_of(client)
    for number in range(20):
        path = f"{bucket}/data/user={number}"
        for each in (path, f"{path}/part"):
            try:
                files.status(each)
            except NotFoundError:
                continue
        put(files, f"{path}/part")
    assert calls["PutObject"] == 20
    assert calls["HeadObject"] <= 20
    calls.clear()
    folders = files.children(f"{bucket}/data")
    listed = [files.children(f"{bucket}/data/{folder.name}") for folder in folders]
    assert [[file.name for file in each] for each in listed] == [["part"]] * 20
    assert calls == {"ListObjectsV2": 1}
    monkeypatch.setattr(looks, "LOOK_SECONDS", 0.0)
    client.put_object(Bucket=bucket, Key="data/user=0/other", Body=b"")
    assert len(files.children(f"{bucket}/data/user=0")) == 2, "others' files are seen after some seconds"
