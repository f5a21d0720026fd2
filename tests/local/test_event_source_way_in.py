"""The second way in, as the program declares it: Kinesis calls the transformation, which puts its lines to Firehose."""

import base64
import json
from pathlib import Path
from typing import Any

from emulator.program import read_stack
from local.session import Deployment, deploy, running_services
from local.streaming import Streaming
from tests.emulator.aws import wait_until
from tests.local.harness import EVENT, QUICK, publish, version_name


def test_events_come_back_and_a_poison_record_is_kept_with_none_lost_beside_it(
    run_folder: Path, artifacts: Path
) -> None:
    with running_services(run_folder, "us-east-1") as cloud:
        deployment = deploy(cloud, read_stack("dev", {**QUICK, "stream.delivery": "event_source"}))
        with Streaming(deployment) as streaming:
            publish(deployment, artifacts, version_name(0))
            streaming.wait_for_load(version_name(0))
            good = [{**EVENT, "session_id": str(number)} for number in range(7)]
            poison = {"session_id": "poison", "browse_history": "not a list"}
            sent = streaming.put([*good[:4], poison, *good[4:]])
            awaited = {event_id: event for event_id, event in sent.items() if event is not poison}
            assert streaming.wait_for(awaited, timeout=60) == [], streaming.reasons()
            wait_until(lambda: bool(given_up(deployment)))
            assert given_up(deployment) == [poison]
            assert streaming.event_sources[0].counters.discarded == 1
            assert len(streaming.records()) == len(good)


def given_up(deployment: Deployment) -> list[Any]:
    """The events that the failure destination keeps."""
    s3, bucket = deployment.cloud.client("s3"), deployment.output("recommendations_bucket")
    listed = s3.list_objects_v2(Bucket=bucket, Prefix="aws/lambda/").get("Contents", [])
    bodies = [json.loads(s3.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read()) for entry in listed]
    records = [record for body in bodies for record in body["payload"]["Records"]]
    return [json.loads(base64.b64decode(record["kinesis"]["data"])) for record in records]
