"""MiniStack: AWS's services on this machine, with IAM enforced, started for one run alone."""

import json
import os
import secrets
import signal
import ssl
import sys
import threading
import urllib.error
import urllib.request
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from emulator.errors import LocalRunError
from emulator.ministack_server import HEALTH_PATH, service_call
from emulator.process import LOOPBACK, ServiceProcess, free_port

ACCOUNT_ID = "111122223333"
"""One of the account ids that AWS reserves for its documentation."""

LAMBDA_MAX_SECONDS = 900
"""The longest run of a function, in seconds. The answer of Invoke may take as long."""

_REFRESH_BEFORE = timedelta(minutes=5)
_SETTINGS = Config(
    retries={"mode": "standard", "total_max_attempts": 3},
    connect_timeout=5,
    read_timeout=LAMBDA_MAX_SECONDS,
    max_pool_connections=32,
    s3={"addressing_style": "path"},
)
NO_RETRIES = Config(retries={"mode": "standard", "total_max_attempts": 1})


@dataclass(frozen=True)
class Credentials:
    """The keys that sign a request. `expires` is None for the run's root key."""

    access_key_id: str
    secret_access_key: str
    session_token: str | None = None
    expires: datetime | None = None

    def environment(self) -> dict[str, str]:
        """The environment variables that give these credentials to a process, such as the Glue job's."""
        token = {"AWS_SESSION_TOKEN": self.session_token} if self.session_token else {}
        return {"AWS_ACCESS_KEY_ID": self.access_key_id, "AWS_SECRET_ACCESS_KEY": self.secret_access_key} | token


