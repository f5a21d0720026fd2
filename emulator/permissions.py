"""Whether a policy lets an AWS service act: what MiniStack does not ask, or has no call for."""

import json
from collections.abc import Mapping, Sequence

from ministack.core.iam_evaluator import EvalContext, evaluate, evaluate_resource_policy, parse_policy_document

from emulator.ministack import MiniStack


def service_may(
    ministack: MiniStack, policy: str | None, service: str, action: str, resource_arn: str, source_arn: str | None
) -> bool:
    """Evaluates a resource policy for a service acting for one of its resources, conditions included.

    `service` is such as `events.amazonaws.com`, `source_arn` what `aws:SourceArn` then is; `aws:SourceAccount` is the
    run's account. None: the service names no source, and a policy that asks for one refuses it. No policy allows
    nothing: a service has no permissions of its own.
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
    """Evaluates a role's own policies for a call that MiniStack does not have; `context` are condition keys."""
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
