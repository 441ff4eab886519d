//! Experiments: the arms are those of the rollout's split, within a step, and the verdict holds at every look.

use std::time::Duration;

use contracts::gateway::v1::experiment_result::Verdict;
use contracts::gateway::v1::serving_service_client::ServingServiceClient;
use contracts::gateway::v1::{ExperimentResult, ListExperimentsRequest};
use contracts::registry::v1::experiment::Metric;
use contracts::registry::v1::{Experiment, Route, Routes};

use super::stage::{ROLLOUT, Stage, artifact, request};

/// Stable 1.0.0 and canary 1.1.0 at that share, compared by that metric, in force.
async fn running(stage: &Stage, sequence: u64, percent: u32, metric: Metric) {
    let experiment = Experiment {
        hypothesis: "the canary is faster".into(),
        primary_metric: metric.into(),
        confidence: 0.95,
        ..Experiment::default()
    };
    let route = Route {
        endpoint: "scorer".into(),
        deployment: "deployments/scorer".into(),
        rollout: ROLLOUT.into(),
        backends: vec![
            stage.backend("1.0.0", 1, 100 - percent, false),
            stage.backend("1.1.0", 2, percent, true),
        ],
        experiment: Some(experiment),
        ..Route::default()
    };
    stage.peers.publish(&Routes { sequence, routes: vec![route], ..Routes::default() });
    stage.in_force(sequence).await;
}

async fn results(stage: &Stage) -> Vec<ExperimentResult> {
    let mut client = ServingServiceClient::new(stage.peer());
    client.list_experiments(ListExperimentsRequest::default()).await.unwrap().into_inner().experiments
}

#[tokio::test]
async fn a_slower_canary_is_found_and_each_step_has_counts_of_its_own() {
    let stage = Stage::new().await;
    stage.engine.delay(&artifact(2).1, Duration::from_millis(20));
    running(&stage, 1, 25, Metric::Latency).await;
    assert_eq!(results(&stage).await[0].verdict(), Verdict::TooFew);
    for _ in 0..240 {
        stage.infer(request()).await.unwrap();
    }
    let seen = results(&stage).await.remove(0);
    let (stable, canary) = (seen.stable.clone().unwrap(), seen.canary.clone().unwrap());
    assert_eq!((stable.requests, canary.requests), (180, 60));
    assert_eq!(
        (stable.version.as_str(), canary.version.as_str()),
        ("models/scorer/versions/1.0.0", "models/scorer/versions/1.1.0")
    );
    assert!(canary.mean_latency_ms.unwrap() >= 20.0, "{canary:?}");
    assert!(
        seen.running
            && seen.lower.unwrap() < seen.difference.unwrap()
            && seen.difference.unwrap() < seen.upper.unwrap()
    );
    assert_eq!(seen.verdict(), Verdict::CanaryWorse, "{seen:?}");

    running(&stage, 2, 50, Metric::Latency).await;
    stage.infer(request()).await.unwrap();
    let steps = results(&stage).await;
    assert_eq!(steps.len(), 2, "{steps:?}");
    assert_eq!((steps[0].running, steps[0].canary_percent), (false, 25));
    assert_eq!((steps[1].running, steps[1].canary_percent, steps[1].verdict()), (true, 50, Verdict::TooFew));
    let counted: u64 =
        [&steps[1].stable, &steps[1].canary].iter().map(|arm| arm.as_ref().unwrap().requests).sum();
    assert_eq!(counted, 1);
}

#[tokio::test]
async fn arms_that_are_alike_are_not_told_apart_and_wrong_requests_are_in_no_arm() {
    let stage = Stage::new().await;
    running(&stage, 1, 50, Metric::ModelFaultRate).await;
    for n in 0..300 {
        let mut asked = request();
        if n % 3 == 0 {
            asked.inputs[0].shape = vec![1, 3];
            assert!(stage.infer(asked).await.is_err());
        } else {
            stage.infer(asked).await.unwrap();
        }
    }
    let seen = results(&stage).await.remove(0);
    let (stable, canary) = (seen.stable.clone().unwrap(), seen.canary.clone().unwrap());
    assert_eq!(stable.requests + canary.requests, 200);
    assert_eq!((stable.model_faults, canary.model_fault_rate), (0, Some(0.0)));
    assert_eq!((seen.difference, seen.verdict()), (Some(0.0), Verdict::Undecided));
    assert!(seen.lower.unwrap() < 0.0 && 0.0 < seen.upper.unwrap(), "{seen:?}");
}
