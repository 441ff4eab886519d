//! Every model of `../shared/models` through [`engine::trial`]; the hostile ones must be refused, the process alive.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::{Engine, OnnxRuntime, TrialError, TrialOptions, trial};

fn shared(path: &str) -> Option<PathBuf> {
    let found = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/models").join(path);
    if !found.exists() {
        println!("skipped: {} is not there", found.display());
        return None;
    }
    Some(found)
}

fn models(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            models(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "onnx") {
            found.push(path);
        }
    }
    found.sort();
}

/// `(stage, reason)`: stage is `inspect`, `load`, `signature` or `ok`.
async fn tried(runtime: &dyn Engine, path: &Path) -> (&'static str, String) {
    let bytes = std::fs::read(path).unwrap().into();
    match trial(runtime, bytes, TrialOptions::default()).await {
        Ok(trial) => ("ok", format!("{} nodes", trial.inspection.nodes)),
        Err(TrialError::Inspect(error)) => ("inspect", error.to_string()),
        Err(TrialError::Load(error)) => ("load", error.to_string()),
        Err(TrialError::Signature(why)) => ("signature", why),
        Err(TrialError::Engine(error)) => panic!("{}: {error}", path.display()),
    }
}

fn open() -> Option<Arc<dyn Engine>> {
    match OnnxRuntime::open() {
        Ok(runtime) => Some(Arc::new(runtime)),
        Err(error) => {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "{error}");
            println!("skipped: {error}");
            None
        }
    }
}

#[tokio::test]
async fn hostile_models_are_refused_with_a_reason() {
    let (Some(folder), Some(runtime)) = (shared("hostile"), open()) else { return };
    let expected: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(folder.join("expected.json")).unwrap()).unwrap();
    let mut let_through = Vec::new();
    let mut files = Vec::new();
    models(&folder, &mut files);
    for file in &files {
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        let (stage, why) = tried(&*runtime, file).await;
        let says = expected["files"][&name]["onnxruntime"]["load"].as_str().unwrap_or("not listed");
        let must_fail = says.starts_with("error");
        println!("{name:24} {:10} {stage:9} {why:.150}", says.split(':').next().unwrap_or_default());
        if must_fail && stage == "ok" {
            let_through.push(name);
        }
    }
    println!("{} files", files.len());
    assert!(let_through.is_empty(), "let through: {let_through:?}");
}

#[tokio::test]
async fn honest_models_pass() {
    let (Some(folder), Some(runtime)) = (shared(""), open()) else { return };
    let mut files = Vec::new();
    models(&folder, &mut files);
    let mut refused = Vec::new();
    for file in files.iter().filter(|file| !file.starts_with(folder.join("hostile"))) {
        let (stage, why) = tried(&*runtime, file).await;
        if stage != "ok" {
            println!("{} {stage} {why:.300}", file.strip_prefix(&folder).unwrap().display());
            refused.push(file.strip_prefix(&folder).unwrap().to_string_lossy().into_owned());
        }
    }
    // Those of them that must be refused: custom operators, a locale that the machine lacks.
    let expected = ["copy_2_inputs_2_outputs", "custom_op_test", "vectorizer", "faulty_locale"];
    refused.retain(|name| {
        !expected.iter().any(|known| name.contains(known)) && !name.starts_with("onnx-backend")
    });
    assert!(refused.is_empty(), "{refused:?}");
}
