//! §4.1: a plan that promises more than the policy is what a deployment is held to.

use contracts::monitor::v1::{ErrorBudget, GetErrorBudgetRequest};
use contracts::registry::v1::PlanState;
use monitor::tasks::follow_plans;
use std::sync::atomic::Ordering;

use super::registry::plan;
use super::world::{DEPLOYMENT, World, second};

async fn budget(world: &World) -> ErrorBudget {
    let request = GetErrorBudgetRequest { deployment: DEPLOYMENT.into() };
    world.canaries().get_error_budget(request).await.unwrap().into_inner()
}

async fn follow(world: &World, state: PlanState, promises: &[(&str, f64, &str)]) -> ErrorBudget {
    world.registry.state.lock().unwrap().plan = Some(plan(state, promises));
    follow_plans::run_once(&world.monitor).await.unwrap();
    budget(world).await
}

/// A minute of answers in 50 ms and one of answers in 150 ms.
async fn answers(world: &World) {
    for milliseconds in [50.0, 150.0] {
        world.send(vec![second(world.clock.now(), 100, 0, milliseconds)]).await;
        world.pass(60);
    }
}

fn near(seen: f64, wanted: f64) -> bool {
    (seen - wanted).abs() < 1e-6
}

#[tokio::test]
async fn the_stricter_promise_is_watched() {
    let world = World::new().await;
    world.deployed();
    answers(&world).await;
    follow_plans::run_once(&world.monitor).await.unwrap();
    let of_policy = budget(&world).await;
    assert!(near(of_policy.target, 0.999) && near(of_policy.latency_target_ms, 2_000.0), "{of_policy:?}");
    assert!(near(of_policy.latency_share_below_target, 1.0) && near(of_policy.budget_minutes, 43.2));

    let strict = [("latency_p95", 0.1, "s"), ("availability", 0.9995, "")];
    let draft = follow(&world, PlanState::Draft, &strict).await;
    assert!(near(draft.target, 0.999), "a plan that nobody approved promises nothing");

    let planned = follow(&world, PlanState::Approved, &strict).await;
    assert!(near(planned.target, 0.9995) && near(planned.latency_target_ms, 100.0), "{planned:?}");
    assert!(near(planned.budget_minutes, 21.6), "{planned:?}");
    assert!(near(planned.latency_share_below_target, 0.5), "what was counted before is counted again");

    world.registry.down.store(true, Ordering::SeqCst);
    assert!(follow_plans::run_once(&world.monitor).await.is_err());
    world.send(vec![second(world.clock.now(), 200, 0, 150.0)]).await;
    let away = budget(&world).await;
    assert!(near(away.target, 0.9995) && near(away.latency_share_below_target, 0.25), "{away:?}");
}

/// A plan may promise more than the policy, never less.
#[tokio::test]
async fn a_weaker_promise_changes_nothing() {
    let world = World::new().await;
    world.deployed();
    answers(&world).await;
    let weak = [("latency_p95", 30.0, "s"), ("availability", 0.5, "")];
    let planned = follow(&world, PlanState::Approved, &weak).await;
    assert!(near(planned.target, 0.999) && near(planned.latency_target_ms, 2_000.0), "{planned:?}");
}

/// More windows than are counted again at once, of two versions.
#[tokio::test]
async fn every_window_is_counted_again() {
    let world = World::new().await;
    world.deployed();
    let begin = world.clock.now();
    let at = |minute: u64| begin + std::time::Duration::from_secs(60 * minute);
    world.pass(60 * 301);
    let other = |one: contracts::monitor::v1::VersionObservation| {
        contracts::monitor::v1::VersionObservation { version: "models/credit/versions/1.0.0".into(), ..one }
    };
    let both = |minute| [second(at(minute), 1, 0, 150.0), other(second(at(minute), 1, 0, 50.0))];
    world.send((0..150).flat_map(both).collect()).await;
    world.send((150..300).flat_map(both).collect()).await;
    assert!(near(budget(&world).await.latency_share_below_target, 1.0));
    let planned = follow(&world, PlanState::Approved, &[("latency_p95", 100.0, "ms")]).await;
    assert!(near(planned.latency_share_below_target, 0.5) && planned.requests == 600, "{planned:?}");
}
