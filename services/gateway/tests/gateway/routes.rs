use super::stage::{Stage, artifact, decision, request, until};
use bytes::Bytes;
use contracts::registry::v1::{Gate, RouteTable, Routes};
use prost::Message;
use std::time::Duration;
use storage::Signer;

async fn settled(stage: &Stage) {
    let calls = || stage.peers.told(|told| told.reports.len());
    let before = calls();
    until(|| async { calls() > before + 1 }).await;
}

#[tokio::test]
async fn it_serves_on_without_a_registry_and_after_its_own_restart() {
    let mut stage = Stage::new().await;
    stage.canary(3, 25).await;
    stage.peers.told(|told| told.down = true);
    stage.infer(request()).await.unwrap();
    until(|| async { !stage.list().await.registry_reachable || stage.peers.told(|told| told.calls > 20) })
        .await;
    stage.stop().await;
    stage.peers.told(|told| told.artifacts.clear());
    stage.start().await;
    stage.in_force(3).await;
    let mut canary = 0;
    for _ in 0..100 {
        canary += u32::from(stage.infer(request()).await.unwrap() == "1.1.0");
    }
    assert_eq!(canary, 25);
    assert!(!stage.list().await.registry_reachable);
}

/// The canary's bytes are gone, from disk and from the registry: after a restart stable takes its share.
#[tokio::test]
async fn a_canary_that_cannot_be_made_ready_after_a_restart_takes_nothing_down() {
    let mut stage = Stage::new().await;
    stage.canary(3, 25).await;
    stage.stop().await;
    let hex = artifact(2).1;
    let removed = remove(std::path::Path::new(&stage.config.data_dir), &hex[hex.len() - 40..]);
    assert_eq!(removed, 1, "the canary's artifact was on disk");
    stage.peers.told(|told| {
        told.down = true;
        told.artifacts.clear();
    });
    stage.start().await;
    until(|| async { stage.served("1.0.0").await.traffic_percent == 100 }).await;
    for _ in 0..50 {
        assert_eq!(stage.infer(request()).await.unwrap(), "1.0.0");
    }
    // Once its bytes can be had the split is what the table says.
    stage.peers.told(|told| told.down = false);
    drop(stage.backend("1.1.0", 2, 25, true));
    stage.in_force(3).await;
    assert_eq!(stage.served("1.0.0").await.traffic_percent, 75);
}

fn remove(folder: &std::path::Path, part: &str) -> usize {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .map(|path| match path.is_dir() {
            true => remove(&path, part),
            false if path.display().to_string().contains(part) => {
                std::fs::remove_file(&path).map(|()| 1).unwrap()
            }
            false => 0,
        })
        .sum()
}

#[tokio::test]
async fn it_is_ready_once_its_models_are() {
    let mut stage = Stage::new().await;
    stage.publish(1, vec![stage.backend("1.0.0", 1, 100, false)]);
    stage.in_force(1).await;
    stage.stop().await;
    let hex = artifact(1).1;
    remove(std::path::Path::new(&stage.config.data_dir), &hex[hex.len() - 40..]);
    stage.peers.told(|told| told.hold_artifacts = true);
    stage.start().await;
    let ready = || async {
        let request = contracts::inference::ServerReadyRequest {};
        stage.client().server_ready(request).await.unwrap().into_inner().ready
    };
    until(|| async { stage.served("1.0.0").await.state == "loading" }).await;
    assert!(!ready().await, "a balancer would send what cannot be answered");
    stage.peers.told(|told| told.hold_artifacts = false);
    stage.in_force(1).await;
    assert!(ready().await);
    // A version that comes later makes nothing unready: what serves goes on.
    stage.peers.told(|told| told.hold_artifacts = true);
    stage.publish(2, vec![stage.backend("1.1.0", 2, 100, false)]);
    until(|| async { stage.served("1.1.0").await.state == "loading" }).await;
    assert!(ready().await);
}

