"""Whether a resource's own policy lets an AWS service act: what MiniStack does not ask of its EventBridge."""

from ministack.core.iam_evaluator import EvalContext, evaluate_resource_policy

from emulator.ministack import MiniStack


def service_may(
    ministack: MiniStack, policy: str | None, service: str, action: str, resource_arn: str, source_arn: str
) -> bool:
    """Evaluates a resource policy for a service acting for one of its resources, conditions included.

    `service` is such as `events.amazonaws.com`, `source_arn` what `aws:SourceArn` then is; `aws:SourceAccount` is the
    run's account. No policy allows nothing: a service has no permissions of its own.
    """
    context = EvalContext(
        principal_arn="",
        principal_type="Service",
        principal_account=ministack.account_id,
        action=action,
        resource_arn=resource_arn,
        region=ministack.region,
        service_context={"aws:sourcearn": source_arn, "aws:sourceaccount": ministack.account_id},
    )
    return bool(evaluate_resource_policy(policy, context, service=service).decision == "Allow")
