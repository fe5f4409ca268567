"""Waits for a function, and becomes it: as if the interpreter had been started for it.

What functions and their runtimes import first is imported before; standard library only, and
nothing that looks at the environment when it is imported. The claim comes in on standard input,
its length in four bytes and then JSON: the package is at its place by then.
"""

import asyncio
import concurrent.futures
import contextlib
import dataclasses
import datetime
import decimal
import functools
import gc
import http.client
import importlib
import json
import logging
import os
import random
import runpy
import signal
import site
import socket
import sys
import time
import traceback
import types
import typing
import urllib.parse
import uuid

BOOTSTRAP = "/var/runtime/bootstrap.py"


def read(count):
    """Exactly so many bytes of standard input; its end says that nobody will claim."""
    parts = b""
    while len(parts) < count:
        part = os.read(0, count - len(parts))
        if not part:
            os._exit(0)
        parts += part
    return parts


def rehearse():
    """Does what every start does, with nothing: in a fork, what is written first is copied first,
    and here nobody waits for that."""
    env = dict(os.environ)
    os.environ.clear()
    os.environ.update(env)
    here, there = socket.socketpair()
    with here, there:
        there.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
                      b"lambda-runtime-aws-request-id: 1\r\ncontent-length: 2\r\n\r\n{}")
        connection = http.client.HTTPConnection("127.0.0.1:9001")
        connection.sock = here
        connection.request("GET", "/", None, {})
        answer = connection.getresponse()
        json.loads(answer.read())
        answer.headers.get("content-type", "")
        connection.request("POST", "/", json.dumps({"number": [1, "a"]}).encode(), {"a": "b"})
    with contextlib.suppress(ImportError):
        importlib.import_module("a_module_that_nobody_has")
    exec(compile("def f(a, b):\n    return a\n", "rehearsal", "exec"), {})


def claim():
    """Says that this process waits, and waits."""
    rehearse()
    os.write(0, b"\0")
    told = json.loads(read(int.from_bytes(read(4), "little")))
    null = os.open("/dev/null", os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    return told


def become(told, bootstrap):
    """Sets everything as the function's own start would have set it, and runs it."""
    os.environ.clear()
    os.environ.update(told["env"])
    time.tzset()
    # Found in the home folder, which may be another now.
    site.USER_BASE = site.USER_SITE = None
    site.getusersitepackages()
    os.chdir(told["folder"])
    first, *rest = told["args"]
    main = types.ModuleType("__main__")
    sys.modules["__main__"] = main
    sys.path_importer_cache.pop(sys.path[0], None)
    sys.orig_argv = [told["program"], *told["args"]]
    if first == "-m":
        sys.argv = ["-m", *rest[1:]]
        sys.path[0] = os.getcwd()
        runpy._run_module_as_main(rest[0])
        return
    sys.argv = [first, *rest]
    sys.path[0] = os.path.dirname(os.path.realpath(first))
    if first != BOOTSTRAP:
        with open(first, "rb") as file:
            bootstrap = compile(file.read(), first, "exec")
    main.__file__ = first
    main.__builtins__ = __builtins__
    exec(bootstrap, main.__dict__)


def main():
    with open(BOOTSTRAP, "rb") as file:
        bootstrap = compile(file.read(), BOOTSTRAP, "exec")
    gc.collect()
    become(claim(), bootstrap)


if __name__ == "__main__":
    main()
