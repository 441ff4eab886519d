use contracts::common::v1::{
    CategoricalCounts, ColumnProfile, NumericHistogram, Verdict, column_profile::Distribution,
};
use contracts::monitor::v1::{ColumnDrift, DriftReport, GetDriftRequest, VersionObservation};
use monitor::tasks::assess_drift;
use statistics::random::SplitMix64;

use super::registry::VERSION;
use super::world::{World, second};

/// `rows` values of a uniform law that is squeezed by `power`, over ten bins.
fn numbers(name: &str, rng: &mut SplitMix64, rows: u64, power: f64) -> ColumnProfile {
    let edges: Vec<f64> = (1..10).map(|bin| f64::from(bin) / 10.0).collect();
    let mut counts = vec![0; 10];
    for _ in 0..rows {
        counts[((rng.next_f64().powf(power) * 10.0) as usize).min(9)] += 1;
    }
    let histogram = NumericHistogram { edges, counts, min: 0.0, max: 1.0, mean: 0.5, variance: 0.1 };
    ColumnProfile {
        column: name.into(),
        rows,
        missing: 0,
        distribution: Some(Distribution::Numeric(histogram)),
    }
}

fn labels(yes: u64, no: u64) -> ColumnProfile {
    let counts =
        CategoricalCounts { values: vec!["no".into(), "yes".into()], counts: vec![no, yes], other: 0 };
    ColumnProfile {
        column: "prediction".into(),
        rows: yes + no,
        missing: 0,
        distribution: Some(Distribution::Categorical(counts)),
    }
}

async fn world(rng: &mut SplitMix64) -> World {
    let world = World::new().await;
    let mut state = world.registry.state.lock().unwrap();
    state.features = (0..20).map(|at| numbers(&format!("f{at}"), rng, 1_000, 1.0)).collect();
    state.predictions = Some(labels(500, 500));
    drop(state);
    world
}

/// A thousand rows in five minutes; the first column is squeezed.
async fn serve(world: &World, rng: &mut SplitMix64, power: f64, yes: u64) {
    for _ in 0..5 {
        let column = |at: usize, rng: &mut SplitMix64| {
            numbers(&format!("f{at}"), rng, 200, if at == 0 { power } else { 1.0 })
        };
        let features = (0..20).map(|at| column(at, rng)).collect();
        let predictions = Some(labels(yes, 200 - yes));
        world
            .send(vec![VersionObservation {
                features,
                predictions,
                ..second(world.clock.now(), 200, 0, 9.0)
            }])
            .await;
        world.pass(60);
    }
    assess_drift::run_once(&world.monitor).await.unwrap();
}

#[tokio::test]
async fn the_same_law_raises_nothing_and_another_one_does() {
    for seed in 0..6 {
        let mut rng = SplitMix64::new(seed);
        let world = world(&mut rng).await;
        for _ in 0..3 {
            serve(&world, &mut rng, 1.0, 100).await;
        }
        assert!(world.open().await.is_empty(), "seed {seed}: {:?}", world.open().await);
        serve(&world, &mut rng, 3.0, 100).await;
        let open = world.open().await;
        assert_eq!(
            open.iter().map(|alert| alert.rule.as_str()).collect::<Vec<_>>(),
            ["data_drift"],
            "seed {seed}"
        );
        assert!(open[0].finding.as_ref().unwrap().observed.starts_with("f0 "), "{:?}", open[0].finding);
        let report = report(&world).await.unwrap();
        assert!(report.data_drift && !report.prediction_drift && report.columns.len() == 20);
        assert_eq!(report.columns.iter().filter(|column| column.drifted).count(), 1);
    }
}

async fn report(world: &World) -> Result<DriftReport, tonic::Status> {
    let request = GetDriftRequest { version: VERSION.into(), deployment: String::new() };
    Ok(world.canaries().get_drift(request).await?.into_inner())
}

