"""Components need function sources and the job's script, and no wheels: packaging has tests of its own."""

from components import BucketReference, CommonArgs, Link, PlacementArgs

COMMON: CommonArgs = {"settings": {"bundle_dependencies": False}}
PLACEMENT: PlacementArgs = {
    "vpc_id": "vpc-1",
    "subnet_ids": ["subnet-1", "subnet-2"],
    "s3_client_security_group_id": "sg-s3",
}
STORE: Link = {"variables": {"VECTOR_DB_HOST": "db"}, "statements": [], "security_group_ids": ["sg-db"]}
CODE: BucketReference = {"name": "code", "arn": "arn:aws:s3:::code"}
KEY = "arn:aws:kms:eu-west-1:111122223333:key/1"
