//! Models that break a process, tried in another one. Without ONNX Runtime each test says so in one line; with `CI=true`
//! that is a failure.
#![allow(clippy::unwrap_used)]

mod model;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use engine::inspect::proto::{GraphProto, ModelProto, TensorProto};
use engine::{
    Engine, EngineError, LoadOptions, OnnxRuntime, ProbeOptions, Probed, Provider, ProviderPolicy,
    RunOptions, Tensor,
};
use model::{FLOAT, INT64, add, endless, node, value};

const WORKER: &str = env!("CARGO_BIN_EXE_probe-worker");

fn runtime() -> Option<OnnxRuntime> {
    match OnnxRuntime::open() {
        Ok(runtime) => Some(runtime),
        Err(error) => {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "{error}");
            println!("skipped: {error}");
            None
        }
    }
}

fn probed(
    runtime: OnnxRuntime,
    options: ProbeOptions,
    marks: &Path,
    worker: impl AsRef<Path>,
) -> Probed<OnnxRuntime> {
    Probed::new(runtime, options, marks).with_program(worker)
}

async fn refused(engine: &dyn Engine, model: &ModelProto) -> EngineError {
    let error = engine.load(model::file(model), LoadOptions::default()).await.unwrap_err();
    println!("{error}");
    error
}

/// `EngineError::Load` with these words.
fn says(error: &EngineError, words: &str) {
    assert!(matches!(error, EngineError::Load(why) if why.contains(words)), "{error:?}, required {words:?}");
}

