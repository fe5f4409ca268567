"""Asks deployed models through unmodified clients, and holds each answer against onnxruntime.

The one argument is JSON: {"http", "grpc", "token", "models": {ENDPOINT: ONNX FILE}, "brief"}.
Every way of asking gets the same inputs; the first answer that differs ends this with its name.
With "brief" only some ways are tried. With {"cases": {ENDPOINT: ONNX FILE}} instead, nothing is
asked: it prints a request for each model and what onnxruntime answers to it.
"""

import asyncio
import json
import sys

import numpy
import onnxruntime
import tritonclient.grpc as grpc
import tritonclient.grpc.auth as grpc_auth
import tritonclient.http as http
import tritonclient.http.aio as http_aio
import tritonclient.http.auth as http_auth
from tritonclient.grpc import service_pb2, service_pb2_grpc

# Threads, batches and another engine order the additions differently; a wrong answer is far off.
RTOL, ATOL = 1e-3, 1e-4
# Outputs with more numbers than this are no part of a unit test.
LONG = 1000
# Ways of asking that are tried where the engine is slow.
BRIEF = {"REST, binary", "REST, JSON", "gRPC"}
TYPES = {"tensor(float)": ("FP32", "fp32_contents"), "tensor(int32)": ("INT32", "int_contents"),
         "tensor(int64)": ("INT64", "int64_contents")}


def inputs(endpoint, rows, seed):
    """What the model is asked, by input name."""
    chance = numpy.random.default_rng(seed)
    image = lambda *shape: chance.uniform(-1, 1, (rows, 3, *shape)).astype(numpy.float32)
    sound = lambda length: (0.3 * numpy.sin(numpy.arange(length) * chance.uniform(0.05, 0.4))
                            + chance.normal(0, 0.05, (rows, length))).astype(numpy.float32)
    states = lambda *names: {name: numpy.zeros((2, rows, 128), numpy.float32) for name in names}
    return {
        "magika": lambda: {"bytes": chance.integers(0, 257, (rows, 2048), dtype=numpy.int32)},
        "silero": lambda: {"input": sound(576), **states("state"), "sr": numpy.array(16000)},
        "silero-fixed": lambda: {"input": sound(576), **states("state")},
        "ocr-detector": lambda: {"x": image(64, 96)},
        "ocr-recogniser": lambda: {"x": image(48, 64)},
        "ocr-classifier": lambda: {"x": image(48, 192)},
    }[endpoint]()


