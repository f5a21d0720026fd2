"""A run that is kept up: the places of its parts, the commands that use them, and the note by which commands find
it."""

import contextlib
import json
import shlex
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from contracts import dataset_file
from contracts.dataset import Dataset
from contracts.mysql import Login, Tls
from emulator.errors import LocalRunError
from emulator.process import goes_with_the_run
from local.folder import PREFIX
from local.session import Deployment
from operations.run_note import RUN_NOTE, noted_run

NOTE = "up.json"
COMMAND = "python -m"
CURL_SIGNS = (
    '--cacert "$AWS_CA_BUNDLE" --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" '
    '--aws-sigv4 "aws:amz:$AWS_REGION:execute-api"'
)
"""curl's options by which it signs (curl 7.75 or newer), with the variables of the run's `env`."""


@dataclass(frozen=True)
class RunThatIsUp:
    """The addresses and logins of a run. `environment` are AWS's variables, for boto3."""

    folder: Path
    environment: dict[str, str]
    stream: str
    bucket: str
    spec: Dataset
    login: Login


@contextlib.contextmanager
def noted(folder: Path, deployment: Deployment, spec: Dataset, login: Login) -> Iterator[None]:
    """Writes the note about the run to its folder while the context lasts. It holds passwords: only its owner can read
    it."""
    aws = deployment.cloud.aws
    bucket, stream = deployment.output("recommendations_bucket"), deployment.output("event_stream_name")
    environment = aws.environment(aws.root)
    note = {
        "environment": environment,
        "stream": stream,
        "bucket": bucket,
        "dataset": spec.to_dict(),
        "login": asdict(login),
    }
    path = folder / NOTE
    for holds_a_key in (path, folder / "env", folder / RUN_NOTE):
        goes_with_the_run(holds_a_key)
    path.touch(mode=0o600)
    path.write_text(json.dumps(note), encoding="utf-8")
    vectors = deployment.database("postgres")
    passwords = {"MYSQL_PWD": login.password, "PGPASSWORD": vectors.password if vectors else ""}
    _write_shell_file(folder, environment | passwords)
    try:
        outputs = (deployment.output(name) for name in ("api_url", "ml_artifacts_bucket"))
        with noted_run(folder, environment, bucket, stream, *outputs):
            yield
    finally:
        path.unlink(missing_ok=True)
        (folder / "env").unlink(missing_ok=True)


def _write_shell_file(folder: Path, environment: dict[str, str]) -> None:
    path = folder / "env"
    path.touch(mode=0o600)
    path.write_text("".join(f"export {name}={shlex.quote(value)}\n" for name, value in environment.items()))


def places(folder: Path, deployment: Deployment, login: Login) -> dict[str, str]:
    """Returns the services that are up, each with a command that uses it."""
    at = shlex.quote(str(folder))
    bucket, stream = deployment.output("recommendations_bucket"), deployment.output("event_stream_name")
    lines = {
        "still up": f"until Ctrl-C; credentials and passwords for the lines below: . {at}/env",
        "AWS's endpoint": f"{deployment.cloud.aws.endpoint_url}   (aws s3 ls)",
        "API": deployment.output("api_url"),
        "ask the API": f"{COMMAND} operations recommend --run {at} --customer ID --items ID",
        "the same by curl": f"curl {CURL_SIGNS} '{deployment.output('api_url')}/v1/popular?limit=3'",
        "event stream": stream,
        "send an event": f"{COMMAND} local send --folder {at} --customer ID --items ID   (and shows the answer)",
        "buckets": ", ".join(
            deployment.output(name) for name in ("data_lake_bucket", "ml_artifacts_bucket", "recommendations_bucket")
        ),
        "read answers": f"aws s3 cp --recursive s3://{bucket}/recommendations/ recommendations/",
        "failed events": f"{COMMAND} operations replay --run {at}   (puts them back on the stream)",
        "shop": f"mysql --host={login.host} --port={login.port} --user={login.username} {login.database}",
    }
    if vectors := deployment.database("postgres"):
        where = f"-h {vectors.server.host} -p {vectors.server.port} -U {vectors.username} {vectors.database}"
        lines["vector store"] = f"psql {where}"
    return lines


def find(folder: Path | None) -> RunThatIsUp:
    """Returns the run in a folder, or the only one in a folder that a run made itself. Raises `LocalRunError`."""
    if folder is None:
        found = sorted(Path(tempfile.gettempdir()).glob(f"{PREFIX}*/{NOTE}"))
        if len(found) != 1:
            raise LocalRunError(
                f"expected one run that is kept up (make demo ARGS=--keep-running), found {len(found)}: "
                "say which with --folder"
            )
        folder = found[0].parent
    try:
        note = json.loads((folder / NOTE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise LocalRunError(
            f"--folder {folder}: no run is up in it: expected one that was started with --keep-running, and has "
            "reached its end"
        ) from None
    return RunThatIsUp(
        folder,
        note["environment"],
        note["stream"],
        note["bucket"],
        dataset_file.from_dict(note["dataset"]),
        Login(**{**note["login"], "tls": Tls(**note["login"]["tls"])}),
    )
