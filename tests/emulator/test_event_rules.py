"""EventBridge rules on real MiniStack: an object arrives in a bucket, and a target is called, or is not."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from emulator.errors import LocalRunError
from emulator.event_rules import EventRules
from emulator.event_targets import EventDelivery
from tests.emulator.aws import Aws, FakeClock, allow, policy, trust, unique

EVENTBRIDGE = {"Service": "events.amazonaws.com"}
ECHO = "def handler(event, context):\n    return event['detail']['object']['key']"
LOAD = "lambda:us-east-1:111122223333:function:load"
FAILING = "def handler(event, context):\n    raise ValueError('cannot load')"


class Setup:
    """A bucket and a rule for the manifests that arrive in it."""

    def __init__(self, aws: Aws) -> None:
        self.aws = aws
        self.clock = FakeClock()
        self.rules = EventRules(aws.ministack, self.clock)
        self.bucket = aws.bucket(eventbridge=True)
        self.rule = unique("rule")
        detail = {"bucket": {"name": [self.bucket]}, "object": {"key": [{"suffix": "manifest.json"}]}}
        pattern = {"source": ["aws.s3"], "detail-type": ["Object Created"], "detail": detail}
        self.rule_arn = self.rules.add_rule({"name": self.rule, "eventPattern": json.dumps(pattern)})
        self.rules.start()

    def allow_invoke(self, function: str, source_arn: str | None = None) -> None:
        name, alias = function.split(":")[-2:]
        self.aws.client("lambda").add_permission(
            FunctionName=name,
            Qualifier=alias,
            StatementId=unique("sid"),
            Action="lambda:InvokeFunction",
            Principal="events.amazonaws.com",
            SourceArn=source_arn or self.rule_arn,
        )

    def function(self, code: str) -> str:
        """A function that the rule may call; its ARN."""
        function = self.aws.function(code)
        self.allow_invoke(function)
        return function

    def failing_to(self, queue: str, code: str) -> str:
        """A function that the rule may call, whose failure destination is the queue; its ARN."""
        function = self.aws.function(code, allow("sqs:SendMessage", queue))
        self.allow_invoke(function)
        name, alias = function.split(":")[-2:]
        self.aws.client("lambda").put_function_event_invoke_config(
            FunctionName=name, Qualifier=alias, DestinationConfig={"OnFailure": {"Destination": queue}}
        )
        return function

    def allow_publish(self, topic: str, **more: Any) -> None:
        document = policy(allow("sns:Publish", topic, Principal=EVENTBRIDGE, **more))
        self.aws.client("sns").set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=document)

    def target(self, arn: str, **more: Any) -> None:
        self.rules.add_target({"rule": self.rule, "targetId": "loader", "arn": arn, **more})

    def deliver(self, arn: str, **more: Any) -> EventDelivery:
        """Makes a target, and returns the delivery of a manifest's arrival to it."""
        self.target(arn, **more)
        self.put("v1/manifest.json")
        (delivery,) = self.rules.wait_idle(20, at_least=1)
        return delivery

    def second(self, **more: Any) -> EventDelivery:
        """Returns the delivery of a second manifest's arrival."""
        self.put("v2/manifest.json")
        _, delivery = self.rules.wait_idle(20, at_least=2, **more)
        return delivery

    def topic(self, **attributes: str) -> str:
        return str(self.aws.client("sns").create_topic(Name=unique("topic"), Attributes=attributes)["TopicArn"])

    def put(self, key: str) -> None:
        self.aws.client("s3").put_object(Bucket=self.bucket, Key=key, Body=b"{}")

    def dead_letter_queue(self) -> str:
        """A queue into which EventBridge may put this rule's events."""
        only = {"Principal": EVENTBRIDGE, "Condition": {"ArnEquals": {"aws:SourceArn": self.rule_arn}}}
        return self.aws.queue(lambda arn: policy(allow("sqs:SendMessage", arn, **only)))


@pytest.fixture
def setup(aws: Aws) -> Iterator[Setup]:
    made = Setup(aws)
    yield made
    made.rules.stop()


def test_an_object_that_matches_calls_the_function_and_another_does_not(setup: Setup) -> None:
    setup.target(setup.function(ECHO))
    setup.put("v1/embeddings/item_embeddings.csv")
    setup.put("v1/manifest.json")
    (delivery,) = setup.rules.wait_idle(20, at_least=1)
    assert (delivery.response, delivery.error) == ("v1/manifest.json", None)


