"""Passwords that are made with the stack, and secrets of Secrets Manager."""

import pulumi
import pulumi_aws as aws
import pulumi_random as random

from components.common import Component

RECOVERY_DAYS = 30
"""Days that a protected stack's deleted secret can be restored, the most that Secrets Manager allows. The name stays
taken for as long."""


def new_password(owner: Component, name: str, length: int = 32) -> pulumi.Output[str]:
    """Makes a password of letters and digits, and returns it as a secret output."""
    password: pulumi.Output[str] = random.RandomPassword(name, length=length, special=False, opts=owner.child).result
    return pulumi.Output.secret(password)


def new_secret(
    owner: Component, name: str, description: str, value: pulumi.Input[str], *, owner_changes: bool = False
) -> aws.secretsmanager.Secret:
    """Makes a secret with its value. With `owner_changes` the value is the first one only: an update of the stack does
    not put it back."""
    secret = aws.secretsmanager.Secret(
        name,
        description=description,
        kms_key_id=owner.kms_key_arn,
        # Without the window, the name is free again at once.
        recovery_window_in_days=0 if owner.stack["force_destroy"] else RECOVERY_DAYS,
        tags=owner.tags,
        opts=owner.child,
    )
    aws.secretsmanager.SecretVersion(
        name,
        secret_id=secret.id,
        secret_string=value,
        opts=pulumi.ResourceOptions(parent=owner, ignore_changes=["secretString"] if owner_changes else None),
    )
    return secret
