//! The fake engine behind the same traits. Without ONNX Runtime the test that needs it says so in one line; with `CI=true`
//! that is a failure.
#![allow(clippy::unwrap_used)]

mod model;

use std::sync::Arc;
use std::time::Duration;

use engine::fake::{self, Behaviour, FakeEngine};
use engine::{
    Engine, EngineError, Limits, LoadOptions, OnnxRuntime, RunOptions, Tensor, TrialOptions, inspect, trial,
};

#[tokio::test]
async fn it_does_what_it_was_told() {
    let engine = FakeEngine::new();
    let signature = inspect(&model::file(&model::add()), &Limits::default()).unwrap().signature;
    let file = fake::model(&signature, 1);
    assert_ne!(file, fake::model(&signature, 2));
    let session = engine.load(file.clone(), LoadOptions::default()).await.unwrap();
    assert_eq!(*session.signature(), signature);
    let x = || vec![Tensor::of("x", vec![3, 2], &[1.0_f32; 6]).unwrap()];
    let answer = session.run(x(), vec![], RunOptions::default()).await.unwrap();
    assert_eq!(answer.outputs[0].values::<f32>().unwrap(), [0.0; 6]);
    engine.fail_share(session.digest(), 0.1);
    let mut failed = 0;
    for _ in 0..1_000 {
        failed += usize::from(session.run(x(), vec![], RunOptions::default()).await.is_err());
    }
    assert_eq!(failed, 100);
    engine.set(
        session.digest(),
        Behaviour {
            outputs: Some(Arc::new(|_, inputs| Ok(vec![inputs[0].clone().named("y")]))),
            ..Behaviour::default()
        },
    );
    let answer = session.run(x(), vec!["y".into()], RunOptions::default()).await.unwrap();
    assert_eq!(answer.outputs[0].values::<f32>().unwrap(), [1.0; 6]);
    engine.delay(session.digest(), Duration::from_secs(60));
    let late = session.run(x(), vec![], RunOptions::within(Duration::from_millis(20))).await.unwrap_err();
    assert!(matches!(late, EngineError::Deadline { running: true }));
    assert!(matches!(
        session.run(vec![], vec![], RunOptions::default()).await,
        Err(EngineError::BadInput(_))
    ));
    trial(&engine, file, TrialOptions::default()).await.unwrap();
    assert!(trial(&engine, "no".into(), TrialOptions::default()).await.is_err());
}

#[tokio::test]
async fn its_models_load_in_onnx_runtime() {
    let runtime = match OnnxRuntime::open() {
        Ok(runtime) => runtime,
        Err(error) => {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "{error}");
            println!("skipped: {error}");
            return;
        }
    };
    for source in [model::add(), model::gather(), model::identity(model::STRING)] {
        let signature = inspect(&model::file(&source), &Limits::default()).unwrap().signature;
        trial(&runtime, fake::model(&signature, 7), TrialOptions::default()).await.unwrap();
    }
}
