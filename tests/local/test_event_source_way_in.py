"""The second way in, as the program declares it: Kinesis calls the transformation, which puts its lines to Firehose."""

import json
from pathlib import Path

from emulator.program import read_stack
from local.session import deploy, running_services
from local.streaming import Streaming
from operations.replay import replay
from tests.emulator.aws import wait_until
from tests.functions.lambdas import packed
from tests.local.harness import EVENT, QUICK, publish, version_name

POISON = {"session_id": "poison", "browse_history": "not a list"}


def test_events_come_back_packed_or_not_and_poison_is_kept_and_holds_up_nobody(
    run_folder: Path, artifacts: Path
) -> None:
    with running_services(run_folder, "us-east-1") as cloud:
        deployment = deploy(cloud, read_stack("dev", {**QUICK, "stream.delivery": "event_source"}))
        kinesis, name = cloud.client("kinesis"), deployment.output("event_stream_name")
        with Streaming(deployment) as streaming:
            publish(deployment, artifacts, version_name(0))
            streaming.wait_for_load(version_name(0))
            good = [{**EVENT, "session_id": str(number)} for number in range(1, 1001)]
            mixed = [
                event
                for number, event in enumerate(good)
                for event in ([event, POISON] if number % 29 == 0 else [event])
            ]
            sent = streaming.put(mixed)
            awaited = {event_id: event for event_id, event in sent.items() if event is not POISON}
            n_poison = len(sent) - len(awaited)
            assert n_poison > 34
            assert streaming.wait_for(awaited, timeout=60) == [], streaming.reasons()
            wait_until(lambda: len(streaming.failures()) == n_poison)
            failures = streaming.failures()
            assert {failure["sequenceNumber"] for failure in failures} == sent.keys() - awaited.keys()
            assert {(failure["errorCode"], failure["rawData"]) for failure in failures} == {
                ("wrong_shape", json.dumps(POISON))
            }
            counters = streaming.event_sources[0].counters
            assert (counters.discarded, counters.failed_invocations) == (0, 0), "nothing was tried again for poison"

            events = [json.dumps({**EVENT, "session_id": f"packed-{n}"}).encode() for n in range(3)]
            put = kinesis.put_record(StreamName=name, Data=packed(*events, b"poison"), PartitionKey="k")
            number = put["SequenceNumber"]
            ids = {number, f"{number}:1", f"{number}:2"}
            wait_until(lambda: ids <= {record["event_id"] for record in streaming.records()})
            wait_until(lambda: streaming.failures()[-1]["sequenceNumber"] == f"{number}:3")

            bucket = deployment.output("recommendations_bucket")
            done = replay(cloud.client("s3"), kinesis, bucket, "processing-failed/", name)
            assert (done.events.total(), done.left) == (0, {"wrong_shape": n_poison, "not_json": 1})
