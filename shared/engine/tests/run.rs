//! Small models in ONNX Runtime. Without the library each test says so in one line; with `CI=true` that is a failure.
#![allow(clippy::unwrap_used)]

mod model;

use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::{
    DataType, Engine, EngineError, FaultKind, LoadOptions, OnnxRuntime, Provider, ProviderPolicy, RunOptions,
    Session, Tensor,
};
use prost::bytes::Bytes;

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

async fn load(runtime: &OnnxRuntime, model: &engine::inspect::proto::ModelProto) -> Arc<dyn Session> {
    runtime.load(model::file(model), model::options()).await.unwrap()
}

fn soon() -> RunOptions {
    RunOptions::within(Duration::from_secs(20))
}

#[tokio::test]
async fn a_missing_library_says_how_to_install_it() {
    if OnnxRuntime::open().is_ok() {
        assert!(OnnxRuntime::new().describe().starts_with("onnxruntime "));
        return;
    }
    let error =
        OnnxRuntime::new().load(model::file(&model::add()), LoadOptions::default()).await.unwrap_err();
    assert!(error.to_string().contains("wlp runtime install"), "{error}");
    assert!(OnnxRuntime::new().providers().is_empty());
    assert_eq!(error.fault(), FaultKind::Host);
}

#[tokio::test]
async fn it_adds() {
    let Some(runtime) = runtime() else { return };
    let session = load(&runtime, &model::add()).await;
    session.warm_up(soon()).await.unwrap();
    let x = Tensor::of("x", vec![2, 2], &[1.0_f32, 2.0, 3.0, 4.0]).unwrap();
    let answer = session.run(vec![x], vec!["y".into()], soon()).await.unwrap();
    assert_eq!(answer.outputs[0].values::<f32>().unwrap(), [11.0, 22.0, 13.0, 24.0]);
    assert_eq!(answer.outputs[0].shape(), [2, 2]);
    assert_eq!(answer.timings.batch_rows, 2);
    assert_eq!(session.provider(), model::provider());
    assert_eq!(session.in_flight(), 0);
}

#[tokio::test]
async fn every_type_passes_unchanged() {
    let Some(runtime) = runtime() else { return };
    for datatype in DataType::ALL {
        let session = load(&runtime, &model::identity(datatype.to_onnx())).await;
        let x = match datatype.size() {
            Some(_) if datatype == DataType::Bool => Tensor::of("x", vec![3], &[true, false, true]).unwrap(),
            Some(size) => {
                let bytes: Vec<u8> = (0..3 * size as u8).collect();
                Tensor::raw("x", datatype, vec![3], bytes.into()).unwrap()
            }
            None => Tensor::of_text("x", vec![3], &["", "héllo", "a,b\n"]).unwrap(),
        };
        let answer = session.run(vec![x.clone()], vec![], soon()).await.unwrap();
        assert_eq!(answer.outputs[0].data(), x.data(), "{datatype}");
        let empty = Tensor::from_wire("x", datatype, vec![0], Bytes::new()).unwrap();
        let answer = session.run(vec![empty], vec![], soon()).await.unwrap();
        assert_eq!(answer.outputs[0].shape(), [0], "{datatype}");
    }
}

/// ONNX Runtime's own way with strings ends them at the first zero byte, and reads only UTF-8.
#[tokio::test]
async fn texts_pass_unchanged_whatever_bytes_they_have() {
    let Some(runtime) = runtime() else { return };
    let session = load(&runtime, &model::identity(model::STRING)).await;
    let elements: Vec<Bytes> = [
        &b"he\0llo"[..],
        b"\0\x01\x02\x03",
        b"",
        b"\xff\xfe\x80",
        "\u{e9}".as_bytes(),
        &[b'x'; 70_000],
        b"\0",
    ]
    .map(Bytes::copy_from_slice)
    .to_vec();
    let sent = Tensor::strings("x", vec![7], elements.clone()).unwrap();
    let answer = session.run(vec![sent], vec![], soon()).await.unwrap();
    assert_eq!(answer.outputs[0].elements().unwrap(), elements);
    let none = Tensor::strings("x", vec![0], Vec::new()).unwrap();
    let answer = session.run(vec![none], vec![], soon()).await.unwrap();
    assert_eq!(answer.outputs[0].shape(), [0]);
}

#[tokio::test]
async fn a_wrong_request_is_the_callers_fault_and_names_every_field() {
    let Some(runtime) = runtime() else { return };
    let session = load(&runtime, &model::add()).await;
    let wrong = Tensor::of("x", vec![3], &[1_i64, 2, 3]).unwrap();
    let error = session.run(vec![wrong], vec!["z".into()], soon()).await.unwrap_err();
    let EngineError::BadInput(fields) = &error else { panic!("{error}") };
    let fields: Vec<_> = fields.iter().map(|field| field.field.as_str()).collect();
    assert_eq!(fields, ["inputs[x].datatype", "inputs[x].shape", "outputs[z]"]);
    assert_eq!(error.fault(), FaultKind::Caller);
}

#[tokio::test]
async fn a_failing_node_is_the_models_fault() {
    let Some(runtime) = runtime() else { return };
    let session = runtime.load(model::file(&model::gather()), LoadOptions::default()).await.unwrap();
    let good = Tensor::of("i", vec![2], &[0_i64, 2]).unwrap();
    let answer = session.run(vec![good], vec![], soon()).await.unwrap();
    assert_eq!(answer.outputs[0].values::<f32>().unwrap(), [1.0, 3.0]);
    let bad = Tensor::of("i", vec![1], &[9_i64]).unwrap();
    let error = session.run(vec![bad], vec![], soon()).await.unwrap_err();
    assert!(matches!(error, EngineError::ModelFault(_)), "{error}");
    assert_eq!(error.fault(), FaultKind::Model);
}

