"""Forks interpreters into sandboxes: one that has imported what functions import first, and has
seen no code of anybody's.

It runs outside of sandboxes, with its executor's rights, and speaks with keepers alone. A keeper
asks for an interpreter with the files and the settings of its sandbox; the fork enters the
sandbox's namespaces, gives up every right, waits for the claim as any parked interpreter does, and
is reported here when it ends.

Shared by the forks of one zygote, across accounts: where libraries lie in memory, and the seed of
Python's hashes. Not shared: random numbers, which are seeded anew, and any memory that was written
since. The executor makes another zygote from time to time, so that few share.
"""

import ctypes
import gc
import json
import os
import resource
import select
import socket
import struct
import sys
import types

HERE = os.path.dirname(os.path.abspath(__file__))
# What the sandbox calls the script; a path of the host would be seen in stacks.
PARKED = "/var/runtime/parked.py"
# Keeps the lock that says which thread runs: a fork must not find it open.
LIBC = ctypes.PyDLL(None, use_errno=True)
FILES_MAX = 16
NEW_PID = 0x20000000
INTO_CGROUP = 0x200000000
SIGCHLD = 17
SET_DUMPABLE, DROP_BOUNDING, NO_NEW_PRIVS, CHILD_SUBREAPER = 4, 24, 38, 36
CAPABILITIES_VERSION = 0x20080522


def check(answer, what):
    """What a call of the kernel answered, where it did not fail."""
    if answer < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return answer


def prctl(what, value):
    return LIBC.prctl(what, ctypes.c_ulong(value), 0, 0, 0)


class Request:
    """What a keeper wants, and the files that came with it, in the order of their names here."""

    def __init__(self, told, files):
        self.told = told
        rest = list(files)
        self.first, self.claims, self.out, self.err = rest[:4]
        del rest[:4]
        self.group = rest.pop(0) if told["born"] else None
        self.rules = rest.pop() if told["landlock"] else None
        self.join = rest

def fork(request):
    """Forks an interpreter into a sandbox: gives its number on this host, and 0 in the fork.

    By way of a child that ends at once: the kernel lets nobody enter a process namespace but by
    forking, and a child that is born in a control group is not fully known to the C library.
    """
    read, write = os.pipe()
    between = clone(request)
    if between == 0:
        try:
            for group in request.join:
                os.write(group, b"0")
            check(LIBC.setns(request.first, NEW_PID), "enter the process namespace")
            child = os.fork()
            if child == 0:
                return 0
            os.write(write, struct.pack("i", child))
            os._exit(0)
        except OSError as error:
            os.write(request.err, f"fork an interpreter: {error}".encode())
            os._exit(1)
    os.close(write)
    told = os.read(read, 4)
    os.close(read)
    os.waitpid(between, 0)
    if len(told) < 4:
        raise OSError("the fork has failed")
    return struct.unpack("i", told)[0]


def clone(request):
    """Forks, into a control group of version 2 where there is one."""
    if request.group is None:
        return os.fork()
    # flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid,
    # set_tid_size, cgroup: see clone(2).
    wanted = [INTO_CGROUP, 0, 0, 0, SIGCHLD, 0, 0, 0, 0, 0, request.group]
    args = (ctypes.c_uint64 * len(wanted))(*wanted)
    clone3 = ctypes.c_long(request.told["calls"]["clone3"])
    return check(LIBC.syscall(clone3, args, ctypes.c_size_t(ctypes.sizeof(args))), "clone3")


def seal(request):
    """Enters the sandbox, and gives up every right, in the order in which that can be done."""
    told, calls = request.told, request.told["calls"]
    check(LIBC.setns(request.first, told["spaces"]), "enter the namespaces")
    os.chdir("/")
    os.setsid()
    for file, place in [(request.claims, 0), (request.out, 1), (request.err, 2)]:
        os.dup2(file, place)
    for limit, value in told["limits"]:
        value = min(value & (2**64 - 1), resource.getrlimit(limit)[1] & (2**64 - 1))
        resource.setrlimit(limit, (value, value))
    for capability in range(64):
        prctl(DROP_BOUNDING, capability)
    user = told["user"]
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    header = struct.pack("Ii", CAPABILITIES_VERSION, 0)
    nothing = ctypes.create_string_buffer(24)
    check(LIBC.syscall(ctypes.c_long(calls["capset"]), header, nothing), "give up capabilities")
    # Its own files in /proc are its own again, as after an exec.
    check(prctl(SET_DUMPABLE, 1), "open this process's files")
    check(prctl(NO_NEW_PRIVS, 1), "give up new privileges")
    if request.rules is not None:
        restrict = ctypes.c_long(calls["landlock_restrict_self"])
        check(LIBC.syscall(restrict, ctypes.c_long(request.rules), ctypes.c_long(0)), "close the file system")
    for program in told["filters"]:
        code = b"".join(struct.pack("HBBI", *step) for step in program)
        held = ctypes.create_string_buffer(code, len(code))
        whole = struct.pack("HxxxxxxP", len(program), ctypes.addressof(held))
        seccomp = ctypes.c_long(calls["seccomp"])
        check(LIBC.syscall(seccomp, ctypes.c_long(1), ctypes.c_long(0), whole), "filter system calls")


