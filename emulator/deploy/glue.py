"""The Glue catalog and connection on MiniStack. The local run itself runs the job and the crawler."""

from emulator.deploy.cloud import Cloud
from emulator.deploy.resource import Realised, Resource, no_local_effect, realises

no_local_effect("aws:athena/workgroup:Workgroup", "queries need Athena itself; the catalog that they read is made")


@realises("aws:glue/catalogDatabase:CatalogDatabase")
def catalog_database(cloud: Cloud, resource: Resource) -> Realised:
    name = resource.physical_name(limit=255)
    cloud.client("glue").create_database(DatabaseInput={"Name": name, "Description": resource.get("description", "")})
    return Realised(f"{cloud.aws.account_id}:{name}", {"name": name, "arn": cloud.arn("glue", f"database/{name}")})


@realises("aws:glue/connection:Connection")
def connection(cloud: Cloud, resource: Resource) -> Realised:
    name = resource.physical_name(limit=255)
    place = resource["physicalConnectionRequirements"]
    cloud.client("glue").create_connection(
        ConnectionInput={
            "Name": name,
            "ConnectionType": resource["connectionType"],
            "ConnectionProperties": resource.get("connectionProperties", {}),
            "PhysicalConnectionRequirements": {
                "SubnetId": place["subnetId"],
                "AvailabilityZone": place["availabilityZone"],
                "SecurityGroupIdList": place["securityGroupIdLists"],
            },
        }
    )
    with cloud.lock:
        cloud.glue_connections[name] = resource
    return Realised(f"{cloud.aws.account_id}:{name}", {"name": name, "arn": cloud.arn("glue", f"connection/{name}")})


@realises("aws:glue/job:Job")
def job(cloud: Cloud, resource: Resource) -> Realised:
    name = resource.physical_name(limit=255)
    with cloud.lock:
        cloud.glue_jobs[name] = resource
    return Realised(name, {"name": name, "arn": cloud.arn("glue", f"job/{name}")})


@realises("aws:glue/workflow:Workflow")
def workflow(cloud: Cloud, resource: Resource) -> Realised:
    name = resource.physical_name(limit=255)
    cloud.client("glue").create_workflow(Name=name, Description=resource.get("description", ""))
    return Realised(name, {"name": name, "arn": cloud.arn("glue", f"workflow/{name}")})


@realises("aws:glue/trigger:Trigger")
def trigger(cloud: Cloud, resource: Resource) -> Realised:
    """Keeps the trigger: the run starts its actions after an event or a job's end. Schedules have no local effect."""
    name = resource.physical_name(limit=255)
    with cloud.lock:
        cloud.glue_triggers[name] = resource
    return Realised(name, {"name": name, "arn": cloud.arn("glue", f"trigger/{name}")})


@realises("aws:glue/crawler:Crawler")
def crawler(cloud: Cloud, resource: Resource) -> Realised:
    name = resource.physical_name(limit=255)
    with cloud.lock:
        cloud.crawlers[name] = resource
    return Realised(name, {"name": name, "arn": cloud.arn("glue", f"crawler/{name}")})
