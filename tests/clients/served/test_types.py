"""Every data type there and back: raw and typed over gRPC, binary and JSON over HTTP."""

import grpc
import ml_dtypes
import numpy as np
import pytest
import tritonclient.grpc as over_grpc
import tritonclient.http as over_http
from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.utils import InferenceServerException

WHOLE = {"UINT8": np.uint8, "UINT16": np.uint16, "UINT32": np.uint32, "UINT64": np.uint64,
         "INT8": np.int8, "INT16": np.int16, "INT32": np.int32, "INT64": np.int64}
VALUES = {name: np.array([[np.iinfo(kind).min, np.iinfo(kind).max], [0, 1]], dtype=kind) for name, kind in WHOLE.items()} | {
    "BOOL": np.array([[True, False], [False, True]]),
    "FP16": np.array([[1.5, -65504.0], [6e-8, 0.0]], dtype=np.float16),
    "BF16": np.array([[1.5, -2.0], [3.0e38, 0.0]], dtype=ml_dtypes.bfloat16),
    "FP32": np.array([[0.1, -3.4e38], [1e-45, 0.0]], dtype=np.float32),
    "FP64": np.array([[0.1, -1.7e308], [5e-324, 0.0]], dtype=np.float64),
    "BYTES": np.array([[b"a", b""], ["é".encode(), b'"\\\n']], dtype=np.object_),
}
TYPED = {"BOOL": "bool_contents", "UINT8": "uint_contents", "UINT16": "uint_contents", "UINT32": "uint_contents",
         "UINT64": "uint64_contents", "INT8": "int_contents", "INT16": "int_contents", "INT32": "int_contents",
         "INT64": "int64_contents", "FP32": "fp32_contents", "FP64": "fp64_contents", "BYTES": "bytes_contents"}
RAW_ONLY = sorted(VALUES.keys() - TYPED.keys())


def tensor(library, datatype, name="x", **options):
    made = library.InferInput(name, list(VALUES[datatype].shape), datatype)
    made.set_data_from_numpy(VALUES[datatype], **options)
    return made


def same(answer, datatype, output="y"):
    found, wanted = answer.as_numpy(output), VALUES[datatype]
    assert found.dtype == wanted.dtype and found.shape == wanted.shape
    # The client gives text of JSON as it is, and bytes else.
    told = [one.encode() if isinstance(one, str) else one for one in found.reshape(-1).tolist()]
    assert told == wanted.reshape(-1).tolist()


@pytest.fixture(scope="module")
def channel(grpc_address):
    with grpc.insecure_channel(grpc_address) as channel:
        yield service_pb2_grpc.GRPCInferenceServiceStub(channel)


@pytest.mark.parametrize("datatype", VALUES)
def test_raw_over_grpc(grpc_address, datatype):
    with over_grpc.InferenceServerClient(grpc_address) as client:
        same(client.infer(f"type_{datatype}", [tensor(over_grpc, datatype)]), datatype)
        config = client.get_model_config(f"type_{datatype}", as_json=True)["config"]
        assert config["input"][0]["data_type"] == ("TYPE_STRING" if datatype == "BYTES" else f"TYPE_{datatype}")


@pytest.mark.parametrize("datatype", TYPED)
def test_typed_over_grpc(channel, datatype):
    values = VALUES[datatype]
    request = service_pb2.ModelInferRequest(model_name=f"type_{datatype}")
    one = request.inputs.add(name="x", datatype=datatype, shape=values.shape)
    getattr(one.contents, TYPED[datatype])[:] = values.reshape(-1).tolist()
    answer = over_grpc.InferResult(channel.ModelInfer(request))
    same(answer, datatype)


@pytest.mark.parametrize("datatype", RAW_ONLY)
def test_types_without_typed_contents(channel, datatype):
    request = service_pb2.ModelInferRequest(model_name=f"type_{datatype}")
    one = request.inputs.add(name="x", datatype=datatype, shape=[1, 2])
    one.contents.fp32_contents[:] = [1.0, 2.0]
    with pytest.raises(grpc.RpcError) as caught:
        channel.ModelInfer(request)
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT and "raw_input_contents" in caught.value.details()


FORMS = [(datatype, there, back) for datatype in VALUES for there in (True, False) for back in (True, False)
         # What JSON does not carry is below.
         if datatype not in RAW_ONLY or (there and back)]


@pytest.mark.parametrize("datatype, there, back", FORMS)
def test_over_http(rest_address, datatype, there, back):
    with over_http.InferenceServerClient(rest_address) as client:
        output = over_http.InferRequestedOutput("y", binary_data=back)
        answer = client.infer(f"type_{datatype}", [tensor(over_http, datatype, binary_data=there)], outputs=[output])
        same(answer, datatype)
        # Beside the JSON or in it, as it was asked for.
        assert ("data" in answer.get_output("y")) != back


@pytest.mark.parametrize("datatype", RAW_ONLY)
def test_what_json_does_not_carry_is_refused(rest_address, datatype):
    with over_http.InferenceServerClient(rest_address) as client:
        output = over_http.InferRequestedOutput("y", binary_data=False)
        with pytest.raises(InferenceServerException) as caught:
            client.infer(f"type_{datatype}", [tensor(over_http, datatype)], outputs=[output])
        assert caught.value.status() == "400" and datatype in caught.value.message()


def test_all_types_in_one_request(grpc_address, rest_address):
    def ask(library, client):
        inputs = [tensor(library, datatype, f"in_{datatype}") for datatype in VALUES]
        for one, datatype in zip(inputs, VALUES):
            one.set_shape([4])
        return client.infer("types", inputs)

    with over_grpc.InferenceServerClient(grpc_address) as client:
        by_grpc = ask(over_grpc, client)
    with over_http.InferenceServerClient(rest_address) as client:
        by_http = ask(over_http, client)
    for datatype, values in VALUES.items():
        for answer in (by_grpc, by_http):
            assert answer.as_numpy(f"out_{datatype}").tolist() == values.reshape(-1).tolist(), datatype
