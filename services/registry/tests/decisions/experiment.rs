//! A/B experiments (§8.2): declared once, by whom rolls out, and told to gateways.

use super::desk::*;
use super::line::*;
use contracts::registry::v1::*;
use tonic::Code;

fn declare(name: &str, hypothesis: &str, confidence: f64) -> DeclareExperimentRequest {
    let experiment = Experiment {
        hypothesis: hypothesis.into(),
        primary_metric: experiment::Metric::Latency.into(),
        confidence,
        declared_by: "somebody else".into(),
        ..Experiment::default()
    };
    DeclareExperimentRequest { name: name.into(), experiment: Some(experiment), ..Default::default() }
}

async fn told(line: &Line) -> Option<Experiment> {
    line.table().await.routes.into_iter().find(|route| !route.staging).and_then(|route| route.experiment)
}

#[tokio::test]
async fn an_experiment_is_declared_once_and_told_while_both_take_traffic() {
    let line = Line::start().await;
    let first = line.approved("1.0.0", 1).await;
    line.deployment().await;
    let name = line.open_rollout("first", &first).await.expect("a rollout").name;
    let alone = line.rollouts("ml-ops-engineer").declare_experiment(declare(&name, "faster", 0.95)).await;
    assert_eq!(reason(&alone.expect_err("nothing to compare with")), "NO_STABLE_VERSION");
    let back = RollBackRequest {
        name,
        trigger: RollbackTrigger::Manual.into(),
        reason: "made for the first refusal".into(),
        ..Default::default()
    };
    line.rollouts("ml-ops-engineer").roll_back(back).await.expect("given up");
    line.in_production("second", &first).await;

    let next = line.approved("1.1.0", 2).await;
    let name = line.prepared("third", &next).await;
    for confidence in [0.5, 1.0, f64::NAN] {
        let wrong =
            line.rollouts("ml-ops-engineer").declare_experiment(declare(&name, "faster", confidence)).await;
        assert_eq!(wrong.expect_err("no confidence").code(), Code::InvalidArgument, "{confidence}");
    }
    let denied = line.rollouts("ml-engineer").declare_experiment(declare(&name, "faster", 0.95)).await;
    assert_eq!(denied.expect_err("not its role").code(), Code::PermissionDenied);
    let declared = line
        .rollouts("ml-ops-engineer")
        .declare_experiment(declare(&name, "faster", 0.95))
        .await
        .expect("declared")
        .into_inner()
        .experiment
        .expect("kept");
    assert_eq!((declared.hypothesis.as_str(), declared.declared_by.as_str()), ("faster", "ml-ops-engineer"));
    assert!(declared.declare_time.is_some());
    let again = line.rollouts("ml-ops-engineer").declare_experiment(declare(&name, "slower", 0.9)).await;
    assert_eq!(reason(&again.expect_err("a second hypothesis")), "EXPERIMENT_DECLARED");
    assert_eq!(told(&line).await, None, "the canary takes no traffic yet");
    line.begin(&name).await.expect("started");
    assert_eq!(told(&line).await, Some(declared));
}
