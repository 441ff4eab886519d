//! §3: however it is called, nothing reaches production without its records.

use contracts::registry::v1::*;
use proptest::prelude::*;
use std::future::Future;
use std::time::Duration;
use tests::line::{Line, Numbers, healthy};
use tests::mesh::Alone;

/// One call of one verb, as somebody may try it at any time.
#[derive(Debug, Clone, Copy)]
enum Try {
    Submit,
    Tests { failed: bool },
    Evaluate { good: bool },
    Ethics,
    Qa,
    Gate(usize),
    Open,
    Stage,
    Rehearse,
    Acknowledge,
    Items,
    Documents,
    Start,
    Advance(usize),
    RollBack,
    Phase(i32),
    Wait,
}

fn attempt() -> impl Strategy<Value = Try> {
    prop_oneof![
        Just(Try::Submit),
        any::<bool>().prop_map(|failed| Try::Tests { failed }),
        any::<bool>().prop_map(|good| Try::Evaluate { good }),
        Just(Try::Ethics),
        Just(Try::Qa),
        (0..3_usize).prop_map(Try::Gate),
        Just(Try::Open),
        Just(Try::Stage),
        Just(Try::Rehearse),
        Just(Try::Acknowledge),
        Just(Try::Items),
        Just(Try::Documents),
        Just(Try::Start),
        (0..4_usize).prop_map(Try::Advance),
        Just(Try::RollBack),
        (1..9).prop_map(Try::Phase),
        Just(Try::Wait),
    ]
}

/// Runs a helper that panics when it is refused, and swallows the refusal: here refusals are welcome.
async fn tried<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) {
    let _ = tokio::spawn(work).await;
}

async fn carry_out(mesh: &Alone, line: &Line, attempt: Try) {
    let own = line.clone();
    const GATES: [Gate; 3] = [Gate::G1TestsPass, Gate::G2BenchmarksMet, Gate::G3QaApproved];
    const LADDER: [u32; 4] = [5, 25, 50, 100];
    match attempt {
        Try::Submit => tried(async move { own.submit("1.0.0").await }).await,
        Try::Tests { failed } => tried(async move { own.tests("1.0.0", 5, usize::from(failed)).await }).await,
        Try::Evaluate { good } => {
            let numbers = if good { Numbers::good() } else { Numbers { accuracy: 0.5, ..Numbers::good() } };
            let id = uuid::Uuid::new_v4().to_string();
            tried(async move { own.evaluate_as("1.0.0", &id, numbers).await }).await;
        }
        Try::Ethics => tried(async move { own.ethics("1.0.0").await }).await,
        Try::Qa => tried(async move { own.qa("1.0.0").await }).await,
        Try::Gate(at) => tried(async move { own.gate("1.0.0", GATES[at]).await }).await,
        Try::Open => tried(async move { own.open_rollout("first", "1.0.0").await }).await,
        Try::Stage => tried(async move { own.stage("first").await }).await,
        Try::Rehearse => {
            let request = RehearseRollbackRequest { name: line.rollout("first"), ..Default::default() };
            let _ = line.by("ml-ops-engineer").rollouts().rehearse_rollback(request).await;
        }
        Try::Acknowledge => tried(async move { own.acknowledge().await }).await,
        Try::Items => tried(async move { own.finish_checks("first", "1.0.0").await }).await,
        Try::Documents => tried(async move { own.version_documents("1.0.0").await }).await,
        Try::Start => tried(async move { own.start(&own.rollout("first")).await }).await,
        Try::Advance(at) => drop(line.advance_with("first", healthy(LADDER[at], 60)).await),
        Try::RollBack => {
            let request = RollBackRequest {
                name: line.rollout("first"),
                trigger: RollbackTrigger::Manual.into(),
                reason: "tried".into(),
                ..Default::default()
            };
            let _ = line.by("on-call").rollouts().roll_back(request).await;
        }
        Try::Phase(phase) => {
            let request = AdvancePhaseRequest {
                name: line.project(),
                phase,
                reason: "tried".into(),
                ..Default::default()
            };
            let _ = line.by("ml-lead").projects().advance_phase(request).await;
        }
        Try::Wait => mesh.clock.advance(Duration::from_secs(3700)),
    }
}

