"""A delivery stream on real MiniStack, with what it reads, calls and writes."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from emulator.delivery import DeliveryStream
from emulator.ministack import MiniStack
from tests.emulator.aws import Aws, FakeClock, Statement, allow, trust, unique

KINESIS = ["kinesis:DescribeStream", "kinesis:GetShardIterator", "kinesis:GetRecords", "kinesis:ListShards"]
BUCKET = ["s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"]

# Does as the record says: answers Ok with upper case, Dropped, ProcessingFailed, or fails in one of many ways.
FUNCTION = """
    import base64, json, time

    def handler(event, context):
        texts = [base64.b64decode(record["data"]).decode() for record in event["records"]]
        if "raise" in texts:
            raise ValueError("as asked for")
        if "sleep" in texts:
            time.sleep(5)
        if "event" in texts:
            answer = json.dumps(event)
        answers = []
        for record, text in zip(event["records"], texts):
            result = text if text in ("Dropped", "ProcessingFailed") else "Ok"
            data = json.dumps(event) if text == "event" else text.upper()
            answers.append({"recordId": record["recordId"], "result": result,
                            "data": base64.b64encode((data + "\\n").encode()).decode()})
        if "missing" in texts:
            answers.pop()
        if "double" in texts:
            answers.append(answers[0])
        if "no list" in texts:
            return {"answers": answers}
        return {"records": answers}
"""


class Setup:
    """A stream, a function, a bucket and a delivery stream between them, with exactly the permissions they need."""

    def __init__(self, aws: Aws, function: str) -> None:
        self.aws = aws
        self.name = unique("delivery")
        self.stream_arn = aws.stream()
        self.function = function
        self.bucket = aws.bucket()
        self.log_group = unique("/aws/kinesisfirehose/test")
        aws.client("logs").create_log_group(logGroupName=self.log_group)
        aws.client("logs").create_log_stream(logGroupName=self.log_group, logStreamName="DestinationDelivery")
        self.source_role = aws.role(trust("firehose.amazonaws.com"), allow(KINESIS, self.stream_arn))
        self.statements: dict[str, Statement] = {
            "bucket": allow(BUCKET, f"arn:aws:s3:::{self.bucket}"),
            "s3": allow("s3:PutObject", f"arn:aws:s3:::{self.bucket}/*"),
            "lambda": allow("lambda:InvokeFunction", self.function),
            "logs": allow(
                "logs:PutLogEvents", f"arn:aws:logs:*:*:log-group:{self.log_group}:log-stream:DestinationDelivery"
            ),
        }
        self.role = aws.role(trust("firehose.amazonaws.com"), *self.statements.values())
        self.started: list[DeliveryStream] = []

    def inputs(self, parameters: Mapping[str, str] | None = None, **s3: Any) -> dict[str, Any]:
        given = {"LambdaArn": self.function, "BufferIntervalInSeconds": "0", **(parameters or {})}
        return {
            "name": self.name,
            "destination": "extended_s3",
            "kinesisSourceConfiguration": {"kinesisStreamArn": self.stream_arn, "roleArn": self.source_role},
            "extendedS3Configuration": {
                "bucketArn": f"arn:aws:s3:::{self.bucket}",
                "roleArn": self.role,
                "bufferingSize": 1,
                "bufferingInterval": 0,
                "prefix": "data/",
                "errorOutputPrefix": "errors/!{firehose:error-output-type}/",
                "cloudwatchLoggingOptions": {
                    "enabled": True,
                    "logGroupName": self.log_group,
                    "logStreamName": "DestinationDelivery",
                },
                "processingConfiguration": {
                    "enabled": True,
                    "processors": [
                        {
                            "type": "Lambda",
                            "parameters": [{"parameterName": k, "parameterValue": v} for k, v in given.items()],
                        }
                    ],
                },
                **s3,
            },
        }

    def start(
        self, parameters: Mapping[str, str] | None = None, clock: FakeClock | None = None, **s3: Any
    ) -> DeliveryStream:
        delivery = DeliveryStream(self.aws.ministack, self.inputs(parameters, **s3), clock)
        delivery.start()
        self.started.append(delivery)
        return delivery

    def forbid(self, name: str, *instead: Statement) -> None:
        """Takes one statement from the delivery role."""
        left = [statement for key, statement in self.statements.items() if key != name]
        self.aws.allow(self.role, *left, *instead)

    def put(self, *texts: str) -> list[str]:
        """The sequence numbers of the records."""
        records = [{"Data": text.encode(), "PartitionKey": f"session-{text[:50]}"} for text in texts]
        answer = self.aws.client("kinesis").put_records(StreamARN=self.stream_arn, Records=records)
        return [record["SequenceNumber"] for record in answer["Records"]]

    def delivered(self, prefix: str = "data/") -> bytes:
        objects = self.aws.objects(self.bucket)
        return b"".join(body for key, body in sorted(objects.items()) if key.startswith(prefix))

    def errors(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.delivered("errors/").splitlines()]


@pytest.fixture(scope="module", name="function")
def function_fixture(ministack: MiniStack) -> str:
    return Aws(ministack).function(FUNCTION)


@pytest.fixture(name="setup")
def setup_fixture(aws: Aws, function: str) -> Iterator[Setup]:
    made = Setup(aws, function)
    yield made
    for delivery in made.started:
        delivery.stop(drain=False)
