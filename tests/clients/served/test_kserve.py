"""kserve's clients of the protocol, unchanged."""

import asyncio

import grpc
import httpx
import numpy as np
import pytest
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig
from kserve.inference_client import InferenceGRPCClient

from rows import LEFT, RIGHT, texts

TYPES = [np.int8, np.int32, np.int64, np.uint8, np.uint64, np.float32, np.float64, np.bool_]
NAMES = ["INT8", "INT32", "INT64", "UINT8", "UINT64", "FP32", "FP64", "BOOL"]


def request(model, tensors, binary, parameters=None):
    inputs = []
    for name, values, datatype in tensors:
        inputs.append(InferInput(name, list(values.shape), datatype))
        inputs[-1].set_data_from_numpy(values, binary_data=binary)
    return InferRequest(model_name=model, infer_inputs=inputs, request_id="7", parameters=parameters)


def sums(binary, parameters=None):
    return request("simple", [("INPUT0", LEFT, "INT32"), ("INPUT1", RIGHT, "INT32")], binary, parameters)


def values(answer, name):
    (output,) = [output for output in answer.outputs if output.name == name]
    return output.as_numpy()


def sums_hold(answer):
    np.testing.assert_array_equal(values(answer, "OUTPUT0"), LEFT + RIGHT)
    np.testing.assert_array_equal(values(answer, "OUTPUT1"), LEFT - RIGHT)
    assert (answer.id, answer.model_name) == ("7", "simple")


async def types_hold(ask):
    for kind, name in zip(TYPES, NAMES):
        sent = np.array([[0, 1], [1, 0]]).astype(kind)
        for binary in (True, False):
            answer = await ask(request(f"type_{name}", [("x", sent, name)], binary))
            assert values(answer, "y").astype(kind).tolist() == sent.tolist(), (name, binary)
    sent = texts(LEFT)
    answer = await ask(request("simple_identity", [("INPUT0", sent, "BYTES")], True))
    told = values(answer, "OUTPUT0").reshape(-1).tolist()
    assert [text if isinstance(text, bytes) else text.encode() for text in told] == sent.reshape(-1).tolist()


def test_grpc(grpc_address):
    async def talk():
        async with InferenceGRPCClient(grpc_address, retries=2, timeout=30) as client:
            assert await client.is_server_live() and await client.is_server_ready()
            assert await client.is_model_ready("simple") and not await client.is_model_ready("nobody")
            for binary in (True, False):
                sums_hold(await client.infer(sums(binary)))
            await types_hold(client.infer)
            half = np.array([[1.5, -2.0]], dtype=np.float16)
            answer = await client.infer(request("type_FP16", [("x", half, "FP16")], True))
            assert values(answer, "y").tolist() == half.tolist()
            for model, code in (("nobody", grpc.StatusCode.NOT_FOUND), ("simple_int8", grpc.StatusCode.INVALID_ARGUMENT)):
                with pytest.raises(grpc.RpcError) as caught:
                    wrong = sums(True)
                    wrong.model_name = model
                    await client.infer(wrong)
                assert caught.value.code() == code

    asyncio.run(talk())


def test_rest(rest_address):
    async def talk():
        base = f"http://{rest_address}"
        async with InferenceRESTClient(RESTConfig(protocol="v2", retries=1, timeout=30)) as client:
            async def ask(asked):
                return await client.infer(base, asked, asked.model_name)

            assert await client.is_server_live(base) and await client.is_server_ready(base)
            assert await client.is_model_ready(base, "simple") and not await client.is_model_ready(base, "nobody")
            for binary in (True, False):
                for parameters in ({}, {"binary_data_output": True}):
                    sums_hold(await ask(sums(binary, parameters)))
            await types_hold(ask)
            for model, status in (("nobody", 404), ("simple_int8", 400)):
                with pytest.raises(httpx.HTTPStatusError) as caught:
                    wrong = sums(True)
                    wrong.model_name = model
                    await ask(wrong)
                assert caught.value.response.status_code == status

    asyncio.run(talk())
