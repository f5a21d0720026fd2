"""Runs MiniStack in this process, stricter than MiniStack itself.

`python -m emulator.ministack_server` takes the place of `python -m ministack`. The differences:

* MiniStack accepts a missing key, the key `test` and any twelve digits as root, and lets root assume every role that
  trusts any service. Here only the run's own random key is root. A service's call names the service and the resource
  that it acts for, and MiniStack's own evaluator decides by the role's trust policy with its conditions, as STS does.
* AWS asks for the permission to write into a log stream on the stream, MiniStack on the log group.
* AWS shares a function's reserved concurrency among its versions and aliases, MiniStack does not.
* MiniStack accepts records without a partition key, and records that are too large with it.
* MiniStack's control paths (`/_ministack/reset`, `/_ministack/config` and more) need no signature, so that anybody on
  the machine could use them. They are closed, except for the one that reports that the server is up.
* API Gateway answers what exceeds a stage's limits with 429, MiniStack answers everything.
* Run as root, MiniStack would serve on 127.0.0.1:443 too.
"""

import dataclasses
import json
import os
from collections.abc import Callable
from typing import Any

from contracts.events import MAX_RECORD_BYTES
from emulator.throttle import Throttle

CONTROL_PATHS, HEALTH_PATH = ("/_ministack", "/_localstack"), "/_ministack/health"

SERVICE_CALL = "service-call"
"""Marks an `ExternalId` that carries a service's call. AWS services send no external id of their own."""


def service_call(service: str, source_arn: str | None, source_account: str) -> str:
    """Returns the `ExternalId` by which the local run tells STS for whom a role is assumed."""
    return "=".join((SERVICE_CALL, service, source_account, source_arn or ""))


_LOG_STREAM_ACTIONS = ("PutLogEvents", "GetLogEvents", "DeleteLogStream")
"""Actions on the resource type log-stream (Service Authorization Reference, CloudWatch Logs)."""


_GLUE_NAMED = {"GetConnection": "connection", "GetDatabase": "database"}
"""Action → the type of the resource that its `Name` names; MiniStack takes each for a table."""


def tighten() -> None:
    """Replaces functions of MiniStack. It must be called before MiniStack's application is imported, which copies one
    of them."""
    _tighten_credentials()
    _tighten_resources()
    _tighten_concurrency()
    _let_run_emit()
    _tighten_kinesis()


def _let_run_emit() -> None:
    """Allows the run to put events of services that MiniStack does not emit. From others it refuses `aws.…`, as AWS
    does."""
    from ministack.services import eventbridge

    unchanged = eventbridge._put_events

    def put_events(data: dict[str, Any], allow_aws_source: bool = False) -> Any:
        entries = data.get("Entries") or [{}]
        return unchanged(data, allow_aws_source or all(entry.get("TraceHeader") == SERVICE_CALL for entry in entries))

    eventbridge._put_events = put_events


def _tighten_kinesis() -> None:
    from ministack.core.responses import error_response_json
    from ministack.services import kinesis

    def checked(put: Callable[[Any], Any], records_of: Callable[[Any], list[dict[str, str]]]) -> Callable[[Any], Any]:
        def put_checked(request: Any) -> Any:
            for record in records_of(request):
                key, data = record.get("PartitionKey", ""), record.get("Data", "")
                size = len(key.encode("utf-8", "surrogatepass")) + len(data) * 3 // 4 - data[-2:].count("=")
                if not key or size > MAX_RECORD_BYTES:
                    found = f"a key of {len(key)} characters, and {size} bytes with the data"
                    message = f"expected 1 to 256 characters and {MAX_RECORD_BYTES} bytes at most, found {found}"
                    return error_response_json("ValidationException", message, 400)
            return put(request)

        return put_checked

    kinesis._put_records = checked(kinesis._put_records, lambda request: request.get("Records", []))
    kinesis._put_record = checked(kinesis._put_record, lambda request: [request])


def _close_control_paths() -> None:
    from ministack import app as server

    serve = server.app

    async def closed(scope: Any, receive: Any, send: Any) -> None:
        path = scope.get("path", "")
        if path.startswith(CONTROL_PATHS) and path != HEALTH_PATH:
            await send({"type": "http.response.start", "status": 403, "headers": []})
            await send({"type": "http.response.body", "body": b"closed by the local run"})
            return
        await serve(scope, receive, send)

    server.app = closed


