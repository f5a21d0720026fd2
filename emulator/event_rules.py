"""EventBridge rules of the local run: MiniStack emits and matches the events, this loop delivers them as AWS does.

MiniStack would call a rule's targets at once, without a check of permissions, and once. So each rule is made there with
queues of the run as its targets, and `emulator.event_targets` delivers the events that arrive in them.
"""

import contextlib
import json
import threading
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from emulator.async_invoke import RefusedError
from emulator.clock import Clock, InterruptedWaitError, SystemClock
from emulator.errors import LocalRunError
from emulator.event_permissions import check_target
from emulator.event_targets import EventDelivery, StartWorkflow, Target, TargetDelivery, read_target
from emulator.ministack import MiniStack
from emulator.ministack_server import SERVICE_CALL

TIME_SCALE = 1 / 60
"""One minute of AWS's waits before a retry takes one second here."""

POLL_SECONDS = 0.1
_HIDDEN_SECONDS = 12 * 3600
"""An event in delivery stays hidden in its queue for the longest time that SQS allows, and is deleted after
delivery."""


class _Run:
    """The threads between a start and the next stop."""

    def __init__(self) -> None:
        self.stopping = threading.Event()
        self.pool = ThreadPoolExecutor(max_workers=8, thread_name_prefix="event delivery")