/// A shell script as the worker.
fn script(folder: &Path, lines: &str) -> PathBuf {
    let path = folder.join("worker.sh");
    std::fs::write(&path, format!("#!/bin/sh\n{lines}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// The worker, with a line in a file for each time that it was started.
fn counted(folder: &Path) -> (PathBuf, PathBuf) {
    let starts = folder.join("starts");
    let lines = format!("echo started >> {}\nexec {WORKER} \"$@\"", starts.display());
    (script(folder, &lines), starts)
}

fn times(starts: &Path) -> usize {
    std::fs::read_to_string(starts).unwrap_or_default().lines().count()
}

/// Memory of this process, bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

fn ints(name: &str, values: &[i64]) -> TensorProto {
    let dims = vec![values.len() as i64];
    TensorProto {
        name: name.into(),
        data_type: INT64,
        dims,
        int64_data: values.to_vec(),
        ..Default::default()
    }
}

/// y = zeros of as many elements as x + 2^38 says: a terabyte, when it runs.
fn terabyte_at_run() -> ModelProto {
    let mut zeros = node("ConstantOfShape", &["size"], &["y"]);
    zeros.name = "hides what comes after it ".repeat(30);
    model::model(GraphProto {
        node: vec![node("Add", &["x", "many"], &["size"]), zeros],
        initializer: vec![ints("many", &[1 << 38])],
        input: vec![value("x", INT64, &[1])],
        output: vec![value("y", FLOAT, &[-1])],
        ..GraphProto::default()
    })
}

/// The same for rows that may be put together: it is already run while it is loaded.
fn terabyte_for_a_row() -> ModelProto {
    model::model(GraphProto {
        node: vec![
            node("Shape", &["x"], &["rows"]),
            node("Mul", &["rows", "many"], &["size"]),
            node("ConstantOfShape", &["size"], &["zeros"]),
            node("ReduceMax", &["zeros"], &["zero"]),
            node("Add", &["x", "zero"], &["y"]),
        ],
        initializer: vec![ints("many", &[1 << 38])],
        input: vec![value("x", FLOAT, &[-1])],
        output: vec![value("y", FLOAT, &[-1])],
        ..GraphProto::default()
    })
}

/// A constant of a terabyte, computed when the graph is optimised or when it runs.
fn terabyte_constant() -> ModelProto {
    model::model(GraphProto {
        node: vec![
            node("ConstantOfShape", &["many"], &["zeros"]),
            node("ReduceMax", &["zeros"], &["zero"]),
            node("Add", &["x", "zero"], &["y"]),
        ],
        initializer: vec![ints("many", &[1 << 38])],
        input: vec![value("x", FLOAT, &[1])],
        output: vec![value("y", FLOAT, &[-1])],
        ..GraphProto::default()
    })
}

/// y = the smallest whole number / -1, which is one more than the largest: the processor stops the process. It is computed
/// when the model runs, or already while it is loaded.
#[cfg(target_arch = "x86_64")]
fn divides(at_load: bool) -> ModelProto {
    let (first, y) = if at_load { ("least", "z") } else { ("a", "y") };
    let mut nodes = vec![node("Div", &[first, "minus"], &[y])];
    if at_load {
        nodes.push(node("Add", &["z", "x"], &["y"]));
    } else {
        nodes.insert(0, node("Add", &["x", "least"], &["a"]));
    }
    model::model(GraphProto {
        node: nodes,
        initializer: vec![ints("least", &[i64::MIN]), ints("minus", &[-1])],
        input: vec![value("x", INT64, &[1])],
        output: vec![value("y", INT64, &[1])],
        ..GraphProto::default()
    })
}

/// y = x + x of a type for which the processors have no addition.
fn without_kernel() -> ModelProto {
    const BFLOAT16: i32 = 16;
    model::model(GraphProto {
        node: vec![node("Add", &["x", "x"], &["y"])],
        input: vec![value("x", BFLOAT16, &[1])],
        output: vec![value("y", BFLOAT16, &[1])],
        ..GraphProto::default()
    })
}

#[tokio::test]
async fn a_model_that_passes_is_tried_once_also_over_a_restart() {
    let Some(runtime) = runtime() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (worker, starts) = counted(folder.path());
    let marks = folder.path().join("validated");
    let engine = probed(runtime, ProbeOptions::default(), &marks, &worker);
    let begun = Instant::now();
    let session = engine.load(model::file(&add()), LoadOptions::default()).await.unwrap();
    let first = begun.elapsed();
    let x = Tensor::of("x", vec![1, 2], &[1.0_f32, 2.0]).unwrap();
    let answer = session.run(vec![x], vec![], RunOptions::default()).await.unwrap();
    assert_eq!(answer.outputs[0].values::<f32>().unwrap(), [11.0, 22.0]);
    let begun = Instant::now();
    engine.load(model::file(&add()), LoadOptions::default()).await.unwrap();
    println!("first load {first:?}, second {:?}", begun.elapsed());
    assert_eq!(times(&starts), 1);
    assert!(marks.join(format!("{}.json", &session.digest()["sha256:".len()..])).is_file());
    let restarted = probed(runtime, ProbeOptions::default(), &marks, "/nowhere/worker");
    restarted.load(model::file(&add()), LoadOptions::default()).await.unwrap();
    // Tighter limits than those under which it passed ask for another trial, and so does a mark that was damaged.
    let tighter = ProbeOptions { memory_mib: 1024, ..ProbeOptions::default() };
    let again = probed(runtime, tighter, &marks, &worker);
    again.load(model::file(&add()), LoadOptions::default()).await.unwrap();
    assert_eq!(times(&starts), 2);
    for mark in std::fs::read_dir(&marks).unwrap().flatten() {
        std::fs::write(mark.path(), "{}").unwrap();
    }
    let damaged = probed(runtime, ProbeOptions::default(), &marks, &worker);
    damaged.load(model::file(&add()), LoadOptions::default()).await.unwrap();
    assert_eq!(times(&starts), 3);
}

#[tokio::test]
async fn a_model_that_asks_for_a_terabyte_is_refused_and_this_process_stays_small() {
    let Some(runtime) = runtime() else { return };
    let folder = tempfile::tempdir().unwrap();
    let options = ProbeOptions { memory_mib: 1536, ..ProbeOptions::default() };
    let engine = || probed(runtime, options.clone(), &folder.path().join("validated"), WORKER);
    says(&refused(&engine(), &terabyte_at_run()).await, "asked for more than 1536 MiB of memory");
    let before = resident();
    for model in [terabyte_at_run(), terabyte_for_a_row(), terabyte_constant()] {
        // A new engine has no memory of the refusal: each of these starts a worker.
        says(&refused(&engine(), &model).await, "asked for more than 1536 MiB of memory");
    }
    let grown = resident().saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes more");
    assert!(!folder.path().join("validated").exists(), "what was refused is marked");
}

#[tokio::test]
async fn a_model_that_loops_for_ever_meets_the_limit_of_processor_time_or_of_time() {
    let Some(runtime) = runtime() else { return };
    let folder = tempfile::tempdir().unwrap();
    let busy = ProbeOptions { cpu_s: 1, ..ProbeOptions::default() };
    says(
        &refused(&probed(runtime, busy, folder.path(), WORKER), &endless()).await,
        "used more than 1 s of processor time",
    );
    let long = ProbeOptions { wall_s: 2, ..ProbeOptions::default() };
    says(&refused(&probed(runtime, long, folder.path(), WORKER), &endless()).await, "took longer than 2 s");
}

/// On x86-64; a processor that answers such a division has nothing to refuse.
#[cfg(target_arch = "x86_64")]
#[tokio::test]
async fn a_model_that_crashes_its_process_is_refused_and_not_tried_again() {
    let Some(runtime) = runtime() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (worker, starts) = counted(folder.path());
    let engine = probed(runtime, ProbeOptions::default(), &folder.path().join("validated"), worker);
    for (at, model) in [divides(false), divides(true)].iter().enumerate() {
        let first = refused(&engine, model).await;
        assert!(
            matches!(&first, EngineError::Load(why) if why.contains("crashed the process: SIG")),
            "{first:?}"
        );
        assert_eq!(refused(&engine, model).await.to_string(), first.to_string());
        assert_eq!(times(&starts), at + 1);
    }
    // Others are not held back by them.
    engine.load(model::file(&add()), LoadOptions::default()).await.unwrap();
    assert_eq!(times(&starts), 3);
}

#[tokio::test]
async fn what_inspection_or_the_runtime_refuses_keeps_its_words() {
    let Some(runtime) = runtime() else { return };
    let folder = tempfile::tempdir().unwrap();
    let engine = probed(runtime, ProbeOptions::default(), folder.path(), WORKER);
    let mut foreign = add();
    foreign.graph.as_mut().unwrap().node[0].domain = "com.evil".into();
    says(&refused(&engine, &foreign).await, "CUSTOM_DOMAIN");
    let mut unknown = add();
    unknown.graph.as_mut().unwrap().node[0].op_type = "Frobnicate".into();
    says(&refused(&engine, &unknown).await, "Frobnicate");
    let small = LoadOptions {
        limits: engine::Limits { bytes: 8, ..engine::Limits::default() },
        ..LoadOptions::default()
    };
    says(&engine.load(model::file(&add()), small).await.unwrap_err(), "at most 8 are taken");
}

/// Whatever a worker says or does not say, the answer is an error, and soon.
#[tokio::test]
async fn a_worker_that_fails_or_lies_loads_nothing() {
    let Some(runtime) = runtime() else { return };
    let folder = tempfile::tempdir().unwrap();
    let marks = folder.path().join("validated");
    let forged = r#"{"digest":"sha256:00","peak_bytes":0,"no_network":false,"fault":null}"#;
    for (lines, words) in [
        ("exit 3".to_owned(), "ended without an answer, exit status: 3: it said nothing"),
        ("echo broken >&2; exit 1".to_owned(), "exit status: 1: broken"),
        (format!("echo '{forged}'"), "another model than it was given"),
        ("kill -TERM $$".to_owned(), "told to stop"),
    ] {
        let worker = script(folder.path(), &lines);
        let error = refused(&probed(runtime, ProbeOptions::default(), &marks, worker), &add()).await;
        assert!(matches!(&error, EngineError::Host(why) if why.contains(words)), "{error:?}");
    }
    let missing = probed(runtime, ProbeOptions::default(), &marks, "/nowhere/worker");
    let error = refused(&missing, &add()).await;
    assert!(matches!(&error, EngineError::Host(why) if why.contains("cannot be started")), "{error:?}");
    let flood = script(folder.path(), "while :; do echo flood; echo flood >&2; done");
    let limit = ProbeOptions { wall_s: 20, ..ProbeOptions::default() };
    let begun = Instant::now();
    let error = refused(&probed(runtime, limit, &marks, flood), &add()).await;
    assert!(matches!(error, EngineError::Host(_) | EngineError::Load(_)), "{error:?}");
    assert!(begun.elapsed() < Duration::from_secs(40), "{:?}", begun.elapsed());
    assert!(!marks.exists());
}

/// A model for a GPU alone cannot be tried on the processors: who loads it untried has said so.
#[tokio::test]
async fn a_model_that_the_processors_cannot_run_is_loaded_untried_only_if_that_is_allowed() {
    let Some(runtime) = runtime() else { return };
    let folder = tempfile::tempdir().unwrap();
    let marks = folder.path().join("validated");
    let on_gpu = || LoadOptions {
        provider: ProviderPolicy {
            preferred: vec![Provider::Cuda, Provider::Cpu],
            allow_fallback: true,
            ..ProviderPolicy::default()
        },
        ..LoadOptions::default()
    };
    let file = model::file(&without_kernel());
    let strict = probed(runtime, ProbeOptions::default(), &marks, WORKER);
    says(&strict.load(file.clone(), on_gpu()).await.unwrap_err(), "probe.allow_untried");
    let plain = probed(runtime, ProbeOptions::default(), &marks, WORKER);
    says(&refused(&plain, &without_kernel()).await, "Could not find an implementation");
    // On the processors it is refused whatever is allowed; past the trial the engine itself says what it finds.
    let options = ProbeOptions { allow_untried: true, ..ProbeOptions::default() };
    let lenient = probed(runtime, options, &marks, WORKER);
    says(&refused(&lenient, &without_kernel()).await, "Could not find an implementation");
    let (direct, through) = (
        runtime.load(file.clone(), on_gpu()).await.map(drop).map_err(|error| error.to_string()),
        probed(runtime, ProbeOptions { allow_untried: true, ..ProbeOptions::default() }, &marks, WORKER)
            .load(file, on_gpu())
            .await
            .map(drop)
            .map_err(|error| error.to_string()),
    );
    assert_eq!(direct, through);
    assert!(!marks.exists(), "what was not tried is marked");
}

/// Keys and addresses of the service are none of the worker's business.
#[tokio::test]
async fn the_worker_has_none_of_the_environment() {
    let Some(runtime) = runtime() else { return };
    let folder = tempfile::tempdir().unwrap();
    let seen = folder.path().join("environment");
    let worker = script(folder.path(), &format!("/usr/bin/env > {}; exec {WORKER} \"$@\"", seen.display()));
    let engine = probed(runtime, ProbeOptions::default(), &folder.path().join("validated"), worker);
    engine.load(model::file(&add()), LoadOptions::default()).await.unwrap();
    let seen = std::fs::read_to_string(seen).unwrap();
    let names: Vec<&str> = seen.lines().filter_map(|line| line.split('=').next()).collect();
    // The shell itself adds three.
    let known =
        ["ORT_DYLIB_PATH", "ORT_DISABLE_TELEMETRY", "LD_LIBRARY_PATH", "LOCPATH", "PWD", "SHLVL", "_"];
    assert!(names.contains(&"ORT_DYLIB_PATH"), "{names:?}");
    assert!(names.iter().all(|name| known.contains(name)), "{names:?}");
}

#[tokio::test]
async fn switched_off_it_is_the_engine_alone() {
    let Some(runtime) = runtime() else { return };
    let folder = tempfile::tempdir().unwrap();
    let marks = folder.path().join("validated");
    let engine = ProbeOptions { on: false, ..ProbeOptions::default() }.around(runtime, &marks);
    // This program is no worker: with the trial the load would fail.
    engine.load(model::file(&add()), LoadOptions::default()).await.unwrap();
    assert!(!marks.exists());
    assert_eq!(engine.describe(), runtime.describe());
}
