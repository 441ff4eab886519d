"""tritonclient.http, unchanged."""

import json
import urllib.request

import numpy as np
import pytest
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

from rows import CLASSES, ENDLESS, FREE, LEFT, LONG, RIGHT, SCORES, SHORT, both, classes, odd_texts, pair, sums_hold, tensor, texts

QUERY = {"test_1": 1, "test_2": 2}


@pytest.fixture
def client(rest_address):
    with triton.InferenceServerClient(rest_address, concurrency=4) as client:
        yield client


def refusal(call, status, *words):
    with pytest.raises(InferenceServerException) as caught:
        call()
    assert caught.value.status() == status, caught.value
    assert all(word in caught.value.message() for word in words), caught.value


def test_health(client):
    assert client.is_server_live(query_params=QUERY) and client.is_server_ready(headers={"test": "1"})
    assert client.is_model_ready("simple") and client.is_model_ready("simple", "2", query_params=QUERY)
    assert not client.is_model_ready("nobody") and not client.is_model_ready("simple", "77")


def test_metadata_and_configuration(client):
    server = client.get_server_metadata(query_params=QUERY)
    assert server["name"] == "triton" and {"binary_tensor_data", "classification"} <= set(server["extensions"])
    model = client.get_model_metadata("simple", query_params=QUERY)
    assert (model["name"], model["versions"]) == ("simple", ["1", "2"])
    assert model["outputs"][0] == {"name": "OUTPUT0", "datatype": "INT32", "shape": [-1, 16]}
    config = client.get_model_config("simple", "1")
    assert (config["name"], config["max_batch_size"], config["input"][0]["data_type"]) == ("simple", 8, "TYPE_INT32")
    refusal(lambda: client.get_model_metadata("wrong_model_name"), "404", "Request for unknown model")
    refusal(lambda: client.get_model_config("nobody"), "404", "nobody")


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("back", [True, False])
def test_tensors_are_bytes_or_json(client, there, back):
    answer = client.infer("simple", pair(triton, binary_data=there), outputs=both(triton, binary_data=back), query_params=QUERY)
    sums_hold(answer)
    inputs = [pair(triton, binary_data=there)[0], pair(triton, binary_data=back)[1]]
    sums_hold(client.infer("simple", inputs, "1", request_id="7", headers={"test": "1"}))


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_compression(client, algorithm):
    sums_hold(client.infer("simple", pair(triton), outputs=both(triton), request_compression_algorithm=algorithm,
                           response_compression_algorithm=algorithm))


def test_parameters(client):
    answer = client.infer("simple", pair(triton), request_id="my id", priority=1, timeout=10_000_000, parameters={"a": "b", "c": 1})
    sums_hold(answer)
    assert answer.get_response()["id"] == "my id" and answer.get_response()["model_version"] == "2"


def test_async_infer(client):
    pending = [client.async_infer("simple", pair(triton), outputs=both(triton)) for _ in range(16)]
    for request in pending:
        sums_hold(request.get_result())


def test_bodies_made_and_read_without_a_client(rest_address):
    body, length = triton.InferenceServerClient.generate_request_body(pair(triton), outputs=both(triton))
    request = urllib.request.Request(f"http://{rest_address}/v2/models/simple/infer", body, method="POST")
    request.add_header("Inference-Header-Content-Length", str(length))
    with urllib.request.urlopen(request, timeout=30) as answer:
        length = int(answer.headers["Inference-Header-Content-Length"])
        sums_hold(triton.InferenceServerClient.parse_response_body(answer.read(), header_length=length))


def test_texts(client):
    answer = client.infer("simple_string", pair(triton, texts(LEFT), texts(RIGHT), "BYTES", binary_data=False),
                          outputs=both(triton, binary_data=False))
    assert [int(text) for text in answer.as_numpy("OUTPUT0")[0]] == (LEFT + RIGHT)[0].tolist()
    sent = odd_texts()
    answer = client.infer("simple_identity", [tensor(triton, "INPUT0", sent, "BYTES")])
    assert answer.as_numpy("OUTPUT0").tolist() == sent.tolist()
    with_zero = np.array([["he\x00llo", "\x01\x02"]], dtype=np.object_)
    answer = client.infer("simple_identity", [tensor(triton, "INPUT0", with_zero, "BYTES", binary_data=False)],
                          outputs=[triton.InferRequestedOutput("OUTPUT0", binary_data=False)])
    assert answer.as_numpy("OUTPUT0").tolist() == with_zero.tolist()
    out = [triton.InferRequestedOutput("OUTPUT0", binary_data=False)]
    refusal(lambda: client.infer("simple_identity", [tensor(triton, "INPUT0", sent, "BYTES")], outputs=out), "400", "UTF-8")


