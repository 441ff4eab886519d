"""ONNX files in KServe's Python server: one worker around ONNX Runtime with one thread."""

import argparse
import pathlib
import uuid

import kserve
import onnxruntime


class OnnxFile(kserve.Model):
    """Served under the name of the file."""

    def __init__(self, path):
        super().__init__(path.stem)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._output = self._session.get_outputs()[0].name
        self.ready = True

    async def predict(self, payload, headers=None, response_headers=None):
        inputs = {one.name: one.as_numpy() for one in payload.inputs}
        (answer,) = self._session.run([self._output], inputs)
        output = kserve.InferOutput(self._output, list(answer.shape), "FP32")
        output.set_data_from_numpy(answer, binary_data=True)
        made = payload.id or str(uuid.uuid4())
        return kserve.InferResponse(response_id=made, model_name=self.name, infer_outputs=[output])


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--grpc-port", type=int, required=True)
    arguments.add_argument("--http-port", type=int, required=True)
    arguments.add_argument("files", nargs="+", type=pathlib.Path)
    given = arguments.parse_args()
    server = kserve.ModelServer(
        http_port=given.http_port, grpc_port=given.grpc_port, workers=1, enable_docs_url=False
    )
    server.start([OnnxFile(path) for path in given.files])


if __name__ == "__main__":
    main()