/// A load that failed and is then revoked, and one that is being retried, keep no core busy.
#[tokio::test]
async fn what_cannot_be_loaded_is_not_reported_without_end() {
    let stage = Stage::new().await;
    let backend = stage.backend("1.0.0", 1, 100, false);
    stage.peers.told(|told| told.artifacts.clear());
    stage.publish(1, vec![backend.clone()]);
    until(|| async { stage.served("1.0.0").await.state == "failed" }).await;
    let route = contracts::registry::v1::Route {
        endpoint: "scorer".into(),
        deployment: "deployments/scorer".into(),
        backends: vec![backend.clone()],
        ..Default::default()
    };
    let revoked_digests = vec![backend.artifact_digest];
    stage.peers.publish(&Routes { sequence: 2, routes: vec![route], revoked_digests, ..Routes::default() });
    until(|| async { stage.served("1.0.0").await.error.contains("revoked") }).await;
    let reports = || stage.peers.told(|told| told.reports.len());
    let before = reports();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(reports() - before < 5, "{} reports in a second", reports() - before);
}

#[tokio::test]
async fn a_table_with_a_bad_signature_or_an_older_one_changes_nothing() {
    let stage = Stage::new().await;
    stage.canary(5, 25).await;
    let other = Signer::generate().unwrap();
    let body = Routes { sequence: 6, ..Routes::default() }.encode_to_vec();
    let signature = other.sign(&body).to_vec();
    stage.peers.table.send_replace(RouteTable { body, signature, key_id: String::new() });
    tokio::time::sleep(Duration::from_millis(100)).await;
    stage.infer(request()).await.unwrap();
    stage.publish(4, vec![stage.backend("1.0.0", 1, 100, false)]);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(stage.list().await.route_sequence, 5);
    stage.publish(7, vec![stage.backend("1.0.0", 1, 100, false)]);
    stage.in_force(7).await;
}

#[tokio::test]
async fn a_backend_without_its_gates_is_not_loaded_and_the_old_split_stays() {
    let stage = Stage::new().await;
    stage.publish(1, vec![stage.backend("1.0.0", 1, 100, false)]);
    stage.in_force(1).await;
    let good = || stage.backend("1.1.0", 2, 50, true);
    let (mut none, mut forged, mut failed, mut foreign) = (good(), good(), good(), good());
    none.gate_decisions.remove(1);
    let liar = Signer::generate().unwrap();
    forged.gate_decisions[2] = decision(&liar, &forged.version, Gate::G3QaApproved, &forged.artifact_digest);
    failed.gate_decisions[0].passed = false;
    foreign.gate_decisions[1] =
        decision(&stage.peers.signer, &foreign.version, Gate::G2BenchmarksMet, &artifact(9).1);
    for (sequence, (bad, gate)) in (2..).zip([(none, "G2"), (forged, "G3"), (failed, "G1"), (foreign, "G2")])
    {
        stage.publish(sequence, vec![stage.backend("1.0.0", 1, 50, false), bad]);
        until(|| async {
            let seen = stage.served("1.1.0").await;
            seen.state == "failed" && seen.error.starts_with(&format!("{gate} refused: §8.1"))
        })
        .await;
        assert_eq!(stage.list().await.route_sequence, 1);
        assert_eq!(stage.served("1.0.0").await.traffic_percent, 100);
        stage.infer(request()).await.unwrap();
    }
    settled(&stage).await;
    let report = stage.peers.told(|told| told.reports.last().cloned()).unwrap();
    assert!(report.backends.iter().any(|backend| backend.state == "failed" && backend.error.contains("G2")));
}

