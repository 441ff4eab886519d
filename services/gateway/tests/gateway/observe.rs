use super::stage::{Stage, artifact, request, until};
use contracts::common::v1::{
    CategoricalCounts, ColumnProfile, NumericHistogram, column_profile::Distribution,
};
use contracts::inference::{InferParameter, infer_parameter::ParameterChoice};
use contracts::monitor::v1::VersionObservation;
use contracts::registry::v1::{DatasetColumn, DatasetVersion, Evaluation};

fn training_data() -> DatasetVersion {
    let numeric = |column: &str| ColumnProfile {
        column: column.into(),
        rows: 100,
        missing: 0,
        distribution: Some(Distribution::Numeric(NumericHistogram {
            edges: vec![0.0, 1.0],
            counts: vec![0, 50, 50],
            ..Default::default()
        })),
    };
    let column = |name: &str, label| DatasetColumn { name: name.into(), label, ..Default::default() };
    DatasetVersion {
        columns: vec![column("a", false), column("b", false), column("y", true)],
        profiles: vec![numeric("a"), numeric("b")],
        label_column: "y".into(),
        ..Default::default()
    }
}

#[tokio::test]
async fn what_was_served_reaches_the_monitor_once_it_is_back() {
    let mut stage = Stage::new().await;
    let data = "datasets/d/versions/1.0.0";
    stage.peers.told(|told| {
        told.monitor_down = true;
        told.datasets.insert(data.into(), training_data());
    });
    let mut backend = stage.backend("1.0.0", 1, 100, false);
    backend.dataset_version = data.into();
    stage.publish(1, vec![backend]);
    stage.in_force(1).await;
    // Features are counted once the reference has come.
    tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
    for _ in 0..30 {
        stage.infer(request()).await.unwrap();
    }
    let mut bad = request();
    bad.inputs.clear();
    assert!(stage.infer(bad).await.is_err());
    stage.stop().await;
    stage.start().await;
    stage.peers.told(|told| told.monitor_down = false);
    let sum = |of: fn(&contracts::monitor::v1::VersionObservation) -> u64| {
        stage
            .peers
            .told(|told| told.observations.iter().flat_map(|batch| &batch.observations).map(of).sum::<u64>())
    };
    until(|| async { sum(|seen| seen.requests) >= 31 }).await;
    assert_eq!(
        (sum(|seen| seen.requests), sum(|seen| seen.client_faults), sum(|seen| seen.model_faults)),
        (31, 1, 0)
    );
    assert_eq!(sum(|seen| seen.latency.as_ref().map_or(0, |latency| latency.counts.iter().sum())), 30);
    assert_eq!(sum(|seen| seen.predictions.as_ref().map_or(0, |predictions| predictions.rows)), 30);
    let middle = |seen: &contracts::monitor::v1::VersionObservation| match seen.features.first() {
        Some(ColumnProfile { distribution: Some(Distribution::Numeric(a)), .. }) => a.counts[1],
        _ => 0,
    };
    assert_eq!(sum(middle), 30);
    let ranges = stage.peers.told(|told| {
        let all = told.observations.iter().flat_map(|batch| &batch.observations);
        let first = all.filter_map(|seen| seen.features.first()?.distribution.clone());
        let numbers = first.filter_map(|one| match one {
            Distribution::Numeric(a) if a.counts[1] > 0 => Some((a.min, a.max)),
            _ => None,
        });
        numbers.collect::<Vec<_>>()
    });
    assert!(!ranges.is_empty() && ranges.iter().all(|range| *range == (0.5, 0.5)), "{ranges:?}");
    let samples =
        stage.peers.told(|told| told.observations.iter().map(|batch| batch.samples.len()).sum::<usize>());
    assert_eq!(samples, 30);
    let mut ids: Vec<_> =
        stage.peers.told(|told| told.observations.iter().map(|b| b.batch_id.clone()).collect());
    let all = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), all);
}

/// Sum over everything that the monitor has taken.
fn sum<T: std::iter::Sum<T>>(stage: &Stage, of: impl Fn(&VersionObservation) -> T) -> T {
    stage.peers.told(|told| told.observations.iter().flat_map(|batch| &batch.observations).map(of).sum())
}

#[tokio::test]
async fn one_bad_observation_loses_no_other() {
    for code in [tonic::Code::InvalidArgument, tonic::Code::FailedPrecondition] {
        let stage = Stage::new().await;
        stage.peers.told(|told| told.refused_version = Some(("1.1.0".into(), code)));
        stage.canary(1, 50).await;
        for _ in 0..20 {
            stage.infer(request()).await.unwrap();
        }
        until(|| async { sum(&stage, |seen| seen.requests) == 10 }).await;
        // What is refused is gone, and what comes later is taken.
        stage.peers.told(|told| told.refused_version = None);
        for _ in 0..20 {
            stage.infer(request()).await.unwrap();
        }
        until(|| async { sum(&stage, |seen| seen.requests) >= 30 }).await;
    }
}

#[tokio::test]
async fn a_version_that_hangs_has_a_latency() {
    let stage = Stage::new().await;
    stage.publish(1, vec![stage.backend("1.0.0", 1, 100, false)]);
    stage.in_force(1).await;
    stage.engine.delay(&artifact(1).1, std::time::Duration::from_mins(1));
    for _ in 0..3 {
        let mut slow = tonic::Request::new(request());
        slow.set_timeout(std::time::Duration::from_millis(30));
        assert!(stage.client().model_infer(slow).await.is_err());
    }
    until(|| async { sum(&stage, |seen| seen.requests) == 3 }).await;
    let counted = sum(&stage, |seen| seen.latency.as_ref().map_or(0, |of| of.counts.iter().sum::<u64>()));
    assert_eq!((counted, sum(&stage, |seen| seen.client_faults)), (3, 3));
    let longest = stage.peers.told(|told| {
        let all = told.observations.iter().flat_map(|batch| &batch.observations);
        all.filter_map(|seen| seen.latency.as_ref()).map(|of| of.max_ms).fold(0.0, f64::max)
    });
    assert!(longest >= 20.0, "{longest} ms");
}

