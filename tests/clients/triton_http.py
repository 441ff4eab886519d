"""Talks HTTP/REST with tritonclient as it comes from PyPI, and holds every answer against gRPC's.

usage: triton_http.py REST GATEWAY KEY ENDPOINT
"""

import asyncio
import json
import sys

import numpy as np
import tritonclient.grpc as grpc
import tritonclient.http as http
import tritonclient.http.aio as aio
from tritonclient.utils import InferenceServerException

ROWS = np.array([[0.1, -0.7, 0.25, 1e-7], [1.0, 2.0, 3.0, 4.0], [-1.0, -2.0, -3.0, 0.0]], dtype=np.float32)
OUTPUTS = ("label", "scores")


def tensor(rows=ROWS, binary=True, name="x", datatype="FP32"):
    made = http.InferInput(name, list(rows.shape), datatype)
    made.set_data_from_numpy(rows, binary_data=binary)
    return made


def over_grpc(address, headers, endpoint):
    made = grpc.InferInput("x", list(ROWS.shape), "FP32")
    made.set_data_from_numpy(ROWS)
    answer = grpc.InferenceServerClient(address).infer(endpoint, [made], headers=headers)
    return {name: answer.as_numpy(name) for name in OUTPUTS}


def same(answer, wanted):
    return all(np.array_equal(answer.as_numpy(name), wanted[name]) and answer.as_numpy(name).dtype == wanted[name].dtype
               for name in OUTPUTS)


def inferences(client, endpoint, headers):
    """{case: answer}: tensors as bytes and as JSON in both directions, compressed and not, one by one and at a time."""
    def ask(binary=True, **options):
        return client.infer(endpoint, [tensor(binary=binary)], headers=dict(headers), **options)

    def outputs(*binary):
        return [http.InferRequestedOutput(name, binary_data=flag) for name, flag in zip(OUTPUTS, binary)]

    version = ask().get_response()["model_version"]
    pending = [client.async_infer(endpoint, [tensor()], headers=dict(headers)) for _ in range(8)]
    return {
        "bytes": ask(),
        "json in": ask(binary=False),
        "json out": ask(outputs=outputs(False, False)),
        "json": ask(binary=False, outputs=outputs(False, False)),
        "mixed out": ask(outputs=outputs(False, True)),
        "gzip": ask(request_compression_algorithm="gzip", response_compression_algorithm="gzip"),
        "deflate": ask(request_compression_algorithm="deflate", response_compression_algorithm="deflate"),
        "json gzip": ask(binary=False, request_compression_algorithm="gzip"),
        "version": ask(model_version=version),
        "id and parameters": ask(request_id="7", timeout=10_000_000, parameters={"key": "user-1", "share": 0.5, "flag": True}),
    } | {f"at a time {number}": request.get_result() for number, request in enumerate(pending)}


async def asynchronous(address, endpoint, headers, wanted):
    async with aio.InferenceServerClient(address) as client:
        assert await client.is_server_live() and await client.is_model_ready(endpoint, headers=headers)
        assert (await client.get_model_metadata(endpoint, headers=headers))["name"] == endpoint
        answers = await asyncio.gather(*(
            client.infer(endpoint, [tensor(binary=bool(number % 2))], headers=dict(headers)) for number in range(16)))
        try:
            await client.infer("nobody", [tensor()], headers=headers)
        except InferenceServerException as refusal:
            return all(same(answer, wanted) for answer in answers), refusal.status(), refusal.message()


def stated(client, endpoint, headers):
    """What server and model say of themselves."""
    assert client.is_server_live() and client.is_server_ready() and client.is_model_ready(endpoint, headers=headers)
    assert not client.is_model_ready("nobody", headers=headers)
    metadata = client.get_model_metadata(endpoint, headers=headers)
    config = client.get_model_config(endpoint, headers=headers)
    index = client.get_model_repository_index(headers=headers)
    statistics = client.get_inference_statistics(endpoint, headers=headers)
    assert client.get_inference_statistics(headers=headers)["model_stats"]
    return {
        "server": client.get_server_metadata(headers=headers)["name"],
        "input": metadata["inputs"][0],
        "config": [config["name"], config["input"][0]["data_type"], config["max_batch_size"]],
        "index": [[model["name"], model["state"]] for model in index],
        "counted": statistics["model_stats"][0]["inference_stats"]["success"]["count"],
    }


def refusals(client, endpoint, headers):
    """{case: [status, message]}."""
    large = np.zeros((1_100_000, 16), dtype=np.float32)
    cases = {
        "no key": lambda: client.infer(endpoint, [tensor()]),
        "unknown model": lambda: client.infer("nobody", [tensor()], headers=dict(headers)),
        "unknown version": lambda: client.get_model_metadata(endpoint, "9.9.9", headers=headers),
        "wrong name": lambda: client.infer(endpoint, [tensor(name="y")], headers=dict(headers)),
        "wrong type": lambda: client.infer(endpoint, [tensor(np.zeros((1, 4)), datatype="FP64")], headers=dict(headers)),
        "wrong rank": lambda: client.infer(endpoint, [tensor(np.zeros(4, dtype=np.float32), False)], headers=dict(headers)),
        "too large": lambda: client.infer(endpoint, [tensor(large)], headers=dict(headers)),
        "no role": lambda: client.load_model(endpoint, headers=headers),
        "shared memory": lambda: client.get_system_shared_memory_status(headers=headers),
    }
    told = {}
    for case, ask in cases.items():
        try:
            ask()
            told[case] = ["200", "answered"]
        except InferenceServerException as refusal:
            told[case] = [refusal.status(), refusal.message()]
    return told


def main():
    rest, gateway, key, endpoint = sys.argv[1:]
    headers = {"authorization": f"Bearer {key}"}
    wanted = over_grpc(gateway, headers, endpoint)
    with http.InferenceServerClient(rest, concurrency=4) as client:
        answers = inferences(client, endpoint, headers)
        answered = answers["id and parameters"].get_response()
        told = {
            "different": [case for case, answer in answers.items() if not same(answer, wanted)],
            "id": answered["id"],
            "stated": stated(client, endpoint, headers),
            "refusals": refusals(client, endpoint, headers),
        }
    alike, status, message = asyncio.run(asynchronous(rest, endpoint, headers, wanted))
    told |= {"aio": alike, "aio refusal": [status, message]}
    print(json.dumps(told))


if __name__ == "__main__":
    main()
