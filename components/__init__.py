"""The component library: a recommender on AWS, in parts that a program wires."""

from components.api_authorization import ApiKeyAuthorizer, ApiKeyAuthorizerArgs
from components.api_settings import Authorization, RecommendationApiSettings
from components.batch_pipeline import BatchPipeline, BatchPipelineArgs, BatchPipelineSettings, WorkerType
from components.catalog_refresh import CatalogRefresh, CatalogRefreshArgs, CatalogRefreshSettings, WatchedRefresh
from components.common import CommonArgs, CommonSettings
from components.encryption import Key, KeyArgs
from components.function import PythonFunction, PythonFunctionArgs, WatchedFunction
from components.iam import Link, ScopedRole, ScopedRoleArgs, Statement
from components.monitoring import Monitoring, MonitoringArgs, MonitoringSettings
from components.network import Network, NetworkArgs, NetworkSettings, PlacementArgs
from components.private_bucket import BucketReference, PrivateBucket, PrivateBucketArgs
from components.recommendation_api import (
    RecommendationApi,
    RecommendationApiArgs,
    WatchedApi,
)
from components.source_database import SourceDatabase, SourceDatabaseArgs
from components.source_settings import SourceDatabaseSettings
from components.stream_settings import Delivery, StreamingRecommenderSettings
from components.streaming_recommender import StreamingRecommender, StreamingRecommenderArgs
from components.vector_settings import VectorStoreSettings
from components.vector_store import VectorStore, VectorStoreArgs, WatchedDatabase

__all__ = [
    "ApiKeyAuthorizer",
    "ApiKeyAuthorizerArgs",
    "Authorization",
    "BatchPipeline",
    "BatchPipelineArgs",
    "BatchPipelineSettings",
    "BucketReference",
    "CatalogRefresh",
    "CatalogRefreshArgs",
    "CatalogRefreshSettings",
    "CommonArgs",
    "CommonSettings",
    "Delivery",
    "Key",
    "KeyArgs",
    "Link",
    "Monitoring",
    "MonitoringArgs",
    "MonitoringSettings",
    "Network",
    "NetworkArgs",
    "NetworkSettings",
    "PlacementArgs",
    "PrivateBucket",
    "PrivateBucketArgs",
    "PythonFunction",
    "PythonFunctionArgs",
    "RecommendationApi",
    "RecommendationApiArgs",
    "RecommendationApiSettings",
    "ScopedRole",
    "ScopedRoleArgs",
    "SourceDatabase",
    "SourceDatabaseArgs",
    "SourceDatabaseSettings",
    "Statement",
    "StreamingRecommender",
    "StreamingRecommenderArgs",
    "StreamingRecommenderSettings",
    "VectorStore",
    "VectorStoreArgs",
    "VectorStoreSettings",
    "WatchedApi",
    "WatchedDatabase",
    "WatchedFunction",
    "WatchedRefresh",
    "WorkerType",
]
