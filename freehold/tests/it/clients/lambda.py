"""The cloud through boto3 and awscli as they are: the whole life of a function.

Prints an object when everything was as AWS's users expect.
"""

import base64
import hashlib
import io
import json
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor

import boto3
from botocore.config import Config

from aws import refused

TOLD = json.loads(sys.argv[1])
ROLE = "arn:aws:iam::000000000000:role/any"


def client(keys, **more):
    """A client of the cloud, for the holder of these keys."""
    config = Config(retries={"max_attempts": 1}, **more)
    return boto3.client(
        "lambda",
        endpoint_url=TOLD["http"],
        region_name="eu-central-1",
        aws_access_key_id=keys[0],
        aws_secret_access_key=keys[1],
        config=config,
    )


def zipped(name, text, mode=0o644):
    """A zip file with one file."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        info = zipfile.ZipInfo(name)
        info.external_attr = mode << 16
        info.compress_type = zipfile.ZIP_DEFLATED
        archive.writestr(info, text)
    return out.getvalue()


def payload(answer):
    """What the function answered."""
    return json.loads(answer["Payload"].read())


CODE = """
import json, os, time
def handler(event, context):
    if isinstance(event, dict) and event.get("say"):
        for number in range(5):
            print(event["say"], number)
    if isinstance(event, dict) and event.get("fail"):
        raise ValueError("told to")
    if isinstance(event, dict) and event.get("sleep"):
        time.sleep(event["sleep"])
    return {"version": %r, "event": event, "arn": context.invoked_function_arn,
            "client": context.client_context, "colour": os.environ.get("COLOUR"),
            "region": os.environ["AWS_REGION"],
            "id": context.aws_request_id}
"""

owner = client(TOLD["owner"])
stranger = client(TOLD["stranger"])

# Made, waited for, looked at.
code = zipped("app.py", CODE % "one")
made = owner.create_function(
    FunctionName="greet", Role=ROLE, Runtime="python3.12", Handler="app.handler",
    Code={"ZipFile": code}, Timeout=5, MemorySize=128, Description="greets",
    Environment={"Variables": {"COLOUR": "blue", "AWS_REGION": "eu-1"}}, Tags={"team": "a"},
)
assert made["ResponseMetadata"]["HTTPStatusCode"] == 201, made
assert made["CodeSize"] == len(code), made
assert made["CodeSha256"] == base64.b64encode(hashlib.sha256(code).digest()).decode(), made
assert made["FunctionArn"].startswith("arn:aws:lambda:eu-central-1:"), made
assert made["Runtime"] == "python3.12" and made["Role"] == ROLE, made
owner.get_waiter("function_active_v2").wait(FunctionName="greet")
owner.get_waiter("function_exists").wait(FunctionName="greet")
refused(
    "ResourceConflictException", owner.create_function, FunctionName="greet", Role=ROLE,
    Runtime="python3.12", Handler="app.handler", Code={"ZipFile": code},
)
refused(
    "InvalidParameterValueException", owner.create_function, FunctionName="broken", Role=ROLE,
    Runtime="python3.12", Handler="app.handler", Code={"ZipFile": b"no zip"},
)
refused(
    "InvalidParameterValueException", owner.create_function, FunctionName="broken", Role=ROLE,
    Runtime="python3.12", Handler="app.handler", Code={"ZipFile": code},
    Environment={"Variables": {"AWS_LAMBDA_FUNCTION_NAME": "another"}},
)
refused(
    "InvalidParameterValueException", owner.create_function, FunctionName="broken", Role=ROLE,
    Runtime="cobol85", Handler="app.handler", Code={"ZipFile": code},
)
found = owner.get_function(FunctionName=made["FunctionArn"])
assert found["Configuration"]["RevisionId"] == made["RevisionId"], found
assert found["Tags"] == {"team": "a"}, found
assert [it["FunctionName"] for it in owner.list_functions()["Functions"]] == ["greet"]

# Called in every way, at once after it was made.
answer = owner.invoke(FunctionName="greet", Payload=b'{"a": 1}', LogType="Tail")
assert answer["StatusCode"] == 200 and answer["ExecutedVersion"] == "$LATEST", answer
told = payload(answer)
assert told["version"] == "one" and told["event"] == {"a": 1} and told["colour"] == "blue", told
assert told["region"] == "eu-1", told
assert told["id"] == answer["ResponseMetadata"]["RequestId"], "what it logs can be found: %r" % told
for word in ["first", "second", "third"]:
    said = owner.invoke(
        FunctionName="greet", Payload=json.dumps({"say": word}).encode(), LogType="Tail"
    )
    lines = base64.b64decode(said["LogResult"]).decode().splitlines()
    written = [line for line in lines if not line.startswith(("START ", "END ", "REPORT "))]
    assert written == ["%s %d" % (word, number) for number in range(5)], lines
assert told["id"].count("-") == 4, answer
context = base64.b64encode(json.dumps({"custom": {"k": "v"}}).encode()).decode()
told = payload(owner.invoke(FunctionName="greet", ClientContext=context))
assert told["event"] == {} and told["client"] == {"custom": {"k": "v"}}, told
answer = owner.invoke(FunctionName="greet", Payload=b'{"fail": true}')
assert answer["FunctionError"] == "Unhandled", answer
assert payload(answer)["errorType"] == "ValueError"
assert owner.invoke(FunctionName="greet", InvocationType="DryRun")["StatusCode"] == 204
refused("InvalidRequestContentException", owner.invoke, FunctionName="greet", Payload=b"{")
refused("ResourceNotFoundException", owner.invoke, FunctionName="nothing")
refused("ResourceNotFoundException", owner.invoke, FunctionName="greet", Qualifier="7")
frames = owner.invoke_with_response_stream(FunctionName="greet", Payload=b"[1]")
frames = list(frames["EventStream"])
streamed = b"".join(it["PayloadChunk"]["Payload"] for it in frames if "PayloadChunk" in it)
assert json.loads(streamed)["event"] == [1], frames
assert "InvokeComplete" in frames[-1], frames

# Answered in pieces, which come while the next is not made yet.
PIECES = """
import time
def handler(event, context):
    yield "first "
    if event == "fail":
        raise ValueError("told to")
    if event == "wait":
        time.sleep(60)
    yield "second"
