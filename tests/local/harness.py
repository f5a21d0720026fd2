"""A small model version, and the whole system with it loaded: what tests of a local run start from."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from contracts.artifacts import MANIFEST
from emulator.deploy.resource import Resource
from functions.shop_seeder.sample_shop import generate
from local.events import Event
from local.session import Deployment
from tests.training import worlds
from training import pipeline
from training.fit import Settings

QUICK = {
    "common.bundle_dependencies": False,
    "source.sample_shop": False,
    "stream.processor_buffer_seconds": 0,
    "stream.delivery_buffer_seconds": 0,
}
EVENT: Event = {"session_id": "s", "customer_number": 1, "browse_history": []}
IMPATIENT_SECONDS = 5
"""The transformation's timeout where it is meant to fail: it retries for as long as it has."""

Edit = Callable[[Resource], Resource]


def make_artifacts(root: Path) -> Path:
    """Trains a small model, and returns the folder of its version."""
    shop = generate(customers=40, products=32, ratings=600)
    lake = worlds.write(worlds.shop_table(shop), worlds.CLASSIC, root / "lake")
    settings = Settings(epochs=2, dim=8)
    result = pipeline.run(str(lake), worlds.CLASSIC, str(root / "out"), settings, force=True, work=root / "work")
    return root / "out" / result.version


def version_name(n: int) -> str:
    """The n-th version of a test; later ones sort later."""
    return f"{datetime(2026, 11, 21, tzinfo=UTC) + timedelta(seconds=n):%Y%m%dT%H%M%SZ}-aaaaaa"


def publish(deployment: Deployment, artifacts: Path, version: str, spoil: str = "") -> None:
    """Puts the artifacts into the bucket as another version, the manifest last; `spoil` names a file to break."""
    put_manifest(deployment, version, upload(deployment, artifacts, version, spoil))


def upload(deployment: Deployment, artifacts: Path, version: str, spoil: str = "") -> bytes:
    """Puts every file but the manifest, and returns the manifest's content."""
    s3, bucket = deployment.cloud.client("s3"), deployment.output("ml_artifacts_bucket")
    for path in artifacts.rglob("*"):
        if path.is_file() and path.name != MANIFEST:
            broken = b"spoilt" if spoil and path.name == spoil else b""
            body = _named(path, artifacts, version) + broken
            s3.put_object(Bucket=bucket, Key=f"{version}/{path.relative_to(artifacts).as_posix()}", Body=body)
    return _named(artifacts / MANIFEST, artifacts, version)


def put_manifest(deployment: Deployment, version: str, content: bytes) -> datetime:
    """Publishes a version that is uploaded, and returns the time that S3 has of it."""
    s3, bucket = deployment.cloud.client("s3"), deployment.output("ml_artifacts_bucket")
    s3.put_object(Bucket=bucket, Key=f"{version}/{MANIFEST}", Body=content)
    published: datetime = s3.head_object(Bucket=bucket, Key=f"{version}/{MANIFEST}")["LastModified"]
    return published


def _named(path: Path, artifacts: Path, version: str) -> bytes:
    return path.read_bytes().replace(artifacts.name.encode(), version.encode())


def with_timeout(function: str, seconds: int) -> Edit:
    """Shortens a function's timeout, so that a test sees it pass."""

    def edit(resource: Resource) -> Resource:
        if resource.type != "aws:lambda/function:Function" or function not in resource.name:
            return resource
        return replace(resource, inputs={**resource.inputs, "timeout": seconds})

    return edit


impatient = with_timeout("transformation", IMPATIENT_SECONDS)
