"""Every call about servers and models that tritonclient knows, over REST and gRPC.

The one argument is JSON: {"http", "grpc", "token", "stranger", "model"}: two addresses, a token
that may ask the model, one that may not, and an endpoint `output[-1, 2] = input * 2` of the first
one's account. Ends with the name of the first call that is not answered as it should be.
"""

import json
import sys

import numpy
import tritonclient.grpc as grpc
import tritonclient.http as http
from tritonclient.utils import InferenceServerException

INPUT, OUTPUT = "x", "y"
EXTENSIONS = {"binary_tensor_data", "model_configuration", "statistics"}


class Rest:
    """The REST client; its answers are JSON."""

    name, module = "REST", http
    NOT_FOUND, WRONG, STRANGER, METHOD = ["404"], ["400"], ["401"], ["404"]

    def __init__(self, given):
        self.client = http.InferenceServerClient(given["http"])

    def plain(self, answer):
        return answer


class Grpc:
    """The gRPC client; its answers are messages, asked for as JSON with the same names."""

    name, module = "gRPC", grpc
    NOT_FOUND, WRONG = ["StatusCode.NOT_FOUND"], ["StatusCode.INVALID_ARGUMENT"]
    STRANGER, METHOD = ["StatusCode.UNAUTHENTICATED"], ["StatusCode.UNIMPLEMENTED"]

    def __init__(self, given):
        self.client = grpc.InferenceServerClient(given["grpc"])

    def plain(self, answer):
        from google.protobuf.json_format import MessageToDict
        return MessageToDict(answer, preserving_proto_field_name=True,
                             always_print_fields_with_no_presence=True)


def same(what, told, expected):
    assert told == expected, f"{what}: {told!r} is not {expected!r}"


def refused(what, call, statuses):
    """A call that has to be refused with one of these statuses and a text for people."""
    try:
        answer = call()
    except InferenceServerException as error:
        assert error.status() in statuses, f"{what}: {error.status()} is not in {statuses}: {error}"
        assert len(error.message()) > 10, f"{what}: says nothing: {error}"
        assert "panicked" not in error.message(), f"{what}: {error}"
        return error.message()
    raise AssertionError(f"{what} was not refused: {answer!r}")


