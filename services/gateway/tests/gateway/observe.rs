use super::stage::{Stage, request, until};
use contracts::common::v1::{ColumnProfile, NumericHistogram, column_profile::Distribution};
use contracts::registry::v1::{DatasetColumn, DatasetVersion};

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
