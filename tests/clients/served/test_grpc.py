"""tritonclient.grpc, unchanged."""

import grpc
import numpy as np
import pytest
import tritonclient.grpc as triton
from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.utils import InferenceServerException

from rows import CLASSES, ENDLESS, FREE, LEFT, LONG, RIGHT, SCORES, SHORT, both, classes, odd_texts, pair, sums_hold, tensor, texts

HEADERS = {"test": "1", "dummy": "2"}


@pytest.fixture
def client(grpc_address):
    with triton.InferenceServerClient(grpc_address) as client:
        yield client


@pytest.fixture(scope="module")
def stub(grpc_address):
    with grpc.insecure_channel(grpc_address) as channel:
        yield service_pb2_grpc.GRPCInferenceServiceStub(channel)


def turns(count):
    return [tensor(triton, "turns", count, "INT64")]


@pytest.fixture
def slow(client):
    """The client, and a model that took its time."""
    client.infer("slow", turns(LONG))
    return client


def refusal(call, code, *words):
    with pytest.raises(InferenceServerException) as caught:
        call()
    assert caught.value.status() == f"StatusCode.{code}", caught.value
    assert all(word in caught.value.message() for word in words), caught.value
    return caught.value


def test_health(client):
    assert client.is_server_live(headers=HEADERS) and client.is_server_ready(client_timeout=5.0)
    assert client.is_model_ready("simple", headers=HEADERS) and client.is_model_ready("simple", "2")
    assert not client.is_model_ready("nobody") and not client.is_model_ready("simple", "77")


def test_metadata(client):
    server = client.get_server_metadata(headers=HEADERS)
    assert server.name == "triton" and server.version
    assert {"classification", "model_configuration", "model_repository", "statistics"} <= set(server.extensions)
    assert client.get_server_metadata(as_json=True)["name"] == "triton"
    model = client.get_model_metadata("simple", headers=HEADERS)
    assert (model.name, list(model.versions)) == ("simple", ["1", "2"])
    shapes = {one.name: (one.datatype, list(one.shape)) for one in [*model.inputs, *model.outputs]}
    assert shapes == {name: ("INT32", [-1, 16]) for name in ("INPUT0", "INPUT1", "OUTPUT0", "OUTPUT1")}
    refusal(lambda: client.get_model_metadata("wrong_model_name"), "NOT_FOUND", "Request for unknown model", "wrong_model_name")
    refusal(lambda: client.get_model_metadata("simple", "77"), "NOT_FOUND", "77")


def test_configuration(client):
    config = client.get_model_config("simple", headers=HEADERS).config
    assert (config.name, config.max_batch_size, config.backend) == ("simple", 8, "onnxruntime")
    assert config.HasField("dynamic_batching")
    assert [(one.name, one.data_type, list(one.dims)) for one in config.input] == [
        ("INPUT0", triton.model_config_pb2.TYPE_INT32, [16]), ("INPUT1", triton.model_config_pb2.TYPE_INT32, [16])]
    assert client.get_model_config("simple", as_json=True)["config"]["max_batch_size"] == 8
    refusal(lambda: client.get_model_config("nobody"), "NOT_FOUND", "nobody")


def test_infer_with_and_without_outputs(client):
    sums_hold(client.infer("simple", pair(triton), outputs=both(triton), headers=HEADERS))
    answer = client.infer("simple", pair(triton), request_id="my request", client_timeout=30.0)
    sums_hold(answer)
    response = answer.get_response()
    assert (response.id, response.model_name, response.model_version) == ("my request", "simple", "2")
    assert list(answer.get_output("OUTPUT1").shape) == [1, 16]
    one = client.infer("simple", pair(triton), outputs=both(triton)[1:])
    assert one.as_numpy("OUTPUT0") is None and one.as_numpy("OUTPUT1") is not None
    rows = np.repeat(LEFT, 8, axis=0)
    sums_hold(client.infer("simple", pair(triton, rows, rows), "1"), rows, rows)


def test_parameters_that_no_one_reads_are_let_through(client):
    parameters = {"text": "a", "number": 7, "truth": True}
    sums_hold(client.infer("simple", pair(triton), priority=1, timeout=10_000_000, parameters=parameters))


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_compressed_requests(client, algorithm):
    sums_hold(client.infer("simple", pair(triton), compression_algorithm=algorithm))


