"""Rules of the stand-in provider for each resource type that the program makes.

They come from the resources' schemas in terraform-provider-aws (`internal/service/<service>`, `ForceNew` and
`Computed`), which pulumi-aws 7 is made from; the Python SDK does not carry them. A type that is not listed here is an
error.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class ResourceType:
    """The rules of the provider and AWS for one resource type. Properties are in Pulumi's spelling."""

    arn: str = ""
    """The part of the ARN after the account, with the service before it; `{name}` is the physical name or id."""
    named_by: str = ""
    """The property that Pulumi fills with a name of its own (logical name, seven random digits) where none is given."""
    longest_name: int = 0
    replaces: frozenset[str] = frozenset()
    """Properties (`a.b` for nested ones) that AWS lets nobody change: another value makes a new resource."""
    kept: frozenset[str] = field(default_factory=frozenset)
    """Properties that AWS fills itself: to give them no more is no change (`Optional` and `Computed` in the schema)."""


def _of(replaces: str = "", named_by: str = "", longest: int = 0, arn: str = "", kept: str = "") -> ResourceType:
    return ResourceType(
        arn=arn,
        named_by=named_by,
        longest_name=longest,
        replaces=frozenset(replaces.split()),
        kept=frozenset(kept.split()),
    )


TYPES = {
    "aws:athena/workgroup:Workgroup": _of("name", "name", 128, "athena:workgroup/{name}"),
    "aws:cloudwatch/dashboard:Dashboard": _of("dashboardName", "dashboardName", 255, "cloudwatch::dashboard/{name}"),
    "aws:cloudwatch/eventRule:EventRule": _of("name eventBusName", "name", 64, "events:rule/{name}"),
    "aws:cloudwatch/eventTarget:EventTarget": _of("rule targetId eventBusName"),
    "aws:cloudwatch/logGroup:LogGroup": _of("name logGroupClass", "name", 512, "logs:log-group:{name}"),
    "aws:cloudwatch/logStream:LogStream": _of("name logGroupName", "name", 512, "logs:log-stream:{name}"),
    "aws:cloudwatch/metricAlarm:MetricAlarm": _of("name", "name", 255, "cloudwatch:alarm:{name}"),
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": _of("vpcId", arn="ec2:security-group/{name}"),
    "aws:ec2/routeTable:RouteTable": _of("vpcId", arn="ec2:route-table/{name}"),
    "aws:ec2/routeTableAssociation:RouteTableAssociation": _of("subnetId gatewayId"),
    "aws:ec2/securityGroup:SecurityGroup": _of("name description vpcId", "name", 255, "ec2:security-group/{name}"),
    "aws:ec2/subnet:Subnet": _of("vpcId cidrBlock availabilityZone", arn="ec2:subnet/{name}"),
    "aws:ec2/vpc:Vpc": _of("cidrBlock", arn="ec2:vpc/{name}"),
    "aws:ec2/vpcEndpoint:VpcEndpoint": _of(
        "vpcId serviceName vpcEndpointType", arn="ec2:vpc-endpoint/{name}", kept="policy securityGroupIds subnetIds"
    ),
    "aws:glue/catalogDatabase:CatalogDatabase": _of("name catalogId", "name", 255, "glue:database/{name}"),
    "aws:glue/connection:Connection": _of("name catalogId", "name", 255, "glue:connection/{name}"),
    "aws:glue/crawler:Crawler": _of("name", "name", 255, "glue:crawler/{name}"),
    "aws:glue/job:Job": _of("name", "name", 255, "glue:job/{name}", kept="maxCapacity"),
    "aws:glue/trigger:Trigger": _of("name type workflowName", "name", 255, "glue:trigger/{name}"),
    "aws:glue/workflow:Workflow": _of("name", "name", 255, "glue:workflow/{name}"),
    "aws:iam/role:Role": _of("name path", "name", 64, "iam:role/{name}"),
    "aws:iam/rolePolicy:RolePolicy": _of("name role", "name", 128),
    "aws:apigatewayv2/api:Api": _of("protocolType", "name", 128, "apigateway::/apis/{name}"),
    "aws:apigatewayv2/authorizer:Authorizer": _of("apiId", "name", 128),
    "aws:apigatewayv2/integration:Integration": _of("apiId integrationType"),
    "aws:apigatewayv2/route:Route": _of("apiId"),
    "aws:apigatewayv2/stage:Stage": _of("apiId name"),
    "aws:cloudwatch/logMetricFilter:LogMetricFilter": _of("name logGroupName", "name", 512),
    "aws:kinesis/firehoseDeliveryStream:FirehoseDeliveryStream": _of(
        "name destination kinesisSourceConfiguration extendedS3Configuration.dynamicPartitioningConfiguration",
        "name",
        64,
        "firehose:deliverystream/{name}",
    ),
    "aws:kinesis/stream:Stream": _of("name", "name", 128, "kinesis:stream/{name}"),
    "aws:kms/key:Key": _of("customerMasterKeySpec keyUsage multiRegion", arn="kms:key/{name}"),
    "aws:lambda/alias:Alias": _of("name functionName", "name", 128, "lambda:function:{functionName}:{name}"),
    "aws:lambda/eventSourceMapping:EventSourceMapping": _of(
        "eventSourceArn startingPosition startingPositionTimestamp", arn="lambda:event-source-mapping:{name}"
    ),
    "aws:lambda/function:Function": _of("name packageType", "name", 64, "lambda:function:{name}"),
    "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig": _of("functionName qualifier"),
    "aws:lambda/invocation:Invocation": _of("functionName qualifier input triggers"),
    "aws:lambda/permission:Permission": _of(
        "action function principal qualifier sourceAccount sourceArn statementId principalOrgId"
    ),
    "aws:rds/instance:Instance": _of(
        "identifier availabilityZone dbName engine kmsKeyId snapshotIdentifier storageEncrypted username",
        "identifier",
        63,
        "rds:db:{name}",
        kept="kmsKeyId allocatedStorage backupRetentionPeriod multiAz dbSubnetGroupName parameterGroupName "
        "performanceInsightsKmsKeyId performanceInsightsRetentionPeriod licenseModel applyImmediately",
    ),
    "aws:rds/parameterGroup:ParameterGroup": _of("name family description", "name", 255, "rds:pg:{name}"),
    "aws:rds/subnetGroup:SubnetGroup": _of("name", "name", 255, "rds:subgrp:{name}"),
    "aws:s3/bucket:Bucket": _of("bucket objectLockEnabled", "bucket", 63, "s3:::{name}"),
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": _of("bucket"),
    "aws:s3/bucketNotification:BucketNotification": _of("bucket"),
    "aws:s3/bucketObjectv2:BucketObjectv2": _of("bucket key", arn="s3:::{bucket}/{key}"),
    "aws:s3/bucketPolicy:BucketPolicy": _of("bucket"),
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": _of("bucket"),
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": _of("bucket"),
    "aws:s3/bucketVersioning:BucketVersioning": _of("bucket"),
    "aws:scheduler/schedule:Schedule": _of("name groupName", "name", 64, "scheduler:schedule/default/{name}"),
    "aws:secretsmanager/secret:Secret": _of("name", "name", 512, "secretsmanager:secret:{name}"),
    "aws:secretsmanager/secretVersion:SecretVersion": _of("secretId secretString"),
    "aws:sns/topic:Topic": _of("name fifoTopic", "name", 256, "sns:{name}"),
    "aws:sns/topicPolicy:TopicPolicy": _of("arn"),
    "aws:sns/topicSubscription:TopicSubscription": _of("topic protocol endpoint", arn="sns:subscription:{name}"),
    "aws:sqs/queue:Queue": _of("name fifoQueue", "name", 80, "sqs:{name}"),
    "aws:sqs/queuePolicy:QueuePolicy": _of("queueUrl"),
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": _of(
        "securityGroupId", arn="ec2:security-group-rule/{name}"
    ),
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": _of(
        "securityGroupId", arn="ec2:security-group-rule/{name}"
    ),
    "random:index/randomId:RandomId": _of("byteLength keepers prefix"),
    "random:index/randomPassword:RandomPassword": _of("length keepers lower upper numeric special overrideSpecial"),
}

HOLDS_DATA = {
    "aws:kinesis/stream:Stream",
    "aws:kms/key:Key",
    "aws:rds/instance:Instance",
    "aws:s3/bucket:Bucket",
}
"""Types that the program cannot make again: to replace one is to lose its content."""
