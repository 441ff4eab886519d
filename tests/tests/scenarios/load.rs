//! A rollout that is rolled back at half the traffic and the next one up to all of it, under load over TCP: no request
//! fails and every answer is right.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use contracts::inference::grpc_inference_service_client::GrpcInferenceServiceClient;
use contracts::registry::v1::{RollBackRequest, RollbackTrigger, rollout::State};
use runtime::Peer;
use tests::infer::{label, request};
use tests::line::Line;
use tests::made::rows;
use tests::mesh::Mesh;
use tests::refusal::Answered;
use tokio::task::JoinHandle;
use wlp::reach::{Reach, To};

/// Callers, each on a connection of its own.
const CALLERS: u64 = 4;
/// Of a caller between two requests.
const PAUSE: Duration = Duration::from_millis(4);

/// Callers that ask on and on; every answer is right, or the caller panics.
struct Load {
    stop: Arc<AtomicBool>,
    callers: Vec<JoinHandle<BTreeMap<String, u64>>>,
}

impl Load {
    fn start(mesh: &Mesh, endpoint: &'static str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let address = mesh.whole().reach().address(To::Gateway).expect("an address");
        let (url, key) = (format!("http://{address}"), mesh.net.people().key("client").to_owned());
        let caller = |seed: u64| {
            let peer = Peer::connect(&url, &key).expect("a peer");
            let stop = stop.clone();
            tokio::spawn(async move {
                let mut client = GrpcInferenceServiceClient::new(peer);
                let mut answers = BTreeMap::new();
                for row in rows(1000 + seed, 1000).iter().cycle() {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let answer = client.model_infer(request(endpoint, row)).await.told();
                    assert_eq!(label(&answer), Some(row.label), "{row:?}: {answer:?}");
                    *answers.entry(answer.model_version).or_default() += 1;
                    // The five services share the processors with their callers, and virtual time runs fast.
                    tokio::time::sleep(PAUSE).await;
                }
                answers
            })
        };
        let callers = (0..CALLERS).map(caller).collect();
        Self { stop, callers }
    }

    /// Answers by version.
    async fn end(self) -> BTreeMap<String, u64> {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = BTreeMap::new();
        for caller in self.callers {
            for (version, count) in caller.await.expect("no caller failed") {
                *all.entry(version).or_default() += count;
            }
        }
        all
    }
}

/// Until the gateway sends no traffic anywhere but to one version.
async fn all_traffic(mesh: &Mesh, line: &Line, number: &str) {
    mesh.until("one version has all traffic", || async {
        let request = contracts::gateway::v1::ListBackendsRequest { endpoint: line.id.clone() };
        let served = line.by("ml-ops-engineer").serving().list_backends(request).await.ok()?.into_inner();
        let with: Vec<_> = served.backends.iter().filter(|one| one.traffic_percent > 0).collect();
        (with.len() == 1 && with[0].version == line.version(number) && with[0].traffic_percent == 100)
            .then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_while_rollouts_climb_and_one_is_rolled_back() {
    let mesh = Mesh::served().await;
    let line = mesh.canary("loaded", "1.0.0").await;
    mesh.climb(&line, "first").await;
    all_traffic(&mesh, &line, "1.0.0").await;
    let load = Load::start(&mesh, "loaded");

    mesh.next_canary(&line, "1.1.0", 2, "second").await;
    mesh.climb_to(&line, "second", 50).await;
    let back = RollBackRequest {
        name: line.rollout("second"),
        trigger: RollbackTrigger::Manual.into(),
        reason: "a rehearsal under load".into(),
        ..Default::default()
    };
    let rolled_back = line.by("on-call").rollouts().roll_back(back).await.told();
    assert_eq!((rolled_back.state(), rolled_back.traffic_percent), (State::RolledBack, 0));
    let steps: Vec<u32> = rolled_back.history.iter().map(|step| step.traffic_percent).collect();
    assert!(steps.starts_with(&[5, 25, 50]), "{steps:?}");
    all_traffic(&mesh, &line, "1.0.0").await;

    mesh.next_canary(&line, "1.2.0", 3, "third").await;
    let third = mesh.climb(&line, "third").await;
    let steps: Vec<u32> = third.history.iter().map(|step| step.traffic_percent).collect();
    assert_eq!((third.state(), steps), (State::Succeeded, vec![5, 25, 50, 100]));
    all_traffic(&mesh, &line, "1.2.0").await;

    let answers = load.end().await;
    assert!(["1.0.0", "1.1.0", "1.2.0"].iter().all(|number| answers.contains_key(*number)), "{answers:?}");
}