def test_objects_of_a_request_are_used_again(client):
    inputs, outputs = pair(triton), both(triton)
    for right in (RIGHT, RIGHT * 5):
        inputs[1].set_data_from_numpy(right)
        sums_hold(client.infer("simple", inputs, outputs=outputs), right=right)


def test_channels_are_made_as_clients_like(grpc_address):
    keepalive = triton.KeepAliveOptions(keepalive_time_ms=2**31 - 1, keepalive_timeout_ms=20000,
                                        keepalive_permit_without_calls=False, http2_max_pings_without_data=2)
    arguments = [("grpc.max_send_message_length", 1 << 20), ("grpc.max_receive_message_length", 1 << 20),
                 ("grpc.dns_enable_srv_queries", 1)]
    for options in ({"keepalive_options": keepalive}, {"channel_args": arguments}):
        with triton.InferenceServerClient(grpc_address, **options) as client:
            sums_hold(client.infer("simple", pair(triton), outputs=both(triton)))


def test_texts(client):
    answer = client.infer("simple_string", pair(triton, texts(LEFT), texts(RIGHT), "BYTES"), outputs=both(triton))
    assert [int(text) for text in answer.as_numpy("OUTPUT0")[0]] == (LEFT + RIGHT)[0].tolist()
    assert [int(text) for text in answer.as_numpy("OUTPUT1")[0]] == (LEFT - RIGHT)[0].tolist()


def test_bytes_come_back_whatever_they_are(client):
    sent = odd_texts()
    answer = client.infer("simple_identity", [tensor(triton, "INPUT0", sent, "BYTES")])
    assert answer.as_numpy("OUTPUT0").tolist() == sent.tolist()
    fixed = np.array([[b"\x00\x01\x02\x03"] * 16], dtype=np.bytes_)
    answer = client.infer("simple_identity", [tensor(triton, "INPUT0", fixed, "BYTES")])
    assert answer.as_numpy("OUTPUT0").tolist() == [[b"\x00\x01\x02\x03"] * 16]


def test_text_that_a_model_cannot_take_is_the_callers_fault(client):
    wrong = texts(LEFT)
    wrong[0][3] = b"\xff"
    refusal(lambda: client.infer("simple_string", pair(triton, wrong, texts(RIGHT), "BYTES")), "INVALID_ARGUMENT",
            "INPUT0", "element 3")


def test_async_infer(client, answers):
    for _ in range(20):
        client.async_infer("simple", pair(triton), answers, outputs=both(triton))
    for answer in answers.wait(20):
        sums_hold(answer)


def test_a_cancelled_call_frees_its_model(slow, answers):
    client, call = slow, slow.async_infer("slow", turns(ENDLESS), answers)
    call.cancel()
    (error,) = answers.wait(1)
    assert error.status() == "StatusCode.CANCELLED", error
    # One copy of the model, one run at a time: the next is answered because the first was ended.
    assert client.infer("slow", turns(SHORT), client_timeout=FREE).as_numpy("y") == [0.0]


def test_a_client_that_gives_up_ends_the_run(slow):
    client = slow

    def late(**options):
        return lambda: client.infer("slow", turns(ENDLESS), **options)

    refusal(late(client_timeout=0.2), "DEADLINE_EXCEEDED")
    refusal(late(timeout=200_000, client_timeout=30.0), "DEADLINE_EXCEEDED")
    assert client.infer("slow", turns(SHORT), client_timeout=FREE).as_numpy("y") == [0.0]


def test_an_error_in_a_stream_stands_in_its_message_and_the_stream_goes_on(client, answers):
    client.start_stream(answers)
    client.async_stream_infer("simple", pair(triton), request_id="good")
    client.async_stream_infer("simple", [tensor(triton, "INPUT0", LEFT, "INT32")], request_id="bad")
    client.async_stream_infer("nobody", pair(triton), request_id="worse")
    client.async_stream_infer("table", [tensor(triton, "place", np.array([9], dtype=np.int64), "INT64")])
    client.async_stream_infer("simple", pair(triton), outputs=both(triton), enable_empty_final_response=True)
    first, bad, worse, fault, last = answers.wait(5)
    client.stop_stream()
    sums_hold(first)
    assert first.get_response().id == "good"
    for error, word in ((bad, "INPUT1"), (worse, "Request for unknown model"), (fault, "")):
        assert isinstance(error, InferenceServerException) and word in str(error), error
    sums_hold(last)
    assert last.get_response().parameters["triton_final_response"].bool_param


