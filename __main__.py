"""The wiring: settings in, components, outputs. Read it to learn the system."""

import pulumi

import settings
from components import BatchPipeline, Network, PrivateBucket, SourceDatabase, StreamingRecommender, VectorStore

config = settings.load()
shop = config.load_dataset()
tags = {"project": pulumi.get_project(), "stack": pulumi.get_stack()}

network = Network(
    "network",
    {
        "vpc_id": config.vpc_id,
        "subnet_ids": config.subnet_ids,
        "interface_endpoints": config.interface_endpoints,
        "tags": tags,
    },
)

code = PrivateBucket("code", {"force_destroy": True, "tags": tags})

source = SourceDatabase(
    "source",
    {
        "vpc_id": network.vpc_id,
        "subnet_ids": network.subnet_ids,
        "database": config.source_database,
        "host": config.source_host,
        "port": config.source_port,
        "username": config.source_username,
        "password": config.source_password,
        "tags": tags,
    },
)

batch = BatchPipeline(
    "batch",
    {
        "jdbc_url": source.jdbc_url,
        "secret_arn": source.secret_arn,
        "vpc_id": network.vpc_id,
        "subnet_id": network.subnet_ids[0],
        "client_security_group_ids": [source.client_security_group_id, network.s3_client_security_group_id],
        "code_bucket": code.name,
        "code_bucket_arn": code.arn,
        "dataset": config.dataset_file,
        "training_data_name": shop.name,
        "workers": config.glue_workers,
        "force_destroy": config.force_destroy,
        "tags": tags,
    },
)

vectors = VectorStore(
    "vectors",
    {
        "vpc_id": network.vpc_id,
        "subnet_ids": network.subnet_ids,
        "s3_client_security_group_id": network.s3_client_security_group_id,
        "code_bucket": code.name,
        "instance_class": config.vector_db_instance_class,
        "storage_gb": config.vector_db_storage_gb,
        "multi_az": config.vector_db_multi_az,
        "backup_retention_days": config.vector_db_backup_days,
        "deletion_protection": config.deletion_protection,
        "skip_final_snapshot": config.skip_final_snapshot,
        "force_destroy": config.force_destroy,
        "log_retention_days": config.log_retention_days,
        "bundle_dependencies": config.bundle_dependencies,
        "tags": tags,
    },
)

stream = StreamingRecommender(
    "stream",
    {
        "subnet_ids": network.subnet_ids,
        "security_group_ids": [vectors.client_security_group_id, network.s3_client_security_group_id],
        "vector_store_environment": vectors.environment,
        "vector_store_statements": [vectors.read_artifacts()],
        "code_bucket": code.name,
        "recommendation_limit": config.recommendation_limit,
        "shards": config.stream_shards,
        "stream_retention_hours": config.stream_retention_hours,
        "processor_buffer_mb": config.processor_buffer_mb,
        "processor_buffer_seconds": config.processor_buffer_seconds,
        "delivery_buffer_mb": config.delivery_buffer_mb,
        "delivery_buffer_seconds": config.delivery_buffer_seconds,
        "force_destroy": config.force_destroy,
        "log_retention_days": config.log_retention_days,
        "bundle_dependencies": config.bundle_dependencies,
        "tags": tags,
    },
)

for output, value in {
    "data_lake_bucket": batch.data_lake_bucket,
    "ml_artifacts_bucket": vectors.ml_artifacts_bucket,
    "recommendations_bucket": stream.recommendations_bucket,
    "glue_job_name": batch.glue_job_name,
    "glue_database_name": batch.glue_database_name,
    "event_stream_name": stream.event_stream_name,
    "delivery_stream_name": stream.delivery_stream_name,
    "vector_db_host": vectors.host,
    "vector_db_port": vectors.port,
    "vector_db_name": vectors.database,
    "vector_db_username": vectors.username,
    "vector_db_password": vectors.password,
}.items():
    pulumi.export(output, value)
