//! Clients in other languages against the mesh over TCP: tritonclient unchanged, stubs generated from `proto/`.

mod croissant;
mod perf;
mod rest;
mod served;
mod suites;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use engine::fake::{Behaviour, Outputs};
use engine::{DataType, Dim, EngineError, ModelSignature, Tensor, TensorData, TensorSpec};
use serde_json::Value;
use tests::line::Line;
use tests::mesh::Mesh;
use tests::needs;
use tokio::process::Command;
use wlp::reach::{Reach, To};

/// Requests of the split test.
const REQUESTS: u64 = 20_000;
/// Real time that a client program may take.
const PATIENCE: Duration = Duration::from_secs(240);

fn here(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn address(mesh: &Mesh, to: To) -> String {
    mesh.whole().reach().address(to).expect("a socket").to_string()
}

fn key(mesh: &Mesh, who: &str) -> String {
    mesh.net.people().key(who).to_owned()
}

/// Runs a client program and gives the JSON of its last line.
async fn run(mut command: Command) -> Value {
    let output = tokio::time::timeout(PATIENCE, command.kill_on_drop(true).output()).await;
    let output = output.expect("the client ends").expect("a process");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    serde_json::from_str(out.lines().last().unwrap_or_default()).unwrap_or_else(|_| panic!("{out}\n{err}"))
}

fn python(program: &str) -> Option<Command> {
    let mut command = Command::new(needs::variable("WLP_TEST_PYTHON")?);
    command.arg(here("clients").join(program));
    Some(command)
}

/// A stable version and a canary at 5 %.
async fn with_canary(id: &str) -> (Mesh, Line) {
    let mesh = Mesh::served().await;
    let line = mesh.canary(id, "1.0.0").await;
    mesh.climb(&line, "first").await;
    mesh.next_canary(&line, "1.1.0", 2, "second").await;
    (mesh, line)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tritonclient_infers_through_the_canary_and_the_split_is_exact() {
    let Some(mut command) = python("triton_split.py") else { return };
    let (mesh, _line) = with_canary("split").await;
    let (gateway, key) = (address(&mesh, To::Gateway), key(&mesh, "client"));
    command.args([&gateway, &key, "split", &REQUESTS.to_string()]);
    let told = run(command).await;
    let canary = told["versions"]["1.1.0"].as_u64().expect("a count");
    println!("without a key: {told}");
    assert_eq!(
        (told["wrong"].as_u64(), told["versions"]["1.0.0"].as_u64()),
        (Some(0), Some(REQUESTS - canary))
    );
    assert!(canary.abs_diff(REQUESTS / 20) <= 1, "{canary} of {REQUESTS}");

    let Some(mut command) = python("triton_split.py") else { return };
    command.args([&gateway, &key, "split", &REQUESTS.to_string(), "keys"]);
    let told = run(command).await;
    println!("with keys: {told}");
    let share = told["versions"]["1.1.0"].as_f64().expect("a count") / REQUESTS as f64;
    assert_eq!((told["wrong"].as_u64(), told["moved"].as_u64()), (Some(0), Some(0)));
    assert!((share - 0.05).abs() <= 0.005, "{share}");
}

/// `text` BYTES [rows] in, `length` INT64 [rows] out.
fn text_signature() -> ModelSignature {
    let spec = |name: &str, datatype| TensorSpec {
        name: name.into(),
        datatype,
        dims: Some(vec![Dim::Symbol("rows".into())]),
    };
    ModelSignature {
        inputs: vec![spec("text", DataType::Bytes)],
        outputs: vec![spec("length", DataType::Int64)],
        ..ModelSignature::default()
    }
}

fn lengths() -> Behaviour {
    let outputs: Outputs = Arc::new(|_, inputs| {
        let Some(TensorData::Strings(texts)) = inputs.first().map(Tensor::data) else {
            return Err(EngineError::ModelFault("no texts".into()));
        };
        let lengths: Vec<i64> = texts.iter().map(|text| text.len() as i64).collect();
        let made = Tensor::of("length", vec![lengths.len() as i64], &lengths);
        Ok(vec![made.map_err(|error| EngineError::ModelFault(error.to_string()))?])
    });
    Behaviour { outputs: Some(outputs), ..Behaviour::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tritonclient_sends_texts_and_reads_refusals() {
    let Some(mut command) = python("triton_strings.py") else { return };
    let mesh = Mesh::served().await;
    let line = mesh.line("texts");
    line.plan().await;
    line.data_ready().await;
    line.train("first").await;
    let digest = line.register_bytes("1.0.0", "first", &engine::fake::model(&text_signature(), 1)).await;
    mesh.engine.set(digest, lengths());
    line.approve("1.0.0").await;
    line.deploy().await;
    line.open_rollout("first", "1.0.0").await;
    line.stage("first").await;
    mesh.staged(&line).await;
    command.args([&address(&mesh, To::Gateway), &key(&mesh, "qa-engineer"), "texts-staging"]);
    let told = run(command).await;
    assert_eq!(told["lengths"], serde_json::json!([0, 5, 8, 3000]), "{told}");
    assert_eq!(told["datatype"], "BYTES");
    for (case, code, words) in [
        ("no key", "UNAUTHENTICATED", "key"),
        ("wrong key", "UNAUTHENTICATED", "key"),
        ("unknown model", "NOT_FOUND", "nobody"),
        ("wrong name", "INVALID_ARGUMENT", "texts"),
        ("wrong type", "INVALID_ARGUMENT", "FP32"),
        ("wrong rank", "INVALID_ARGUMENT", "text"),
    ] {
        let (status, message) = (told[case][0].as_str(), told[case][1].as_str());
        assert!(
            status.is_some_and(|it| it.ends_with(code)) && message.is_some_and(|it| it.contains(words)),
            "{case}: {}",
            told[case]
        );
    }
}

fn keys(mesh: &Mesh) -> String {
    let all = ["data-engineer", "client", "auditor"].map(|who| (who.to_owned(), Value::from(key(mesh, who))));
    Value::Object(all.into_iter().collect()).to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stubs_generated_in_other_languages_register_read_and_infer() {
    let modules = needs::variable("WLP_TEST_NODE_MODULES").map(PathBuf::from);
    let node = modules.filter(|folder| {
        let there = folder.join("@grpc/grpc-js").is_dir() && folder.join("@grpc/proto-loader").is_dir();
        if !there {
            needs::missing("Node.js clients need @grpc/grpc-js and @grpc/proto-loader");
        }
        there
    });
    let python = python("stubs.py");
    if node.is_none() && python.is_none() {
        return;
    }
    let mesh = Mesh::served().await;
    let line = mesh.canary("stubs", "1.0.0").await;
    mesh.climb(&line, "first").await;
    let protos = here("../proto").display().to_string();
    let arguments =
        [&protos, &address(&mesh, To::Registry), &address(&mesh, To::Gateway), &keys(&mesh), "stubs"];
    if let Some(mut command) = python {
        command.args(arguments);
        assert_eq!(run(command).await, serde_json::json!({"label": 1, "version": "1.0.0"}));
    }
    if let Some(modules) = node {
        let mut command = Command::new("node");
        command.arg(here("clients/node.js")).args(arguments).env("NODE_PATH", modules);
        assert_eq!(run(command).await, serde_json::json!({"label": 0, "version": "1.0.0"}));
    }
}
