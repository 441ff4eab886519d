use contracts::monitor::v1::GetCanaryHealthRequest;
use contracts::registry::v1::{RollbackTrigger, rollout::State};
use monitor::tasks::{judge_canaries, raise_alerts, watch_clocks};
use std::sync::atomic::Ordering;

use super::world::{World, second};

async fn turn(world: &World) {
    raise_alerts::run_once(&world.monitor).await.unwrap();
    judge_canaries::run_once(&world.monitor).await.unwrap();
}

fn stands(world: &World) -> (u32, State) {
    let state = world.registry.state.lock().unwrap();
    (state.rollouts[0].traffic_percent, state.rollouts[0].state())
}

/// One hour at 5 %, a quarter at 25 % and 50 %, and not a second less.
#[tokio::test]
async fn a_healthy_canary_climbs_on_time() {
    let world = World::new().await;
    let name = world.rollout();
    for (percent, minutes) in [(5, 60), (25, 15), (50, 15)] {
        assert_eq!(stands(&world), (percent, State::Running));
        world.serve(minutes - 1, 30, 0).await;
        world.send(vec![second(world.clock.now(), 30, 0, 20.0)]).await;
        world.pass(59);
        turn(&world).await;
        assert_eq!(stands(&world), (percent, State::Running), "one second before {minutes} minutes");
        let request = GetCanaryHealthRequest { rollout: name.clone() };
        let seen = world.canaries().get_canary_health(request).await.unwrap().into_inner();
        assert!(seen.findings.iter().any(|one| one.clause == "§8.2"), "{:?}", seen.findings);
        world.pass(1);
        turn(&world).await;
    }
    assert_eq!(stands(&world), (100, State::Running));
    turn(&world).await;
    assert_eq!(stands(&world), (100, State::Running), "not without requests at 100 %");
    world.serve(1, 200, 0).await;
    turn(&world).await;
    assert_eq!(stands(&world).1, State::Succeeded);
    let state = world.registry.state.lock().unwrap();
    assert_eq!(
        state.advanced.iter().map(|health| health.traffic_percent).collect::<Vec<_>>(),
        [5, 25, 50, 100]
    );
    // Four minutes of 30 requests make a window that says something.
    assert_eq!((state.advanced[0].requests, state.advanced[0].windows), (60 * 30, 15));
    assert_eq!(state.advanced[0].longest_silence, Some(prost_types::Duration::default()));
}

async fn in_the_way(world: &World, name: &str) -> Vec<String> {
    let request = GetCanaryHealthRequest { rollout: name.to_owned() };
    let seen = world.canaries().get_canary_health(request).await.unwrap().into_inner();
    seen.findings.into_iter().map(|one| one.subject).collect()
}

/// Six of a hundred are above 5 % and prove nothing (reading 5): the canary stays. More failures do prove it.
#[tokio::test]
async fn only_proof_takes_a_canary_off_traffic() {
    let world = World::new().await;
    let name = world.rollout();
    world.send(vec![second(world.clock.now(), 100, 6, 20.0)]).await;
    turn(&world).await;
    assert_eq!(stands(&world).1, State::Running);
    let why = in_the_way(&world, &name).await;
    assert!(why.contains(&"windows with a rollback trigger".to_owned()), "{why:?}");
    world.send(vec![second(world.clock.now(), 100, 40, 20.0)]).await;
    turn(&world).await;
    assert_eq!(stands(&world).1, State::RolledBack, "the window need not be over");
    turn(&world).await;
    let state = world.registry.state.lock().unwrap();
    assert_eq!(state.rolled_back.len(), 1);
    assert_eq!(state.rolled_back[0].trigger(), RollbackTrigger::ErrorRate);
    assert!(state.rolled_back[0].reason.starts_with("§8.3"), "{}", state.rolled_back[0].reason);
}

#[tokio::test]
async fn a_rate_above_the_limit_keeps_the_canary_for_another_hour() {
    let world = World::new().await;
    world.rollout();
    world.serve(59, 100, 0).await;
    world.serve(1, 100, 6).await;
    turn(&world).await;
    assert_eq!(stands(&world), (5, State::Running));
    world.serve(59, 100, 0).await;
    turn(&world).await;
    assert_eq!(stands(&world), (5, State::Running), "the bad minute is within the last hour");
    world.serve(1, 100, 0).await;
    turn(&world).await;
    assert_eq!(stands(&world), (25, State::Running));
}