/// Every way to production passes G1 to G4, the board, and a rehearsed rollback.
async fn records_behind(line: &Line) -> Vec<&'static str> {
    let mut missing = Vec::new();
    let by = line.by("auditor");
    let request =
        ListGateDecisionsRequest { parent: line.version("1.0.0"), page_size: 1000, ..Default::default() };
    let decisions = by.gates().list_gate_decisions(request).await.map(|it| it.into_inner().gate_decisions);
    let decisions = decisions.unwrap_or_default();
    let passed = |gate: Gate| decisions.iter().any(|one| one.gate() == gate && one.passed);
    for (gate, name) in [(Gate::G1TestsPass, "G1"), (Gate::G2BenchmarksMet, "G2"), (Gate::G3QaApproved, "G3")]
    {
        if !passed(gate) {
            missing.push(name);
        }
    }
    let request = ListReviewsRequest { parent: line.version("1.0.0"), page_size: 100, ..Default::default() };
    let reviews =
        by.reviews().list_reviews(request).await.map(|it| it.into_inner().reviews).unwrap_or_default();
    for (kind, name) in [(ReviewKind::Ethics, "ethics"), (ReviewKind::Qa, "QA")] {
        if !reviews.iter().any(|one| one.kind() == kind && one.state() == review::State::Approved) {
            missing.push(name);
        }
    }
    let rollout = line.rollout_now("first").await;
    if rollout.rehearsal.is_none_or(|rehearsal| rehearsal.restored_time.is_none()) {
        missing.push("rehearsal");
    }
    if rollout.traffic_percent > 5 && !passed(Gate::G4CanaryStable) {
        missing.push("G4");
    }
    missing
}

/// Looks at what takes traffic after each attempt; true if something did.
async fn check(line: &Line, done: &[Try], before: &mut u32) -> bool {
    let request = GetRolloutRequest { name: line.rollout("first") };
    let Ok(rollout) = line.by("auditor").rollouts().get_rollout(request).await else { return false };
    let percent = rollout.into_inner().traffic_percent;
    let allowed = match *before {
        0 => [0, 5, 5],
        5 => [0, 5, 25],
        25 => [0, 25, 50],
        50 => [0, 50, 100],
        _ => [0, 100, 100],
    };
    assert!(allowed.contains(&percent), "traffic went from {before} to {percent} %: {done:?}");
    *before = percent;
    if percent > 0 {
        let missing = records_behind(line).await;
        assert!(missing.is_empty(), "{percent} % without {missing:?}: {done:?}");
    }
    percent > 0
}

fn run(attempts: &[Vec<Try>]) -> usize {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| ())); // refusals inside `tried` are no news
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        runtime.block_on(async {
            let mesh = Alone::start().await;
            let mut reached = 0;
            for (at, attempts) in attempts.iter().enumerate() {
                let line = mesh.line(&format!("any-{at}"));
                line.to_version().await;
                line.deploy().await;
                let (mut before, mut live) = (0, false);
                for (count, attempt) in attempts.iter().enumerate() {
                    carry_out(&mesh, &line, *attempt).await;
                    live |= check(&line, &attempts[..=count], &mut before).await;
                }
                reached += usize::from(live);
            }
            reached
        })
    }));
    std::panic::set_hook(hook);
    match outcome {
        Ok(reached) => reached,
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned().unwrap_or_default();
            panic!("{text}")
        }
    }
}

/// The verbs in the right order, with others drawn by lot in between: some of these do reach traffic.
fn nearly_right() -> impl Strategy<Value = Vec<Try>> {
    let right = [
        Try::Submit,
        Try::Tests { failed: false },
        Try::Evaluate { good: true },
        Try::Gate(0),
        Try::Gate(1),
        Try::Ethics,
        Try::Qa,
        Try::Gate(2),
        Try::Open,
        Try::Stage,
        Try::Acknowledge,
        Try::Rehearse,
        Try::Wait,
        Try::Acknowledge,
        Try::Wait,
        Try::Acknowledge,
        Try::Items,
        Try::Start,
        Try::Wait,
        Try::Advance(0),
        Try::Wait,
        Try::Advance(1),
    ];
    proptest::collection::vec((0..right.len(), any::<bool>(), attempt()), 0..4).prop_map(move |changes| {
        let mut all = right.to_vec();
        for (at, remove, other) in changes {
            let at = at.min(all.len() - 1);
            if remove {
                all.remove(at);
            } else {
                all.insert(at, other);
            }
        }
        all
    })
}

#[test]
fn no_random_sequence_of_calls_reaches_production_without_its_records() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::{Config, TestRunner};
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::default() });
    let any = proptest::collection::vec(attempt(), 1..30);
    let mut sequences: Vec<Vec<Try>> =
        vec![nearly_right().new_tree(&mut runner).expect("a sequence").current()];
    for _ in 0..12 {
        sequences.push(any.new_tree(&mut runner).expect("a sequence").current());
        sequences.push(nearly_right().new_tree(&mut runner).expect("a sequence").current());
    }
    let reached = run(&sequences);
    println!("{} sequences, {reached} reached traffic with all records", sequences.len());
}