class MiniStack:
    """One private MiniStack. Its data lies in `folder`, its output in `log`; both must belong to this run."""

    def __init__(self, folder: Path, log: Path, region: str = "us-east-1") -> None:
        self.region = region
        self.account_id = ACCOUNT_ID
        self.root = Credentials(f"AKIA{secrets.token_hex(8).upper()}", secrets.token_urlsafe(30))
        self._folder = folder
        self._port = free_port()
        self._process = ServiceProcess("MiniStack", log)
        self._session = boto3.session.Session()
        """One for all clients: each session reads the services' descriptions anew, 0.1 s for a client."""
        self._clients: dict[tuple[str, str, int], Any] = {}
        self._lock = threading.Lock()

    @property
    def endpoint_url(self) -> str:
        return f"https://{LOOPBACK}:{self._port}"

    @property
    def ca_bundle(self) -> Path:
        """The certificate that MiniStack made at its start. TLS is needed: buckets refuse anything else."""
        return self._folder / "tmp" / "ministack-tls" / "server.crt"

    def environment(self, credentials: Credentials) -> dict[str, str]:
        """Returns the variables by which a process outside of MiniStack uses it with these credentials."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_CA_BUNDLE": str(self.ca_bundle),
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_EC2_METADATA_DISABLED": "true",
        } | credentials.environment()

    def start(self) -> None:
        """Starts the server. Raises `LocalRunError` with the log's end if it does not answer."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        command = [sys.executable, "-m", "emulator.ministack_server"]
        project = Path(__file__).parent.parent
        # It is killed at the end: it has nothing to save, and would wait for each client's connection to close.
        self._process.start(command, self._is_ready, env=self._environment(), cwd=project, stop_signal=signal.SIGKILL)

    def stop(self) -> None:
        """Stops the server, and the functions that it runs, which are in its process group."""
        self._process.stop()

    @property
    def ended(self) -> str | None:
        return self._process.ended

    def client(self, service: str, credentials: Credentials | None = None, *, config: Config | None = None) -> Any:
        """Returns a boto3 client with these credentials (default: the run's root). There is one for each, safe between
        threads.

        `config` is a constant that changes the defaults: `NO_RETRIES` is for callers with a retry rule of their own.
        """
        who = credentials or self.root
        key = (service, who.access_key_id, id(config))
        with self._lock:
            if key not in self._clients:
                self._clients[key] = self._session.client(
                    service,
                    region_name=self.region,
                    endpoint_url=self.endpoint_url,
                    verify=str(self.ca_bundle),
                    aws_access_key_id=who.access_key_id,
                    aws_secret_access_key=who.secret_access_key,
                    aws_session_token=who.session_token,
                    config=_SETTINGS if config is None else _SETTINGS.merge(config),
                )
            return self._clients[key]

    def assume_role(
        self, role_arn: str, service_principal: str, session_name: str, source_arn: str | None = None
    ) -> Credentials:
        """Returns the role's credentials, as STS gives them to a service such as `firehose.amazonaws.com`.

        `source_arn` is the resource that the service acts for: a trust policy may ask for it by `aws:SourceArn`
        (`aws:SourceAccount` is always this account). Raises `LocalRunError` naming role, principal and trust policy.
        """
        try:
            answer = self.client("sts").assume_role(
                RoleArn=role_arn,
                RoleSessionName=session_name[:64],
                ExternalId=service_call(service_principal, source_arn, self.account_id),
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "AccessDenied":
                raise
            raise LocalRunError(self._refused(role_arn, service_principal, source_arn)) from error
        given = answer["Credentials"]
        return Credentials(
            given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"], given["Expiration"].astimezone(UTC)
        )

    def role(self, role_arn: str, service_principal: str, session_name: str, source_arn: str | None = None) -> "Role":
        """Returns a service that acts in a role over a long time: credentials are renewed before they expire."""
        return Role(self, role_arn, service_principal, session_name, source_arn)

    def function_logs(self, function_name: str, lines: int = 30) -> str:
        """Returns the last lines that a function wrote to CloudWatch Logs, for an error message."""
        try:
            config = self.client("lambda").get_function_configuration(FunctionName=function_name)
            group = config.get("LoggingConfig", {}).get("LogGroup") or f"/aws/lambda/{config['FunctionName']}"
            events = self.client("logs").filter_log_events(logGroupName=group, limit=10_000)["events"]
        except ClientError as error:
            return f"(no log of {function_name}: {error})"
        events.sort(key=lambda event: event["timestamp"])
        return "\n".join(event["message"].rstrip() for event in events[-lines:])

    def _environment(self) -> dict[str, str]:
        """Returns the whole environment of MiniStack, which its Lambda processes inherit."""
        folders = {name: self._folder / name for name in ("s3", "state", "tmp", "home")}
        for folder in folders.values():
            folder.mkdir(parents=True, exist_ok=True)
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "LANG": "C.UTF-8",
            "HOME": str(folders["home"]),
            "TMPDIR": str(folders["tmp"]),
            "S3_DATA_DIR": str(folders["s3"]),
            "STATE_DIR": str(folders["state"]),
            "AUTH": "true",
            "USE_SSL": "1",
            "BIND_HOST": LOOPBACK,
            "GATEWAY_PORT": str(self._port),
            "MINISTACK_HOST": LOOPBACK,
            "MINISTACK_REGION": self.region,
            "MINISTACK_ACCOUNT_ID": self.account_id,
            "SFTP_ENABLED": "0",
            "AWS_EC2_METADATA_DISABLED": "true",
        } | self.root.environment()

    def _is_ready(self) -> bool:
        if not self.ca_bundle.exists():
            return False
        try:
            trust = ssl.create_default_context(cafile=str(self.ca_bundle))
            url = f"{self.endpoint_url}{HEALTH_PATH}"
            with urllib.request.urlopen(url, timeout=2, context=trust) as answer:  # noqa: S310
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError, ssl.SSLError):
            return False

    def _refused(self, role_arn: str, service_principal: str, source_arn: str | None) -> str:
        try:
            role = self.client("iam").get_role(RoleName=role_arn.rsplit("/", 1)[-1])["Role"]
        except ClientError as error:
            return f"{service_principal} cannot assume {role_arn}: no such role ({error})"
        expected = json.dumps(
            {"Principal": {"Service": service_principal}}
            | {"aws:SourceAccount": self.account_id}
            | ({"aws:SourceArn": source_arn} if source_arn else {})
        )
        found = json.dumps(role["AssumeRolePolicyDocument"])
        return (
            f"{service_principal} cannot assume {role_arn}: expected a trust policy that allows sts:AssumeRole for "
            f"{expected}, found {found}: correct the role's trust policy in the component"
        )


class Role:
    """A service that acts in a role. `client` returns clients whose credentials are valid for some minutes yet."""

    def __init__(
        self, ministack: MiniStack, role_arn: str, service_principal: str, session_name: str, source_arn: str | None
    ) -> None:
        self.arn = role_arn
        self._ministack = ministack
        self._who = (role_arn, service_principal, session_name, source_arn)
        self._credentials: Credentials | None = None
        self._lock = threading.Lock()

    def credentials(self) -> Credentials:
        """Returns the credentials. Raises `LocalRunError` if the role does not trust the service."""
        with self._lock:
            current = self._credentials
            if current is None or _expires_soon(current):
                current = self._credentials = self._ministack.assume_role(*self._who)
            return current

    def client(self, service: str, *, config: Config | None = None) -> Any:
        return self._ministack.client(service, self.credentials(), config=config)


def _expires_soon(credentials: Credentials) -> bool:
    return credentials.expires is not None and datetime.now(UTC) > credentials.expires - _REFRESH_BEFORE