#[tokio::test]
async fn the_breakers_evidence_goes_with_the_observation() {
    let stage = Stage::new().await;
    stage.canary(1, 50).await;
    stage.engine.fail_share(&artifact(2).1, 1.0);
    for _ in 0..20 {
        let _ = stage.infer(request()).await;
    }
    // Stable's requests count with it, so it may still rise until it is reported.
    let evidence = async || stage.served("1.1.0").await.breaker_evidence.ln();
    let before = evidence().await;
    until(|| async { sum(&stage, |seen| seen.requests) == 20 }).await;
    let after = evidence().await;
    let said = |canary: bool| {
        stage.peers.told(|told| {
            let all = told.observations.iter().flat_map(|batch| &batch.observations);
            all.filter(|seen| seen.canary == canary).map(|seen| seen.breaker_log_e).fold(0.0, f64::max)
        })
    };
    let told = said(true);
    assert!(before > 6.9 && before - 1e-9 <= told && told <= after + 1e-9, "{before} {told} {after}");
    assert!(said(false).abs() < 1e-12, "only of a canary");
}

/// §9.1, disparity: groups are the values of a sensitive column, here one that is no input of the model.
#[tokio::test]
async fn groups_are_counted_from_what_a_request_says() {
    let stage = Stage::new().await;
    let data = "datasets/d/versions/1.0.0";
    let texts = |column: &str, values: &[&str]| {
        let values: Vec<String> = values.iter().map(ToString::to_string).collect();
        let counts = CategoricalCounts { counts: vec![10; values.len()], values, other: 0 };
        let distribution = Some(Distribution::Categorical(counts));
        ColumnProfile { column: column.into(), rows: 20, missing: 0, distribution }
    };
    let mut training = training_data();
    let sex = DatasetColumn { name: "sex".into(), sensitive: true, ..Default::default() };
    training.columns.push(sex);
    training.profiles.push(texts("sex", &["f", "m"]));
    training.profiles.push(texts("y", &["0", "1"]));
    stage.peers.told(|told| {
        told.datasets.insert(data.into(), training);
        // The fake model gives class 0.
        told.evaluations = vec![Evaluation { favourable_labels: vec!["0".into()], ..Default::default() }];
    });
    let mut backend = stage.backend("1.0.0", 1, 100, false);
    backend.dataset_version = data.into();
    stage.publish(1, vec![backend]);
    stage.in_force(1).await;
    let with = |column: &str, values: &str| {
        let mut one = request();
        let value = InferParameter { parameter_choice: Some(ParameterChoice::StringParam(values.into())) };
        one.parameters.insert(format!("group.{column}"), value);
        one.inputs[0].shape = vec![3, 2];
        one.inputs[0].contents.as_mut().unwrap().fp32_contents = vec![0.5; 6];
        one
    };
    // The reference is at hand as soon as a column that is none is refused.
    until(|| async { stage.infer(with("age", "f")).await.is_err() }).await;
    let bad = async |column: &str, values: &str| {
        let status = stage.infer(with(column, values)).await.unwrap_err();
        runtime::status::field_violations(&status).remove(0).field
    };
    assert_eq!(bad("age", "f").await, "parameters[group.age]");
    assert_eq!(bad("sex", "f,m").await, "parameters[group.sex]");
    stage.infer(with("sex", "f,m,x")).await.unwrap();
    stage.infer(with("sex", "m")).await.unwrap();
    let rows = |group: &'static str| {
        sum(&stage, move |seen| {
            seen.groups.iter().filter(|one| one.group == group).map(|one| one.rows).sum::<u64>()
        })
    };
    until(|| async { rows("sex=m") == 4 }).await;
    assert_eq!((rows("sex=f"), rows("sex=x")), (1, 0), "unknown values are not counted");
    assert_eq!(sum(&stage, |seen| seen.groups.iter().map(|one| one.favourable).sum::<u64>()), 5);
}

/// §9.1: an alert about a machine is one about the deployments that it serves.
#[tokio::test]
async fn the_gauges_of_the_machine_are_told_for_each_deployment() {
    let stage = Stage::new().await;
    let route = |name: &str, staging| contracts::registry::v1::Route {
        endpoint: name.into(),
        deployment: format!("deployments/{}", name.trim_end_matches("-staging")),
        staging,
        backends: vec![stage.backend("1.0.0", 1, 100, false)],
        ..Default::default()
    };
    let routes = vec![route("a", false), route("b", false), route("c-staging", true)];
    stage.peers.publish(&contracts::registry::v1::Routes { sequence: 1, routes, ..Default::default() });
    stage.in_force(1).await;
    until(|| async { stage.peers.told(|told| told.resources.len() >= 2) }).await;
    let told = stage.peers.told(|told| told.resources.clone());
    let of: Vec<_> = told.iter().take(2).map(|one| one.deployment.as_str()).collect();
    assert_eq!(of, ["deployments/a", "deployments/b"]);
    let memory = told[0].memory_utilisation.unwrap();
    assert!((0.0..=1.0).contains(&memory) && told[0].host == told[1].host, "{told:?}");
    assert!(told[0].request_id != told[1].request_id);
    assert_eq!(told[0].oom_events_total, told[1].oom_events_total);
}
