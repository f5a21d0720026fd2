"""Writes a stack's resource graph in Terraform's JSON form, which scanners of infrastructure read.

Pulumi's AWS provider is made from Terraform's: a resource has the same arguments in camel case, with a plural where
Terraform has repeated blocks.
"""

import re
from collections.abc import Mapping
from typing import Any

from local.graph.recorder import Graph, Node

OTHER_NAMES = {
    "aws:rds/instance:Instance": "aws_db_instance",
    "aws:rds/parameterGroup:ParameterGroup": "aws_db_parameter_group",
    "aws:rds/subnetGroup:SubnetGroup": "aws_db_subnet_group",
    "aws:s3/bucketObjectv2:BucketObjectv2": "aws_s3_object",
}
"""Pulumi type → Terraform type, where the name does not follow from the rule."""

PLURAL_BLOCKS = {"actions", "conditions", "parameters", "processors"}
"""Repeated blocks whose name is a plural in Terraform too."""

FREE_KEYS = {"tags", "variables", "default_arguments"}
"""Maps whose keys are the user's own words."""


def document(graph: Graph) -> dict[str, Any]:
    """Returns the whole graph as the content of a `.tf.json` file. Where one resource names another, there is a
    reference."""
    references = _references(graph)
    resources: dict[str, dict[str, Any]] = {}
    for node in graph.nodes:
        if node.custom:
            resources.setdefault(type_name(node.type), {})[node.name] = _convert(node.inputs, references)
    return {"resource": resources}


def type_name(type_: str) -> str:
    """`aws:s3/bucketPolicy:BucketPolicy` → `aws_s3_bucket_policy`."""
    if type_ in OTHER_NAMES:
        return OTHER_NAMES[type_]
    package, module, name = type_.split(":")
    service = module.split("/")[0]
    # Terraform's oldest resources have no service in their name: `aws_vpc`, `aws_security_group`, `random_id`.
    left_out = service in ("ec2", "index")
    name = _snake(name.removeprefix("Random")) if package == "random" else _snake(name)
    return f"{package}_{name}" if left_out else f"{package}_{service}_{name}"


def _references(graph: Graph) -> dict[str, str]:
    """The recorder's id, name or ARN of a resource → Terraform's reference to it."""
    found: dict[str, str] = {}
    for node in graph.nodes:
        if node.custom:
            for output in ("id", "name", "arn"):
                found.setdefault(_recorded(node, output), f"${{{type_name(node.type)}.{node.name}.{output}}}")
    return found


def _recorded(node: Node, output: str) -> str:
    if output == "arn":
        service = node.type.split("/")[0].split(":")[-1]
        return f"arn:aws:{service}:eu-west-1:111122223333:{node.name}"
    return f"{node.name}-{output}"


def _convert(value: Any, references: Mapping[str, str]) -> Any:
    if isinstance(value, Mapping):
        return {
            _block_name(key := _snake(name), entry): entry if key in FREE_KEYS else _convert(entry, references)
            for name, entry in value.items()
        }
    if isinstance(value, list):
        return [_convert(entry, references) for entry in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)  # the engine's numbers are all floats
    if value is None or isinstance(value, bool | int | float):
        return value
    return references.get(str(value), str(value))


def _block_name(name: str, value: Any) -> str:
    repeated = isinstance(value, list) and bool(value) and isinstance(value[0], Mapping)
    return name.removesuffix("s") if repeated and name not in PLURAL_BLOCKS else name


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