def test_a_stream_is_cancelled(slow, answers):
    client = slow
    client.start_stream(answers)
    client.async_stream_infer("slow", turns(ENDLESS))
    client.stop_stream(cancel_requests=True)
    (error,) = answers.wait(1)
    assert error.status() == "StatusCode.CANCELLED", error
    assert client.infer("slow", turns(SHORT), client_timeout=FREE).as_numpy("y") == [0.0]


def test_a_stream_that_takes_too_long_ends(slow, answers):
    client = slow
    client.start_stream(answers, stream_timeout=0.3)
    client.async_stream_infer("slow", turns(ENDLESS))
    (error,) = answers.wait(1)
    assert error.status() == "StatusCode.DEADLINE_EXCEEDED", error
    client.stop_stream()


def test_classes(client):
    scores = [tensor(triton, "x", SCORES, "FP32")]
    wanted = [triton.InferRequestedOutput("scores", class_count=2)]
    answer = client.infer("classifier", scores, outputs=wanted)
    assert classes(answer) == CLASSES
    assert (answer.get_output("scores").datatype, list(answer.get_output("scores").shape)) == ("BYTES", [2, 2])
    vector = client.infer("vector", [tensor(triton, "x", SCORES[0], "FP32")], outputs=wanted)
    assert vector.as_numpy("scores").tolist() == [text.encode() for text in CLASSES[0]]
    whole = client.infer("simple", pair(triton), outputs=[triton.InferRequestedOutput("OUTPUT0", class_count=1)])
    assert whole.as_numpy("OUTPUT0").tolist() == [[b"16:15"]]
    of_text = [triton.InferRequestedOutput("OUTPUT0", class_count=1)]
    refusal(lambda: client.infer("simple_identity", [tensor(triton, "INPUT0", odd_texts(), "BYTES")], outputs=of_text),
            "INVALID_ARGUMENT", "classification")


def test_statistics(client):
    def counted():
        (model,) = client.get_inference_statistics("simple", "1").model_stats
        return model

    before = counted()
    rows = np.repeat(LEFT, 4, axis=0)
    client.infer("simple", pair(triton, rows, rows), "1")
    after = counted()
    assert after.inference_count - before.inference_count == 4
    assert after.inference_stats.success.count - before.inference_stats.success.count == 1
    assert after.inference_stats.success.ns > before.inference_stats.success.ns
    assert after.execution_count - before.execution_count == 1 and after.last_inference > 0
    everything = client.get_inference_statistics(as_json=True)["model_stats"]
    assert {"simple", "types"} <= {model["name"] for model in everything}
    refusal(lambda: client.get_inference_statistics("nobody"), "NOT_FOUND", "nobody")


def test_models_are_unloaded_and_loaded(client):
    states = {(model.name, model.version): model.state for model in client.get_model_repository_index().models}
    assert states[("vector", "1")] == "READY"
    client.unload_model("vector")
    assert not client.is_model_ready("vector")
    refusal(lambda: client.infer("vector", [tensor(triton, "x", SCORES[0], "FP32")]), "NOT_FOUND", "vector")
    client.load_model("vector")
    assert client.is_model_ready("vector")
    client.unload_model("vector", unload_dependents=True)
    client.load_model("vector")
    refusal(lambda: client.load_model("wrong_model_name"), "NOT_FOUND", "failed to load", "wrong_model_name")
    refusal(lambda: client.load_model("vector", config="{}", files={"file:" + "A" * 256: b"a"}), "INVALID_ARGUMENT")
    assert client.is_server_live() and client.is_model_ready("vector")


def test_a_load_brings_a_configuration(client):
    def rows():
        return client.get_model_config("simple_int8").config.max_batch_size

    assert rows() == 8
    client.load_model("simple_int8", config='{"max_batch_size":"16"}')
    assert rows() == 16
    refusal(lambda: client.load_model("simple_int8", config='"parameters": {"config": {{"max_batch_size": "16"}}}'),
            "INVALID_ARGUMENT", "failed to load")
    assert rows() == 16
    client.load_model("simple_int8")
    assert rows() == 8