@pytest.mark.parametrize("binary", [True, False])
def test_classes(client, binary):
    wanted = [triton.InferRequestedOutput("scores", binary_data=binary, class_count=2)]
    answer = client.infer("classifier", [tensor(triton, "x", SCORES, "FP32", binary_data=binary)], outputs=wanted)
    told = answer.as_numpy("scores").tolist()
    assert [[text if isinstance(text, str) else text.decode() for text in row] for row in told] == CLASSES
    assert answer.get_output("scores")["datatype"] == "BYTES"


def test_statistics(client):
    def counted():
        return client.get_inference_statistics("simple", "1")["model_stats"][0]

    before = counted()
    rows = np.repeat(LEFT, 3, axis=0)
    client.infer("simple", pair(triton, rows, rows), "1")
    after = counted()
    assert after["inference_count"] - before["inference_count"] == 3
    assert after["inference_stats"]["success"]["count"] - before["inference_stats"]["success"]["count"] == 1
    assert {"simple", "types"} <= {model["name"] for model in client.get_inference_statistics()["model_stats"]}


def test_models_are_unloaded_and_loaded(client):
    index = client.get_model_repository_index()
    assert {"name": "vector", "version": "1", "state": "READY"} in index
    client.unload_model("vector")
    assert not client.is_model_ready("vector")
    client.load_model("vector")
    assert client.is_model_ready("vector")
    refusal(lambda: client.load_model("wrong_model_name"), "404", "failed to load")
    refusal(lambda: client.load_model("vector", config="{}", files={"file:1/model.onnx": b"a"}), "400")
    assert client.is_model_ready("vector")


def test_a_load_brings_a_configuration(client):
    client.load_model("simple_int8", config='{"max_batch_size":"16"}')
    assert client.get_model_config("simple_int8")["max_batch_size"] == 16
    refusal(lambda: client.load_model("simple_int8", config="{{"), "400", "failed to load")
    client.load_model("simple_int8")
    assert client.get_model_config("simple_int8")["max_batch_size"] == 8


def test_settings_are_told_and_stay(client):
    traces = client.get_trace_settings()
    assert (traces["trace_level"], traces["trace_count"]) == (["OFF"], "-1")
    assert client.update_trace_settings("simple", {"trace_level": ["TIMESTAMPS"], "trace_rate": "5"}) == traces
    assert client.get_trace_settings("simple") == traces
    refusal(lambda: client.update_trace_settings(settings={"color": "red"}), "400", "color")
    logs = client.get_log_settings()
    assert logs["log_info"] is True
    assert client.update_log_settings({"log_info": False, "log_verbose_level": 2}) == logs
    refusal(lambda: client.update_log_settings({"log_info": "no"}), "400", "log_info")


def test_a_client_that_gives_up_ends_the_run(rest_address):
    with triton.InferenceServerClient(rest_address) as client:
        client.infer("slow", [tensor(triton, "turns", LONG, "INT64")])
    with triton.InferenceServerClient(rest_address, network_timeout=0.3, connection_timeout=5.0) as client:
        with pytest.raises(Exception, match="timed out"):
            client.infer("slow", [tensor(triton, "turns", ENDLESS, "INT64")])
    with triton.InferenceServerClient(rest_address, network_timeout=FREE) as client:
        assert client.infer("slow", [tensor(triton, "turns", SHORT, "INT64")]).as_numpy("y") == [0.0]
        refusal(lambda: client.infer("slow", [tensor(triton, "turns", ENDLESS, "INT64")], timeout=200_000), "504")
        assert client.infer("slow", [tensor(triton, "turns", SHORT, "INT64")]).as_numpy("y") == [0.0]


def test_wrong_requests_name_what_is_wrong(client):
    def ask(*inputs, model="simple", outputs=None):
        return lambda: client.infer(model, list(inputs), outputs=outputs)

    left, right = pair(triton)
    refusal(ask(left), "400", "INPUT1")
    refusal(ask(left, tensor(triton, "INPUT1", LEFT.astype(np.float32), "FP32")), "400", "INPUT1", "FP32")
    refusal(ask(left, tensor(triton, "INPUT1", LEFT[:, :15].copy(), "INT32", binary_data=False)), "400", "INPUT1")
    refusal(ask(left, right, outputs=[triton.InferRequestedOutput("OUTPUT7")]), "400", "OUTPUT7")
    refusal(ask(left, right, model="nobody"), "404", "Request for unknown model", "nobody")
    refusal(ask(tensor(triton, "place", np.array([9], dtype=np.int64), "INT64"), model="table"), "500")
    rows = np.repeat(LEFT, 9, axis=0)
    refusal(ask(*pair(triton, rows, rows)), "400", "9")


def test_an_error_is_json_with_one_member(rest_address):
    request = urllib.request.Request(f"http://{rest_address}/v2/models/simple/infer", b"{", method="POST")
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=30)
    assert caught.value.code == 400 and list(json.loads(caught.value.read())) == ["error"]
