"""Replaces the module `awsglue.context`."""

from pyspark import SparkContext
from pyspark.sql import SparkSession


class GlueContext:
    """Replaces the class of this name, with the one attribute that the program's jobs use."""

    def __init__(self, sparkContext: SparkContext) -> None:  # noqa: N803
        self.spark_session = SparkSession(sparkContext)