class Calls:
    """All calls over one protocol."""

    def __init__(self, side, given):
        self.side, self.client, self.model = side, side.client, given["model"]
        self.given = given

    @property
    def mine(self):
        return {"authorization": f"Bearer {self.given['token']}"}

    def ask(self, call, *words, **how):
        return self.side.plain(getattr(self.client, call)(*words, headers=self.mine, **how))

    def infer(self, model=None, value=None, name=INPUT, datatype="FP32", headers=None, **how):
        value = numpy.array([[1, 2]], numpy.float32) if value is None else value
        tensor = self.side.module.InferInput(name, list(value.shape), datatype)
        tensor.set_data_from_numpy(value)
        headers = self.mine if headers is None else headers
        return self.client.infer(model or self.model, [tensor], headers=headers, **how)

    def server(self):
        assert self.client.is_server_live(), "live"
        assert self.client.is_server_ready(), "ready"
        told = self.ask("get_server_metadata")
        same("name", told["name"], "freehold")
        assert told["version"], "version"
        assert EXTENSIONS <= set(told["extensions"]), told["extensions"]

    def describe(self):
        assert self.client.is_model_ready(self.model, headers=self.mine), "model ready"
        assert self.client.is_model_ready(self.model, "1", headers=self.mine), "version 1 ready"
        for version in ["", "1"]:
            told = self.ask("get_model_metadata", self.model, version)
            same("metadata name", told["name"], self.model)
            same("versions", told["versions"], ["1"])
            for key, tensor in [("inputs", INPUT), ("outputs", OUTPUT)]:
                one, = told[key]
                same(key, (one["name"], one["datatype"]), (tensor, "FP32"))
                same(f"shape of {key}", [int(size) for size in one["shape"]], [-1, 2])
        told = self.ask("get_model_config", self.model)
        told = told.get("config", told)
        same("config name", told["name"], self.model)
        same("max_batch_size", told["max_batch_size"], 8)
        same("config type", told["input"][0]["data_type"], "TYPE_FP32")
        same("config dims", [int(size) for size in told["input"][0]["dims"]], [2])
        assert "dynamic_batching" in told, told

    def index(self):
        told = self.ask("get_model_repository_index")
        told = told if isinstance(told, list) else told["models"]
        one, = [one for one in told if one["name"] == self.model]
        same("index", (one["version"], one["state"]), ("1", "READY"))

    def count(self):
        """Statistics count what was asked since."""
        def counts():
            told, = self.ask("get_inference_statistics", self.model)["model_stats"]
            same("stats name", (told["name"], told["version"]), (self.model, "1"))
            counted = lambda key: int(told["inference_stats"][key]["count"])
            return [int(told["inference_count"]), counted("success"), counted("fail")], told
        before, _ = counts()
        self.infer(value=numpy.ones((3, 2), numpy.float32))
        self.infer()
        refused("a wrong shape", lambda: self.infer(value=numpy.ones((1, 3), numpy.float32)),
                self.side.WRONG)
        after, told = counts()
        grown = [new - old for new, old in zip(after, before)]
        same("rows, successes and failures", grown, [4, 2, 1])
        assert int(told["inference_stats"]["compute_infer"]["ns"]) > 0, told
        assert told["batch_stats"], told
        every = self.ask("get_inference_statistics")["model_stats"]
        assert self.model in [one["name"] for one in every], every

    def answer(self):
        """What a request may carry, and what comes back of it."""
        output = self.side.module.InferRequestedOutput(OUTPUT)
        answer = self.infer(request_id="seven", outputs=[output], priority=1, timeout=5_000_000,
                            parameters={"unknown": "ignored"}, model_version="1")
        same("values", answer.as_numpy(OUTPUT).tolist(), [[2, 4]])
        told = self.side.plain(answer.get_response())
        same("id", told["id"], "seven")
        same("model", (told["model_name"], told["model_version"]), (self.model, "1"))
        nothing = self.infer(value=numpy.zeros((0, 2), numpy.float32))
        same("the answer to no rows", nothing.as_numpy(OUTPUT).shape, (0, 2))

    def mistakes(self):
        side, ones = self.side, numpy.ones((1, 2), numpy.float32)
        wrong = {
            "a wrong name": lambda: self.infer(name="z"),
            "a wrong datatype": lambda: self.infer(value=ones.astype(numpy.float64),
                                                   datatype="FP64"),
            "a wrong rank": lambda: self.infer(value=ones.ravel()),
            "an unknown output": lambda: self.infer(
                outputs=[side.module.InferRequestedOutput("z")]),
            "the same input twice": lambda: self.client.infer(
                self.model, [self.tensor(ones), self.tensor(ones)], headers=self.mine),
            "no input": lambda: self.client.infer(self.model, [], headers=self.mine),
        }
        for what, call in wrong.items():
            refused(what, call, side.WRONG)
        for what, call in {
            "an unknown model": lambda: self.infer("nowhere"),
            "a model of another account": lambda: self.infer("nobody.nowhere"),
            "a wrong version": lambda: self.infer(model_version="9"),
            "metadata of an unknown model": lambda: self.ask("get_model_metadata", "nowhere"),
            "configuration of an unknown model": lambda: self.ask("get_model_config", "nowhere"),
            "statistics of an unknown model":
                lambda: self.ask("get_inference_statistics", "nowhere"),
        }.items():
            refused(what, call, side.NOT_FOUND)

    def tensor(self, value):
        tensor = self.side.module.InferInput(INPUT, list(value.shape), "FP32")
        tensor.set_data_from_numpy(value)
        return tensor

    def strangers(self):
        """Who has no token, a wrong one, or another account's."""
        other = {"authorization": f"Bearer {self.given['stranger']}"}
        wrong = {"authorization": "Bearer fh_" + "0" * 64}
        hidden = refused("another account", lambda: self.infer(headers=other), self.side.NOT_FOUND)
        absent = refused("an unknown model", lambda: self.infer("nowhere", headers=other),
                         self.side.NOT_FOUND)
        same("what another account is told", hidden.replace(self.model, "nowhere"), absent)
        for what, headers in [("no token", {"x-nothing": "1"}), ("a wrong token", wrong)]:
            refused(what, lambda: self.infer(headers=dict(headers)), self.side.STRANGER)
            refused(f"metadata with {what}",
                    lambda: self.client.get_model_metadata(self.model, headers=dict(headers)),
                    self.side.STRANGER)
        seen = self.side.plain(self.client.get_model_repository_index(headers=other))
        seen = seen if isinstance(seen, list) else seen["models"]
        same("another account's index", [one["name"] for one in seen], [])

    def absent(self):
        """What this server does not do is refused as a call that is not there."""
        for what, call in {
            "load": lambda: self.client.load_model(self.model, headers=self.mine),
            "unload": lambda: self.client.unload_model(self.model, headers=self.mine),
            "shared memory": lambda: self.ask("get_system_shared_memory_status"),
            "CUDA shared memory": lambda: self.ask("get_cuda_shared_memory_status"),
            "trace settings": lambda: self.ask("get_trace_settings"),
            "log settings": lambda: self.ask("get_log_settings"),
        }.items():
            refused(what, call, self.side.METHOD)


def main(given):
    told = {}
    for side in [Rest, Grpc]:
        calls = Calls(side(given), given)
        for name in ["server", "describe", "index", "answer", "count", "mistakes", "strangers",
                     "absent"]:
            try:
                getattr(calls, name)()
            except Exception as error:
                error.add_note(f"over {side.name}: {name}")
                raise
        told[side.name] = "answered"
    print(json.dumps(told))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
