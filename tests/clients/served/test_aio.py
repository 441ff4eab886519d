"""tritonclient.grpc.aio and tritonclient.http.aio, unchanged."""

import asyncio

import numpy as np
import pytest
import tritonclient.grpc as over_grpc
import tritonclient.grpc.aio as grpc_aio
import tritonclient.http as over_http
import tritonclient.http.aio as http_aio
from tritonclient.utils import InferenceServerException

from rows import CLASSES, ENDLESS, FREE, LEFT, LONG, SCORES, SHORT, both, classes, pair, sums_hold, tensor

AT_A_TIME = 32


async def refusal(call, *words):
    with pytest.raises(InferenceServerException) as caught:
        await call
    assert all(word in str(caught.value) for word in words), caught.value


def slow(library, turns):
    return [tensor(library, "turns", turns, "INT64")]


async def alike(client, library):
    """What both libraries do the same way."""
    assert await client.is_server_live() and await client.is_server_ready()
    assert await client.is_model_ready("simple") and not await client.is_model_ready("nobody")
    answers = await asyncio.gather(*(
        client.infer("simple", pair(library), outputs=both(library), request_id=str(at)) for at in range(AT_A_TIME)))
    for answer in answers:
        sums_hold(answer)
    scores = [tensor(library, "x", SCORES, "FP32")]
    wanted = [library.InferRequestedOutput("scores", class_count=2)]
    assert classes(await client.infer("classifier", scores, outputs=wanted)) == CLASSES
    await refusal(client.infer("nobody", pair(library)), "Request for unknown model")
    await refusal(client.infer("simple", pair(library)[:1]), "INPUT1")
    await client.unload_model("table")
    assert not await client.is_model_ready("table")
    await client.load_model("table")
    assert await client.is_model_ready("table")
    await refusal(client.load_model("wrong_model_name"), "failed to load")
    assert await client.get_trace_settings() == await client.update_trace_settings(settings={"trace_rate": "5"})
    assert await client.get_log_settings() == await client.update_log_settings({"log_info": False})


def test_grpc(grpc_address):
    async def talk():
        async with grpc_aio.InferenceServerClient(grpc_address) as client:
            await alike(client, over_grpc)
            assert (await client.get_server_metadata()).name == "triton"
            assert (await client.get_model_metadata("simple")).name == "simple"
            assert (await client.get_model_config("simple")).config.max_batch_size == 8
            assert len((await client.get_inference_statistics("simple", "2")).model_stats) == 1
            assert "simple" in {model.name for model in (await client.get_model_repository_index()).models}
            for algorithm in ("gzip", "deflate"):
                sums_hold(await client.infer("simple", pair(over_grpc), compression_algorithm=algorithm))

    asyncio.run(talk())


def test_http(rest_address):
    async def talk():
        async with http_aio.InferenceServerClient(rest_address) as client:
            await alike(client, over_http)
            assert (await client.get_server_metadata())["name"] == "triton"
            assert (await client.get_model_metadata("simple"))["name"] == "simple"
            assert (await client.get_model_config("simple"))["max_batch_size"] == 8
            assert len((await client.get_inference_statistics("simple", "2"))["model_stats"]) == 1
            assert "simple" in {model["name"] for model in await client.get_model_repository_index()}
            for algorithm in ("gzip", "deflate"):
                sums_hold(await client.infer("simple", pair(over_http), request_compression_algorithm=algorithm,
                                             response_compression_algorithm=algorithm))

    asyncio.run(talk())


def test_a_stream_answers_in_order_and_errors_stand_in_it(grpc_address):
    async def talk():
        async def requests():
            for at in range(20):
                model = "nobody" if at == 7 else "simple"
                yield {"model_name": model, "inputs": pair(over_grpc, LEFT + at), "outputs": both(over_grpc), "request_id": str(at)}

        async with grpc_aio.InferenceServerClient(grpc_address) as client:
            at = 0
            async for result, error in client.stream_infer(requests()):
                if at == 7:
                    assert result is None and "Request for unknown model" in str(error)
                else:
                    assert error is None and result.get_response().id == str(at)
                    sums_hold(result, LEFT + at)
                at += 1
            assert at == 20

    asyncio.run(talk())


def test_cancellation_frees_the_model(grpc_address):
    async def talk():
        async with grpc_aio.InferenceServerClient(grpc_address) as client:
            await client.infer("slow", slow(over_grpc, LONG))
            task = asyncio.create_task(client.infer("slow", slow(over_grpc, ENDLESS)))
            await asyncio.sleep(0.1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

            async def requests():
                yield {"model_name": "slow", "inputs": slow(over_grpc, ENDLESS)}

            stream = client.stream_infer(requests())
            asyncio.get_running_loop().call_later(0.1, stream.cancel)
            with pytest.raises((asyncio.CancelledError, InferenceServerException)):
                async for _ in stream:
                    raise AssertionError("answered")
            await refusal(client.infer("slow", slow(over_grpc, ENDLESS), client_timeout=0.2), "DEADLINE_EXCEEDED")
            answer = await client.infer("slow", slow(over_grpc, SHORT), client_timeout=FREE)
            assert answer.as_numpy("y") == [0.0]

    asyncio.run(talk())


def test_a_connection_that_closes_frees_the_model(rest_address):
    async def talk():
        async with http_aio.InferenceServerClient(rest_address) as client:
            await client.infer("slow", slow(over_http, LONG))
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(client.infer("slow", slow(over_http, ENDLESS)), 0.3)
        async with http_aio.InferenceServerClient(rest_address) as client:
            answer = await asyncio.wait_for(client.infer("slow", slow(over_http, SHORT)), FREE)
            np.testing.assert_array_equal(answer.as_numpy("y"), [0.0])

    asyncio.run(talk())
