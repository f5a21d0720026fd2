"""`GlueContext`: the Spark session, and what the catalog knows of a JDBC connection."""

import json
from typing import Any
from urllib.parse import urlsplit

import boto3
from pyspark import SparkContext
from pyspark.sql import SparkSession


class GlueContext:
    """Stands for `awsglue.context.GlueContext`."""

    def __init__(self, sparkContext: SparkContext) -> None:  # noqa: N803
        self.spark_session = SparkSession(sparkContext)

    def extract_jdbc_conf(self, connection_name: str, catalog_id: str | None = None) -> dict[str, Any]:
        """The connection's URL (`url` without the database, `fullUrl` with it), vendor, user and password.

        The login comes from the secret that the connection names, read as the job's role.
        """
        catalog = {"CatalogId": catalog_id} if catalog_id else {}
        connection = boto3.client("glue").get_connection(Name=connection_name, **catalog)["Connection"]
        properties = connection["ConnectionProperties"]
        secret = boto3.client("secretsmanager").get_secret_value(SecretId=properties["SECRET_ID"])
        login = json.loads(secret["SecretString"])
        full_url = properties["JDBC_CONNECTION_URL"]
        place = urlsplit(full_url.removeprefix("jdbc:"))
        return {
            "url": f"jdbc:{place.scheme}://{place.netloc}",
            "fullUrl": full_url,
            "vendor": place.scheme,
            "user": login["username"],
            "password": login["password"],
            "enforceSSL": properties.get("JDBC_ENFORCE_SSL", "false"),
        }
