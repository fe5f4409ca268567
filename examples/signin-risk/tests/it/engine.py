"""Checks a model file with ONNX's own checker, and prints what ONNX Runtime answers to a request."""

import json
import sys

import numpy
import onnx
import onnxruntime

model, request = sys.argv[1:3]
onnx.checker.check_model(onnx.load(model), full_check=True)
session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
(given,) = json.load(open(request))["inputs"]
data = numpy.array(given["data"], dtype=numpy.float32).reshape(given["shape"])
(risk,) = session.run(["risk"], {given["name"]: data})
batch = session.get_inputs()[0].shape[0]
print(json.dumps({"shape": list(risk.shape), "risk": risk.ravel().tolist(), "batch": batch}))
