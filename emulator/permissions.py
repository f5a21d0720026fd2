"""Evaluates policies for actions that MiniStack does not check, or has no call for."""

import json
from collections.abc import Mapping, Sequence

from ministack.core.iam_evaluator import EvalContext, evaluate, evaluate_resource_policy, parse_policy_document

from emulator.ministack import MiniStack


def service_may(
    ministack: MiniStack, policy: str | None, service: str, action: str, resource_arn: str, source_arn: str | None
) -> bool:
    """Returns True if a resource policy, with its conditions, allows a service to act for one of its resources.

    `service` is for instance `events.amazonaws.com`. `source_arn` is the value of `aws:SourceArn`, and
    `aws:SourceAccount` is the run's account; None: the service names no source, and a policy that asks for one refuses
    it. Without a policy nothing is allowed: a service has no permissions of its own.
    """
    source = {"aws:sourcearn": source_arn, "aws:sourceaccount": ministack.account_id} if source_arn else {}
    context = EvalContext(
        principal_arn="",
        principal_type="Service",
        principal_account=ministack.account_id,
        action=action,
        resource_arn=resource_arn,
        region=ministack.region,
        service_context=source,
    )
    return bool(evaluate_resource_policy(policy, context, service=service).decision == "Allow")


def role_may(
    ministack: MiniStack,
    role_arn: str,
    action: str,
    resource_arn: str,
    *,
    tag_keys: Sequence[str] = (),
    context: Mapping[str, str] | None = None,
) -> bool:
    """Returns True if a role's own policies allow a call that MiniStack does not have; `context` are condition keys."""
    iam, name = ministack.client("iam"), role_arn.rsplit("/", 1)[-1]
    names = iam.list_role_policies(RoleName=name)["PolicyNames"]
    documents = [iam.get_role_policy(RoleName=name, PolicyName=each)["PolicyDocument"] for each in names]
    asked = EvalContext(
        principal_arn=role_arn,
        principal_type="AssumedRole",
        principal_account=ministack.account_id,
        action=action,
        resource_arn=resource_arn,
        region=ministack.region,
        tag_keys=list(tag_keys),
        service_context=dict(context or {}),
    )
    return bool(evaluate(asked, [parse_policy_document(json.dumps(each)) for each in documents]).decision == "Allow")