class Zygote:
    """The loop that serves keepers, until the executor and every fork are gone."""

    def __init__(self, executor):
        self.executor = executor
        self.poll = select.poll()
        self.keepers = {}
        self.children = {}
        self.watch(executor)

    def watch(self, file):
        self.poll.register(file, select.POLLIN)

    def run(self):
        """Serves to the end; in a fork, gives its request at once."""
        while self.executor or self.keepers or self.children:
            for number, _ in self.poll.poll():
                if self.executor and number == self.executor.fileno():
                    self.welcome()
                elif number in self.children:
                    self.reap(number)
                elif number in self.keepers:
                    request = self.serve(self.keepers[number])
                    if request:
                        self.forget()
                        return request
        return None

    def forget(self):
        """In a fork: what was open is nobody's here, and its numbers will be others'."""
        for open_here in [self.executor, *self.keepers.values()]:
            if open_here:
                open_here.detach()

    def welcome(self):
        """A keeper's connection, from the executor."""
        told, files, _, _ = socket.recv_fds(self.executor, 1, 1)
        if not told:
            self.poll.unregister(self.executor)
            self.executor = None
            return
        for number in files:
            self.keepers[number] = socket.socket(fileno=number)
            self.watch(number)

    def serve(self, keeper):
        """A keeper's request, or its end; in the fork, gives the request."""
        files = []
        try:
            told, files, _, _ = socket.recv_fds(keeper, 1, FILES_MAX)
            if not told:
                raise OSError("the keeper has gone")
            request = Request(json.loads(message(keeper)), files)
            child = fork(request)
            if child == 0:
                return request
            watched = os.pidfd_open(child)
            self.children[watched] = (child, keeper)
            self.watch(watched)
            tell(keeper, {"forked": child})
        except (OSError, ValueError):
            # The keeper sees its connection end, and finds the reason among the instance's lines.
            self.poll.unregister(keeper)
            del self.keepers[keeper.fileno()]
            keeper.close()
        for number in files:
            os.close(number)
        return None

    def reap(self, watched):
        """The end of a fork."""
        child, keeper = self.children.pop(watched)
        self.poll.unregister(watched)
        os.close(watched)
        _, status, used = os.wait4(child, 0)
        signalled = os.WIFSIGNALED(status)
        seconds = used.ru_utime + used.ru_stime
        try:
            tell(keeper, {
                "code": None if signalled else os.WEXITSTATUS(status),
                "signal": os.WTERMSIG(status) if signalled else None,
                "cpu_us": int(seconds * 1_000_000),
                "rss_peak_bytes": used.ru_maxrss * 1024,
            })
        except OSError:
            # Its keeper has gone before it.
            pass


def message(keeper):
    """A message: its length in four bytes, and JSON."""
    count = int.from_bytes(exactly(keeper, 4), "little")
    return exactly(keeper, count)


def exactly(keeper, count):
    parts = b""
    while len(parts) < count:
        part = keeper.recv(count - len(parts))
        if not part:
            raise OSError("the keeper is gone")
        parts += part
    return parts


def tell(keeper, told):
    text = json.dumps(told).encode()
    keeper.sendall(len(text).to_bytes(4, "little") + text)


def parked():
    """The module that waits for claims, under the name that it has inside."""
    module = types.ModuleType("parked")
    with open(f"{HERE}/parked.py", "rb") as file:
        code = compile(file.read(), PARKED, "exec")
    exec(code, module.__dict__)
    with open(f"{HERE}/bootstrap.py", "rb") as file:
        module.BOOTSTRAP_CODE = compile(file.read(), module.BOOTSTRAP, "exec")
    return module


def main():
    """Serves, and says in each fork what it is to become."""
    os.chdir("/")
    sys.path_importer_cache.pop(sys.path[0], None)
    # Forks whose parent in between has ended come back to us.
    check(prctl(CHILD_SUBREAPER, 1), "adopt forks")
    executor = socket.socket(fileno=os.dup(0))
    null = os.open("/dev/null", os.O_RDWR)
    for place in (0, 1):
        os.dup2(null, place)
    os.close(null)
    gc.collect()
    # Nothing here will ever be collected, so no fork has to copy it to look.
    gc.freeze()
    request = Zygote(executor).run()
    if request is None:
        sys.exit(0)
    seal(request)
    os.closerange(3, 1 << 20)


if __name__ == "__main__":
    waiting = parked()
    main()
    waiting.become(waiting.claim(), waiting.BOOTSTRAP_CODE)
