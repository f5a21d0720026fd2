"""The component library: a recommender on AWS, in parts that a program wires."""

from components.batch_pipeline import BatchPipeline, BatchPipelineArgs
from components.function import PythonFunction, PythonFunctionArgs
from components.iam import ScopedRole, ScopedRoleArgs, Statement
from components.network import Network, NetworkArgs
from components.source_database import SourceDatabase, SourceDatabaseArgs
from components.storage import PrivateBucket, PrivateBucketArgs
from components.streaming_recommender import StreamingRecommender, StreamingRecommenderArgs
from components.vector_store import VectorStore, VectorStoreArgs

__all__ = [
    "BatchPipeline",
    "BatchPipelineArgs",
    "Network",
    "NetworkArgs",
    "PrivateBucket",
    "PrivateBucketArgs",
    "PythonFunction",
    "PythonFunctionArgs",
    "ScopedRole",
    "ScopedRoleArgs",
    "SourceDatabase",
    "SourceDatabaseArgs",
    "Statement",
    "StreamingRecommender",
    "StreamingRecommenderArgs",
    "VectorStore",
    "VectorStoreArgs",
]
