"""Two model versions that are published in one second: S3 tells no more than seconds, so neither is the later one."""

import time

from tests.faults.system import System
from tests.local.harness import put_manifest, upload, version_name


def test_two_versions_published_in_one_second_are_both_loaded_and_one_of_them_serves(system: System) -> None:
    before = system.load()
    first = version_name(next(system.numbers))
    versions = [first, first.replace("-aaaaaa", "-000000")]  # of one second by name, too; the later one sorts first
    manifests = {version: upload(system.deployment, system.artifacts, version) for version in versions}
    time.sleep(1 - time.time() % 1)
    published = {put_manifest(system.deployment, version, content) for version, content in manifests.items()}
    assert len(published) == 1, "both lie in one second"
    sent = system.streaming.put(system.events(50))
    loads = [system.streaming.wait_for_load(version) for version in versions]
    assert all("is active" in told for told in loads)
    system.all_came_back(sent)
    assert system.streaming.versions(sent).keys() <= {before, *versions}

    after = system.streaming.put(system.events(20))
    system.all_came_back(after)
    (active,) = system.streaming.versions(after)
    assert active in versions
    other = next(version for version in versions if version != active)
    system.streaming.activate(other)  # it is loaded, and can be switched to
    last = system.streaming.put(system.events(5))
    system.all_came_back(last)
    assert system.streaming.versions(last) == {other: 5}