#[tokio::test]
async fn an_endless_loop_stops_soon_after_its_deadline() {
    let Some(runtime) = runtime() else { return };
    let session = load(&runtime, &model::endless()).await;
    let x = || vec![Tensor::of("x", vec![1], &[0.0_f32]).unwrap()];
    let start = Instant::now();
    let error = session.run(x(), vec![], RunOptions::within(Duration::from_millis(300))).await.unwrap_err();
    assert!(matches!(error, EngineError::Deadline { running: true }), "{error}");
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    // Its thread is free again only once ONNX Runtime has really stopped: the next one runs, not waits.
    let error = session.run(x(), vec![], RunOptions::within(Duration::from_secs(3))).await.unwrap_err();
    assert!(matches!(error, EngineError::Deadline { running: true }), "{error}");
    // A caller that is gone, and one that cancels.
    drop(
        tokio::time::timeout(Duration::from_millis(100), session.run(x(), vec![], RunOptions::default()))
            .await,
    );
    let cancel = tokio_util::sync::CancellationToken::new();
    let cancelled = RunOptions { cancel: Some(cancel.clone()), ..RunOptions::default() };
    let (error, ()) = tokio::join!(session.run(x(), vec![], cancelled), async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        cancel.cancel();
    });
    assert!(matches!(error.unwrap_err(), EngineError::Cancelled));
    assert_eq!(session.in_flight(), 0);
}

#[tokio::test]
async fn a_full_queue_refuses_and_a_queued_request_meets_its_deadline() {
    let Some(runtime) = runtime() else { return };
    let options = LoadOptions { queue_capacity: 1, ..model::options() };
    let session = runtime.load(model::file(&model::endless()), options).await.unwrap();
    let x = || vec![Tensor::of("x", vec![1], &[0.0_f32]).unwrap()];
    let busy = session.clone();
    let running =
        tokio::spawn(async move { busy.run(x(), vec![], RunOptions::within(Duration::from_secs(2))).await });
    while session.in_flight() == 0 {
        tokio::task::yield_now().await;
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    let (queued, refused) = tokio::join!(
        session.run(x(), vec![], RunOptions::within(Duration::from_millis(200))),
        session.run(x(), vec![], RunOptions::within(Duration::from_millis(200))),
    );
    assert!(matches!(queued.unwrap_err(), EngineError::Deadline { running: false }));
    assert!(matches!(refused.unwrap_err(), EngineError::Busy { capacity: 1 }));
    assert!(matches!(running.await.unwrap().unwrap_err(), EngineError::Deadline { running: true }));
}

/// Whatever the host has: a hundredth GPU it has not.
#[tokio::test]
async fn a_provider_that_is_not_there_is_an_error_unless_falling_back_is_allowed() {
    let Some(runtime) = runtime() else { return };
    let mut policy = ProviderPolicy {
        preferred: vec![Provider::Cuda, Provider::Cpu],
        device: 99,
        ..ProviderPolicy::default()
    };
    let file = model::file(&model::add());
    let options = LoadOptions { provider: policy.clone(), ..LoadOptions::default() };
    let error = runtime.load(file.clone(), options).await.unwrap_err();
    assert!(matches!(error, EngineError::Provider { wanted: Provider::Cuda, .. }), "{error}");
    policy.allow_fallback = true;
    let options = LoadOptions { provider: policy, ..LoadOptions::default() };
    assert_eq!(runtime.load(file, options).await.unwrap().provider(), Provider::Cpu);
}

/// What a graph says of its output is a claim; what an answer says of its bytes is not.
#[tokio::test]
async fn an_answer_has_the_shape_of_its_own_bytes_whatever_the_graph_declares() {
    let Some(runtime) = runtime() else { return };
    let mut answered = 0;
    for declared in [&[7, 2][..], &[2, -1], &[1000, 2]] {
        let mut lying = model::add();
        lying.graph.as_mut().unwrap().output[0] = model::value("y", model::FLOAT, declared);
        // The runtime may refuse such a graph at load or the run; if it answers, then with what was computed.
        let Ok(session) = runtime.load(model::file(&lying), model::options()).await else { continue };
        let x = Tensor::of("x", vec![3, 2], &[1.0_f32; 6]).unwrap();
        let Ok(answer) = session.run(vec![x], vec![], soon()).await else { continue };
        assert_eq!(answer.outputs[0].shape(), [3, 2], "{declared:?}");
        assert_eq!(answer.outputs[0].values::<f32>().unwrap(), [11.0, 21.0, 11.0, 21.0, 11.0, 21.0]);
        answered += 1;
    }
    assert!(answered > 0, "every such graph is refused: this test shows nothing");
}

/// A declared input of 4 TiB: nothing of it is made, and the process lives.
#[tokio::test]
async fn a_huge_declared_input_is_not_made_up_to_warm_the_model() {
    let Some(runtime) = runtime() else { return };
    let mut huge = model::identity(model::FLOAT);
    let graph = huge.graph.as_mut().unwrap();
    graph.input[0] = model::value("x", model::FLOAT, &[1 << 40]);
    graph.output[0] = model::value("y", model::FLOAT, &[1 << 40]);
    let limits = engine::Limits { input_bytes: u64::MAX, ..engine::Limits::default() };
    let options = LoadOptions { limits, ..model::options() };
    let session = runtime.load(model::file(&huge), options).await.unwrap();
    session.warm_up(soon()).await.unwrap();
    let small = vec![Tensor::of("x", vec![1], &[1.0_f32]).unwrap()];
    assert!(matches!(session.run(small, vec![], soon()).await, Err(EngineError::BadInput(_))));
}