class EventRules:
    """All rules of a run. `deliveries` lists the outcome of each event, in the order in which the deliveries ended."""

    def __init__(self, ministack: MiniStack, clock: Clock | None = None, time_scale: float = TIME_SCALE) -> None:
        self.deliveries: list[EventDelivery] = []
        self._ministack = ministack
        self._clock = clock or SystemClock()
        self._sender = TargetDelivery(ministack, self._clock, time_scale)
        self._queues: dict[str, Target] = {}
        self._rules: dict[str, str] = {}
        self._in_delivery = 0
        self._changed = threading.Condition()
        self._run: _Run | None = None

    def add_rule(self, inputs: Mapping[str, Any]) -> str:
        """Makes an `aws.cloudwatch.EventRule` and returns its ARN. Raises `LocalRunError` if EventBridge refuses the
        pattern."""
        name = inputs["name"]
        if not inputs.get("eventPattern"):
            raise LocalRunError(f"rule {name}: expected an eventPattern: schedules have no local effect")
        try:
            answer = self._ministack.client("events").put_rule(
                Name=name, EventPattern=inputs["eventPattern"], State=inputs.get("state") or "ENABLED"
            )
        except ClientError as error:
            raise LocalRunError(
                f"rule {name}: EventBridge refuses the pattern {inputs['eventPattern']}: {error}"
            ) from error
        arn: str = answer["RuleArn"]
        self._rules[name] = arn
        return arn

    def add_target(self, inputs: Mapping[str, Any]) -> None:
        """Makes an `aws.cloudwatch.EventTarget` of a rule added before. Raises `LocalRunError` if it is not
        realised."""
        rule = inputs["rule"]
        if rule not in self._rules:
            raise LocalRunError(f"target {inputs.get('targetId')}: expected a rule made before, found {rule!r}")
        target = read_target(self._rules[rule], inputs)
        queue = f"local-run-events-{uuid.uuid4().hex}"
        url = self._ministack.client("sqs").create_queue(QueueName=queue)["QueueUrl"]
        arn = f"arn:aws:sqs:{self._ministack.region}:{self._ministack.account_id}:{queue}"
        entry = {"Id": target.target_id, "Arn": arn}
        self._ministack.client("events").put_targets(Rule=rule, Targets=[entry])
        self._queues[url] = target
        if self._run is not None:
            self._watch(url, self._run)

    def emit(self, source: str, detail_type: str, detail: Mapping[str, Any]) -> None:
        """Puts an event of a service on the bus that MiniStack does not emit by itself, such as `aws.glue`."""
        entry = {"Source": source, "DetailType": detail_type, "Detail": json.dumps(detail), "TraceHeader": SERVICE_CALL}
        answer = self._ministack.client("events").put_events(Entries=[entry])
        if answer["FailedEntryCount"]:
            raise LocalRunError(f"event {detail_type} of {source}: EventBridge refuses it: {answer['Entries']}")

    def on_workflow(self, start: StartWorkflow) -> None:
        """Sets the function that is called for an event whose target is a Glue workflow."""
        self._sender.start_workflow = start

    def check_topics(self) -> None:
        """Raises `LocalRunError` if EventBridge could not publish to a topic: its missing alarm would go unnoticed."""
        for target in self._queues.values():
            if target.service == "sns":
                try:
                    check_target(self._ministack, target.arn, target.rule_arn)
                except RefusedError as error:
                    raise LocalRunError(f"target {target.target_id}: {error}") from error

    def start(self) -> None:
        """Starts the deliveries, if they do not run yet."""
        if self._run is not None:
            return
        self._clock.resume()
        self._run = _Run()
        for url in self._queues:
            self._watch(url, self._run)

    def stop(self) -> None:
        """Ends the loop. A delivery that waits for its next try is given up."""
        run, self._run = self._run, None
        if run is not None:
            run.stopping.set()
            self._clock.interrupt()
            run.pool.shutdown(wait=False, cancel_futures=True)

    def wait_idle(self, timeout: float, at_least: int = 0, service: str = "") -> list[EventDelivery]:
        """Waits until every event was delivered or given up, and returns all deliveries since the start.

        `at_least` is the least number of deliveries to wait for: MiniStack emits an event a moment after the request
        that caused it. `service` (for instance `lambda`) restricts it to targets of one service. Raises `LocalRunError`
        after `timeout` seconds.
        """

        def counted() -> list[EventDelivery]:
            return [each for each in self.deliveries if not service or each.target.service == service]

        with self._changed:
            done = self._changed.wait_for(lambda: len(counted()) >= at_least and self._is_idle(), timeout)
            if not done:
                raise LocalRunError(
                    f"events: expected {at_least} or more delivered within {timeout:.0f} s, found "
                    f"{len(counted())} delivered and {self._in_delivery} in delivery"
                )
            return counted()

    def _watch(self, url: str, run: _Run) -> None:
        threading.Thread(target=self._poll, args=(url, run), name="event rule", daemon=True).start()

    def _poll(self, url: str, run: _Run) -> None:
        sqs = self._ministack.client("sqs")
        while not run.stopping.is_set():
            try:
                answer = sqs.receive_message(
                    QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1, VisibilityTimeout=_HIDDEN_SECONDS
                )
            except (ClientError, BotoCoreError):
                run.stopping.wait(POLL_SECONDS)
                continue
            for message in answer.get("Messages", []):
                with self._changed:
                    self._in_delivery += 1
                with contextlib.suppress(RuntimeError):  # the pool was shut down this moment: the run is over
                    run.pool.submit(self._deliver, url, message)

    def _deliver(self, url: str, message: Mapping[str, Any]) -> None:
        target = self._queues[url]
        try:
            delivery = self._sender.deliver(target, message["Body"])
        except InterruptedWaitError:
            delivery = EventDelivery(target, message["Body"], error="given up: the run was stopped")
        except Exception as error:
            delivery = EventDelivery(target, message["Body"], error=f"the local run could not deliver: {error!r}")
        self._ministack.client("sqs").delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        with self._changed:
            self.deliveries.append(delivery)
            self._in_delivery -= 1
            self._changed.notify_all()

    def _is_idle(self) -> bool:
        return self._in_delivery == 0 and not any(self._has_messages(url) for url in self._queues)

    def _has_messages(self, url: str) -> bool:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        attributes = self._ministack.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names)[
            "Attributes"
        ]
        return any(int(attributes[name]) for name in names)
