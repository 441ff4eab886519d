//! Clients of the protocol over HTTP/REST: tritonclient (blocking, at a time, asyncio), kserve, curl.

use serde_json::{Value, json};
use tests::line::Line;
use tests::mesh::Mesh;
use tests::needs;
use tokio::process::Command;
use wlp::reach::To;

use super::{address, key, python, run};

/// A model that takes all traffic, and where it is reached over REST.
async fn served(id: &str) -> (Mesh, Line, String) {
    let mesh = Mesh::served().await;
    let line = mesh.canary(id, "1.0.0").await;
    mesh.climb(&line, "first").await;
    let rest = mesh.whole().reach().http_address(To::Gateway).expect("a socket").to_string();
    (mesh, line, rest)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tritonclient_over_http_gets_what_it_gets_over_grpc() {
    let Some(mut command) = python("triton_http.py") else { return };
    let (mesh, _line, rest) = served("http").await;
    command.args([&rest, &address(&mesh, To::Gateway), &key(&mesh, "client"), "http"]);
    let told = run(command).await;
    assert_eq!(
        (&told["different"], &told["aio"], &told["id"]),
        (&json!([]), &json!(true), &json!("7")),
        "{told}"
    );
    let stated = &told["stated"];
    assert_eq!(stated["server"], "wlp-gateway");
    assert_eq!(stated["input"], json!({"name": "x", "datatype": "FP32", "shape": [-1, 4]}));
    assert_eq!(stated["config"], json!(["http", "TYPE_FP32", 0]));
    let index = stated["index"].as_array().expect("a list");
    assert!(index.contains(&json!(["http", "READY"])), "{stated}");
    assert!(stated["counted"].as_u64().is_some_and(|count| count > 18), "{stated}");
    for (case, status, words) in [
        ("no key", "401", "key"),
        ("unknown model", "404", "nobody"),
        ("unknown version", "404", "9.9.9"),
        ("wrong name", "400", "inputs[y]"),
        ("wrong type", "400", "FP64"),
        ("wrong rank", "400", "inputs[x]"),
        ("too large", "413", "larger"),
        ("no role", "403", "ml-ops-engineer"),
        ("shared memory", "501", "shared memory"),
    ] {
        refused(&told["refusals"][case], status, words, case);
    }
    refused(&told["aio refusal"], "404", "nobody", "aio");
}

fn refused(told: &Value, status: &str, words: &str, case: &str) {
    let (given, message) = (told[0].as_str(), told[1].as_str());
    assert!(given == Some(status) && message.is_some_and(|it| it.contains(words)), "{case}: {told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kserve_infers_over_rest_with_json_and_with_bytes() {
    let Some(mut command) = python("kserve_rest.py") else { return };
    let (mesh, _line, rest) = served("kserve").await;
    command.args([&rest, &key(&mesh, "client"), "kserve"]);
    let told = run(command).await;
    let here = |name: &str| told[name].as_bool();
    assert_eq!((here("live"), here("ready"), here("model")), (Some(true), Some(true), Some(true)), "{told}");
    assert_eq!((here("nobody"), told["answered"].as_str()), (Some(false), Some("kserve")), "{told}");
    let labels = told["labels"].as_object().expect("labels");
    assert_eq!(labels.len(), 4);
    assert!(labels.values().all(|labels| *labels == json!([1, 1, 0])), "{told}");
    assert_eq!(told["refusal"][0], 400);
    assert!(told["refusal"][1].as_str().is_some_and(|text| text.contains("inputs[x]")), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curl_infers_with_a_line_of_json() {
    if std::process::Command::new("curl").arg("--version").output().is_err() {
        needs::missing("curl is not there");
        return;
    }
    let (mesh, _line, rest) = served("curl").await;
    let authorization = format!("Authorization: Bearer {}", key(&mesh, "client"));
    let body = r#"{"inputs": [{"name": "x", "shape": [1, 4], "datatype": "FP32", "data": [1, 2, 3, 4]}]}"#;
    let mut command = Command::new("curl");
    command.args(["-sS", "--fail-with-body", "-H", &authorization, "-d", body]);
    command.arg(format!("http://{rest}/v2/models/curl/infer"));
    let told = run(command).await;
    let label =
        told["outputs"].as_array().and_then(|all| all.iter().find(|output| output["name"] == "label"));
    assert_eq!(label.map(|label| &label["data"]), Some(&json!([1])), "{told}");
}
