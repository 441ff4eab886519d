//! Requests that run together: what they share and what not. Without ONNX Runtime each test says so in one line; with
//! `CI=true` that is a failure.
#![allow(clippy::unwrap_used)]

mod model;

use std::sync::Arc;
use std::time::Duration;

use engine::inspect::proto::ModelProto;
use engine::{
    Answer, Batching, Engine, EngineError, LoadOptions, OnnxRuntime, Provider, RunOptions, Session, Tensor,
};

/// Long enough that requests which are sent one after the other wait for each other.
const WHILE: u64 = 300_000;

/// Turns of [`model::slow`] that take some tenths of a second; a device is told each of them.
fn turns() -> i64 {
    if model::provider() == Provider::Cpu { 400_000 } else { 20_000 }
}

async fn load(model: &ModelProto, batching: Batching) -> Option<Arc<dyn Session>> {
    load_with(model, LoadOptions { batching, ..model::options() }).await
}

async fn load_with(model: &ModelProto, options: LoadOptions) -> Option<Arc<dyn Session>> {
    let runtime = match OnnxRuntime::open() {
        Ok(runtime) => runtime,
        Err(error) => {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "{error}");
            println!("skipped: {error}");
            return None;
        }
    };
    let options = LoadOptions { queue_capacity: 2000, ..options };
    Some(runtime.load(model::file(model), options).await.unwrap())
}

fn waiting(max_rows: usize, preferred: &[usize]) -> Batching {
    Batching { max_rows, preferred: preferred.to_vec(), delay_us: WHILE }
}

fn soon() -> RunOptions {
    RunOptions::within(Duration::from_secs(20))
}

fn pair(of: f32) -> Vec<Tensor> {
    vec![Tensor::of("x", vec![1, 2], &[of, -of]).unwrap()]
}

fn slow(x: f32, turns: i64) -> Vec<Tensor> {
    vec![Tensor::of("x", vec![1], &[x]).unwrap(), Tensor::of("k", vec![1], &[turns]).unwrap()]
}

/// Starts a request and lets it reach the queue.
async fn send(
    session: &Arc<dyn Session>,
    inputs: Vec<Tensor>,
    options: RunOptions,
) -> tokio::task::JoinHandle<Result<Answer, EngineError>> {
    let (session, before) = (session.clone(), session.in_flight());
    let waits = session.clone();
    let sent = tokio::spawn(async move { session.run(inputs, vec![], options).await });
    while waits.in_flight() <= before && !sent.is_finished() {
        tokio::task::yield_now().await;
    }
    sent
}

/// Sends a request that keeps the only instance at work, and waits until it is.
async fn occupy(session: &Arc<dyn Session>) -> tokio::task::JoinHandle<Result<Answer, EngineError>> {
    let options = RunOptions { started: Some(Arc::default()), ..soon() };
    let started = options.started.clone().unwrap();
    let busy = send(session, slow(0.0, turns()), options).await;
    while !started.load(std::sync::atomic::Ordering::Acquire) {
        tokio::task::yield_now().await;
    }
    busy
}

#[tokio::test]
async fn requests_that_come_together_run_together_and_each_gets_its_own_answer() {
    let Some(session) = load(&model::add(), waiting(8, &[])).await else { return };
    let Some(alone) = load(&model::add(), Batching::ALONE).await else { return };
    assert!(session.batches() && !alone.batches());
    let mut sent = Vec::new();
    for at in 0..8_u8 {
        sent.push(send(&session, pair(f32::from(at) * 0.1), soon()).await);
    }
    let mut leads = 0;
    for (at, one) in (0..8_u8).zip(sent) {
        let (answer, own) = (one.await.unwrap().unwrap(), pair(f32::from(at) * 0.1));
        assert_eq!(answer.outputs, alone.run(own, vec![], soon()).await.unwrap().outputs, "bit for bit");
        assert_eq!(answer.timings.batch_rows, 8);
        leads += usize::from(answer.timings.lead);
    }
    assert_eq!((leads, session.counts().runs, session.counts().rows), (1, 1, 8));
}

#[tokio::test]
async fn what_came_while_the_last_run_was_at_work_runs_next() {
    let Some(session) = load(&model::slow(), Batching::default()).await else { return };
    let busy = occupy(&session).await;
    let before = session.counts();
    let mut sent = Vec::new();
    for at in 0..10_u8 {
        sent.push(send(&session, slow(f32::from(at), 1), soon()).await);
    }
    for (at, one) in (0..10_u8).zip(sent) {
        let answer = one.await.unwrap().unwrap();
        assert_eq!(answer.outputs[0].values::<f32>().unwrap(), [f32::from(at)]);
    }
    busy.await.unwrap().unwrap();
    assert_eq!((session.counts().runs - before.runs, session.counts().rows - before.rows), (2, 11));
}

