"""What MLServer serves in the benchmarks: nothing, and ONNX models."""

import numpy
import onnxruntime
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceResponse, ResponseOutput


class NoOp(MLModel):
    """Answers each input as it came."""

    async def load(self) -> bool:
        return True

    async def predict(self, payload):
        outputs = [
            ResponseOutput(name="y", shape=one.shape, datatype=one.datatype, data=one.data)
            for one in payload.inputs
        ]
        return InferenceResponse(model_name=self.name, id=payload.id, outputs=outputs)


class Engine(MLModel):
    """ONNX Runtime with the settings of Freehold's worker."""

    async def load(self) -> bool:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        uri = self.settings.parameters.uri
        self.session = onnxruntime.InferenceSession(
            uri, options, providers=["CPUExecutionProvider"]
        )
        return True

    async def predict(self, payload):
        inputs = {
            one.name: numpy.ascontiguousarray(NumpyCodec.decode_input(one))
            for one in payload.inputs
        }
        answers = self.session.run(None, inputs)
        outputs = [
            NumpyCodec.encode_output(info.name, answer)
            for info, answer in zip(self.session.get_outputs(), answers)
        ]
        return InferenceResponse(model_name=self.name, id=payload.id, outputs=outputs)