/// §9.2: each column by the tests that fit it; those that fit none are named, not passed over.
#[tokio::test]
async fn a_report_says_which_tests_were_made() {
    let mut rng = SplitMix64::new(3);
    let world = world(&mut rng).await;
    serve(&world, &mut rng, 1.5, 160).await;
    let report = report(&world).await.unwrap();
    let tests = |one: &ColumnDrift| one.tests.iter().map(|test| test.test.clone()).collect::<Vec<_>>();
    assert_eq!(tests(&report.columns[0]), ["kolmogorov-smirnov", "population-stability", "wasserstein"]);
    assert_eq!(
        tests(report.predictions.as_ref().unwrap()),
        ["chi-squared", "population-stability", "jensen-shannon"]
    );
    let left: Vec<(String, String)> =
        report.not_applicable.iter().map(|one| (one.subject.clone(), one.observed.clone())).collect();
    assert!(left.contains(&(
        "data drift, maximum-mean-discrepancy".into(),
        "not applicable: no embedding column".into()
    )));
    assert!(report.not_applicable.iter().all(|one| one.verdict() == Verdict::NotApplicable));
    // A shift that the stability index does not see: the ordered tests do, and the alert says which.
    let found: Vec<_> =
        report.columns[0].tests.iter().filter(|one| one.drifted).map(|one| &one.test).collect();
    assert_eq!(found, ["kolmogorov-smirnov", "wasserstein"], "{:?}", report.columns[0]);
    let data = world.open().await.into_iter().find(|one| one.rule == "data_drift").unwrap();
    let observed = data.finding.unwrap().observed;
    assert!(
        observed.starts_with("f0 kolmogorov-smirnov 0.") && observed.contains("wasserstein"),
        "{observed}"
    );
    assert_eq!(
        data.measurements.iter().map(|one| one.metric.as_str()).collect::<Vec<_>>(),
        ["kolmogorov_smirnov", "wasserstein"]
    );
}

/// The reference is of the training data that the version's record names, and of no others.
#[tokio::test]
async fn a_reference_of_other_data_is_refused() {
    let mut rng = SplitMix64::new(5);
    let world = world(&mut rng).await;
    serve(&world, &mut rng, 1.0, 100).await;
    let first = report(&world).await.unwrap();
    assert_eq!(first.reference_digest, format!("sha256:{}", "a".repeat(64)));
    world.registry.state.lock().unwrap().data_digest = format!("sha256:{}", "c".repeat(64));
    serve(&world, &mut rng, 3.0, 100).await;
    assert!(world.open().await.is_empty(), "nothing is said by a reference that may be wrong");
    let refused = report(&world).await.unwrap_err();
    assert_eq!(runtime::status::reason(&refused).as_deref(), Some("WRONG_REFERENCE"), "{refused:?}");
    world.registry.down.store(true, std::sync::atomic::Ordering::SeqCst);
    let away = report(&world).await.unwrap_err();
    assert_eq!(runtime::status::reason(&away).as_deref(), Some("WRONG_REFERENCE"), "as it was last told");
    world.registry.down.store(false, std::sync::atomic::Ordering::SeqCst);
    world.registry.state.lock().unwrap().data_digest.clear();
    assess_drift::run_once(&world.monitor).await.unwrap();
    assert_eq!(world.open().await[0].rule, "data_drift", "the rows of meanwhile were not lost");
}

#[tokio::test]
async fn drift_is_found_while_the_registry_is_away() {
    let mut rng = SplitMix64::new(6);
    let world = world(&mut rng).await;
    world.registry.down.store(true, std::sync::atomic::Ordering::SeqCst);
    serve(&world, &mut rng, 3.0, 100).await;
    assert!(world.open().await.is_empty(), "it was never told what to compare with");
    world.registry.down.store(false, std::sync::atomic::Ordering::SeqCst);
    report(&world).await.unwrap();
    world.registry.down.store(true, std::sync::atomic::Ordering::SeqCst);
    assess_drift::run_once(&world.monitor).await.unwrap();
    assert_eq!(world.open().await[0].rule, "data_drift");
}

#[tokio::test]
async fn predictions_that_change_raise_an_alert() {
    let mut rng = SplitMix64::new(1);
    let world = world(&mut rng).await;
    serve(&world, &mut rng, 1.0, 160).await;
    let open = world.open().await;
    assert_eq!(open.iter().map(|alert| alert.rule.as_str()).collect::<Vec<_>>(), ["prediction_drift"]);
}

#[tokio::test]
async fn answers_that_become_wrong_are_concept_drift() {
    use contracts::monitor::v1::{
        Label, ReportLabelsRequest, observation_service_client::ObservationServiceClient,
    };
    let world = World::new().await;
    let mut rng = SplitMix64::new(7);
    let mut client = ObservationServiceClient::new(world.peer("client"));
    world.send(vec![second(world.clock.now(), 1, 0, 5.0)]).await;
    for (share, drifts) in [(0.03, false), (0.03, false), (0.12, true)] {
        let labels = (0..1_000)
            .map(|_| Label {
                deployment: "credit".into(),
                version: VERSION.into(),
                prediction: "yes".into(),
                label: if rng.next_f64() < share { "no".into() } else { "yes".into() },
                ..Default::default()
            })
            .collect();
        client.report_labels(ReportLabelsRequest { labels, request_id: String::new() }).await.unwrap();
        world.pass(60);
        assess_drift::run_once(&world.monitor).await.unwrap();
        let open = world.open().await;
        assert_eq!(open.iter().any(|alert| alert.rule == "concept_drift"), drifts, "{share}");
    }
}
