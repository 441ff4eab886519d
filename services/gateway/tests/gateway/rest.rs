//! The protocol over HTTP/REST, as a client that speaks HTTP meets it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use contracts::inference as wire;
use engine::Tensor;
use engine::fake::Behaviour;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, StreamBody};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::stage::{KEY, Stage, artifact, request};

const INFER: &str = "/v2/models/scorer/infer";
const LENGTH: &str = "inference-header-content-length";

async fn served() -> Stage {
    let stage = Stage::new().await;
    stage.publish(1, vec![stage.backend("1.0.0", 1, 100, false)]);
    stage.in_force(1).await;
    stage
}

/// Label 1 and scores 0.25, 0.5, 0.25 for every row.
fn judge(stage: &Stage) {
    let outputs = Some(super::extensions::judge());
    stage.engine.set(artifact(1).1, Behaviour { outputs, ..Behaviour::default() });
}

/// One row as JSON.
fn row() -> Value {
    json!({"id": "r-1", "inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [0.5, 1.5]}]})
}

fn post(path: &str, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    Request::post(path)
        .header(header::AUTHORIZATION, format!("Bearer {KEY}"))
        .body(Full::new(body.into()))
        .unwrap()
}

async fn send<B>(stage: &Stage, request: Request<B>) -> Response<Bytes>
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let router = stage.service.as_ref().unwrap().http().unwrap();
    let (head, body) = router.oneshot(request).await.unwrap().into_parts();
    Response::from_parts(head, body.collect().await.unwrap().to_bytes())
}

async fn get(stage: &Stage, path: &str) -> (u16, Value) {
    let mut request = post(path, "");
    *request.method_mut() = http::Method::GET;
    read(&send(stage, request).await)
}

async fn told(stage: &Stage, path: &str, body: &Value) -> (u16, Value) {
    read(&send(stage, post(path, body.to_string())).await)
}

fn read(response: &Response<Bytes>) -> (u16, Value) {
    let body = if response.body().is_empty() {
        Value::Null
    } else {
        serde_json::from_slice(response.body()).unwrap()
    };
    (response.status().as_u16(), body)
}

/// The error of a refused body.
async fn refused(stage: &Stage, body: impl Into<Bytes>) -> (u16, String) {
    let (status, body) = read(&send(stage, post(INFER, body)).await);
    assert_eq!(body.as_object().map(serde_json::Map::len), Some(1), "{body}");
    (status, body["error"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn json_and_binary_requests_get_the_answer_of_grpc() {
    let stage = served().await;
    judge(&stage);
    let grpc = stage.client().model_infer(request()).await.unwrap().into_inner();

    let (status, answer) = told(&stage, INFER, &row()).await;
    let wanted = json!({
        "id": "r-1", "model_name": "scorer", "model_version": "1.0.0", "parameters": {"provider": "cpu"},
        "outputs": [
            {"name": "label", "datatype": "INT64", "shape": [1], "data": [1]},
            {"name": "scores", "datatype": "FP32", "shape": [1, 3], "data": [0.25, 0.5, 0.25]},
        ],
    });
    assert_eq!((status, &answer), (200, &wanted));

    let mut nested = row();
    nested["inputs"][0]["data"] = json!([[0.5, 1.5]]);
    assert_eq!(told(&stage, "/v2/models/scorer/versions/1.0.0/infer", &nested).await, (200, wanted));

    let head = json!({
        "parameters": {"binary_data_output": true},
        "inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "parameters": {"binary_data_size": 8}}],
        "outputs": [{"name": "scores"}, {"name": "label", "parameters": {"binary_data": false}}],
    });
    let head = head.to_string();
    let body = [head.as_bytes(), &[0.5_f32, 1.5].map(f32::to_le_bytes).concat()].concat();
    let mut asked = post(INFER, body);
    asked.headers_mut().insert(LENGTH, head.len().into());
    let response = send(&stage, asked).await;
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/octet-stream");
    let length: usize = response.headers()[LENGTH].to_str().unwrap().parse().unwrap();
    let (json, raw) = response.body().split_at(length);
    let json: Value = serde_json::from_slice(json).unwrap();
    let output = |name: &str| {
        json["outputs"].as_array().unwrap().iter().find(|output| output["name"] == name).cloned().unwrap()
    };
    assert_eq!(output("label")["data"], json!([1]));
    assert_eq!(output("scores")["parameters"], json!({"binary_data_size": 12}));
    let place = grpc.outputs.iter().position(|output| output.name == "scores").unwrap();
    assert_eq!(raw, &grpc.raw_output_contents[place][..]);
}

#[tokio::test]
async fn a_tensor_alone_is_a_request() {
    let stage = served().await;
    judge(&stage);
    let two_rows = [0.5_f32, 1.5, 2.5, 3.5].map(f32::to_le_bytes).concat();
    let mut asked = post(INFER, two_rows);
    asked.headers_mut().insert(LENGTH, 0.into());
    let response = send(&stage, asked).await;
    let length: usize = response.headers()[LENGTH].to_str().unwrap().parse().unwrap();
    let json: Value = serde_json::from_slice(&response.body()[..length]).unwrap();
    assert_eq!(json["outputs"][1]["shape"], json!([2, 3]));
    assert_eq!(response.body().len() - length, 2 * 8 + 6 * 4);
}

#[tokio::test]
async fn a_hostile_body_is_refused_with_every_bad_field_and_the_service_lives_on() {
    let stage = served().await;
    let bad = |change: &dyn Fn(&mut Value)| {
        let mut body = row();
        change(&mut body);
        body.to_string()
    };
    for (body, words) in [
        ("{\"inputs\": [".to_owned(), "not JSON at byte"),
        ("[".repeat(100_000), "not JSON"),
        ("[]".to_owned(), "the request: is a list"),
        (row().to_string().replace("1.5", "NaN"), "no NaN"),
        (bad(&|r| r["inputs"] = json!(5)), "inputs: is a number"),
        (
            bad(&|r| r["inputs"][0]["shape"] = json!([i64::MAX, 3])),
            "inputs[x].shape: the shape's size overflows",
        ),
        (bad(&|r| r["inputs"][0]["shape"] = json!([1, -2])), "inputs[x].shape: dimension 1 is -2"),
        (bad(&|r| r["inputs"][0]["data"] = json!([1, "2"])), "inputs[x].data: element 1 is a string"),
        (bad(&|r| r["inputs"][0]["data"] = json!([1e39, 2])), "inputs[x].data: element 0 is 1e+39"),
        (bad(&|r| r["inputs"][0]["datatype"] = json!("FLOAT")), "inputs[x].datatype"),
        (bad(&|r| r["inputs"][0]["name"] = json!("y")), "inputs[y]"),
        (bad(&|r| r["parameters"] = json!({"timeout": "soon"})), "parameters[timeout]"),
        (bad(&|r| r["inputs"][0]["parameters"] = json!({"binary_data_size": 8})), "more than one of data"),
    ] {
        let (status, error) = refused(&stage, body).await;
        assert!(status == 400 && error.contains(words), "{status} {error}, wanted {words}");
    }
    let mut many = row();
    many["id"] = json!(1);
    many["inputs"][0]["data"] = json!([true]);
    many["outputs"] = json!([{}]);
    let (_, error) = refused(&stage, many.to_string()).await;
    for named in
        ["id: is", "inputs[x].data: element 0 is true", "1 elements, the shape needs 2", "outputs[0].name"]
    {
        assert!(error.contains(named), "{error}");
    }
    assert_eq!(told(&stage, INFER, &row()).await.0, 200);
}

/// Nothing of a body is read for a caller without a key: this one never comes.
#[tokio::test]
async fn a_caller_without_a_key_is_refused_before_its_body_is_read() {
    let stage = served().await;
    for (key, status) in [("", 401), ("Bearer wlp_guessed", 401)] {
        let never = futures::stream::pending::<Result<http_body::Frame<Bytes>, std::io::Error>>();
        let asked =
            Request::post(INFER).header(header::AUTHORIZATION, key).body(StreamBody::new(never)).unwrap();
        let response = tokio::time::timeout(Duration::from_secs(5), send(&stage, asked)).await.unwrap();
        let (code, body) = read(&response);
        assert_eq!(code, status);
        assert!(body["error"].as_str().unwrap().contains("key"), "{body}");
        assert!(response.headers().contains_key(header::WWW_AUTHENTICATE));
    }
    let public = Request::get("/v2/health/ready").body(Full::<Bytes>::default()).unwrap();
    assert_eq!(read(&send(&stage, public).await), (200, json!({"ready": true})));
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_packed_or_in_pieces() {
    let mut stage = served().await;
    stage.stop().await;
    stage.config.admission.message_bytes = 4096;
    stage.start().await;
    stage.in_force(1).await;
    let (status, error) = refused(&stage, vec![b' '; 4097]).await;
    assert!(status == 413 && error.contains("4096 bytes"), "{status} {error}");
    let pieces =
        (0..5).map(|_| Ok::<_, std::io::Error>(http_body::Frame::data(Bytes::from(vec![b' '; 1000]))));
    let pieces = StreamBody::new(futures::stream::iter(pieces.collect::<Vec<_>>()));
    let asked = post(INFER, "").map(|_| pieces);
    assert_eq!(send(&stage, asked).await.status(), StatusCode::PAYLOAD_TOO_LARGE);
    // JSON of few bytes that is a large message: "0," for eight bytes of a double.
    let numbers = vec!["0"; 1500].join(",");
    let wide =
        format!(r#"{{"inputs":[{{"name":"x","shape":[1,1500],"datatype":"FP64","data":[{numbers}]}}]}}"#);
    assert_eq!(refused(&stage, wide).await.0, 413);
    assert_eq!(told(&stage, INFER, &row()).await.0, 200);
}

#[tokio::test]
async fn the_rest_of_the_protocol_is_there() {
    let stage = served().await;
    assert_eq!(get(&stage, "/v2/health/live").await, (200, json!({"live": true})));
    let (status, server) = get(&stage, "/v2").await;
    assert_eq!((status, &server["name"]), (200, &json!("wlp-gateway")));
    assert!(server["extensions"].as_array().unwrap().contains(&json!("binary_tensor_data")), "{server}");
    let (_, metadata) = get(&stage, "/v2/models/scorer").await;
    assert_eq!(metadata["versions"], json!(["1.0.0"]));
    assert_eq!(metadata["inputs"], json!([{"name": "x", "datatype": "FP32", "shape": [-1, 2]}]));
    assert_eq!(get(&stage, "/v2/models/scorer/versions/1.0.0").await.0, 200);
    let ready = json!({"name": "scorer", "ready": true});
    assert_eq!(get(&stage, "/v2/models/scorer/ready").await, (200, ready));
    let not = json!({"name": "none", "ready": false});
    assert_eq!(get(&stage, "/v2/models/none/versions/7/ready").await, (400, not));
    let (_, config) = get(&stage, "/v2/models/scorer/config").await;
    assert_eq!((&config["name"], &config["input"][0]["data_type"]), (&json!("scorer"), &json!("TYPE_FP32")));
    assert_eq!(told(&stage, INFER, &row()).await.0, 200);
    for path in ["/v2/models/scorer/stats", "/v2/models/scorer/versions/1.0.0/stats", "/v2/models/stats"] {
        let (_, stats) = get(&stage, path).await;
        assert_eq!(stats["model_stats"][0]["inference_count"], json!(1), "{path}");
    }
    let (_, index) = told(&stage, "/v2/repository/index", &json!({"ready": true})).await;
    assert_eq!(index, json!([{"name": "scorer", "version": "1.0.0", "state": "READY"}]));
    let all = send(&stage, post("/v2/repository/index", "")).await;
    assert_eq!(read(&all), (200, index), "a body of nothing asks for all");
}

/// What the service does not have is told by its own words, and paths and methods that are none are told in JSON too.
#[tokio::test]
async fn refusals_are_passed_on_with_their_status() {
    let stage = served().await;
    let nothing = json!({});
    for (path, body, wanted) in [
        ("/v2/models/none/infer", row(), 404),
        ("/v2/models/scorer/versions/9.9.9/infer", row(), 404),
        ("/v2/repository/models/scorer/load", nothing.clone(), 501),
        ("/v2/repository/models/scorer/unload", json!({"parameters": {"unload_dependents": true}}), 501),
        ("/v2/systemsharedmemory/region/r/register", json!({"key": "/k", "byte_size": 8}), 501),
        ("/v2/systemsharedmemory/region/r/register", nothing.clone(), 400),
        ("/v2/cudasharedmemory/unregister", nothing.clone(), 501),
        ("/v2/trace/setting", json!({"trace_level": ["OFF"], "trace_rate": null}), 501),
        ("/v2/models/scorer/trace/setting", json!({"trace_level": {"a": 1}}), 400),
        ("/v2/repository/index", json!({"ready": 1}), 400),
        ("/v2/nowhere", nothing.clone(), 404),
        ("/v2/models/scorer/ready", nothing, 405),
    ] {
        let (status, answer) = told(&stage, path, &body).await;
        assert!(status == wanted && answer["error"].is_string(), "{path}: {status} {answer}");
    }
    for path in ["/v2/systemsharedmemory/status", "/v2/cudasharedmemory/region/r/status"] {
        assert_eq!(get(&stage, path).await.0, 501);
    }
    let (status, answer) = get(&stage, "/v2/models/none").await;
    assert!(status == 404 && answer["error"].as_str().unwrap().contains("none"), "{status} {answer}");
}

#[tokio::test]
async fn an_answer_that_json_cannot_carry_says_how_to_get_it() {
    let stage = served().await;
    let outputs: engine::fake::Outputs = Arc::new(|_, _| {
        let label = Tensor::of("label", vec![1], &[1_i64]).unwrap();
        Ok(vec![label, Tensor::of("scores", vec![1, 3], &[0.0, f32::INFINITY, 0.0]).unwrap()])
    });
    stage.engine.set(artifact(1).1, Behaviour { outputs: Some(outputs), ..Behaviour::default() });
    let (status, error) = refused(&stage, row().to_string()).await;
    assert!(status == 400 && error.contains("outputs[scores]: element 1 is inf"), "{status} {error}");
    assert!(error.contains("binary_data"), "{error}");
    let mut binary = row();
    binary["parameters"] = json!({"binary_data_output": true});
    let response = send(&stage, post(INFER, binary.to_string())).await;
    assert!(response.status() == 200 && response.body().ends_with(&0.0_f32.to_le_bytes()));
}

#[tokio::test]
async fn without_room_a_caller_is_told_when_to_come_back() {
    let mut stage = served().await;
    stage.stop().await;
    stage.config.admission.requests = 1;
    stage.start().await;
    stage.in_force(1).await;
    stage.engine.delay(&artifact(1).1, Duration::from_millis(200));
    let ask = || send(&stage, post(INFER, row().to_string()));
    let (a, b) = tokio::join!(ask(), ask());
    let full = [a, b].into_iter().find(|it| it.status() == StatusCode::TOO_MANY_REQUESTS).unwrap();
    assert_eq!(full.headers()[header::RETRY_AFTER], "1");
}

/// The caller's key of a sticky split and its patience mean what they mean over gRPC.
#[tokio::test]
async fn headers_are_forwarded() {
    let stage = served().await;
    stage.engine.delay(&artifact(1).1, Duration::from_millis(300));
    for (name, value) in [("timeout", "20000"), ("grpc-timeout", "20m")] {
        let mut asked = post(INFER, row().to_string());
        asked.headers_mut().insert(name, value.parse().unwrap());
        assert_eq!(send(&stage, asked).await.status(), StatusCode::GATEWAY_TIMEOUT, "{name}");
    }
    let mut asked = post(INFER, row().to_string());
    asked.headers_mut().insert("timeout", "soon".parse().unwrap());
    assert_eq!(send(&stage, asked).await.status(), StatusCode::BAD_REQUEST);

    stage.engine.delay(&artifact(1).1, Duration::ZERO);
    stage.canary(2, 50).await;
    let ask = async |key: &str| {
        let mut asked = post(INFER, row().to_string());
        asked.headers_mut().insert("wlp-key", key.parse().unwrap());
        read(&send(&stage, asked).await).1["model_version"].clone()
    };
    let mut seen = std::collections::BTreeSet::new();
    for user in 0..20 {
        let version = ask(&format!("user-{user}")).await;
        assert_eq!(ask(&format!("user-{user}")).await, version);
        seen.insert(version.to_string());
    }
    assert_eq!(seen.len(), 2, "both versions have callers: {seen:?}");
}

/// What was refused over HTTP is counted where calls over gRPC are.
#[tokio::test]
async fn a_call_is_counted_as_the_grpc_call_that_it_is() {
    let stage = served().await;
    assert_eq!(told(&stage, INFER, &row()).await.0, 200);
    assert_eq!(refused(&stage, "{").await.0, 400);
    let shown = stage.service.as_ref().unwrap().metrics().encode().unwrap();
    let counted = |code: &str| {
        shown.lines().any(|line| line.contains("ModelInfer\"") && line.contains(code) && line.ends_with(" 1"))
    };
    assert!(counted("\"OK\"") && counted("\"INVALID_ARGUMENT\""), "{shown}");
}

/// The two front ends tell the same of a model.
#[tokio::test]
async fn metadata_over_both_is_the_same() {
    let stage = served().await;
    let asked = wire::ModelMetadataRequest { name: "scorer".into(), version: String::new() };
    let grpc = stage.client().model_metadata(asked).await.unwrap().into_inner();
    let (_, rest) = get(&stage, "/v2/models/scorer").await;
    assert_eq!(rest["platform"], grpc.platform.as_str());
    let names: Vec<_> = grpc.outputs.iter().map(|output| output.name.as_str()).collect();
    let shown: Vec<_> =
        rest["outputs"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert_eq!(names, shown);
}
