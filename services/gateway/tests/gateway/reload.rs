//! Models are loaded again and again under load: nobody notices but by the version that answers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use contracts::inference as wire;
use gateway::Control;
use tokio::task::JoinHandle;

use super::served::{Served, first, input, shift, slow, turns};
use super::stage::until;

/// Callers, each on a connection of its own.
const CALLERS: usize = 4;
/// Times that the model is loaded again.
const RELOADS: i64 = 100;

fn row(x: f32) -> wire::ModelInferRequest {
    let numbers = [x.to_le_bytes(), (-x).to_le_bytes()].concat();
    wire::ModelInferRequest {
        model_name: "net".into(),
        inputs: vec![input("x", "FP32", &[1, 2])],
        raw_input_contents: vec![numbers.into()],
        ..Default::default()
    }
}

/// What an answer says of the model that made it: its version, and what it adds.
struct Made {
    version: i64,
    by: i64,
}

fn made(x: f32, answer: &wire::ModelInferResponse) -> Made {
    Made { version: answer.model_version.parse().unwrap(), by: (first(answer) - x) as i64 }
}

/// Callers that ask without a pause, one request after the other.
struct Load {
    stop: Arc<AtomicBool>,
    /// What the model of each caller's last answer adds.
    met: Arc<[AtomicI64; CALLERS]>,
    callers: Vec<JoinHandle<BTreeMap<i64, u64>>>,
}

impl Load {
    /// Every answer is `right`, and no caller meets an older model after a newer one.
    fn start(served: &Served, right: impl Fn(&Made) -> bool + Copy + Send + 'static) -> Self {
        let (stop, met) =
            (Arc::new(AtomicBool::new(false)), Arc::new([const { AtomicI64::new(0) }; CALLERS]));
        let caller = |number: usize| {
            let (mut client, stop, met) = (served.client(), stop.clone(), met.clone());
            tokio::spawn(async move {
                let (mut answers, mut sent) = (BTreeMap::new(), 0_u16);
                while !stop.load(Ordering::Relaxed) {
                    sent = sent.wrapping_add(1);
                    let x = f32::from(sent);
                    let answer = client.model_infer(row(x)).await.unwrap();
                    let made = made(x, answer.get_ref());
                    assert!(right(&made), "version {} added {}", made.version, made.by);
                    let before = met[number].swap(made.by, Ordering::Relaxed);
                    assert!(before <= made.by, "{} after {before}", made.by);
                    *answers.entry(made.by).or_default() += 1;
                }
                answers
            })
        };
        let callers = (0..CALLERS).map(caller).collect();
        Self { stop, met, callers }
    }

    /// Until every caller was answered by that model.
    async fn met(&self, by: i64) {
        until(|| async {
            assert!(!self.callers.iter().any(JoinHandle::is_finished), "a caller failed");
            self.met.iter().all(|met| met.load(Ordering::Relaxed) == by)
        })
        .await;
    }

    /// The answers of all callers, by what the model added.
    async fn end(self) -> BTreeMap<i64, u64> {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = BTreeMap::new();
        for caller in self.callers {
            for (by, count) in caller.await.unwrap() {
                *all.entry(by).or_default() += count;
            }
        }
        all
    }
}

/// Each of the models answered every caller, and all but the last are gone.
async fn clean(served: &Served, answers: &BTreeMap<i64, u64>) {
    assert!((1..=RELOADS + 1).all(|by| answers[&by] >= CALLERS as u64), "{answers:?}");
    let loads = RELOADS as usize + 1;
    until(|| async { served.engine.loaded() == (loads, 1) }).await;
}

async fn load(served: &Served, model: &str) {
    let asked = wire::RepositoryModelLoadRequest { model_name: model.into(), ..Default::default() };
    served.client().repository_model_load(asked).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_versions_are_loaded_by_a_caller_and_no_request_fails() {
    let files = [("net/1/model.onnx", shift(1.0))];
    let Some(served) = Served::start(Control::Explicit, &files).await else { return };
    let callers = Load::start(&served, |made| made.version == made.by);
    callers.met(1).await;
    for version in 2..=RELOADS + 1 {
        served.put(&format!("net/{version}/model.onnx"), &shift(version as f32));
        load(&served, "net").await;
        let answer = served.client().model_infer(row(0.0)).await.unwrap();
        assert_eq!(made(0.0, answer.get_ref()).version, version, "it is served when the call is answered");
        std::fs::remove_dir_all(served.folder.path().join(format!("net/{}", version - 1))).unwrap();
        callers.met(version).await;
    }
    let answers = callers.end().await;
    clean(&served, &answers).await;
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_changes_a_hundred_times_and_no_request_fails() {
    let Some(served) = Served::start(Control::Poll, &[("net.onnx", shift(1.0))]).await else { return };
    let callers = Load::start(&served, |made| made.version == 1);
    callers.met(1).await;
    for by in 2..=RELOADS + 1 {
        // A file that is moved into place is never seen half-written.
        served.put("net.new", &shift(by as f32));
        std::fs::rename(served.folder.path().join("net.new"), served.folder.path().join("net.onnx")).unwrap();
        callers.met(by).await;
    }
    let answers = callers.end().await;
    clean(&served, &answers).await;
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[allow(clippy::async_yields_async)] // the request is still under way
async fn a_request_under_way_is_answered_by_the_version_that_it_met() {
    let files = [("net/1/model.onnx", slow(1.0))];
    let Some(served) = Served::start(Control::Explicit, &files).await else { return };
    let long = || {
        let (mut client, session) = (served.client(), served.engine.newest());
        async move {
            // The model is known to be slow: what comes goes to its own thread and not to that of its caller.
            client.model_infer(turns("net", 5.0, 1, 50_000)).await.unwrap();
            let sent = tokio::spawn(async move { client.model_infer(turns("net", 5.0, 1, 4_000_000)).await });
            until(|| async { session.in_flight() == 1 }).await;
            sent
        }
    };
    let first_one = long().await;
    served.put("net/2/model.onnx", &slow(2.0));
    load(&served, "net").await;
    let answer = served.client().model_infer(turns("net", 5.0, 1, 1)).await.unwrap().into_inner();
    assert_eq!((answer.model_version.as_str(), first(&answer)), ("2", 7.0));
    assert!(!first_one.is_finished(), "it must still be under way");

    let second_one = long().await;
    let asked = wire::RepositoryModelUnloadRequest { model_name: "net".into(), ..Default::default() };
    served.client().repository_model_unload(asked).await.unwrap();
    for (sent, version, y) in [(first_one, "1", 6.0), (second_one, "2", 7.0)] {
        let answer = sent.await.unwrap().unwrap().into_inner();
        assert_eq!((answer.model_version.as_str(), first(&answer)), (version, y));
    }
    until(|| async { served.engine.loaded() == (2, 0) }).await;
    served.stop().await;
}