/// §8.1: which gates stand before the canary's traffic is the policy's to say.
#[tokio::test]
async fn a_policy_with_other_gates_before_the_canary_is_followed() {
    let stage = Stage::new().await;
    let (written, fewer) =
        ("after: [g1, g2, g3], clause: \"§8.1 G4\"", "after: [g1, g2], clause: \"§8.1 G4\"");
    assert_eq!(lifecycle::policy::BUILTIN.matches(written).count(), 1);
    let yaml = lifecycle::policy::BUILTIN.replace(written, fewer);
    let policy_digest = lifecycle::Policy::parse(&yaml).unwrap().digest().to_owned();
    let unapproved = || {
        let mut backend = stage.backend("1.0.0", 1, 100, false);
        backend.gate_decisions.retain(|decision| decision.gate() != Gate::G3QaApproved);
        backend
    };
    stage.publish(1, vec![unapproved()]);
    until(|| async { stage.served("1.0.0").await.error.starts_with("G3 refused: §8.1 G3") }).await;
    let routes = |sequence| {
        let route = contracts::registry::v1::Route {
            endpoint: "scorer".into(),
            deployment: "deployments/scorer".into(),
            backends: vec![unapproved()],
            ..Default::default()
        };
        Routes { sequence, routes: vec![route], policy_digest: policy_digest.clone(), ..Routes::default() }
    };
    stage.peers.told(|told| told.policy = yaml);
    stage.peers.publish(&routes(2));
    stage.in_force(2).await;
    stage.infer(request()).await.unwrap();
}

#[tokio::test]
async fn bytes_with_another_digest_are_not_loaded() {
    let stage = Stage::new().await;
    let backend = stage.backend("1.0.0", 1, 100, false);
    let (other, _) = artifact(7);
    let mut wrong = other.to_vec();
    wrong.resize(backend.size_bytes as usize, 0);
    stage.peers.told(|told| told.artifacts.insert(backend.artifact_digest.clone(), Bytes::from(wrong)));
    stage.publish(1, vec![backend]);
    until(|| async { stage.served("1.0.0").await.state == "failed" }).await;
    let status = stage.infer(request()).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::Unavailable);
    // The right bytes are taken when they come.
    stage.backend("1.0.0", 1, 100, false);
    stage.in_force(1).await;
    stage.infer(request()).await.unwrap();
}

#[tokio::test]
async fn a_revoked_digest_is_off_at_once_and_never_loaded() {
    let stage = Stage::new().await;
    stage.canary(1, 50).await;
    let (stable, canary) = (stage.backend("1.0.0", 1, 50, false), stage.backend("1.1.0", 2, 50, true));
    let revoked_digests = vec![canary.artifact_digest.clone()];
    let route = contracts::registry::v1::Route {
        endpoint: "scorer".into(),
        deployment: "deployments/scorer".into(),
        backends: vec![stable, canary],
        ..Default::default()
    };
    stage.peers.publish(&Routes { sequence: 2, routes: vec![route], revoked_digests, ..Routes::default() });
    until(|| async { stage.served("1.1.0").await.error.contains("revoked") }).await;
    for _ in 0..20 {
        assert_eq!(stage.infer(request()).await.unwrap(), "1.0.0");
    }
}

#[tokio::test]
async fn a_whole_rollout_and_a_rollback_lose_no_request() {
    let stage = Stage::new().await;
    stage.canary(1, 5).await;
    let client = stage.client();
    let load = tokio::spawn(async move {
        let mut answered = 0_u32;
        loop {
            match client.clone().model_infer(request()).await {
                Ok(_) => answered += 1,
                Err(status) => panic!("lost a request after {answered}: {status}"),
            }
            if answered.is_multiple_of(50) {
                tokio::task::yield_now().await;
            }
            if answered == 3_000 {
                return answered;
            }
        }
    });
    for (sequence, percent) in [(2, 25), (3, 50), (4, 100), (5, 0)] {
        stage.canary(sequence, percent).await;
    }
    for sequence in 6..30 {
        stage.publish(sequence, vec![stage.backend("1.0.0", sequence as i64, 100, false)]);
        stage.in_force(sequence).await;
    }
    assert_eq!(load.await.unwrap(), 3_000);
}
