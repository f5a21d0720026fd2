"""The wiring: settings in, components, outputs. Read it to learn the system."""

import pulumi

import components
import settings

config = settings.load()
common: components.CommonArgs = {"settings": config.common}
if config.customer_managed_key:
    common["kms_key_arn"] = components.Key("key", {"common": common}).arn

placement = components.Network("network", {"common": common, "settings": config.network}).placement
code = components.PrivateBucket("code", {"common": common, "holds_data": False}).reference

source = components.SourceDatabase(
    "source",
    {"common": common, "settings": config.source, "password": config.db_password, "placement": placement, "code": code},
)

batch = components.BatchPipeline(
    "batch",
    {
        "common": common,
        "settings": config.batch,
        "placement": placement,
        "source": source.link,
        "code": code,
        "dataset_file": config.dataset_file,
        "training_data_name": config.load_dataset().name,
    },
)

vectors = components.VectorStore(
    "vectors", {"common": common, "settings": config.vectors, "placement": placement, "code": code}
)

catalogue = components.CatalogRefresh(
    "catalogue",
    {
        "common": common,
        "settings": config.catalogue,
        "placement": placement,
        "store": vectors.link,
        "source": source.function_link,
        "code": code,
    },
)

stream = components.StreamingRecommender(
    "stream", {"common": common, "settings": config.stream, "placement": placement, "store": vectors.link, "code": code}
)

api = components.RecommendationApi(
    "api",
    {
        "common": common,
        "settings": config.api,
        "placement": placement,
        "store": vectors.link,
        "events": stream.producer_link,
        "code": code,
    },
)

components.Monitoring(
    "monitoring",
    {
        "common": common,
        "settings": config.monitoring,
        "event_stream_name": stream.event_stream_name,
        "delivery_stream_name": stream.delivery_stream_name,
        "functions": [vectors.loader, catalogue.function, stream.inference, stream.transformation, *api.functions],
        "api": api.watched,
        "catalogue": catalogue.watched,
        "dead_letter_queue_name": vectors.dead_letter_queue_name,
        "database": vectors.watched,
        "glue_job_name": batch.glue_job_name,
    },
)

pulumi.export("data_lake_bucket", batch.data_lake_bucket)
pulumi.export("glue_job_name", batch.glue_job_name)
pulumi.export("glue_database_name", batch.glue_database_name)
pulumi.export("ml_artifacts_bucket", vectors.ml_artifacts_bucket)
pulumi.export("vector_db_host", vectors.host)
pulumi.export("vector_db_port", vectors.port)
pulumi.export("vector_db_name", vectors.database)
pulumi.export("vector_db_username", vectors.username)
pulumi.export("vector_db_password", vectors.password)
pulumi.export("recommendations_bucket", stream.recommendations_bucket)
pulumi.export("event_stream_name", stream.event_stream_name)
pulumi.export("delivery_stream_name", stream.delivery_stream_name)
pulumi.export("api_url", api.url)
