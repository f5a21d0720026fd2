"""The permissions of EventBridge itself: policies of a rule's target, of its dead-letter queue, and of their keys."""

import contextlib
from collections.abc import Iterator

from botocore.exceptions import BotoCoreError, ClientError

from emulator.async_invoke import RefusedError
from emulator.ministack import MiniStack
from emulator.permissions import service_may

SERVICE = "events.amazonaws.com"
ACTIONS = {
    "lambda": "lambda:InvokeFunction",
    "sns": "sns:Publish",
    "glue": "glue:notifyEvent",
}
"""The service of a target → the action that EventBridge takes on it. No other kind of target is realised; Glue's are
workflows."""
KEY_ACTIONS = ("kms:GenerateDataKey", "kms:Decrypt")
"""The actions that EventBridge takes with the key of an encrypted topic or queue."""


def check_target(ministack: MiniStack, arn: str, rule_arn: str) -> None:
    """Raises `RefusedError` if the policy of a function or topic, or of its key, does not allow EventBridge."""
    service = arn.split(":")[2]
    # To a topic EventBridge names no source, so a policy that asks for one refuses it (SNS Developer Guide, "Key
    # management"; EventBridge User Guide, "Using resource-based policies").
    _check(ministack, arn, ACTIONS[service], rule_arn, None if service == "sns" else rule_arn)


def check_queue(ministack: MiniStack, arn: str, rule_arn: str) -> None:
    """Raises `RefusedError` if the policy of a dead-letter queue, or of its key, does not allow EventBridge."""
    _check(ministack, arn, "sqs:SendMessage", rule_arn, rule_arn)


def queue_url(ministack: MiniStack, arn: str) -> str:
    url: str = ministack.client("sqs").get_queue_url(QueueName=arn.rsplit(":", 1)[-1])["QueueUrl"]
    return url


@contextlib.contextmanager
def refusals() -> Iterator[None]:
    """Turns boto3's errors into `RefusedError`."""
    try:
        yield
    except ClientError as error:
        raise RefusedError.from_client_error(error) from error
    except BotoCoreError as error:
        raise RefusedError("SDK_CLIENT_ERROR", str(error), is_retriable=True) from error


def _check(ministack: MiniStack, arn: str, action: str, rule_arn: str, source: str | None) -> None:
    with refusals():
        policy, key = _policy_and_key(ministack, arn)
    if not service_may(ministack, policy, SERVICE, action, arn, source):
        raise RefusedError(
            "NO_PERMISSIONS",
            f"AccessDenied: {SERVICE} may not {action} {arn} for {rule_arn}: expected the resource's policy to allow "
            f"it{'' if source else ' without a condition on its source'}, found {policy or 'no policy'}",
        )
    if key is None or key.startswith("alias/aws/"):
        return
    with refusals():
        policy = ministack.client("kms").get_key_policy(KeyId=key, PolicyName="default")["Policy"]
    for key_action in KEY_ACTIONS:
        if not service_may(ministack, policy, SERVICE, key_action, key, None):
            raise RefusedError(
                "NO_PERMISSIONS",
                f"AccessDenied: {SERVICE} may not {key_action} with {key}, the key of {arn}: expected the key's policy "
                f"to allow it without a condition on its source, found {policy}",
            )


def _policy_and_key(ministack: MiniStack, arn: str) -> tuple[str | None, str | None]:
    """Returns a resource's own policy, and the key of a topic or queue. Raises `ClientError` if there is no such
    resource."""
    service = arn.split(":")[2]
    client = ministack.client(service)
    if service == "lambda":
        client.get_function_configuration(FunctionName=arn)
        try:
            return client.get_policy(FunctionName=arn)["Policy"], None
        except client.exceptions.ResourceNotFoundException:
            return None, None
    if service == "sns":
        attributes = client.get_topic_attributes(TopicArn=arn)["Attributes"]
    else:
        answer = client.get_queue_attributes(
            QueueUrl=queue_url(ministack, arn), AttributeNames=["Policy", "KmsMasterKeyId"]
        )
        attributes = answer.get("Attributes", {})
    return attributes.get("Policy"), attributes.get("KmsMasterKeyId") or None
