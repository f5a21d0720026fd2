"""RDS instances: real servers on loopback, with the very user and password that the program generated."""

from pathlib import Path

from local.deploy.cloud import Cloud, Database, DatabaseInstance
from local.deploy.resource import Realised, Resource, no_local_effect, realises
from local.errors import LocalRunError
from local.mariadb import MariaDB
from local.postgres import Postgres

no_local_effect("aws:rds/subnetGroup:SubnetGroup", "the servers listen on loopback")


@realises("aws:rds/instance:Instance")
def instance(cloud: Cloud, resource: Resource) -> Realised:
    engine = resource["engine"]
    database, username, password = resource["dbName"], resource["username"], resource["password"]
    server = _server(resource, cloud.folder / engine, username, password, database)
    with cloud.lock:
        if engine in cloud.databases:
            raise LocalRunError(f"{resource}: expected one {engine} instance in a stack, found a second one")
        # Known before it starts, so that it is stopped whatever happens from here on.
        cloud.databases[engine] = DatabaseInstance(resource, server, database, username, password)
    server.start()
    identifier = resource.physical_name("identifier")
    outputs = {
        "identifier": identifier,
        "arn": cloud.arn("rds", f"db:{identifier}"),
        "address": server.host,
        "port": server.port,
        "endpoint": f"{server.host}:{server.port}",
        "resourceId": f"db-{identifier}",
    }
    return Realised(identifier, outputs)


def _server(resource: Resource, folder: Path, username: str, password: str, database: str) -> Database:
    if resource["engine"] == "postgres":
        return Postgres(folder, user=username, password=password, database=database)
    if resource["engine"] == "mysql":
        return MariaDB(folder, user=username, password=password, database=database)
    raise LocalRunError(f"{resource}: engine: expected postgres or mysql, found {resource['engine']!r}")
