//! Clocks of an incident (§8.3): its answer, and what the policy gives its severity to be mitigated and closed.

use contracts::registry::v1::{Incident, RollbackTrigger, incident};
use monitor::tasks::watch_clocks;

use super::world::World;

const HOUR: u64 = 3_600;

/// An incident of severity high: answered within five minutes, mitigated within an hour, closed within five days.
fn opened(world: &World) {
    let now = world.clock.now();
    let due = now + std::time::Duration::from_secs(300);
    let mut one = Incident {
        name: "incidents/one".into(),
        detect_time: Some(contracts::time::to_wire(now)),
        respond_by_time: Some(contracts::time::to_wire(due)),
        ..Incident::default()
    };
    one.set_trigger(RollbackTrigger::ErrorRate);
    one.set_severity(incident::Severity::High);
    one.set_state(incident::State::Open);
    world.registry.state.lock().unwrap().incidents.push(one);
}

/// How often was escalated, and which clocks ran out, after so many seconds more.
async fn after(world: &World, seconds: u64) -> (usize, Vec<incident::Clock>) {
    world.pass(seconds);
    for _ in 0..2 {
        watch_clocks::run_once(&world.monitor).await.unwrap();
    }
    let state = world.registry.state.lock().unwrap();
    (state.escalated.len(), state.incidents[0].clocks_run_out.iter().map(incident::ClockRunOut::clock).collect())
}

fn change(world: &World, of: impl FnOnce(&mut Incident)) {
    of(&mut world.registry.state.lock().unwrap().incidents[0]);
}

#[tokio::test]
async fn each_clock_that_runs_out_is_escalated_once() {
    use incident::Clock::{Close, Mitigate};
    let world = World::new().await;
    opened(&world);
    assert_eq!(after(&world, 300).await, (0, vec![]), "five minutes are in time");
    assert_eq!(after(&world, 1).await, (1, vec![]), "nobody answered");
    change(&world, |one| {
        one.set_state(incident::State::Acknowledged);
        one.acknowledge_time = Some(contracts::time::to_wire(world.clock.now()));
    });
    assert_eq!(after(&world, HOUR - 301).await, (1, vec![]), "an hour is in time");
    assert_eq!(after(&world, 1).await, (2, vec![Mitigate]), "it still harms somebody");
    change(&world, |one| {
        one.set_state(incident::State::Resolved);
        one.mitigate_time = Some(contracts::time::to_wire(world.clock.now()));
    });
    assert_eq!(after(&world, 5 * 24 * HOUR - HOUR - 1).await, (2, vec![Mitigate]), "five days are in time");
    assert_eq!(after(&world, 1).await, (3, vec![Mitigate, Close]), "its report is missing");
    change(&world, |one| one.set_state(incident::State::Closed));
    assert_eq!(after(&world, 30 * 24 * HOUR).await, (3, vec![Mitigate, Close]));
}

#[tokio::test]
async fn what_was_done_in_time_is_not_escalated() {
    let world = World::new().await;
    opened(&world);
    change(&world, |one| {
        one.set_state(incident::State::Acknowledged);
        one.mitigate_time = one.detect_time; // it went off traffic when it was found
    });
    assert_eq!(after(&world, 24 * HOUR).await, (0, vec![]));
}