@pytest.mark.parametrize("granted", [None, "arn:aws:events:us-east-1:111122223333:rule/another"])
def test_a_rule_that_may_not_call_the_function_makes_a_dead_letter(setup: Setup, granted: str | None) -> None:
    function, queue = setup.aws.function(ECHO), setup.dead_letter_queue()
    if granted:
        setup.allow_invoke(function, granted)
    delivery = setup.deliver(function, deadLetterConfig={"arn": queue})
    assert "AccessDenied" in str(delivery.error)
    assert delivery.attempts == 1, "what is forbidden is not tried again"
    (message,) = setup.aws.messages(queue)
    assert json.loads(message["Body"])["detail"]["object"]["key"] == "v1/manifest.json"
    assert message["MessageAttributes"]["ERROR_CODE"]["StringValue"] == "NO_PERMISSIONS"
    assert message["MessageAttributes"]["TARGET_ARN"]["StringValue"] == function


def test_a_failing_function_is_tried_three_times_and_its_own_destination_gets_the_event(setup: Setup) -> None:
    failures, dead_letters = setup.aws.queue(), setup.dead_letter_queue()
    delivery = setup.deliver(setup.failing_to(failures, FAILING), deadLetterConfig={"arn": dead_letters})
    assert "cannot load" in str(delivery.error)
    assert setup.clock.slept == [1.0, 2.0], "a minute and two, at a second a minute"
    (message,) = setup.aws.messages(failures)
    record = json.loads(message["Body"])
    assert record["requestContext"]["condition"] == "RetriesExhausted"
    assert record["requestContext"]["approximateInvokeCount"] == 3
    assert record["requestPayload"]["detail"]["object"]["key"] == "v1/manifest.json"
    assert setup.aws.messages(dead_letters) == [], "the target's queue is for what Lambda did not take"


def test_a_failing_function_without_a_destination_says_that_the_event_is_lost(setup: Setup) -> None:
    delivery = setup.deliver(setup.function(FAILING))
    assert "lost" in str(delivery.error)


def test_a_throttled_function_is_tried_for_six_hours_and_then_its_destination_gets_the_event(setup: Setup) -> None:
    failures = setup.aws.queue()
    function = setup.failing_to(failures, ECHO)
    name = function.split(":")[-2]
    setup.aws.client("lambda").put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    delivery = setup.deliver(function)
    assert "TooManyRequests" in str(delivery.error)
    assert delivery.dead_lettered_to == [failures]
    assert 5.5 * 60 < sum(setup.clock.slept) < 6 * 60, "minutes, at a second a minute"
    assert len(setup.aws.messages(failures)) == 1


def test_a_topic_is_a_target_where_its_policy_allows_it(setup: Setup) -> None:
    topic = setup.topic()
    setup.aws.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=setup.aws.queue())
    assert "sns:Publish" in str(setup.deliver(topic).error)
    setup.allow_publish(topic)
    assert setup.second().error is None


@pytest.mark.parametrize("condition", ["aws:SourceAccount", "aws:SourceArn"])
def test_a_topic_whose_policy_asks_for_eventbridges_source_is_out_of_its_reach(setup: Setup, condition: str) -> None:
    topic = setup.topic()
    source = {"aws:SourceAccount": setup.aws.ministack.account_id, "aws:SourceArn": setup.rule_arn}[condition]
    setup.allow_publish(topic, Condition={"StringEquals": {condition: source}})
    setup.target(topic)
    with pytest.raises(LocalRunError, match="without a condition on its source"):
        setup.rules.check_topics()
    setup.put("v1/manifest.json")
    (refused,) = setup.rules.wait_idle(20, at_least=1)
    assert "may not sns:Publish" in str(refused.error)


def test_the_key_of_an_encrypted_topic_must_let_eventbridge_in_without_conditions_too(setup: Setup) -> None:
    kms = setup.aws.client("kms")
    anybody = allow("kms:*", "*", Principal={"AWS": f"arn:aws:iam::{setup.aws.ministack.account_id}:root"})
    account = {"StringEquals": {"aws:SourceAccount": setup.aws.ministack.account_id}}
    for_account = allow(["kms:Decrypt", "kms:GenerateDataKey"], "*", Principal=EVENTBRIDGE, Condition=account)
    key = kms.create_key(Policy=policy(anybody, for_account))["KeyMetadata"]["Arn"]
    topic = setup.topic(KmsMasterKeyId=key)
    setup.allow_publish(topic)
    setup.target(topic)
    with pytest.raises(LocalRunError, match="may not kms:GenerateDataKey with"):
        setup.rules.check_topics()
    for_all = allow(["kms:Decrypt", "kms:GenerateDataKey"], "*", Principal=EVENTBRIDGE)
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=policy(anybody, for_all))
    setup.rules.check_topics()