"""
owner.create_function(
    FunctionName="pieces", Role=ROLE, Runtime="python3.12", Handler="app.handler",
    Code={"ZipFile": zipped("app.py", PIECES)}, Timeout=2,
)

# Several calls at a time in one instance, by Lambda's word for it: each waits for the others.
MEETS = """
import os, time
def handler(event, context):
    os.makedirs("/tmp/here", exist_ok=True)
    open("/tmp/here/" + context.aws_request_id, "w").close()
    while len(os.listdir("/tmp/here")) < 3:
        time.sleep(0.001)
    return context.log_stream_name
"""
SAID = "LambdaManagedInstancesCapacityProviderConfig"


def provider(calls):
    """What says how many calls an instance may have."""
    arn = "arn:aws:lambda:eu-central-1:000000000000:capacity-provider:any"
    said = {"CapacityProviderArn": arn, "PerExecutionEnvironmentMaxConcurrency": calls}
    return {SAID: said}


shared = owner.create_function(
    FunctionName="meets", Role=ROLE, Runtime="python3.12", Handler="app.handler",
    Code={"ZipFile": zipped("app.py", MEETS)}, Timeout=20, CapacityProviderConfig=provider(3),
)
assert shared["CapacityProviderConfig"] == provider(3), shared
with ThreadPoolExecutor() as threads:
    calls = [threads.submit(owner.invoke, FunctionName="meets") for _ in range(3)]
    assert len({payload(call.result()) for call in calls}) == 1
refused(
    "InvalidParameterValueException", owner.update_function_configuration,
    FunctionName="meets", CapacityProviderConfig=provider(65),
)
owner.delete_function(FunctionName="meets")


def pieces(event):
    """What a call says in pieces, and how it ended."""
    payload = json.dumps(event).encode()
    frames = owner.invoke_with_response_stream(FunctionName="pieces", Payload=payload)
    frames = list(frames["EventStream"])
    said = b"".join(it["PayloadChunk"]["Payload"] for it in frames if "PayloadChunk" in it)
    return said, frames[-1]["InvokeComplete"]


assert pieces(None) == (b"first second", {})
said, complete = pieces("fail")
assert said == b"first " and complete["ErrorCode"] == "Function.ValueError", (said, complete)
assert json.loads(complete["ErrorDetails"])["errorMessage"] == "told to", complete
said, complete = pieces("wait")
assert said == b"first " and complete["ErrorCode"] == "Sandbox.Timedout", (said, complete)
owner.delete_function(FunctionName="pieces")

# Changed, versioned, named.
version = owner.publish_version(FunctionName="greet")
assert version["Version"] == "1" and version["FunctionArn"].endswith(":greet:1"), version
assert owner.publish_version(FunctionName="greet")["Version"] == "1", "nothing has changed"
changed = owner.update_function_code(
    FunctionName="greet", ZipFile=zipped("app.py", CODE % "two"), RevisionId=made["RevisionId"]
)
owner.get_waiter("function_updated_v2").wait(FunctionName="greet")
refused(
    "PreconditionFailedException", owner.update_function_code, FunctionName="greet",
    ZipFile=code, RevisionId=made["RevisionId"],
)
configured = owner.update_function_configuration(
    FunctionName="greet", Timeout=2, Environment={"Variables": {"COLOUR": "red"}}
)
assert configured["Timeout"] == 2 and configured["CodeSha256"] == changed["CodeSha256"]
told = payload(owner.invoke(FunctionName="greet"))
assert (told["version"], told["colour"]) == ("two", "red"), told
told = payload(owner.invoke(FunctionName="greet", Qualifier="1"))
assert (told["version"], told["colour"]) == ("one", "blue"), told
assert owner.publish_version(FunctionName="greet")["Version"] == "2"
versions = owner.list_versions_by_function(FunctionName="greet")["Versions"]
assert [it["Version"] for it in versions] == ["$LATEST", "1", "2"], versions
alias = owner.create_alias(FunctionName="greet", Name="live", FunctionVersion="1")
assert alias["AliasArn"].endswith(":function:greet:live"), alias
answer = owner.invoke(FunctionName="greet:live")
assert answer["ExecutedVersion"] == "1" and payload(answer)["arn"].endswith(":live")
answer = owner.invoke(FunctionName=alias["AliasArn"])
assert payload(answer)["version"] == "one"
owner.update_alias(
    FunctionName="greet", Name="live", RoutingConfig={"AdditionalVersionWeights": {"2": 0.5}}
)
seen = {owner.invoke(FunctionName="greet:live")["ExecutedVersion"] for _ in range(40)}
assert seen == {"1", "2"}, seen
moved = owner.update_alias(
    FunctionName="greet", Name="live", FunctionVersion="2",
    RoutingConfig={"AdditionalVersionWeights": {}},
)
assert "RoutingConfig" not in moved or not moved["RoutingConfig"], moved
seen = {owner.invoke(FunctionName="greet:live")["ExecutedVersion"] for _ in range(8)}
assert "2" in seen, seen
refused(
    "InvalidParameterValueException", owner.update_alias, FunctionName="greet", Name="live",
    FunctionVersion="9",
)
assert len(owner.list_aliases(FunctionName="greet")["Aliases"]) == 1
refused("ResourceConflictException", owner.delete_function, FunctionName="greet", Qualifier="2")

# A deadline, and as many at one time as its owner lets.
answer = owner.invoke(FunctionName="greet", Payload=b'{"sleep": 10}')
assert payload(answer)["errorType"] == "Sandbox.Timedout"
owner.put_function_concurrency(FunctionName="greet", ReservedConcurrentExecutions=0)
told = refused("TooManyRequestsException", owner.invoke, FunctionName="greet")
assert told["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded", told
assert "retry-after" in told["ResponseMetadata"]["HTTPHeaders"], told
owner.delete_function_concurrency(FunctionName="greet")
assert owner.invoke(FunctionName="greet")["StatusCode"] == 200

# Others: nothing, until they are let.
own_arn = made["FunctionArn"]
refused("ResourceNotFoundException", stranger.invoke, FunctionName=own_arn)
refused("ResourceNotFoundException", stranger.get_function, FunctionName=own_arn)
number = stranger.create_function(
    FunctionName="other", Role=ROLE, Runtime="python3.12", Handler="app.handler",
    Code={"ZipFile": code},
)["FunctionArn"].split(":")[4]
told = owner.add_permission(
    FunctionName="greet", StatementId="let", Action="lambda:InvokeFunction", Principal=number
)
assert json.loads(told["Statement"])["Sid"] == "let", told
assert payload(stranger.invoke(FunctionName=own_arn))["version"] == "two"
refused("ResourceNotFoundException", stranger.invoke, FunctionName=own_arn, Qualifier="1")
refused("ResourceNotFoundException", stranger.get_function, FunctionName=own_arn)
assert "let" in owner.get_policy(FunctionName="greet")["Policy"]
owner.remove_permission(FunctionName="greet", StatementId="let")
refused("ResourceNotFoundException", stranger.invoke, FunctionName=own_arn)
refused("ResourceNotFoundException", owner.get_policy, FunctionName="greet")

# Keys: the wrong secret, and a clock that is off, are told apart from an unknown key.
wrong = client([TOLD["owner"][0], "wrong"])
refused("InvalidSignatureException", wrong.list_functions)
refused("InvalidSignatureException", wrong.invoke, FunctionName="greet")
unknown = client(["FHAKUNKNOWNUNKNOWN22", "wrong"])
refused("UnrecognizedClientException", unknown.list_functions)
refused("UnrecognizedClientException", unknown.invoke, FunctionName="greet")

# Events: kept before the answer, run later, told to a destination.
sink = """
import json, os
def handler(event, context):
    if "requestContext" in event:
        raise ValueError(json.dumps(event))
    return event