/// 30 requests a minute: no minute says anything, the hour does (§9.1: 1 %, 2000 ms).
#[tokio::test]
async fn what_no_single_minute_can_show_keeps_the_canary() {
    for (failed, milliseconds) in [(1, 20.0), (0, 3_000.0)] {
        let world = World::new().await;
        world.rollout();
        for _ in 0..61 {
            world.send(vec![second(world.clock.now(), 30, failed, milliseconds)]).await;
            world.pass(60);
        }
        turn(&world).await;
        assert_eq!(stands(&world), (5, State::Running), "{failed} of 30 failed, {milliseconds} ms");
    }
}

/// A hundred requests in the first minute and nothing for an hour: nobody looked, so nothing is healthy.
#[tokio::test]
async fn silence_is_not_health() {
    let world = World::new().await;
    let name = world.rollout();
    world.serve(1, 200, 0).await;
    world.pass(59 * 60);
    turn(&world).await;
    assert_eq!(stands(&world), (5, State::Running));
    let why = in_the_way(&world, &name).await;
    assert_eq!(why, ["time without observed requests of the canary"]);
    // What was only late is health when it comes.
    let begin = world.clock.now() - std::time::Duration::from_secs(59 * 60);
    let minutes = (0..59).map(|minute| begin + std::time::Duration::from_secs(60 * minute));
    world.send(minutes.map(|at| second(at, 30, 0, 20.0)).collect()).await;
    turn(&world).await;
    assert_eq!(stands(&world), (25, State::Running));
}

/// A pause does not launder: after it the hour begins anew.
#[tokio::test]
async fn a_resumed_canary_is_watched_for_a_whole_hour() {
    let world = World::new().await;
    world.rollout();
    world.serve(58, 30, 0).await;
    world.send(vec![second(world.clock.now(), 150, 0, 5_200.0)]).await;
    turn(&world).await;
    assert_eq!(stands(&world), (5, State::Paused));
    world.pass(60);
    {
        let mut state = world.registry.state.lock().unwrap();
        state.rollouts[0].set_state(State::Running);
        state.rollouts[0].step_start_time = Some(contracts::time::to_wire(world.clock.now()));
    }
    for (minutes, percent) in [(5, 5), (54, 5), (1, 25)] {
        world.serve(minutes, 30, 0).await;
        turn(&world).await;
        assert_eq!(stands(&world), (percent, State::Running), "{minutes} minutes more");
    }
}

/// The breaker's evidence, replayed: an error storm needs no hundred requests.
#[tokio::test]
async fn an_error_storm_is_proof_before_there_are_enough_requests() {
    let world = World::new().await;
    world.rollout();
    world.send(vec![second(world.clock.now(), 20, 20, 20.0)]).await;
    turn(&world).await;
    assert_eq!(stands(&world).1, State::RolledBack);
}

#[tokio::test]
async fn a_slow_canary_is_paused_and_nobody_answering_escalates() {
    let world = World::new().await;
    world.rollout();
    world.send(vec![second(world.clock.now(), 150, 0, 5_200.0)]).await;
    turn(&world).await;
    assert_eq!(stands(&world).1, State::Paused);
    turn(&world).await;
    assert_eq!(world.registry.state.lock().unwrap().incidents.len(), 1);
    world.pass(300);
    watch_clocks::run_once(&world.monitor).await.unwrap();
    assert!(world.registry.state.lock().unwrap().escalated.is_empty(), "five minutes are still in time");
    world.pass(1);
    for _ in 0..2 {
        watch_clocks::run_once(&world.monitor).await.unwrap();
    }
    assert_eq!(world.registry.state.lock().unwrap().escalated.len(), 1);
}

#[tokio::test]
async fn an_alert_in_the_window_keeps_the_canary_where_it_is() {
    let world = World::new().await;
    world.rollout();
    world.serve(30, 200, 0).await;
    world.serve(1, 200, 3).await; // 1.5 %: an alert, no rollback
    for (minutes, percent) in [(40, 5), (19, 5), (1, 25)] {
        world.serve(minutes, 200, 0).await;
        turn(&world).await;
        assert_eq!(stands(&world), (percent, State::Running), "{minutes} minutes more");
    }
}

#[tokio::test]
async fn without_the_registry_observations_are_taken_and_the_loops_come_again() {
    let world = World::new().await;
    world.rollout();
    world.registry.down.store(true, Ordering::SeqCst);
    world.serve(60, 30, 0).await;
    raise_alerts::run_once(&world.monitor).await.unwrap();
    assert!(judge_canaries::run_once(&world.monitor).await.is_err());
    world.registry.down.store(false, Ordering::SeqCst);
    turn(&world).await;
    assert_eq!(stands(&world).0, 25);
}
