"""Runs a Python function: loads its handler, then asks the Runtime API for work for ever.

Standard library only. One call at a time in each process, and as many processes as the instance may
have calls, forked once the handler is loaded; what the handler prints goes to the instance's log. A
handler that is a generator answers in pieces, each sent as it is made: text or bytes.
"""

import base64
import http.client
import importlib
import inspect
import json
import os
import sys
import time
import traceback

API = os.environ["AWS_LAMBDA_RUNTIME_API"]
PATH = "/2018-06-01/runtime"
# Most bytes of an error that stands behind an answer in pieces, as headers do; one that is longer is
# told without its stack.
TRAILER_BYTES_MAX = 8192


class Context:
    """What a handler is told about its call."""

    def __init__(self, headers):
        self.aws_request_id = headers.get("Lambda-Runtime-Aws-Request-Id")
        self.invoked_function_arn = headers.get("Lambda-Runtime-Invoked-Function-Arn")
        self.function_name = os.environ.get("AWS_LAMBDA_FUNCTION_NAME")
        self.function_version = os.environ.get("AWS_LAMBDA_FUNCTION_VERSION")
        self.memory_limit_in_mb = os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")
        self.log_group_name = os.environ.get("AWS_LAMBDA_LOG_GROUP_NAME")
        self.log_stream_name = os.environ.get("AWS_LAMBDA_LOG_STREAM_NAME")
        said = headers.get("Lambda-Runtime-Client-Context")
        self.client_context = json.loads(said) if said else None
        self.identity = None
        self._deadline_ms = int(headers.get("Lambda-Runtime-Deadline-Ms", "0"))

    def get_remaining_time_in_millis(self):
        """Milliseconds until the call is given up."""
        return max(0, self._deadline_ms - int(time.time() * 1000))


class Api:
    """The Runtime API, over one connection that is kept."""

    def __init__(self):
        self.connection = http.client.HTTPConnection(API)

    def call(self, method, path, body=None, headers=None):
        """Makes a call, and gives its answer with the body read."""
        self.connection.request(method, PATH + path, body, headers or {})
        answer = self.connection.getresponse()
        return answer, answer.read()

    def fail(self, path, error, request_id=None):
        """Tells an error with its stack."""
        kind, told = tell(error, request_id)
        headers = {"Lambda-Runtime-Function-Error-Type": kind, "Content-Type": "application/json"}
        self.call("POST", path, json.dumps(told).encode(), headers)

    def stream(self, path, pieces, request_id):
        """Sends pieces as they are made; an error on the way is told behind them."""
        error_type = "Lambda-Runtime-Function-Error-Type"
        error_body = "Lambda-Runtime-Function-Error-Body"
        self.connection.putrequest("POST", PATH + path)
        for name, value in [
            ("Content-Type", "application/octet-stream"),
            ("Lambda-Runtime-Function-Response-Mode", "streaming"),
            ("Transfer-Encoding", "chunked"),
            ("Trailer", f"{error_type}, {error_body}"),
        ]:
            self.connection.putheader(name, value)
        self.connection.endheaders()
        trailers = ""
        try:
            for piece in pieces:
                data = piece.encode() if isinstance(piece, str) else bytes(piece)
                if data:
                    self.connection.send(b"%x\r\n%b\r\n" % (len(data), data))
        except Exception as error:
            kind, told = tell(error, request_id)
            body = base64.b64encode(json.dumps(told).encode()).decode()
            if len(body) > TRAILER_BYTES_MAX:
                told = {"errorMessage": told["errorMessage"][:1024], "errorType": told["errorType"]}
                body = base64.b64encode(json.dumps(told).encode()).decode()
            trailers = f"{error_type}: {kind}\r\n{error_body}: {body}\r\n"
        self.connection.send(f"0\r\n{trailers}\r\n".encode())
        self.connection.getresponse().read()


def tell(error, request_id=None):
    """The kind of an error, and what is told of it; the log gets it too."""
    kind = type(error).__name__
    told = {
        "errorMessage": str(error),
        "errorType": kind,
        "requestId": request_id or "",
        "stackTrace": traceback.format_tb(error.__traceback__),
    }
    print(f"[ERROR] {kind}: {error}", file=sys.stderr)
    traceback.print_exception(error)
    plain = "".join(letter for letter in kind if letter.isascii() and letter.isalpha())
    return f"Function.{plain[:1].upper()}{plain[1:]}", told


def load():
    """The handler, from its name `module.function`; folders may stand before it as in a path."""
    name = os.environ.get("_HANDLER", "")
    module, dot, function = name.rpartition(".")
    if not dot or not module:
        raise ValueError(f"the handler {name!r} is not of the form module.function")
    found = getattr(importlib.import_module(module.replace("/", ".")), function, None)
    if not callable(found):
        raise ValueError(f"the module {module!r} has no function {function!r}")
    return found


def work_in(processes):
    """Returns in so many processes, which share what was loaded; when one of them ends, all do."""
    sys.stdout.flush()
    for _ in range(processes):
        if os.fork() == 0:
            return
    _, status = os.wait()
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        # The caller is told the signal, as where there is one process.
        os.kill(os.getpid(), -code)
    os._exit(code & 0xFF)


def main():
    """Never returns, unless the function cannot be loaded."""
    sys.path.insert(0, os.environ.get("LAMBDA_TASK_ROOT", "/var/task"))
    sys.stdout.reconfigure(line_buffering=True)
    api = Api()
    try:
        handler = load()
    except BaseException as error:  # whatever it is, the caller has to be told
        api.fail("/init/error", error)
        sys.exit(1)
    concurrency = int(os.environ.get("AWS_LAMBDA_MAX_CONCURRENCY", "1"))
    if concurrency > 1:
        work_in(concurrency)
    while True:
        call, payload = api.call("GET", "/invocation/next")
        request_id = call.headers["Lambda-Runtime-Aws-Request-Id"]
        os.environ["_X_AMZN_TRACE_ID"] = call.headers.get("Lambda-Runtime-Trace-Id", "")
        try:
            event = json.loads(payload) if payload else None
            value = handler(event, Context(call.headers))
            if inspect.isgenerator(value):
                api.stream(f"/invocation/{request_id}/response", value, request_id)
                continue
            answer = json.dumps(value, ensure_ascii=False).encode()
        except Exception as error:
            api.fail(f"/invocation/{request_id}/error", error, request_id)
        else:
            headers = {"Content-Type": "application/json"}
            api.call("POST", f"/invocation/{request_id}/response", answer, headers)


if __name__ == "__main__":
    main()
