"""URLs of functions through boto3, awscli and botocore's signer as they are.

Prints an object when everything was as AWS's users expect.
"""

import http.client
import io
import json
import os
import subprocess
import sys
import urllib.parse
import zipfile

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

from aws import refused

TOLD = json.loads(sys.argv[1])
ROLE = "arn:aws:iam::000000000000:role/any"
REGION = "eu-central-1"


def client(keys):
    """A client of the cloud, for the holder of these keys."""
    return boto3.client(
        "lambda", endpoint_url=TOLD["http"], region_name=REGION, aws_access_key_id=keys[0],
        aws_secret_access_key=keys[1], config=Config(retries={"max_attempts": 1}),
    )


def ask(url, method="GET", body=b"", headers=None, keys=None):
    """A request to a URL, signed where there are keys: status, headers, body."""
    headers = dict(headers or {})
    if keys:
        request = AWSRequest(method=method, url=url, data=body, headers=headers)
        SigV4Auth(Credentials(*keys), "lambda", REGION).add_auth(request)
        headers = dict(request.headers.items())
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    connection.request(method, path, body=body or None, headers=headers)
    answer = connection.getresponse()
    return answer.status, answer.headers, answer.read()


CODE = """
import json
def handler(event, context):
    return {"statusCode": 200, "body": json.dumps(event)}
"""
out = io.BytesIO()
with zipfile.ZipFile(out, "w") as archive:
    archive.writestr("app.py", CODE)
owner, stranger = client(TOLD["owner"]), client(TOLD["stranger"])
owner.create_function(
    FunctionName="echo", Role=ROLE, Runtime="python3.12", Handler="app.handler",
    Code={"ZipFile": out.getvalue()},
)

# Made, looked at, changed: one of a function and of each alias.
made = owner.create_function_url_config(FunctionName="echo", AuthType="NONE")
assert made["ResponseMetadata"]["HTTPStatusCode"] == 201, made
url = made["FunctionUrl"]
assert url.startswith(TOLD["http"] + "/urls/") and url.endswith("/"), url
assert 40 <= len(url) <= 100, url
assert made["FunctionArn"].endswith(":function:echo"), made
assert made["InvokeMode"] == "BUFFERED" and "CreationTime" in made and "Cors" not in made, made
refused(
    "ResourceConflictException", owner.create_function_url_config, FunctionName="echo",
    AuthType="NONE",
)
refused(
    "ResourceNotFoundException", owner.create_function_url_config, FunctionName="nothing",
    AuthType="NONE",
)
refused(
    "ResourceNotFoundException", owner.create_function_url_config, FunctionName="echo",
    Qualifier="live", AuthType="NONE",
)
owner.publish_version(FunctionName="echo")
refused(
    "InvalidParameterValueException", owner.create_function_url_config, FunctionName="echo",
    Qualifier="1", AuthType="NONE",
)
refused("ResourceNotFoundException", owner.get_function_url_config, FunctionName="nothing")
refused("ResourceNotFoundException", stranger.get_function_url_config, FunctionName="echo")
owner.create_alias(FunctionName="echo", Name="live", FunctionVersion="1")
refused(
    "ResourceNotFoundException", owner.get_function_url_config, FunctionName="echo",
    Qualifier="live",
)
live = owner.create_function_url_config(
    FunctionName="echo", Qualifier="live", AuthType="AWS_IAM", InvokeMode="RESPONSE_STREAM",
    Cors={"AllowOrigins": ["https://a.example"], "AllowMethods": ["GET"], "MaxAge": 5},
)
assert live["FunctionUrl"] != url and live["FunctionArn"].endswith(":echo:live"), live
assert live["Cors"]["AllowOrigins"] == ["https://a.example"] and live["Cors"]["MaxAge"] == 5, live
found = owner.get_function_url_config(FunctionName="echo:live")
assert found["FunctionUrl"] == live["FunctionUrl"] and "LastModifiedTime" in found, found
listed = owner.list_function_url_configs(FunctionName="echo")["FunctionUrlConfigs"]
assert [it["FunctionUrl"] for it in listed] == [url, live["FunctionUrl"]], listed
pages = owner.get_paginator("list_function_url_configs").paginate(
    FunctionName="echo", PaginationConfig={"PageSize": 1}
)
pages = [[it["FunctionUrl"] for it in page["FunctionUrlConfigs"]] for page in pages]
assert pages == [[url], [live["FunctionUrl"]]], pages
changed = owner.update_function_url_config(
    FunctionName="echo", Qualifier="live", InvokeMode="BUFFERED"
)
assert changed["InvokeMode"] == "BUFFERED" and changed["AuthType"] == "AWS_IAM", changed
assert changed["Cors"]["MaxAge"] == 5 and changed["FunctionUrl"] == live["FunctionUrl"], changed
refused(
    "InvalidParameterValueException", owner.update_function_url_config, FunctionName="echo",
    Cors={"AllowOrigins": ["a.example"]},
)