def test_a_workflow_is_started_in_the_targets_role(setup: Setup) -> None:
    account, region = setup.aws.ministack.account_id, setup.aws.ministack.region
    workflow = f"arn:aws:glue:{region}:{account}:workflow/catalogue"
    role = setup.aws.role(trust("events.amazonaws.com"))
    setup.rules.on_workflow(lambda name: [f"crawler of {name}"])
    assert "may not glue:notifyEvent" in str(setup.deliver(workflow, roleArn=role).error)
    setup.aws.allow(role, allow("glue:notifyEvent", workflow))
    taken = setup.second(service="glue")
    assert (taken.response, taken.error) == (["crawler of catalogue"], None)


def test_the_run_emits_events_of_services_and_nobody_else_may(setup: Setup) -> None:
    name = unique("rule")
    arn = setup.rules.add_rule({"name": name, "eventPattern": json.dumps({"source": ["aws.glue"]})})
    function = setup.aws.function("def handler(event, context):\n    return event['detail']")
    setup.allow_invoke(function, arn)
    setup.rules.add_target({"rule": name, "targetId": "t", "arn": function})
    setup.rules.emit("aws.glue", "Glue Job State Change", {"state": "SUCCEEDED"})
    (delivery,) = setup.rules.wait_idle(20, at_least=1)
    assert (delivery.response, delivery.error) == ({"state": "SUCCEEDED"}, None)
    entry = {"Source": "aws.glue", "DetailType": "Glue Job State Change", "Detail": "{}"}
    assert setup.aws.client("events").put_events(Entries=[entry])["FailedEntryCount"] == 1


def test_a_rule_that_is_disabled_delivers_nothing(setup: Setup) -> None:
    rule = {"name": setup.rule, "eventPattern": json.dumps({"source": ["aws.s3"]}), "state": "DISABLED"}
    setup.rules.add_rule(rule)
    setup.target(setup.aws.function(ECHO))
    setup.put("v1/manifest.json")
    with pytest.raises(LocalRunError, match="expected 1 or more"):
        setup.rules.wait_idle(1, at_least=1)


@pytest.mark.parametrize("kind", [f"{LOAD}:live", "sns:us-east-1:111122223333:gone"])
def test_a_target_that_is_gone_is_not_tried_again_and_the_event_is_a_dead_letter(setup: Setup, kind: str) -> None:
    queue = setup.dead_letter_queue()
    delivery = setup.deliver(f"arn:aws:{kind}", deadLetterConfig={"arn": queue})
    assert (delivery.attempts, delivery.dead_lettered_to) == (1, [queue])
    (message,) = setup.aws.messages(queue)
    assert message["MessageAttributes"]["ERROR_CODE"]["StringValue"] == "RESOURCE_NOT_FOUND"


def test_a_dead_letter_queue_that_does_not_let_eventbridge_in_is_reported_as_a_loss(setup: Setup) -> None:
    delivery = setup.deliver(setup.aws.function(ECHO), deadLetterConfig={"arn": setup.aws.queue()})
    assert "and lost" in str(delivery.error)
    assert delivery.dead_lettered_to == []


@pytest.mark.parametrize(
    ("arn", "more", "message"),
    [
        ("sqs:us-east-1:111122223333:nightly", {}, "expected one of lambda, sns, glue"),
        (LOAD, {"roleArn": "arn:aws:iam::1:role/r"}, "roleArn is not part"),
        (LOAD, {"input": "{}"}, "input is not part"),
        (LOAD, {"inputPath": "$", "inputTransformer": {"a": "b"}}, "inputPath, inputTransformer is not part"),
    ],
)
def test_what_the_run_does_not_realise_of_a_target_is_refused_by_name(
    setup: Setup, arn: str, more: dict[str, Any], message: str
) -> None:
    with pytest.raises(LocalRunError, match=message):
        setup.target(f"arn:aws:{arn}", **more)
