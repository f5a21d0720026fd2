"""RDS instances: real servers on loopback, with the user and the password that the program generated."""

import re

from emulator.deploy.cloud import Cloud, Database, DatabaseInstance
from emulator.deploy.resource import Realised, Resource, no_local_effect, realises
from emulator.errors import LocalRunError
from emulator.mariadb import MariaDB
from emulator.postgres import Postgres

no_local_effect("aws:rds/subnetGroup:SubnetGroup", "the servers listen on loopback")


MEMORY_BYTES, PROCESSORS = 1024**3, 2
"""The variables in RDS's formulas, with the values of a db.t4g.micro."""

_ON_RDS_ALONE = "rds."
"""Parameters that only RDS has and PostgreSQL does not know."""


@realises("aws:rds/parameterGroup:ParameterGroup")
def parameter_group(cloud: Cloud, resource: Resource) -> Realised:
    name = resource.physical_name(limit=255)
    with cloud.lock:
        cloud.parameter_groups[name] = {
            entry["name"]: evaluate(str(entry["value"])) for entry in resource["parameters"]
        }
    return Realised(name, {"name": name, "arn": cloud.arn("rds", f"pg:{name}")})


def evaluate(formula: str) -> str:
    """Returns a parameter's value by RDS's formulas (RDS User Guide, "Specifying DB parameters"). Raises
    `LocalRunError`."""
    if greatest := re.fullmatch(r"GREATEST\((.+),(.+)\)", formula):
        return str(max(int(evaluate(part)) for part in greatest.groups()))
    if quotient := re.fullmatch(r"\{(DBInstanceClassMemory|DBInstanceVCPU)/(\d+)\}", formula):
        whole = MEMORY_BYTES if quotient[1] == "DBInstanceClassMemory" else PROCESSORS
        return str(whole // int(quotient[2]))
    if "{" in formula:
        raise LocalRunError(f"RDS parameter {formula!r}: expected {{DBInstanceClassMemory/n}} or {{DBInstanceVCPU/n}}")
    return formula


@realises("aws:rds/instance:Instance")
def instance(cloud: Cloud, resource: Resource) -> Realised:
    engine = resource["engine"]
    server = _server(cloud, resource)
    made = DatabaseInstance(resource, server, resource["dbName"], resource["username"], resource["password"])
    with cloud.lock:
        if engine in cloud.databases:
            raise LocalRunError(f"{resource}: expected one {engine} instance in a stack, found a second one")
        # Registered before it starts, so that it is stopped whatever happens next.
        cloud.databases[engine] = made
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


def _server(cloud: Cloud, resource: Resource) -> Database:
    folder = cloud.folder / resource["engine"]
    login = {"user": resource["username"], "password": resource["password"], "database": resource["dbName"]}
    if resource["engine"] == "mysql":
        return MariaDB(folder, **login)
    if resource["engine"] == "postgres":
        parameters = cloud.parameter_groups.get(resource.get("parameterGroupName", ""), {})
        settings = {name: value for name, value in parameters.items() if not name.startswith(_ON_RDS_ALONE)}
        return Postgres(folder, **login, settings=settings)
    raise LocalRunError(f"{resource}: engine: expected postgres or mysql, found {resource['engine']!r}")
