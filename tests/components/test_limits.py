"""Every setting against AWS's limits: what AWS would refuse in the middle of an `up` is refused at once, by name."""

from typing import Any

import pytest

from emulator.program import read_complete_stack
from local.graph.recorder import build
from tests.components.program import TRIAL, run_main

TAGS = {f"tag-{number}": "x" for number in range(49)}

REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"common.tags": TAGS}, "expected at most 50 with project and stack"),
    ({"common.tags": {"Stack": "x"}}, "stack: expected keys that differ in more than case"),
    ({"common.tags": {"aws:team": "x"}}, "and no aws: first"),
    ({"common.tags": {"k" * 129: "x"}}, "expected 1 to 128 letters"),
    ({"common.tags": {"team": "x" * 257}}, "team: expected a value of at most 256"),
    ({"common.tags": {"team": "a&b"}}, "team: expected a value"),
    ({"common.log_retention_days": 15}, "log_retention_days: expected one of 1, 3, 5"),
    ({"network.zones": 1}, "zones: expected 2 or 3, got 1"),
    ({"network.zones": 4}, "zones: expected 2 or 3, got 4"),
    ({"network.cidr_block": "10.0.0.0/8"}, "cidr_block: prefix length: expected 16 to 24, got 8"),
    ({"network.cidr_block": "10.0.0.0/28"}, "cidr_block: prefix length: expected 16 to 24, got 28"),
    ({"network.cidr_block": "10.0.0.1/16"}, "cidr_block: expected IPv4 addresses"),
    ({"network.cidr_block": "fd00::/56"}, "cidr_block: expected IPv4 addresses"),
    ({"network.interface_endpoints": ["sqs", "sqs"]}, "interface_endpoints: expected each service once"),
    ({"network.interface_endpoints": ["Secrets Manager"]}, "interface_endpoints: expected names such as"),
    ({"network.vpc_id": "my-vpc", "network.subnet_ids": ["subnet-1", "subnet-2"]}, "vpc_id: expected an id such as"),
    ({"network.vpc_id": "vpc-1"}, "expected both vpc_id and subnet_ids"),
    ({"network.subnet_ids": ["subnet-1", "subnet-2"]}, "expected both vpc_id and subnet_ids"),
    ({"network.vpc_id": "vpc-1", "network.subnet_ids": ["subnet-1"]}, "subnet_ids: expected 2 or more"),
    ({"network.vpc_id": "vpc-1", "network.subnet_ids": ["subnet-1", "subnet-1"]}, "expected different subnets"),
    ({"source.port": 0}, "port: expected 1 to 65535"),
    ({"source.host": "mysql://db"}, "host: expected a host name or address"),
    ({**TRIAL, "source.database": "my-shop"}, "database: expected up to 64 letters"),
    ({**TRIAL, "source.username": "u" * 17}, "username: expected up to 16 letters"),
    ({**TRIAL, "source.storage_gb": 10}, "storage_gb: expected 20 to 65536"),
    ({**TRIAL, "source.instance_class": "t4g.micro"}, "instance_class: expected db"),
    ({**TRIAL, "source.sample_shop_seed": -1}, "sample_shop_seed: expected 0 to"),
    ({"batch.worker_type": "G.3X"}, "batch.worker_type: expected one of G.1X"),
    ({"batch.worker_type": "R.1X", "batch.flex": True}, "flex: expected worker_type G.1X or G.2X, got R.1X"),
    ({"batch.workers": 1}, "workers: expected 2 to 299, got 1"),
    ({"batch.workers": 300}, "workers: expected 2 to 299"),
    ({"batch.timeout_minutes": 10_081}, "timeout_minutes: expected 1 to 10080"),
    ({"batch.schedule": "0 3 * * *"}, "schedule: expected six fields"),
    ({"vectors.instance_class": "m7g.large"}, "instance_class: expected db"),
    ({"vectors.instance_class": "db.x9.large"}, "expected database_max_connections beside"),
    ({"vectors.storage_gb": 19}, "storage_gb: expected 20 to 65536"),
    ({"vectors.backup_retention_days": 36}, "backup_retention_days: expected 0 to 35"),
    ({"stream.shards": -1}, "shards: expected 0 to 20000"),
    ({"stream.stream_retention_hours": 23}, "stream_retention_hours: expected 24 to 8760"),
    ({"stream.recommendation_limit": 101}, "recommendation_limit: expected 1 to 100"),
    ({"stream.processor_buffer_mb": 0.1}, "processor_buffer_mb: expected 0.2 to 3"),
    ({"stream.processor_buffer_mb": 3.5}, "processor_buffer_mb: expected 0.2 to 3"),
    ({"stream.processor_buffer_seconds": 901}, "processor_buffer_seconds: expected 0 to 900"),
    ({"stream.delivery_buffer_mb": 0}, "delivery_buffer_mb: expected 1 to 128"),
    ({"stream.delivery_buffer_mb": 129}, "delivery_buffer_mb: expected 1 to 128"),
    ({"stream.delivery_buffer_seconds": -1}, "delivery_buffer_seconds: expected 0 to 900"),
    ({"stream.delivery_buffer_seconds": 901}, "delivery_buffer_seconds: expected 0 to 900"),
    ({"stream.inference_memory_mb": 100}, "memory_mb: expected 128 to 10240"),
    ({"monitoring.email": "ops"}, "email: expected an address"),
    ({"monitoring.database_max_connections": -1}, "database_max_connections: expected 1 to"),
]


@pytest.mark.parametrize(("given", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_a_value_that_aws_would_refuse_is_refused_in_one_line(given: dict[str, Any], message: str) -> None:
    config = read_complete_stack("prod", {"common.bundle_dependencies": False, **given}).config
    with pytest.raises(ValueError) as error:  # noqa: PT011  (the message is the parameter)
        build(run_main, stack="prod", config=config)
    assert message in str(error.value)
    assert len(str(error.value).splitlines()) == 1