class Model:
    """One endpoint, and the same model in this process."""

    def __init__(self, given, endpoint, path):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(path, options, ["CPUExecutionProvider"])
        self.types = {it.name: TYPES[it.type] for it in self.session.get_inputs()}
        self.outputs = [it.name for it in self.session.get_outputs()]
        self.endpoint, self.given = endpoint, given
        self.http = http.InferenceServerClient(given["http"], concurrency=8, network_timeout=120)
        self.grpc = grpc.InferenceServerClient(given["grpc"])

    @property
    def headers(self):
        """Made anew each time: the client leaves the last request's headers in what it was given."""
        return {"authorization": f"Bearer {self.given['token']}"}

    def expected(self, values):
        return dict(zip(self.outputs, self.session.run(self.outputs, values)))

    def tensors(self, library, values, **how):
        for name, value in values.items():
            tensor = library.InferInput(name, list(value.shape), self.types[name][0])
            tensor.set_data_from_numpy(value, **how)
            yield tensor

    def check(self, way, answer, expected):
        """Holds every output against the expected; returns how far the worst is off."""
        worst = 0.0
        for name, value in expected.items():
            told = answer(name)
            where = f"{self.endpoint}, {way}, output {name}"
            assert told is not None, f"{where}: missing"
            assert told.shape == value.shape, f"{where}: {told.shape} is not {value.shape}"
            assert told.dtype == value.dtype, f"{where}: {told.dtype} is not {value.dtype}"
            numpy.testing.assert_allclose(told, value, rtol=RTOL, atol=ATOL, err_msg=where)
            worst = max(worst, float(numpy.max(numpy.abs(told - value), initial=0)))
        return worst

    def rest(self, values, binary=True, **how):
        tensors = list(self.tensors(http, values, binary_data=binary))
        outputs = [http.InferRequestedOutput(name, binary_data=binary) for name in self.outputs]
        return self.http.infer(self.endpoint, tensors, outputs=outputs, headers=self.headers, **how)

    def rpc(self, values, **how):
        tensors = list(self.tensors(grpc, values))
        return self.grpc.infer(self.endpoint, tensors, headers=self.headers, **how)

    def typed(self, values):
        """Over gRPC with the numbers in the fields of their types, as KServe's clients send them."""
        request = service_pb2.ModelInferRequest(model_name=self.endpoint)
        for name, value in values.items():
            datatype, field = self.types[name]
            tensor = request.inputs.add(name=name, datatype=datatype, shape=value.shape)
            getattr(tensor.contents, field).extend(value.ravel().tolist())
        metadata = [("authorization", self.headers["authorization"])]
        answer = self.grpc._client_stub.ModelInfer(request, metadata=metadata)
        told = {it.name: numpy.array(it.contents.fp32_contents, numpy.float32).reshape(it.shape)
                for it in answer.outputs}
        return told.get

    def streamed(self, values):
        """Over one gRPC stream, three requests of it."""
        answers = []
        client = grpc.InferenceServerClient(self.given["grpc"])
        client.start_stream(lambda result, error: answers.append((result, error)),
                            headers=self.headers)
        for number in range(3):
            client.async_stream_infer(self.endpoint, list(self.tensors(grpc, values)),
                                      request_id=str(number))
        client.stop_stream()
        client.close()
        assert all(error is None for _, error in answers), answers
        assert [result.get_response().id for result, _ in answers] == ["0", "1", "2"], answers
        return answers[-1][0].as_numpy

    async def asynchronous(self, values):
        async with http_aio.InferenceServerClient(self.given["http"]) as client:
            tensors = list(self.tensors(http, values, binary_data=True))
            return await client.infer(self.endpoint, tensors, headers=self.headers)

    def by_password(self, values, library, auth, address):
        """With the token as a password, as the clients' own plugin sends it."""
        with library.InferenceServerClient(self.given[address]) as client:
            client.register_plugin(auth.BasicAuth("", self.given["token"]))
            return client.infer(self.endpoint, list(self.tensors(library, values))).as_numpy

    def every_way(self, values):
        """Each way of asking, by name."""
        compressed = lambda how: {"request_compression_algorithm": how,
                                  "response_compression_algorithm": how}
        return {
            "REST, binary": lambda: self.rest(values).as_numpy,
            "REST, JSON": lambda: self.rest(values, binary=False).as_numpy,
            "REST, gzip": lambda: self.rest(values, **compressed("gzip")).as_numpy,
            "REST, deflate, JSON":
                lambda: self.rest(values, binary=False, **compressed("deflate")).as_numpy,
            "REST, asyncio": lambda: asyncio.run(self.asynchronous(values)).as_numpy,
            "REST, version 1": lambda: self.rest(values, model_version="1").as_numpy,
            "REST, password": lambda: self.by_password(values, http, http_auth, "http"),
            "gRPC": lambda: self.rpc(values).as_numpy,
            "gRPC, password": lambda: self.by_password(values, grpc, grpc_auth, "grpc"),
            "gRPC, gzip": lambda: self.rpc(values, compression_algorithm="gzip").as_numpy,
            "gRPC, typed contents": lambda: self.typed(values),
            "gRPC, stream": lambda: self.streamed(values),
        }

    def at_once(self, requests=8):
        """Different requests at one time, which the server may put together: each its own answer."""
        several = [inputs(self.endpoint, 1, 100 + number) for number in range(requests)]
        expected = [self.expected(values) for values in several]
        asked = [self.http.async_infer(self.endpoint, list(self.tensors(http, values)),
                                       headers=self.headers) for values in several]
        for one, values in zip(asked, expected):
            self.check("REST, at once", one.get_result().as_numpy, values)

    def in_steps(self, steps=4):
        """A model with a state: each answer's state goes into the next request."""
        state = numpy.zeros((2, 1, 128), numpy.float32)
        for step in range(steps):
            values = inputs(self.endpoint, 1, step) | {"state": state}
            expected = self.expected(values)
            answer = self.rpc(values) if step % 2 else self.rest(values)
            self.check(f"step {step}", answer.as_numpy, expected)
            state = answer.as_numpy("stateN")


def case(endpoint, path):
    """A request as the protocol writes it, and its answer; long outputs by their shape alone."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    types = {it.name: TYPES[it.type][0] for it in session.get_inputs()}
    # Few digits, so that the text of the request says the same numbers.
    values = {name: numpy.asarray(value.round(3)) for name, value in inputs(endpoint, 1, 0).items()}
    numbers = lambda value: value.ravel().astype(float).round(3) \
        if value.dtype == numpy.float32 else value.ravel()
    request = [{"name": name, "datatype": types[name], "shape": list(value.shape),
                "data": numbers(value).tolist()} for name, value in values.items()]
    outputs = []
    for it, value in zip(session.get_outputs(), session.run(None, values)):
        output = {"name": it.name, "datatype": "FP32", "shape": list(value.shape)}
        if value.size <= LONG:
            output |= {"data": value.ravel().tolist(), "tolerance": 1e-3}
        outputs.append(output)
    return {"request": {"inputs": request}, "outputs": outputs}


def main(given):
    if "cases" in given:
        print(json.dumps({endpoint: case(endpoint, path)
                          for endpoint, path in given["cases"].items()}))
        return
    told = {}
    for endpoint, path in given["models"].items():
        model = Model(given, endpoint, path)
        worst, ways = 0.0, set()
        # What has a free first dimension is also asked with several rows.
        free = not isinstance(model.session.get_inputs()[0].shape[0], int) \
            or model.session.get_inputs()[0].shape[0] < 1
        for rows in [1, 3] if free else [1]:
            values = inputs(endpoint, rows, seed=rows)
            expected = model.expected(values)
            for way, ask in model.every_way(values).items():
                if given.get("brief") and way not in BRIEF:
                    continue
                try:
                    worst = max(worst, model.check(way, ask(), expected))
                except Exception as error:
                    error.add_note(f"asked {endpoint} with {rows} rows over {way}")
                    raise
                ways.add(way)
        model.at_once()
        if "state" in model.types:
            model.in_steps()
        told[endpoint] = {"ways": len(ways), "worst": worst}
    print(json.dumps(told))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
