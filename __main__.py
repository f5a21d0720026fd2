"""The wiring: settings in, components, outputs. Read it to learn the system."""

import pulumi

import components
import settings

config = settings.load()
common: components.CommonArgs = {**config.common, "tags": components.stack_tags(config.common.get("tags", {}))}
if config.customer_managed_key:
    common["kms_key_arn"] = components.Key("key", {**common}).arn

network = components.Network("network", {**common, **config.network})
code = components.PrivateBucket("code", {**common, "force_destroy": True})

source = components.SourceDatabase(
    "source",
    {
        **common,
        **config.source,
        **network.placement,
        "code_bucket": code.name,
        "code_bucket_arn": code.arn,
    },
)

batch = components.BatchPipeline(
    "batch",
    {
        **common,
        **config.batch,
        "login_uri": source.login_uri,
        "login_arn": source.login_arn,
        "client_security_group_ids": [source.client_security_group_id, network.s3_client_security_group_id],
        "vpc_id": network.vpc_id,
        "subnet_id": network.subnet_ids[0],
        "code_bucket": code.name,
        "code_bucket_arn": code.arn,
        "dataset_file": config.dataset_file,
        "training_data_name": config.load_dataset().name,
    },
)

vectors = components.VectorStore(
    "vectors",
    {
        **common,
        **config.vectors,
        **network.placement,
        "s3_client_security_group_id": network.s3_client_security_group_id,
        "code_bucket": code.name,
    },
)

stream = components.StreamingRecommender(
    "stream",
    {
        **common,
        **config.stream,
        "subnet_ids": network.subnet_ids,
        "security_group_ids": [vectors.client_security_group_id, network.s3_client_security_group_id],
        "vector_store_environment": vectors.environment,
        "vector_store_statements": vectors.statements,
        "code_bucket": code.name,
    },
)

components.Monitoring(
    "monitoring",
    {
        **common,
        **config.monitoring,
        "event_stream_name": stream.event_stream_name,
        "delivery_stream_name": stream.delivery_stream_name,
        "functions": {**vectors.functions, **stream.functions},
        "dead_letter_queue_name": vectors.dead_letter_queue_name,
        "database_identifier": vectors.identifier,
        "database_class": vectors.instance_class,
        "database_storage_gb": vectors.storage_gb,
        "glue_job_name": batch.glue_job_name,
    },
)

for component in (batch, vectors, stream):
    for name, value in component.stack_outputs.items():
        pulumi.export(name, value)
