"""Sequences as tritonclient sends them: requests that belong together, by number and by name, one by one and in streams.

`sequence` adds 1 to what begins a sequence; `dyna_sequence` adds a sequence's number to what ends it, too; both take only
the request that they are given. `accumulator` keeps a sum as state; `named_sequence` gives the sequence's name back.
"""

import asyncio
import queue
import threading

import numpy as np
import pytest
import tritonclient.grpc as grpc
import tritonclient.grpc.aio as grpc_aio
import tritonclient.http as http
from tritonclient.utils import InferenceServerException

VALUES = [11, 7, 5, 3, 2, 0, 1]


def step(library, value):
    made = library.InferInput("INPUT", [1, 1], "INT32")
    made.set_data_from_numpy(np.array([[value]], dtype=np.int32))
    return [made]


def flags(at, values=VALUES):
    return {"sequence_start": at == 0, "sequence_end": at == len(values) - 1}


def expected(model, number, values=VALUES, sign=1):
    ends = number if model == "dyna_sequence" else 0
    last = len(values) - 1
    return [sign * value + (at == 0) + (ends if at == last else 0) for at, value in enumerate(values)]


def only(answer):
    return int(answer.as_numpy("OUTPUT").reshape(-1)[0])


@pytest.fixture(params=["grpc", "http"])
def library(request):
    return {"grpc": grpc, "http": http}[request.param]


@pytest.fixture
def client(library, grpc_address, rest_address):
    with library.InferenceServerClient(grpc_address if library is grpc else rest_address) as made:
        yield made


@pytest.mark.parametrize("model", ["sequence", "dyna_sequence"])
def test_one_by_one(library, client, model):
    """Two sequences take turns, the second with the opposite numbers."""
    told = {1007: [], 1008: []}
    for at, value in enumerate(VALUES):
        for number, sign in ((1007, 1), (1008, -1)):
            answer = client.infer(model, step(library, sign * value), sequence_id=number, **flags(at))
            told[number].append(only(answer))
    assert told == {1007: expected(model, 1007), 1008: expected(model, 1008, sign=-1)}


@pytest.mark.parametrize("number", [1, 2**31 - 1])
def test_state_is_that_of_the_sequence(library, client, number):
    for _ in range(2):
        sums = [only(client.infer("accumulator", step(library, value), sequence_id=number, **flags(at)))
                for at, value in enumerate(VALUES)]
        assert sums == list(np.cumsum(VALUES)), "it begins with zeros each time"


@pytest.mark.parametrize("name", ["a", "sequence of somebody-7", "x" * 128])
def test_a_sequence_may_have_a_name(library, client, name):
    for at in range(3):
        answer = client.infer("named_sequence", step(library, 0), sequence_id=name, **flags(at, range(3)))
        assert answer.as_numpy("NAME").reshape(-1)[0] == name.encode()


@pytest.mark.parametrize("model", ["sequence", "dyna_sequence", "accumulator"])
def test_streams(grpc_address, answers, model):
    """All of two sequences in one stream: answers come in order."""
    with grpc.InferenceServerClient(grpc_address) as client:
        client.start_stream(callback=answers)
        for number in (2001, 2002):
            for at, value in enumerate(VALUES):
                client.async_stream_infer(model, step(grpc, value), request_id=f"{number}_{at}",
                                          sequence_id=number, **flags(at))
        told = answers.wait(2 * len(VALUES))
        client.stop_stream()
    assert not [error for error in told if isinstance(error, Exception)], told
    by_number = {2001: [], 2002: []}
    for answer in told:
        by_number[int(answer.get_response().id.split("_")[0])].append(only(answer))
    for number, values in by_number.items():
        sums = list(np.cumsum(VALUES)) if model == "accumulator" else expected(model, number)
        assert values == sums


def test_many_streams_at_a_time(grpc_address):
    """More sequences than there are slots, each in a stream of its own: every one of them stays in order."""
    count, told = 100, {}

    def one(number):
        sums = queue.Queue()
        with grpc.InferenceServerClient(grpc_address) as client:
            client.start_stream(callback=lambda result, error: sums.put(error or only(result)))
            for at in range(count):
                client.async_stream_infer("accumulator", step(grpc, 1), sequence_id=number, **flags(at, range(count)))
            told[number] = [sums.get(timeout=60) for _ in range(count)]
            client.stop_stream()

    threads = [threading.Thread(target=one, args=(number,)) for number in range(6001, 6013)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert told == {number: list(range(1, count + 1)) for number in range(6001, 6013)}


def test_streams_of_names_and_refusals(grpc_address, answers):
    """A request that is refused says so in its place, and the stream goes on."""
    with grpc.InferenceServerClient(grpc_address) as client:
        client.start_stream(callback=answers)
        client.async_stream_infer("named_sequence", step(grpc, 0), sequence_id="late")
        client.async_stream_infer("named_sequence", step(grpc, 0), sequence_id="b", sequence_start=True, sequence_end=True)
        refused, answered = answers.wait(2)
        client.stop_stream()
    assert isinstance(refused, InferenceServerException) and "START" in refused.message()
    assert answered.as_numpy("NAME").reshape(-1)[0] == b"b"


def test_asyncio_streams(grpc_address):
    async def all_of_it():
        async def requests():
            for at, value in enumerate(VALUES):
                yield {"model_name": "accumulator", "inputs": step(grpc_aio, value), "sequence_id": 3001} | flags(at)

        async with grpc_aio.InferenceServerClient(grpc_address) as client:
            sums = []
            async for result, error in client.stream_infer(requests()):
                assert error is None
                sums.append(only(result))
            return sums

    assert asyncio.run(all_of_it()) == list(np.cumsum(VALUES))


def test_what_is_refused(library, client):
    def refused(model="sequence", **options):
        with pytest.raises(InferenceServerException) as caught:
            client.infer(model, step(library, 1), **options)
        code = "StatusCode.INVALID_ARGUMENT" if library is grpc else "400"
        assert caught.value.status() == code
        return caught.value.message()

    assert "START" in refused(sequence_id=4001)
    assert "correlation ID" in refused(sequence_start=True)
    assert "is a string" in refused("dyna_sequence", sequence_id="a", sequence_start=True)
    assert "must be a whole number" in refused("named_sequence", sequence_id="x" * 129, sequence_start=True)
    two = library.InferInput("INPUT", [2, 1], "INT32")
    two.set_data_from_numpy(np.zeros((2, 1), dtype=np.int32))
    with pytest.raises(InferenceServerException, match="required 1"):
        client.infer("sequence", [two], sequence_id=4002, sequence_start=True)


def test_an_idle_sequence_is_over(library, client):
    """`hasty_sequence` waits a microsecond for the next request of a sequence: none comes as soon."""
    client.infer("hasty_sequence", step(library, 1), sequence_id=5001, sequence_start=True)
    with pytest.raises(InferenceServerException, match="START"):
        client.infer("hasty_sequence", step(library, 1), sequence_id=5001)


def test_controls_are_not_for_clients(grpc_address):
    with grpc.InferenceServerClient(grpc_address) as client:
        metadata = client.get_model_metadata("accumulator")
        assert [one.name for one in metadata.inputs] == ["INPUT"]
        assert [one.name for one in metadata.outputs] == ["OUTPUT"]
        assert client.get_model_config("accumulator", as_json=True)["config"]["sequence_batching"]["state"]
        assert "sequence" in client.get_server_metadata().extensions
