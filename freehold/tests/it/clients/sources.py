"""Event source mappings through boto3 as it is.

Prints an object when everything was as AWS's users expect.
"""

import datetime
import io
import json
import sys
import time
import zipfile

import boto3
from botocore.config import Config

from aws import refused

TOLD = json.loads(sys.argv[1])
ROLE = "arn:aws:iam::000000000000:role/any"
REGION = "eu-central-1"
WAIT_S = 60
ARN = f"arn:aws:kinesis:{REGION}:{TOLD['account']}:stream/{TOLD['stream']}"

# As it was written for Kinesis.
CODE = """
import base64, json
def handler(event, context):
    failed = []
    for record in event["Records"]:
        assert record["eventSource"] == "aws:kinesis", record
        data = json.loads(base64.b64decode(record["kinesis"]["data"]))
        if data["amount"] == 13:
            failed.append({"itemIdentifier": record["kinesis"]["sequenceNumber"]})
    return {"batchItemFailures": failed}
"""


def client(keys):
    """A client of the cloud, for the holder of these keys."""
    return boto3.client(
        "lambda", endpoint_url=TOLD["http"], region_name=REGION, aws_access_key_id=keys[0],
        aws_secret_access_key=keys[1], config=Config(retries={"max_attempts": 1}),
    )


def status(answer):
    return answer["ResponseMetadata"]["HTTPStatusCode"]


out = io.BytesIO()
with zipfile.ZipFile(out, "w") as archive:
    archive.writestr("app.py", CODE)
owner, stranger = client(TOLD["owner"]), client(TOLD["stranger"])
owner.create_function(
    FunctionName="fed", Role=ROLE, Runtime="python3.12", Handler="app.handler", Timeout=10,
    Code={"ZipFile": out.getvalue()},
)
create = owner.create_event_source_mapping
asked = {"EventSourceArn": ARN, "FunctionName": "fed", "StartingPosition": "TRIM_HORIZON"}

# What cannot be is refused by its name.
BAD, MISSING = "InvalidParameterValueException", "ResourceNotFoundException"
refused(BAD, create, **asked | {"BatchSize": 10001})
refused(BAD, create, **asked | {"ParallelizationFactor": 2})
refused(BAD, create, **asked | {"TumblingWindowInSeconds": 30})
refused(BAD, create, **asked | {"MaximumRecordAgeInSeconds": 5})
refused(BAD, create, **asked | {"EventSourceArn": f"arn:aws:sqs:{REGION}:{TOLD['account']}:q"})
refused(BAD, create, **asked | {"FilterCriteria": {"Filters": [{"Pattern": "{\"a\": 1}"}]}})
refused(BAD, create, EventSourceArn=ARN, FunctionName="fed")
refused(MISSING, create, **asked | {"EventSourceArn": ARN + "-not"})
refused(MISSING, create, **asked | {"FunctionName": "nothing"})
refused(MISSING, stranger.create_event_source_mapping, **asked)

made = create(
    **asked, BatchSize=20, MaximumBatchingWindowInSeconds=0, BisectBatchOnFunctionError=True,
    MaximumRetryAttempts=1, MaximumRecordAgeInSeconds=3600,
    FunctionResponseTypes=["ReportBatchItemFailures"],
    FilterCriteria={"Filters": [{"Pattern": json.dumps({"data": {"amount": [{"numeric": ["<", 20]}]}})}]},
    DestinationConfig={"OnFailure": {"Destination": ARN + "-dead"}},
)
assert status(made) == 202, made
assert made["State"] == "Enabled" and made["BatchSize"] == 20, made
assert made["EventSourceArn"] == ARN and made["StartingPosition"] == "TRIM_HORIZON", made
assert made["FunctionArn"].endswith(":function:fed"), made
assert made["MaximumRetryAttempts"] == 1 and made["MaximumRecordAgeInSeconds"] == 3600, made
assert made["FunctionResponseTypes"] == ["ReportBatchItemFailures"], made
assert isinstance(made["LastModified"], datetime.datetime), made
uuid = made["UUID"]
found = owner.get_event_source_mapping(UUID=uuid)
assert found["UUID"] == uuid and found["EventSourceMappingArn"].endswith(uuid), found
refused(MISSING, stranger.get_event_source_mapping, UUID=uuid)
refused(MISSING, owner.get_event_source_mapping, UUID="00000000-0000-4000-8000-000000000000")
(only,) = owner.list_event_source_mappings(FunctionName="fed")["EventSourceMappings"]
assert only["UUID"] == uuid, only
(only,) = owner.list_event_source_mappings(EventSourceArn=ARN)["EventSourceMappings"]
assert owner.list_event_source_mappings(EventSourceArn=ARN + "-dead")["EventSourceMappings"] == []
assert stranger.list_event_source_mappings()["EventSourceMappings"] == []
until = time.monotonic() + WAIT_S
while owner.get_event_source_mapping(UUID=uuid)["LastProcessingResult"] != "OK":
    assert time.monotonic() < until, owner.get_event_source_mapping(UUID=uuid)
    time.sleep(0.1)

# Changed: what is not named stays.
changed = owner.update_event_source_mapping(UUID=uuid, Enabled=False, MaximumRetryAttempts=-1)
assert status(changed) == 202 and changed["State"] == "Disabled", changed
assert changed["MaximumRetryAttempts"] == -1 and changed["BatchSize"] == 20, changed
at = datetime.datetime(2026, 11, 23, 8, 0, tzinfo=datetime.timezone.utc)
second = create(**asked | {"StartingPosition": "AT_TIMESTAMP", "StartingPositionTimestamp": at},
                Enabled=False)
assert second["StartingPositionTimestamp"] == at and second["State"] == "Disabled", second
pages = owner.get_paginator("list_event_source_mappings").paginate(
    FunctionName="fed", PaginationConfig={"PageSize": 1})
assert sorted(it["UUID"] for page in pages for it in page["EventSourceMappings"]) == sorted(
    [uuid, second["UUID"]])

gone = owner.delete_event_source_mapping(UUID=second["UUID"])
assert status(gone) == 202 and gone["State"] == "Deleting", gone
refused(MISSING, owner.delete_event_source_mapping, UUID=second["UUID"])

print(json.dumps({"mappings": "kept"}))