#[tokio::test]
async fn other_shapes_and_larger_requests_run_by_themselves() {
    let Some(session) = load(&model::slow(), Batching { max_rows: 4, ..Batching::default() }).await else {
        return;
    };
    let busy = occupy(&session).await;
    let five = vec![
        Tensor::of("x", vec![5], &[1.0_f32, 2.0, 3.0, 4.0, 5.0]).unwrap(),
        Tensor::of("k", vec![5], &[1_i64; 5]).unwrap(),
    ];
    let mut sent = vec![send(&session, slow(7.0, 1), soon()).await, send(&session, five, soon()).await];
    for at in 0..4_u8 {
        sent.push(send(&session, slow(f32::from(at), 1), soon()).await);
    }
    let mut rows = Vec::new();
    for one in sent {
        rows.push(one.await.unwrap().unwrap().timings.batch_rows);
    }
    busy.await.unwrap().unwrap();
    assert_eq!(rows, [1, 5, 4, 4, 4, 4], "in the order in which they came");
}

#[tokio::test]
async fn a_wrong_request_fails_nobody_but_itself() {
    let options = LoadOptions { batching: waiting(4, &[]), ..LoadOptions::default() };
    let Some(session) = load_with(&model::gather(), options).await else { return };
    assert!(session.batches());
    let mut sent = Vec::new();
    for index in [0_i64, 9, 2, 1] {
        let input = vec![Tensor::of("i", vec![1], &[index]).unwrap()];
        sent.push(send(&session, input, soon()).await);
    }
    let mut answers = Vec::new();
    for one in sent {
        answers.push(one.await.unwrap());
    }
    let value = |at: usize| answers[at].as_ref().unwrap().outputs[0].values::<f32>().unwrap();
    assert_eq!((value(0), value(2), value(3)), (vec![1.0], vec![3.0], vec![2.0]));
    assert!(matches!(answers[1], Err(EngineError::ModelFault(_))), "{:?}", answers[1]);
}

#[tokio::test]
async fn a_request_that_takes_too_long_fails_nobody_but_itself() {
    let Some(session) = load(&model::slow(), waiting(3, &[])).await else { return };
    let options = || RunOptions { limit: Some(Duration::from_millis(400)), ..soon() };
    let mut sent = Vec::new();
    for turns in [1, i64::MAX, 1] {
        sent.push(send(&session, slow(1.0, turns), options()).await);
    }
    let mut answers = Vec::new();
    for one in sent {
        answers.push(one.await.unwrap());
    }
    assert!(matches!(answers[1], Err(EngineError::TooLong { .. })), "{:?}", answers[1]);
    assert!(answers[0].is_ok() && answers[2].is_ok(), "{answers:?}");
}

#[tokio::test]
async fn models_whose_rows_are_not_independent_run_every_request_alone() {
    let mut fixed = model::add();
    let graph = fixed.graph.as_mut().unwrap();
    graph.output[0] = model::value("y", model::FLOAT, &[1, 2]);
    graph.input[0] = model::value("x", model::FLOAT, &[1, 2]);
    for (name, model) in [("mixes", model::mixes_rows()), ("noisy", model::noisy()), ("fixed", fixed)] {
        let Some(session) = load(&model, Batching::default()).await else { return };
        assert!(!session.batches(), "{name}");
    }
    for datatype in engine::DataType::ALL {
        let Some(session) = load(&model::identity(datatype.to_onnx()), Batching::default()).await else {
            return;
        };
        assert!(session.batches(), "{datatype}");
    }
}

#[tokio::test]
async fn text_and_several_rows_run_together() {
    let Some(session) = load(&model::identity(model::STRING), waiting(6, &[])).await else { return };
    let text = |words: &[&str]| vec![Tensor::of_text("x", vec![words.len() as i64], words).unwrap()];
    let parts = [vec!["a", ""], vec!["h\u{e9}"], vec!["b", "c", "d"]];
    let mut sent = Vec::new();
    for part in &parts {
        sent.push(send(&session, text(part), soon()).await);
    }
    for (part, one) in parts.iter().zip(sent) {
        let answer = one.await.unwrap().unwrap();
        assert_eq!((answer.outputs[0].data(), answer.timings.batch_rows), (text(part)[0].data(), 6));
    }
}

/// Of a thousand requests nine hundred are given up while they wait: those are not run.
#[tokio::test]
async fn nothing_is_run_for_those_who_are_gone() {
    let Some(session) = load(&model::slow(), Batching::default()).await else { return };
    let busy = occupy(&session).await;
    let before = session.counts();
    let mut sent = Vec::new();
    for at in 0..1000 {
        let one = send(&session, slow(1.0, 1), soon()).await;
        if at % 10 == 0 {
            sent.push(one);
        } else {
            one.abort();
            assert!(one.await.unwrap_err().is_cancelled());
        }
    }
    assert!(!busy.is_finished(), "the queue must have been full");
    for one in sent {
        one.await.unwrap().unwrap();
    }
    busy.await.unwrap().unwrap();
    assert_eq!(session.counts().rows - before.rows, 101, "a hundred, and the one that was at work");
    assert_eq!(session.in_flight(), 0);
}

