"""Whatever fails in whatever order, an event source mapping loses no record and keeps each shard's order."""

import base64
import io
import json
from typing import Any

from botocore.exceptions import ClientError
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from emulator.event_source import EventSource
from tests.emulator.aws import FakeClock
from tests.emulator.fake_services import SHARDS, Services


class Lambda(Services):
    """Services with a function that stops at poison (every third record) and reports it; `processed` lists the
    others."""

    def __init__(self) -> None:
        super().__init__()
        self.processed: list[tuple[str, int]] = []

    def get_function_configuration(self, FunctionName: str) -> dict[str, str]:
        return {"Role": "role"}

    def invoke(self, FunctionName: str, Payload: str) -> dict[str, Any]:
        self.fail_if_broken("lambda")
        if self.function == "throttled":
            raise ClientError({"Error": {"Code": "TooManyRequestsException", "Message": "slow"}}, "Invoke")
        failed: list[dict[str, str]] = []
        for record in json.loads(Payload)["Records"]:
            number = int(base64.b64decode(record["kinesis"]["data"]))
            if self.function == "meets poison" and number % 3 == 2:
                failed.append({"itemIdentifier": record["kinesis"]["sequenceNumber"]})
                break
            if self.function != "raising":
                self.processed.append((record["eventID"].split(":")[0], number))
        answer = {"Payload": io.BytesIO(json.dumps({"batchItemFailures": failed}).encode())}
        return answer | ({"FunctionError": "Unhandled"} if self.function == "raising" else {})


class Mappings(RuleBasedStateMachine):
    @initialize(
        bisects=st.booleans(), retries=st.sampled_from([-1, 0, 2]), batch_size=st.integers(1, 5), restarts=st.booleans()
    )
    def begin(self, bisects: bool, retries: int, batch_size: int, restarts: bool) -> None:
        self.services, self.clock, self.n_put, self.restarts = Lambda(), FakeClock(), 0, restarts
        declared = {
            "eventSourceArn": "arn:aws:kinesis:us-east-1:111122223333:stream/events",
            "functionName": "arn:aws:lambda:us-east-1:111122223333:function:recommend:live",
            "startingPosition": "TRIM_HORIZON",
            "batchSize": batch_size,
            "maximumRetryAttempts": retries,
            "bisectBatchOnFunctionError": bisects,
            "functionResponseTypes": ["ReportBatchItemFailures"],
            "destinationConfig": {"onFailure": {"destinationArn": "arn:aws:s3:::failures"}},
        }
        self.source = EventSource(self.services, declared, self.clock)  # type: ignore[arg-type]
        self.source._open()

    @rule(shard=st.sampled_from(SHARDS), count=st.integers(1, 7))
    def put(self, shard: str, count: int) -> None:
        for _ in range(count):
            self.services.shards[shard].append(str(self.n_put).encode())
            self.n_put += 1

    @rule(seconds=st.sampled_from([0.0, 1.0, 30.0]), force=st.booleans())
    def work(self, seconds: float, force: bool) -> None:
        self.clock.now += seconds
        self.source._round(force=force)

    @rule(broken=st.sets(st.sampled_from(["kinesis", "lambda"])))
    def break_and_mend(self, broken: set[str]) -> None:
        self.services.broken = broken

    @rule(how=st.sampled_from(["ok", "throttled", "raising", "meets poison"]))
    def change_function(self, how: str) -> None:
        self.services.function = how

    @rule()
    def restart(self) -> None:
        if self.restarts and "kinesis" not in self.services.broken:
            self.source._open()

    @invariant()
    def counts_add_up(self) -> None:
        assert 0 <= self.source.counters.pending <= self.n_put

    def teardown(self) -> None:
        if not hasattr(self, "source"):
            return
        self.services.broken, self.services.function = set(), "ok"
        self.source.flush(timeout=1e9)
        documents = [json.loads(body) for body in self.services.objects.values()]
        discarded = {
            int(base64.b64decode(record["kinesis"]["data"]))
            for document in documents
            for record in document["payload"]["Records"]
        }
        processed = {number for _, number in self.services.processed}
        assert processed | discarded == set(range(self.n_put)), "a record is neither processed nor kept"
        for shard in SHARDS:
            order = [number for where, number in self.services.processed if where == shard]
            assert list(dict.fromkeys(order)) == sorted(set(order)), "in the shard's order"
            assert self.restarts or len(set(order)) == len(order), "without a restart each once"


TestMappings = Mappings.TestCase
TestMappings.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
