//! What somebody may call, and in which order.

use std::future::Future;
use std::time::Duration;

use contracts::registry::v1::*;
use proptest::prelude::*;
use tests::line::{Line, Numbers, healthy};
use tests::mesh::Alone;

/// One call of one verb, as somebody may try it at any time.
#[derive(Debug, Clone, Copy)]
pub enum Try {
    Submit,
    Tests {
        failed: bool,
    },
    Evaluate {
        good: bool,
    },
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
    /// The five steps of model selection.
    Choose,
    /// The four items after a deployment.
    After,
    Close,
    /// To that phase, with a reason typed in or without one.
    Phase(Phase, bool),
    /// An hour: a step of the ladder.
    Wait,
    /// Two seconds: a rehearsed rollback must not take more than minutes.
    Moment,
}

const GATES: [Gate; 3] = [Gate::G1TestsPass, Gate::G2BenchmarksMet, Gate::G3QaApproved];
const LADDER: [u32; 4] = [5, 25, 50, 100];

/// Every verb in the order of the procedure, from a registered version to a monitored one.
const RIGHT: &[Try] = &[
    Try::Phase(Phase::Model, false),
    Try::Choose,
    Try::Phase(Phase::Eval, false),
    Try::Submit,
    Try::Tests { failed: false },
    Try::Evaluate { good: true },
    Try::Gate(0),
    Try::Gate(1),
    Try::Ethics,
    Try::Qa,
    Try::Gate(2),
    Try::Phase(Phase::Deploy, false),
    Try::Open,
    Try::Stage,
    Try::Acknowledge,
    Try::Rehearse,
    Try::Moment,
    Try::Acknowledge,
    Try::Moment,
    Try::Acknowledge,
    Try::Items,
    Try::Start,
    Try::Wait,
    Try::Advance(0),
    Try::Wait,
    Try::Advance(1),
    Try::Wait,
    Try::Advance(2),
    Try::Advance(3),
    Try::After,
    Try::Close,
    Try::Phase(Phase::Monitor, false),
];

/// The right order.
pub fn right() -> Vec<Try> {
    RIGHT.to_vec()
}

fn phase() -> impl Strategy<Value = Phase> {
    (1..9).prop_map(|phase| Phase::try_from(phase).unwrap_or_default())
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
        Just(Try::Choose),
        Just(Try::After),
        Just(Try::Close),
        (phase(), any::<bool>()).prop_map(|(phase, reason)| Try::Phase(phase, reason)),
        Just(Try::Wait),
        Just(Try::Moment),
    ]
}

/// Any verbs in any order.
pub fn any_order() -> impl Strategy<Value = Vec<Try>> {
    proptest::collection::vec(attempt(), 1..30)
}

/// The right order with some left out and others drawn by lot in between.
pub fn nearly_right() -> impl Strategy<Value = Vec<Try>> {
    let change = (0..RIGHT.len(), any::<bool>(), attempt());
    proptest::collection::vec(change, 0..4).prop_map(|changes| {
        let mut all = right();
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

/// Runs a helper that panics when it is refused, and swallows the refusal: here refusals are welcome.
async fn tried<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) {
    let _ = tokio::spawn(work).await;
}

/// Makes the call; whether it was answered or refused is no matter.
pub async fn carry_out(mesh: &Alone, line: &Line, attempt: Try) {
    let own = line.clone();
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
        Try::Acknowledge => tried(async move { own.acknowledge().await }).await,
        Try::Items => tried(async move { own.finish_checks("first", "1.0.0").await }).await,
        Try::Documents => tried(async move { own.version_documents("1.0.0").await }).await,
        Try::Start => tried(async move { own.start(&own.rollout("first")).await }).await,
        Try::Choose => tried(async move { own.record_selection_steps().await }).await,
        Try::After => tried(async move { after(&own).await }).await,
        Try::Advance(at) => drop(line.advance_with("first", healthy(LADDER[at], 60)).await),
        Try::Rehearse | Try::RollBack | Try::Close | Try::Phase(..) => call(line, attempt).await,
        Try::Wait => mesh.clock.advance(Duration::from_secs(3700)),
        Try::Moment => mesh.clock.advance(Duration::from_secs(2)),
    }
}

async fn after(line: &Line) {
    for item in ["verify-all-metrics", "update-status-page", "notify-stakeholders", "close-ticket"] {
        line.item("first", item, "ml-ops-engineer").await;
    }
}

/// The verbs that no helper of the line makes.
async fn call(line: &Line, attempt: Try) {
    let (name, ops) = (line.rollout("first"), line.by("ml-ops-engineer"));
    match attempt {
        Try::Rehearse => {
            let request = RehearseRollbackRequest { name, ..Default::default() };
            let _ = ops.rollouts().rehearse_rollback(request).await;
        }
        Try::Close => {
            let request = CloseRolloutRequest { name, ..Default::default() };
            let _ = ops.rollouts().close_rollout(request).await;
        }
        Try::RollBack => {
            let trigger = RollbackTrigger::Manual.into();
            let request = RollBackRequest { name, trigger, reason: "tried".into(), ..Default::default() };
            let _ = line.by("on-call").rollouts().roll_back(request).await;
        }
        Try::Phase(phase, reason) => {
            let request = AdvancePhaseRequest {
                name: line.project(),
                phase: phase.into(),
                reason: if reason { "tried".into() } else { String::new() },
                ..Default::default()
            };
            let _ = line.by("ml-lead").projects().advance_phase(request).await;
        }
        _ => unreachable!("a helper makes {attempt:?}"),
    }
}
