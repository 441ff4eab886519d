//! Fifty malformed or hostile files through the registry: refused with the reason or accepted, by what is in them.

use std::collections::BTreeMap;
use std::sync::Arc;

use contracts::registry::v1::*;
use serde_json::Value;
use tests::mesh::Alone;
use tests::refusal::{Answered, Refusal};
use tests::{needs, refusal};
use tonic::Code;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_files_are_refused_with_the_reason_and_leave_nothing() {
    let Some(folder) = needs::shared("models/hostile") else { return };
    if !needs::onnx_runtime() {
        return;
    }
    let mesh = Alone::with(Arc::new(engine::OnnxRuntime::new())).await;
    let line = mesh.line("base");
    line.to_version().await;
    let text = std::fs::read_to_string(folder.join("expected.json")).expect("expected.json");
    let expected: Value = serde_json::from_str(&text).expect("JSON");
    let files: BTreeMap<String, Value> = serde_json::from_value(expected["files"].clone()).expect("files");
    let (mut accepted, mut refused, mut wrong) = (0, 0, Vec::new());
    for (at, (name, says)) in files.iter().enumerate() {
        let bytes = std::fs::read(folder.join(format!("{name}.onnx"))).expect("a file");
        let load = says["onnxruntime"]["load"].as_str().unwrap_or_default();
        let other = mesh.line(&format!("file-{at}"));
        let outcome = register(&line, &other, &bytes).await;
        match &outcome {
            Ok(()) => accepted += 1,
            Err(why) => {
                refused += 1;
                let told = [Code::FailedPrecondition, Code::InvalidArgument].contains(&why.0.code());
                if !told || why.0.message().is_empty() || why.wanting().is_empty() && why.fields().is_empty()
                {
                    wrong.push(format!("{name}: refused without a reason: {why}"));
                }
            }
        }
        println!(
            "{name:24} {load:.20} | {}",
            outcome.as_ref().map_or_else(|why| format!("{why:.160}"), |()| "accepted".into())
        );
        if load != "ok" && outcome.is_ok() {
            wrong.push(format!("{name}: accepted, ONNX Runtime says {load}"));
        }
        let request = ListModelVersionsRequest { parent: other.model(), ..Default::default() };
        let left = line.by("auditor").models().list_model_versions(request).await.told().model_versions.len();
        if left != usize::from(outcome.is_ok()) {
            wrong.push(format!("{name}: {left} versions are left"));
        }
    }
    println!("{} files: {accepted} accepted, {refused} refused", files.len());
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(line.get("1.0.0").await.state(), model_version::State::Draft, "the registry lives on");
}

/// Uploads the bytes and registers them as the first version of a model of their own, fed by `base`'s run.
async fn register(
    base: &tests::line::Line,
    other: &tests::line::Line,
    bytes: &[u8],
) -> Result<(), refusal::Refusal> {
    let model = Model {
        display_name: other.id.clone(),
        project: base.project(),
        task: contracts::common::v1::Task::BinaryClassification.into(),
        primary_metric: "accuracy".into(),
        ..Model::default()
    };
    let request =
        CreateModelRequest { model_id: other.id.clone(), model: Some(model), request_id: String::new() };
    base.by("ml-engineer").models().create_model(request).await.told();
    let digest = tests::made::digest(bytes);
    let upload = UploadArtifactRequest {
        digest: digest.clone(),
        size_bytes: bytes.len() as u64,
        offset: 0,
        media_type: "application/onnx".into(),
        chunk: bytes.to_vec().into(),
    };
    base.by("ml-engineer").artifacts().upload_artifact(tokio_stream::once(upload)).await.map_err(Refusal)?;
    let request = CreateModelVersionRequest {
        parent: other.model(),
        ..base.version_request("1.0.0", "first", &digest)
    };
    base.by("ml-engineer").models().create_model_version(request).await.map(drop).map_err(Refusal)
}
