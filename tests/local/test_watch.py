"""A run that could only wait ends, with the reason."""

import os
import subprocess
from pathlib import Path

import pytest

from emulator.deploy.cloud import Cloud
from emulator.errors import LocalRunError
from emulator.ministack import MiniStack
from emulator.process import ServiceProcess
from local import watch
from local.session import terminated_as_interrupt


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    monkeypatch.setattr(watch, "WATCH_SECONDS", 0.05)
    return Cloud(tmp_path, MiniStack(tmp_path / "aws", tmp_path / "ministack.log"))


def test_a_disk_that_becomes_full_ends_the_run(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "disk_is_full", lambda _: True)
    with (
        pytest.raises(LocalRunError, match="no space left on the disk"),
        terminated_as_interrupt(),
        watch.watched(cloud.folder, cloud),
    ):
        subprocess.run(["sleep", "60"], check=False)


def test_a_service_that_is_gone_ends_the_run_whatever_it_waits_for(cloud: Cloud) -> None:
    service = ServiceProcess("MiniStack", cloud.folder / "ministack.log")
    service.start(["sh", "-c", "echo the last words; exec sleep 60"], lambda: "words" in service.log.read_text())
    cloud.aws._process = service
    kill_and_wait = ["sh", "-c", f"kill -9 {service.pid}; exec sleep 60"]
    with (
        pytest.raises(LocalRunError, match=r"MiniStack has ended by itself \(exit -9\); its log: .*/ministack.log$"),
        terminated_as_interrupt(),
        watch.watched(cloud.folder, cloud),
    ):
        subprocess.run(kill_and_wait, check=False)


def test_what_fails_because_a_service_is_gone_is_told_as_that(cloud: Cloud) -> None:
    service = ServiceProcess("MiniStack", cloud.folder / "ministack.log")
    service.start(["sleep", "0"], lambda: service.log.exists())
    cloud.aws._process = service
    os.waitid(os.P_PID, service.pid, os.WEXITED | os.WNOWAIT)
    with pytest.raises(LocalRunError, match="has ended by itself"), watch.watched(cloud.folder, cloud):
        raise ConnectionError("nobody answers")
    service.stop()


def test_an_interrupt_stays_one(cloud: Cloud) -> None:
    with pytest.raises(KeyboardInterrupt), watch.watched(cloud.folder, cloud):
        raise KeyboardInterrupt