# For everybody, once a statement of the function's policy says so.
assert ask(url)[0] == 403
told = owner.add_permission(
    FunctionName="echo", StatementId="open", Action="lambda:InvokeFunctionUrl", Principal="*",
    FunctionUrlAuthType="NONE",
)
condition = json.loads(told["Statement"])["Condition"]
assert condition == {"StringEquals": {"lambda:FunctionUrlAuthType": "NONE"}}, condition
owner.add_permission(
    FunctionName="echo", StatementId="invoke", Action="lambda:InvokeFunction", Principal="*",
    InvokedViaFunctionUrl=True,
)
refused("ResourceNotFoundException", stranger.invoke, FunctionName=made["FunctionArn"])
status, headers, body = ask(url + "a/b?q=1", "POST", b"\x00\xff")
event = json.loads(body)
assert status == 200 and event["rawPath"] == "/a/b" and event["isBase64Encoded"], event
assert event["requestContext"]["accountId"] == "anonymous", event
assert headers["x-amzn-requestid"].count("-") == 4, headers

# By signature: of whom its owner lets, of what the client sent.
signed = live["FunctionUrl"] + "c%20d?z=2&a=1%202"
status, headers, body = ask(signed)
assert (status, json.loads(body)) == (403, {"Message": "Forbidden"}), body
assert headers["x-amzn-errortype"] == "AccessDeniedException", headers
status, headers, body = ask(signed, keys=[TOLD["owner"][0], "wrong"])
assert status == 403 and headers["x-amzn-errortype"] == "InvalidSignatureException", body
assert ask(signed, keys=["FHAKUNKNOWNUNKNOWN22", "wrong"])[0] == 403
assert ask(signed, keys=TOLD["stranger"])[0] == 403
status, _, body = ask(signed, "PUT", b'{"k": 1}', {"content-type": "application/json"}, TOLD["owner"])
event = json.loads(body)
assert status == 200 and event["rawPath"] == "/c%20d" and event["body"] == '{"k": 1}', event
iam = event["requestContext"]["authorizer"]["iam"]
assert iam["accessKey"] == TOLD["owner"][0], iam
assert iam["accountId"] == made["FunctionArn"].split(":")[4] == event["requestContext"]["accountId"]
assert "authorization" not in event["headers"], event
number = stranger.create_function(
    FunctionName="other", Role=ROLE, Runtime="python3.12", Handler="app.handler",
    Code={"ZipFile": out.getvalue()},
)["FunctionArn"].split(":")[4]
owner.add_permission(
    FunctionName="echo", Qualifier="live", StatementId="let", Action="lambda:InvokeFunctionUrl",
    Principal=number, FunctionUrlAuthType="AWS_IAM",
)
assert ask(signed, keys=TOLD["stranger"])[0] == 200
owner.remove_permission(FunctionName="echo", Qualifier="live", StatementId="let")
assert ask(signed, keys=TOLD["stranger"])[0] == 403

# By the name of its host, as it would be at AWS: there too, that is what is signed.
parts = urllib.parse.urlsplit(signed)
name = parts.path.split("/")[2]
host = f"{name}.lambda-url.localhost:{parts.port}"
request = AWSRequest(method="GET", url=f"http://{host}/e//f")
SigV4Auth(Credentials(*TOLD["owner"]), "lambda", REGION).add_auth(request)
connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
connection.request("GET", "/e//f", headers={**dict(request.headers.items()), "Host": host})
answer = connection.getresponse()
body = answer.read()
assert answer.status == 200 and json.loads(body)["rawPath"] == "/e//f", body

# Nobody in at a time, then no URL.
owner.put_function_concurrency(FunctionName="echo", ReservedConcurrentExecutions=0)
status, headers, body = ask(url)
assert status == 429 and headers["retry-after"] and "Message" in json.loads(body), body
owner.delete_function_concurrency(FunctionName="echo")
environment = {
    **os.environ, "AWS_ACCESS_KEY_ID": TOLD["owner"][0], "AWS_SECRET_ACCESS_KEY": TOLD["owner"][1],
    "AWS_DEFAULT_REGION": REGION, "AWS_ENDPOINT_URL_LAMBDA": TOLD["http"],
    "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "AWS_PAGER": "",
}
program = os.path.join(os.path.dirname(sys.executable), "aws")
done = subprocess.run(
    [sys.executable, program, "lambda", "get-function-url-config", "--function-name", "echo"],
    env=environment, capture_output=True, text=True,
)
assert done.returncode == 0 and json.loads(done.stdout)["FunctionUrl"] == url, done
deleted = owner.delete_function_url_config(FunctionName="echo")
assert deleted["ResponseMetadata"]["HTTPStatusCode"] == 204, deleted
refused("ResourceNotFoundException", owner.delete_function_url_config, FunctionName="echo")
assert ask(url)[0] == 404
again = owner.create_function_url_config(FunctionName="echo", AuthType="NONE")
assert again["FunctionUrl"] != url, "an address is nobody's again"
assert ask(again["FunctionUrl"])[0] == 200, "the policy still lets everybody in"
print(json.dumps({"boto3": boto3.__version__, "urls": "answered"}))
