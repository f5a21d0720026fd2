"""Whatever fails in whatever order, a delivery stream loses no record: random faults against services in memory."""

import base64
import io
import json
from typing import Any

from botocore.exceptions import ClientError
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from emulator.delivery import DeliveryStream
from tests.emulator.aws import FakeClock
from tests.emulator.fake_services import SHARDS, Services
from tests.emulator.test_delivery_rules import inputs
from tests.functions.lambdas import packed


class Firehose(Services):
    """Services with a function that transforms."""

    def invoke(self, FunctionName: str, Payload: str) -> dict[str, Any]:
        self.fail_if_broken("lambda")
        if self.function == "throttled":
            raise ClientError({"Error": {"Code": "TooManyRequestsException", "Message": "slow"}}, "Invoke")
        answers = [
            {"recordId": record["recordId"], "result": "Ok", "data": record["data"]}
            for record in json.loads(Payload)["records"]
        ]
        if self.function == "some fail":
            answers[0] = {"recordId": answers[0]["recordId"], "result": "ProcessingFailed"}
        if self.function == "forgetful":
            answers = answers[1:]
        answer = {"Payload": io.BytesIO(json.dumps({"records": answers}).encode())}
        return answer | ({"FunctionError": "Unhandled"} if self.function == "raising" else {})


class Deliveries(RuleBasedStateMachine):
    """Each record is a line with a number of its own."""

    @initialize(interval=st.sampled_from([0, 60]), retries=st.sampled_from([0, 2]), restarts=st.booleans())
    def begin(self, interval: int, retries: int, restarts: bool) -> None:
        self.services, self.clock, self.n_put = Firehose(), FakeClock(), 0
        self.restarts = restarts
        parameters = {"BufferIntervalInSeconds": str(interval), "NumberOfRetries": str(retries)}
        declared = inputs(
            parameters,
            bufferingInterval=interval,
            prefix="data/",
            errorOutputPrefix="errors/!{firehose:error-output-type}/",
        )
        self.stream = DeliveryStream(self.services, declared, self.clock)  # type: ignore[arg-type]
        self.stream._open()

    @rule(shard=st.sampled_from(SHARDS), count=st.integers(1, 7), pack=st.booleans())
    def put(self, shard: str, count: int, pack: bool) -> None:
        """So many records, or one record into which a producer packed them."""
        records = [f"{number}\n".encode() for number in range(self.n_put, self.n_put + count)]
        self.services.shards[shard] += [packed(*records)] if pack else records
        self.n_put += count

    @rule(seconds=st.sampled_from([0.0, 1.0, 30.0, 60.0, 400.0]), force=st.booleans())
    def work(self, seconds: float, force: bool) -> None:
        self.clock.now += seconds
        self.stream._round(force=force)

    @rule(broken=st.sets(st.sampled_from(["kinesis", "lambda", "s3", "errors"])))
    def break_and_mend(self, broken: set[str]) -> None:
        self.services.broken = broken

    @rule(how=st.sampled_from(["ok", "throttled", "raising", "some fail", "forgetful"]))
    def change_function(self, how: str) -> None:
        self.services.function = how

    @rule()
    def restart(self) -> None:
        if self.restarts and "kinesis" not in self.services.broken:
            self.stream._open()

    @invariant()
    def counts_add_up(self) -> None:
        assert 0 <= self.stream.counters.pending <= self.n_put

    def teardown(self) -> None:
        if not hasattr(self, "stream"):
            return
        self.services.broken = set()
        self.stream.flush(timeout=1e9)
        counts = [0] * self.n_put
        for key, body in self.services.objects.items():
            for line in body.splitlines():
                data = line if key.startswith("data/") else base64.b64decode(json.loads(line)["rawData"])
                counts[int(data)] += 1
        assert all(counts), "a record is neither delivered nor kept as failed"
        assert self.restarts or set(counts) <= {1}, "without a restart nothing is delivered twice"
        assert self.stream.counters.pending == 0


TestDeliveries = Deliveries.TestCase
TestDeliveries.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
