"""The data catalog over the training data: its crawler, the trigger of the crawler, and the workgroup for queries."""

import pulumi
import pulumi_aws as aws

from components.common import Component
from components.glue import LIST_BUCKET, catalog_arn, glue_role
from components.iam import ScopedRole, Statement, partition, use_key
from components.private_bucket import PrivateBucket

ATHENA_PREFIX = "athena-results/"


def crawler_of(
    owner: Component, name: str, folder: str, lake: PrivateBucket, database: aws.glue.CatalogDatabase
) -> aws.glue.Crawler:
    """Returns the crawler that registers the training data's table and partitions."""
    statements: list[Statement] = [
        {
            "sid": "ReadTrainingData",
            "actions": ["s3:GetObject"],
            "resources": [pulumi.Output.concat(lake.arn, f"/{folder}/*")],
        },
        {"sid": "ListDataLake", "actions": LIST_BUCKET, "resources": [lake.arn]},
        *use_key(owner.kms_key_arn),
        {
            "sid": "WriteCatalog",
            "actions": [
                "glue:GetDatabase",
                "glue:GetTable",
                "glue:GetTables",
                "glue:CreateTable",
                "glue:UpdateTable",
                "glue:GetPartition",
                "glue:GetPartitions",
                "glue:BatchGetPartition",
                "glue:BatchCreatePartition",
                "glue:BatchUpdatePartition",
                "glue:BatchDeletePartition",
                # A crawler makes partition indexes by itself (Glue: "Generating partition indexes").
                "glue:CreatePartitionIndex",
                "glue:GetPartitionIndexes",
            ],
            "resources": [
                catalog_arn(database),
                database.arn,
                database.arn.apply(lambda arn: arn.replace(":database/", ":table/") + "/*"),
            ],
        },
    ]
    # All crawlers of an account write to this group; its name cannot be chosen.
    logs = pulumi.Output.format(
        "arn:{0}:logs:{1}:{2}:log-group:/aws-glue/crawlers",
        partition(owner),
        aws.get_region_output(opts=pulumi.InvokeOptions(parent=owner)).region,
        aws.get_caller_identity_output(opts=pulumi.InvokeOptions(parent=owner)).account_id,
    )
    role = glue_role(owner, f"{name}-crawler", [logs], statements)
    return aws.glue.Crawler(
        f"{name}-training-data",
        description="Registers the training data's table and partitions",
        database_name=database.name,
        role=role.arn,
        s3_targets=[{"path": pulumi.Output.concat("s3://", lake.name, f"/{folder}/"), "exclusions": ["_SUCCESS"]}],
        recrawl_policy={"recrawl_behavior": "CRAWL_EVERYTHING"},
        schema_change_policy={"update_behavior": "UPDATE_IN_DATABASE", "delete_behavior": "DELETE_FROM_DATABASE"},
        tags=owner.tags,
        opts=owner.child,
    )


def workgroup_of(owner: Component, name: str, lake: PrivateBucket) -> aws.athena.Workgroup:
    """Returns the Athena workgroup whose queries are encrypted and leave their results in the data lake."""
    key = owner.kms_key_arn
    return aws.athena.Workgroup(
        f"{name}-queries",
        description="Queries over the training data",
        force_destroy=owner.stack["force_destroy"],
        configuration={
            "enforce_workgroup_configuration": True,
            "publish_cloudwatch_metrics_enabled": True,
            "result_configuration": {
                "output_location": pulumi.Output.concat("s3://", lake.name, "/", ATHENA_PREFIX),
                "encryption_configuration": (
                    {"encryption_option": "SSE_KMS", "kms_key_arn": key} if key else {"encryption_option": "SSE_S3"}
                ),
            },
        },
        tags=owner.tags,
        opts=owner.child,
    )


def crawl_after_job(owner: Component, name: str, job: aws.glue.Job, crawler: aws.glue.Crawler) -> None:
    """Starts the crawler when the job has succeeded, whoever started it.

    A conditional trigger fires only after a job that another trigger started (Glue Developer Guide, "AWS Glue
    triggers"), so not after `start-job-run`. EventBridge cannot start a crawler, but it can start a workflow.
    """
    workflow = aws.glue.Workflow(
        f"{name}-catalogue",
        description="Catalogues what a successful run of the job wrote",
        tags=owner.tags,
        opts=owner.child,
    )
    trigger = aws.glue.Trigger(
        f"{name}-crawl-after-job",
        type="EVENT",
        workflow_name=workflow.name,
        actions=[{"crawler_name": crawler.name}],
        tags=owner.tags,
        opts=owner.child,
    )
    rule = aws.cloudwatch.EventRule(
        f"{name}-job-succeeded",
        description="The Glue job has succeeded: there is new training data",
        event_pattern=pulumi.Output.json_dumps(
            {
                "source": ["aws.glue"],
                "detail-type": ["Glue Job State Change"],
                "detail": {"jobName": [job.name], "state": ["SUCCEEDED"]},
            }
        ),
        tags=owner.tags,
        opts=owner.child,
    )
    # Glue Developer Guide, "Starting an AWS Glue workflow with an Amazon EventBridge event".
    role = ScopedRole(
        f"{name}-start-workflow",
        {
            "common": owner.common,
            "service": "events.amazonaws.com",
            "statements": [{"sid": "StartWorkflow", "actions": ["glue:notifyEvent"], "resources": [workflow.arn]}],
        },
        owner.child,
    )
    aws.cloudwatch.EventTarget(
        f"{name}-start-workflow",
        rule=rule.name,
        arn=workflow.arn,
        role_arn=role.arn,
        opts=pulumi.ResourceOptions(parent=owner, depends_on=[trigger]),
    )