#[tokio::test]
async fn a_run_ends_when_the_last_of_its_callers_is_gone_and_not_before() {
    let Some(session) = load(&model::slow(), waiting(2, &[])).await else { return };
    let first = send(&session, slow(1.0, turns()), soon()).await;
    let second = send(&session, slow(2.0, 1), soon()).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    first.abort();
    assert_eq!(second.await.unwrap().unwrap().outputs[0].values::<f32>().unwrap(), [2.0]);
    let gone = send(&session, slow(1.0, i64::MAX), soon()).await;
    let too = send(&session, slow(1.0, 1), soon()).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    gone.abort();
    too.abort();
    let answer = session.run(slow(3.0, 1), vec![], soon()).await.unwrap();
    assert_eq!(answer.outputs[0].values::<f32>().unwrap(), [3.0], "the instance is free again");
}

#[tokio::test]
async fn preferred_sizes_are_taken_and_the_rest_waits_no_longer_than_the_delay() {
    let Some(session) = load(&model::add(), waiting(8, &[2, 4])).await else { return };
    let mut sent = Vec::new();
    for _ in 0..7 {
        sent.push(send(&session, pair(1.0), soon()).await);
    }
    let mut rows = Vec::new();
    for one in sent {
        rows.push(one.await.unwrap().unwrap().timings.batch_rows);
    }
    // Four are preferred; of the three that are left two are, after the delay; one runs as it is.
    assert_eq!(rows, [4, 4, 4, 4, 2, 2, 1]);
}

#[tokio::test]
async fn a_smaller_priority_goes_first() {
    let Some(session) = load(&model::slow(), Batching::ALONE).await else { return };
    let busy = occupy(&session).await;
    let mut sent = Vec::new();
    for priority in [2, 2, 1, 3, 1] {
        sent.push(send(&session, slow(1.0, 1), RunOptions { priority, ..soon() }).await);
    }
    let mut started = Vec::new();
    for (at, one) in sent.into_iter().enumerate() {
        started.push((one.await.unwrap().unwrap().timings.started_at, at));
    }
    busy.await.unwrap().unwrap();
    started.sort();
    assert_eq!(started.into_iter().map(|(_, at)| at).collect::<Vec<_>>(), [2, 4, 0, 1, 3]);
}

/// On a runtime of several threads quick models run on their callers' threads when nobody else wants them.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_callers_at_once_get_their_own_answers() {
    let Some(session) = load(&model::add(), Batching::default()).await else { return };
    session.warm_up(soon()).await.unwrap();
    let before = session.counts();
    let mut callers = Vec::new();
    for caller in 0..16_u16 {
        let session = session.clone();
        callers.push(tokio::spawn(async move {
            for turn in 0..200_u16 {
                let x = f32::from(caller * 200 + turn);
                let answer = session.run(pair(x), vec![], soon()).await.unwrap();
                assert_eq!(answer.outputs[0].values::<f32>().unwrap(), [x + 10.0, 20.0 - x]);
            }
        }));
    }
    for caller in callers {
        caller.await.unwrap();
    }
    let after = session.counts();
    assert_eq!(after.rows - before.rows, 3200);
    assert!(after.runs - before.runs <= 3200);
    assert_eq!(session.in_flight(), 0);
}

/// A model that was quick and then is not: its run on a caller's thread ends at its deadline.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_on_its_callers_thread_ends_at_its_deadline() {
    let Some(session) = load(&model::wide(), Batching::ALONE).await else { return };
    if session.provider() != engine::Provider::Cpu {
        println!("skipped: a device is through with it before any deadline");
        return;
    }
    let rows = |count: usize| vec![Tensor::of("x", vec![count as i64, 1], &vec![1.0_f32; count]).unwrap()];
    for _ in 0..2 {
        // The second of them shows that the model is quick, whatever ran before.
        session.run(rows(1), vec![], soon()).await.unwrap();
        session.run(rows(1), vec![], soon()).await.unwrap();
        let options = RunOptions::within(Duration::from_millis(100));
        let error = session.run(rows(65_536), vec![], options).await.unwrap_err();
        assert!(matches!(error, EngineError::Deadline { running: true }), "{error}");
    }
    let answer = session.run(rows(1), vec![], soon()).await.unwrap();
    assert_eq!(answer.outputs[0].shape(), [1, 256]);
}

/// What waits when a model is let go of was given up before: nobody runs it, and the model's thread ends all the same.
#[tokio::test]
async fn a_model_with_requests_that_were_given_up_is_freed() {
    let Some(session) = load(&model::slow(), Batching::default()).await else { return };
    let threads = || {
        let all = std::fs::read_dir("/proc/self/task").unwrap().filter_map(Result::ok);
        let name =
            |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("comm")).unwrap_or_default();
        all.map(name).filter(|name| name.starts_with("engine-run")).count()
    };
    let busy = occupy(&session).await;
    let mut waiting = Vec::new();
    for _ in 0..3 {
        waiting.push(send(&session, slow(1.0, 1), soon()).await);
    }
    let with_it = threads();
    for one in waiting.into_iter().chain([busy]) {
        one.abort();
        assert!(one.await.is_err_and(|error| error.is_cancelled()));
    }
    drop(session);
    let until = std::time::Instant::now() + Duration::from_secs(20);
    while threads() >= with_it && std::time::Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(threads() < with_it, "the thread of the model is still there");
}