def test_settings_are_told_and_stay(client):
    traces = client.get_trace_settings(as_json=True)["settings"]
    assert traces["trace_level"]["value"] == ["OFF"]
    asked = client.update_trace_settings("simple", {"trace_level": ["TIMESTAMPS"], "trace_rate": "5"}, as_json=True)
    assert asked["settings"] == traces == client.get_trace_settings("simple", as_json=True)["settings"]
    client.update_trace_settings(settings={"trace_rate": None})
    refusal(lambda: client.update_trace_settings(settings={"color": "red"}), "INVALID_ARGUMENT", "color")
    refusal(lambda: client.get_trace_settings("nobody"), "NOT_FOUND", "nobody")
    logs = client.get_log_settings(as_json=True)["settings"]
    assert logs["log_info"]["bool_param"] is True
    assert client.update_log_settings({"log_info": False, "log_verbose_level": 1, "log_file": ""}, as_json=True)["settings"] == logs
    refusal(lambda: client.update_log_settings({"color": True}), "INVALID_ARGUMENT", "color")


def test_wrong_requests_name_what_is_wrong(client):
    def ask(*inputs, model="simple", outputs=None):
        return lambda: client.infer(model, list(inputs), outputs=outputs)

    left, right = pair(triton)
    refusal(ask(left), "INVALID_ARGUMENT", "INPUT1")
    refusal(ask(left, right, tensor(triton, "INPUT2", LEFT, "INT32")), "INVALID_ARGUMENT", "INPUT2")
    refusal(ask(left, tensor(triton, "INPUT1", LEFT.astype(np.float32), "FP32")), "INVALID_ARGUMENT", "INPUT1", "FP32")
    refusal(ask(left, tensor(triton, "INPUT1", LEFT[:, :15].copy(), "INT32")), "INVALID_ARGUMENT", "INPUT1")
    rows = np.repeat(LEFT, 9, axis=0)
    refusal(ask(*pair(triton, rows, rows)), "INVALID_ARGUMENT", "9")
    refusal(ask(left, right, outputs=[triton.InferRequestedOutput("OUTPUT7")]), "INVALID_ARGUMENT", "OUTPUT7")
    refusal(ask(left, right, model="nobody"), "NOT_FOUND", "Request for unknown model", "nobody")
    refusal(lambda: client.infer("simple", [left, right], "77"), "NOT_FOUND", "77")
    refusal(ask(tensor(triton, "place", np.array([9], dtype=np.int64), "INT64"), model="table"), "INTERNAL")
    assert client.infer("table", [tensor(triton, "place", np.array([2], dtype=np.int64), "INT64")]).as_numpy("value") == [3.0]


def request(*tensors, raw=(), model="simple"):
    made = service_pb2.ModelInferRequest(model_name=model)
    for name, datatype, shape, contents in tensors:
        one = made.inputs.add(name=name, datatype=datatype, shape=shape)
        for field, values in contents.items():
            getattr(one.contents, field)[:] = values
    made.raw_input_contents.extend(raw)
    return made


def test_stubs_send_typed_contents(stub):
    pair = [(name, "INT32", [1, 16], {"int_contents": values[0].tolist()}) for name, values in (("INPUT0", LEFT), ("INPUT1", RIGHT))]
    answer = stub.ModelInfer(request(*pair))
    assert np.frombuffer(answer.raw_output_contents[0], np.int32).tolist() == (LEFT + RIGHT)[0].tolist()
    small = [(name, "INT8", shape, contents) for name, _, shape, contents in pair]
    answer = stub.ModelInfer(request(*small, model="simple_int8"))
    assert np.frombuffer(answer.raw_output_contents[1], np.int8).tolist() == (LEFT - RIGHT)[0].tolist()
    text = [(name, "BYTES", [1, 16], {"bytes_contents": [str(value).encode() for value in contents["int_contents"]]})
            for name, _, _, contents in pair]
    answer = stub.ModelInfer(request(*text, model="simple_string"))
    assert b"16" in answer.raw_output_contents[0]


def test_stubs_are_told_of_contents_that_do_not_agree(stub):
    left = ("INPUT0", "INT32", [1, 16], {"int_contents": LEFT[0].tolist()})
    right = ("INPUT1", "INT32", [1, 16], {"int_contents": RIGHT[0].tolist()})
    bare = ("INPUT1", "INT32", [1, 16], {})
    large = ("INPUT1", "INT8", [1, 16], {"int_contents": [300] * 16})
    raw = RIGHT.tobytes()
    for wrong in (request(left, right, raw=[raw, raw]), request(left, bare, raw=[raw]), request(left, bare),
                  request(bare, bare, raw=[raw, raw[:-1]]), request(left, large, model="simple_int8"),
                  request(("INPUT0", "INT32", [1, 16], {"int64_contents": LEFT[0].tolist()}), right)):
        with pytest.raises(grpc.RpcError) as caught:
            stub.ModelInfer(wrong)
        assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT, caught.value
