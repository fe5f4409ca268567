"""Provisioned concurrency through boto3 and awscli as they are.

Prints an object when everything was as AWS's users expect.
"""

import io
import json
import os
import subprocess
import sys
import time
import zipfile

import boto3
from botocore.config import Config

from aws import refused

TOLD = json.loads(sys.argv[1])
ROLE = "arn:aws:iam::000000000000:role/any"
REGION = "eu-central-1"
WAIT_S = 90


def client(keys):
    """A client of the cloud, for the holder of these keys."""
    return boto3.client(
        "lambda", endpoint_url=TOLD["http"], region_name=REGION, aws_access_key_id=keys[0],
        aws_secret_access_key=keys[1], config=Config(retries={"max_attempts": 1}),
    )


def status(answer):
    return answer["ResponseMetadata"]["HTTPStatusCode"]


CODE = """
import os
def handler(event, context):
    return os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"]
"""
out = io.BytesIO()
with zipfile.ZipFile(out, "w") as archive:
    archive.writestr("app.py", CODE)
owner, stranger = client(TOLD["owner"]), client(TOLD["stranger"])
made = owner.create_function(
    FunctionName="kept", Role=ROLE, Runtime="python3.12", Handler="app.handler",
    Code={"ZipFile": out.getvalue()}, Publish=True,
)
assert made["Version"] == "1", made
owner.create_alias(FunctionName="kept", Name="live", FunctionVersion="1")
owner.create_alias(FunctionName="kept", Name="next", FunctionVersion="$LATEST")
of = {"FunctionName": "kept", "Qualifier": "live"}
put, get = owner.put_provisioned_concurrency_config, owner.get_provisioned_concurrency_config

# What cannot be is refused by its name.
NONE = "ProvisionedConcurrencyConfigNotFoundException"
BAD, MISSING = "InvalidParameterValueException", "ResourceNotFoundException"
assert refused(NONE, get, **of)["ResponseMetadata"]["HTTPStatusCode"] == 404
for qualifier in ("$LATEST", "next"):
    refused(BAD, put, FunctionName="kept", Qualifier=qualifier, ProvisionedConcurrentExecutions=1)
for name, qualifier in (("kept", "nothing"), ("kept", "7"), ("nothing", "live")):
    refused(MISSING, put, FunctionName=name, Qualifier=qualifier, ProvisionedConcurrentExecutions=1)
refused(BAD, put, ProvisionedConcurrentExecutions=1001, **of)
refused(MISSING, stranger.put_provisioned_concurrency_config, ProvisionedConcurrentExecutions=1, **of)
owner.put_function_concurrency(FunctionName="kept", ReservedConcurrentExecutions=2)
refused(BAD, put, ProvisionedConcurrentExecutions=3, **of)
assert owner.list_provisioned_concurrency_configs(FunctionName="kept")[
    "ProvisionedConcurrencyConfigs"] == []

# Put, and looked at until it is ready.
first = put(ProvisionedConcurrentExecutions=2, **of)
assert status(first) == 202, first
assert first["RequestedProvisionedConcurrentExecutions"] == 2, first
assert first["Status"] == "IN_PROGRESS", first
refused("ResourceConflictException", put, FunctionName="kept", Qualifier="1",
        ProvisionedConcurrentExecutions=1)
refused(BAD, owner.put_function_concurrency, FunctionName="kept", ReservedConcurrentExecutions=1)
refused(BAD, owner.update_alias, FunctionName="kept", Name="live", FunctionVersion="$LATEST")
until = time.monotonic() + WAIT_S
while (now := get(**of))["Status"] != "READY":
    assert now["Status"] == "IN_PROGRESS" and time.monotonic() < until, now
    time.sleep(0.1)
assert status(now) == 200, now
assert now["AvailableProvisionedConcurrentExecutions"] == 2, now
assert now["AllocatedProvisionedConcurrentExecutions"] == 2, now
assert "StatusReason" not in now and now["LastModified"] == first["LastModified"], now
called = owner.invoke(FunctionName="kept", Qualifier="live", LogType="Tail")
assert json.loads(called["Payload"].read()) == "provisioned-concurrency", called

# By awscli, and all of them.
told = subprocess.run(
    [
        os.path.join(os.path.dirname(sys.executable), "aws"), "lambda",
        "list-provisioned-concurrency-configs", "--function-name", "kept", "--output", "json",
    ],
    capture_output=True, text=True, check=True, env=os.environ | {
        "AWS_ACCESS_KEY_ID": TOLD["owner"][0], "AWS_SECRET_ACCESS_KEY": TOLD["owner"][1],
        "AWS_DEFAULT_REGION": REGION, "AWS_ENDPOINT_URL_LAMBDA": TOLD["http"],
    },
)
(only,) = json.loads(told.stdout)["ProvisionedConcurrencyConfigs"]
assert only["FunctionArn"].endswith(":function:kept:live"), only
assert only["Status"] == "READY" and only["RequestedProvisionedConcurrentExecutions"] == 2, only

# Removed; once more is no error.
for _ in range(2):
    assert status(owner.delete_provisioned_concurrency_config(**of)) == 204
refused(NONE, get, **of)
owner.put_function_concurrency(FunctionName="kept", ReservedConcurrentExecutions=1)
assert put(FunctionName="kept", Qualifier="1", ProvisionedConcurrentExecutions=1)["Status"]

print(json.dumps({"provisioned": "kept"}))
