"""System shared memory as tritonclient makes and names it: inputs from it, outputs to it, over gRPC and HTTP."""

import uuid

import numpy as np
import pytest
import tritonclient.grpc as grpc
import tritonclient.http as http
import tritonclient.utils.shared_memory as memory
from tritonclient.utils import InferenceServerException, serialize_byte_tensor

from rows import LEFT, RIGHT, both, pair, sums_hold

SIZE = LEFT.nbytes


@pytest.fixture(params=["grpc", "http"])
def library(request):
    return {"grpc": grpc, "http": http}[request.param]


@pytest.fixture
def client(library, grpc_address, rest_address):
    with library.InferenceServerClient(grpc_address if library is grpc else rest_address) as made:
        yield made
        made.unregister_system_shared_memory()


@pytest.fixture
def region():
    """Makes an object of its own for each call; all of them are gone at the end."""
    made = []

    def make(size):
        key = f"/wlp-{uuid.uuid4().hex}"
        made.append(memory.create_shared_memory_region(key, key, size))
        return key, made[-1]

    yield make
    for handle in made:
        memory.destroy_shared_memory_region(handle)


def numbers(handle, offset=0):
    return memory.get_contents_as_numpy(handle, np.int32, LEFT.shape, offset=offset)


def inputs(library, name):
    made = pair(library)
    for place, one in enumerate(made):
        one.set_shared_memory(name, SIZE, offset=place * SIZE)
    return made


def outputs(library, name):
    made = [library.InferRequestedOutput("OUTPUT0"), library.InferRequestedOutput("OUTPUT1")]
    for place, one in enumerate(made):
        one.set_shared_memory(name, SIZE, offset=place * SIZE)
    return made


def named(client):
    """Names of the regions, however the library tells them."""
    status = client.get_system_shared_memory_status()
    return sorted(status.regions) if hasattr(status, "regions") else [one["name"] for one in status]


def test_both_ways(library, client, region):
    (key, given), (other, taken) = region(2 * SIZE), region(2 * SIZE)
    client.register_system_shared_memory("in", key, 2 * SIZE)
    client.register_system_shared_memory("out", other, 2 * SIZE)
    assert named(client) == ["in", "out"]
    for turn in range(3):
        left, right = LEFT + turn, RIGHT * turn
        memory.set_shared_memory_region(given, [left, right])
        answer = client.infer("simple", inputs(library, "in"), outputs=outputs(library, "out"))
        output = answer.get_output("OUTPUT1")
        told = output["parameters"] if library is http else {
            name: one.string_param or one.int64_param for name, one in output.parameters.items()}
        wanted = {"shared_memory_region": "out", "shared_memory_byte_size": SIZE, "shared_memory_offset": SIZE}
        assert wanted.items() <= told.items()
        np.testing.assert_array_equal(numbers(taken), left + right)
        np.testing.assert_array_equal(numbers(taken, SIZE), left - right)
    client.unregister_system_shared_memory("in")
    assert named(client) == ["out"]


def test_one_way_and_a_part_of_an_object(library, client, region):
    key, handle = region(3 * SIZE)
    client.register_system_shared_memory("part", key, 2 * SIZE, offset=SIZE)
    memory.set_shared_memory_region(handle, [np.full_like(LEFT, -1), LEFT, RIGHT])
    sums_hold(client.infer("simple", inputs(library, "part"), outputs=both(library)))
    mixed = pair(library)
    mixed[1].set_shared_memory("part", SIZE, offset=SIZE)
    sums_hold(client.infer("simple", mixed, outputs=both(library)))
    client.infer("simple", pair(library), outputs=outputs(library, "part"))
    np.testing.assert_array_equal(numbers(handle, SIZE), LEFT + RIGHT)
    np.testing.assert_array_equal(numbers(handle, 2 * SIZE), LEFT - RIGHT)
    np.testing.assert_array_equal(numbers(handle), np.full_like(LEFT, -1))


def test_texts(library, client, region):
    texts = np.array([[b"one", b"", "zwölf".encode()]], dtype=np.object_)
    raw = serialize_byte_tensor(texts)
    size = len(raw.item())
    (key, handle), (other, taken) = region(size), region(4 * size)
    client.register_system_shared_memory("texts", key, size)
    client.register_system_shared_memory("back", other, 4 * size)
    memory.set_shared_memory_region(handle, [raw])
    given = library.InferInput("INPUT0", [1, 3], "BYTES")
    given.set_shared_memory("texts", size)
    wanted = library.InferRequestedOutput("OUTPUT0")
    wanted.set_shared_memory("back", 4 * size)
    client.infer("simple_identity", [given], outputs=[wanted])
    back = memory.get_contents_as_numpy(taken, np.object_, [1, 3])
    assert back.tolist() == texts.tolist()


def test_streams(grpc_address, region, answers):
    with grpc.InferenceServerClient(grpc_address) as client:
        key, handle = region(2 * SIZE)
        client.register_system_shared_memory("stream", key, 2 * SIZE)
        memory.set_shared_memory_region(handle, [LEFT, RIGHT])
        client.start_stream(callback=answers)
        client.async_stream_infer("simple", inputs(grpc, "stream"))
        sums_hold(answers.wait(1)[0])
        client.stop_stream()
        client.unregister_system_shared_memory()


def test_what_is_refused(library, client, region):
    key, _ = region(SIZE)

    def refused(work, code, http_code, words):
        with pytest.raises(InferenceServerException) as caught:
            work()
        assert caught.value.status() == (f"StatusCode.{code}" if library is grpc else http_code)
        assert words in caught.value.message()

    def register(name, key, size, offset=0):
        return lambda: client.register_system_shared_memory(name, key, size, offset)

    invalid = ("INVALID_ARGUMENT", "400")
    refused(register("r", "/wlp-nobody-made-this", 8), *invalid, "is not there")
    refused(register("r", key, SIZE + 4096), *invalid, "the object has")
    refused(register("r", key, 8, offset=2**40), *invalid, "the object has")
    for wrong in ("/../etc/passwd", "../../etc/passwd", "/", "/a/b", ""):
        refused(register("r", wrong, 8), *invalid, "is no name of a shared memory object")
    client.register_system_shared_memory("r", key, SIZE)
    refused(register("r", key, SIZE), "ALREADY_EXISTS", "409", "registered already")
    refused(lambda: client.get_system_shared_memory_status("s"), "NOT_FOUND", "404", "unable to find")
    refused(lambda: client.infer("simple", inputs(library, "s")), *invalid, "is not registered")
    refused(lambda: client.infer("simple", inputs(library, "r")), *invalid, "the region has")
    refused(lambda: client.infer("simple", pair(library), outputs=outputs(library, "r")), *invalid, "the region has")
    refused(lambda: client.get_cuda_shared_memory_status("r"), "UNIMPLEMENTED", "501", "CUDA shared memory is not supported")
    client.unregister_system_shared_memory("s")
    assert named(client) == ["r"]