"""
owner.create_function(
    FunctionName="sink", Role=ROLE, Runtime="python3.12", Handler="app.handler",
    Code={"ZipFile": zipped("app.py", sink)},
)
owner.put_function_event_invoke_config(
    FunctionName="sink", MaximumRetryAttempts=0, MaximumEventAgeInSeconds=60
)
owner.put_function_event_invoke_config(
    FunctionName="greet", MaximumRetryAttempts=0,
    DestinationConfig={
        "OnFailure": {"Destination": own_arn.replace(":greet", ":sink")},
        "OnSuccess": {"Destination": own_arn.replace(":greet", ":sink")},
    },
)
config = owner.get_function_event_invoke_config(FunctionName="greet")
assert config["MaximumRetryAttempts"] == 0 and "OnFailure" in config["DestinationConfig"], config
refused(
    "InvalidParameterValueException", owner.put_function_event_invoke_config,
    FunctionName="greet", MaximumRetryAttempts=3,
)
for event in [{"fail": True}, {"fine": 1}]:
    answer = owner.invoke(
        FunctionName="greet", InvocationType="Event", Payload=json.dumps(event).encode()
    )
    assert answer["StatusCode"] == 202 and answer["Payload"].read() == b"", answer

# awscli, as people type it.
environment = {
    **os.environ, "AWS_ACCESS_KEY_ID": TOLD["owner"][0], "AWS_SECRET_ACCESS_KEY": TOLD["owner"][1],
    "AWS_DEFAULT_REGION": "eu-central-1", "AWS_ENDPOINT_URL_LAMBDA": TOLD["http"],
    "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "AWS_PAGER": "",
}


def aws(*words):
    """Runs awscli and gives what it prints."""
    program = os.path.join(os.path.dirname(sys.executable), "aws")
    done = subprocess.run(
        [sys.executable, program, "lambda", *words], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return json.loads(done.stdout) if done.stdout.strip() else None


with tempfile.TemporaryDirectory() as folder:
    with open(f"{folder}/code.zip", "wb") as file:
        file.write(zipped("bootstrap", "#!/bin/sh\nexit 3\n", 0o755))
    made = aws(
        "create-function", "--function-name", "by-hand", "--role", ROLE, "--runtime",
        "provided.al2023", "--handler", "none", "--zip-file", f"fileb://{folder}/code.zip",
        "--publish",
    )
    assert made["Version"] == "1", made
    aws("wait", "function-active-v2", "--function-name", "by-hand")
    answer = aws("invoke", "--function-name", "by-hand", f"{folder}/out")
    assert answer["FunctionError"] == "Unhandled", answer
    with open(f"{folder}/out") as file:
        assert json.load(file)["errorType"] == "Runtime.ExitError"
    aws("create-alias", "--function-name", "by-hand", "--name", "a", "--function-version", "1")
    aws("tag-resource", "--resource", made["FunctionArn"].rsplit(":", 1)[0], "--tags", "x=y")
    aws("untag-resource", "--resource", made["FunctionArn"].rsplit(":", 1)[0], "--tag-keys", "x")
    assert aws("get-account-settings")["AccountUsage"]["FunctionCount"] == 3
    aws("delete-alias", "--function-name", "by-hand", "--name", "a")
    aws("delete-function", "--function-name", "by-hand")

# What became of the events: each was told to the sink, which failed and was given up.
owner.get_waiter("function_active_v2").wait(FunctionName="sink")
print(json.dumps({"boto3": boto3.__version__, "life": "lived"}))
time.sleep(0)