def _authorize_routes_alone() -> None:
    """A browser asks beforehand without credentials, and an unknown path is not found, whoever asks: API Gateway checks
    who calls a route (developer guide, "Configure CORS for HTTP APIs"), where MiniStack asks IAM."""
    from ministack import app as server

    unchanged = server._enforce_execute_api

    def enforce(api_id: str, stage: str, method: str, path: str, *more: Any, **options: Any) -> Any:
        if server._execute_api_authorization_type(api_id, stage, method, path) is None:
            return None
        return unchanged(api_id, stage, method, path, *more, **options)

    server._enforce_execute_api = enforce


def _throttle_stages() -> None:
    from ministack import app as server
    from ministack.services import apigateway

    unchanged, throttle = server._enforce_execute_api, Throttle()

    def enforce(api_id: str, stage: str, *more: Any, **options: Any) -> Any:
        settings = apigateway.stages_for_api(api_id).get(stage, {}).get("defaultRouteSettings", {})
        return throttle.refusal(api_id, stage, settings) or unchanged(api_id, stage, *more, **options)

    server._enforce_execute_api = enforce


def _stay_off_port_443() -> None:
    from ministack import app as server

    server._port_is_bindable = lambda host, port: False


def _tighten_concurrency() -> None:
    from ministack.services import lambda_svc

    unchanged = lambda_svc._reserved_concurrency

    def reserved_concurrency(function: dict[str, Any], config: dict[str, Any]) -> int | None:
        """Applies the function's reserved concurrency to its versions: MiniStack keeps it on the function, and runs the
        version."""
        limit: int | None = unchanged(lambda_svc._functions.get(config.get("FunctionName")) or function, config)
        return limit

    lambda_svc._reserved_concurrency = reserved_concurrency


def _tighten_resources() -> None:
    """Returns the resource that a policy must allow, where MiniStack names another one."""
    from ministack.core import iam_actions

    unchanged = iam_actions.extract_resource_arn

    def extract_resource_arn(
        service: str, method: str, path: str, headers: dict[str, str], body: bytes, *more: Any
    ) -> str:
        arn = str(unchanged(service, method, path, headers, body, *more))
        if service == "logs" and headers.get("x-amz-target", "").endswith(_LOG_STREAM_ACTIONS):
            arn += f":log-stream:{json.loads(body).get('logStreamName')}"
        if service == "glue":
            action = headers.get("x-amz-target", "").rsplit(".", 1)[-1]
            arn = arn.replace(":table/", f":{_GLUE_NAMED.get(action, 'table')}/")
        return arn

    iam_actions.extract_resource_arn = extract_resource_arn


def _tighten_credentials() -> None:
    from ministack.core import iam_evaluator

    root_key = os.environ["AWS_ACCESS_KEY_ID"]

    def is_root_access_key(access_key_id: str) -> bool:
        return bool(access_key_id == root_key)

    unchanged = iam_evaluator.evaluate_trust_policy

    def evaluate_trust_policy(trust: Any, caller_arn: str, ctx: iam_evaluator.EvalContext | None = None) -> bool:
        if ctx is None or ctx.principal_type != "Root":
            return bool(unchanged(trust, caller_arn, ctx))
        marker, *call = (ctx.service_context.get("sts:externalid") or "").split("=")
        if marker != SERVICE_CALL or len(call) != 3:
            return False
        service, account, source_arn = call
        keys = {"aws:sourceaccount": account} | ({"aws:sourcearn": source_arn} if source_arn else {})
        context = dataclasses.replace(ctx, principal_arn="", principal_type="Service", service_context=keys)
        return bool(iam_evaluator.evaluate_resource_policy(trust, context, service=service).decision == "Allow")

    iam_evaluator.is_root_access_key = is_root_access_key
    iam_evaluator.evaluate_trust_policy = evaluate_trust_policy


def main() -> None:
    tighten()
    _close_control_paths()
    _authorize_routes_alone()
    _throttle_stages()
    _stay_off_port_443()
    from ministack.app import main as serve

    serve()


if __name__ == "__main__":
    main()
