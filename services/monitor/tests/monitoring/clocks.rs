use contracts::monitor::v1::*;
use contracts::registry::v1::{Rollout, rollout};
use monitor::tasks::watch_clocks;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use tonic::Code;

use super::registry::VERSION;
use super::world::{DEPLOYMENT, World};

fn deploy(world: &World) {
    let now = Some(contracts::time::to_wire(world.clock.now()));
    let mut change =
        Rollout { name: format!("{DEPLOYMENT}/rollouts/r1"), end_time: now, ..Default::default() };
    change.set_state(rollout::State::Succeeded);
    world.deployed();
    world.registry.state.lock().unwrap().rollouts.push(change);
}

async fn duties(world: &World, state: duty::State) -> Vec<Duty> {
    let request = ListDutiesRequest { state: state.into(), page_size: 1000, ..Default::default() };
    world.duties("client").list_duties(request).await.unwrap().into_inner().duties
}

#[tokio::test]
async fn a_year_of_duties() {
    let world = World::new().await;
    deploy(&world);
    let mut reviewed = 0;
    for _ in 0..365 {
        world.pass(86_400);
        watch_clocks::run_once(&world.monitor).await.unwrap();
        for due in duties(&world, duty::State::Due).await {
            if due.activity == "performance_review" {
                let request =
                    CompleteDutyRequest { name: due.name, note: "looked at".into(), ..Default::default() };
                world.duties("ml-ops-engineer").complete_duty(request).await.unwrap();
                reviewed += 1;
            }
        }
    }
    let mut overdue: BTreeMap<String, usize> = BTreeMap::new();
    for one in duties(&world, duty::State::Overdue).await {
        *overdue.entry(one.activity).or_default() += 1;
    }
    assert_eq!(reviewed, 53); // 52 weeks and the one that has begun
    let expected = [
        ("documentation_update", 1),
        ("drift_assessment", 11),
        ("retraining_evaluation", 3),
        ("security_scan", 11),
    ];
    assert_eq!(overdue, expected.into_iter().map(|(name, count)| (name.to_owned(), count)).collect());
}

#[tokio::test]
async fn only_its_role_completes_a_duty_and_only_once() {
    let world = World::new().await;
    deploy(&world);
    watch_clocks::run_once(&world.monitor).await.unwrap();
    let due = duties(&world, duty::State::Due).await;
    let one = due.iter().find(|one| one.activity == "drift_assessment").unwrap();
    let request =
        CompleteDutyRequest { name: one.name.clone(), request_id: "a".into(), ..Default::default() };
    let refused = world.duties("ml-lead").complete_duty(request.clone()).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    let done = world.duties("ml-engineer").complete_duty(request.clone()).await.unwrap().into_inner();
    let again = world.duties("ml-engineer").complete_duty(request.clone()).await.unwrap().into_inner();
    assert_eq!((done.state(), &done), (duty::State::Completed, &again));
    let other = CompleteDutyRequest { request_id: "b".into(), ..request };
    let twice = world.duties("ml-engineer").complete_duty(other).await.unwrap_err();
    assert_eq!(runtime::status::reason(&twice).as_deref(), Some("ALREADY_DONE"));
}

fn complaint() -> SubmitFeedbackRequest {
    let mut feedback = Feedback {
        deployment: "credit".into(),
        version: VERSION.into(),
        text: "it refuses everyone".into(),
        ..Default::default()
    };
    feedback.set_kind(feedback::Kind::Complaint);
    SubmitFeedbackRequest { feedback: Some(feedback), request_id: String::new() }
}

#[tokio::test]
async fn a_complaint_opens_one_investigation_also_when_the_registry_was_away() {
    let world = World::new().await;
    world.registry.down.store(true, Ordering::SeqCst);
    world.feedback("client").submit_feedback(complaint()).await.unwrap();
    assert!(watch_clocks::run_once(&world.monitor).await.is_err());
    world.registry.down.store(false, Ordering::SeqCst);
    watch_clocks::run_once(&world.monitor).await.unwrap();
    world.feedback("client").submit_feedback(complaint()).await.unwrap();
    let state = world.registry.state.lock().unwrap();
    assert_eq!(state.incidents.len(), 1);
    let (from, to) = (state.incidents[0].detect_time.unwrap(), state.incidents[0].respond_by_time.unwrap());
    assert_eq!(to.seconds - from.seconds, 900);
}

#[tokio::test]
async fn the_loop_goes_in_its_order() {
    let world = World::new().await;
    let item = world.feedback("client").submit_feedback(complaint()).await.unwrap().into_inner().name;
    let create = |id: &str, items: Vec<String>| CreateFindingRequest {
        finding_id: id.into(),
        finding: Some(FeedbackFinding {
            subject: VERSION.into(),
            items,
            root_cause: "the income column is cut off".into(),
            ..Default::default()
        }),
        request_id: String::new(),
    };
    let nothing = world.feedback("ml-engineer").create_finding(create("f0", Vec::new())).await.unwrap_err();
    assert_eq!(nothing.code(), Code::InvalidArgument);
    let unknown =
        world.feedback("ml-engineer").create_finding(create("f0", vec!["feedback/none".into()])).await;
    assert_eq!(unknown.unwrap_err().code(), Code::NotFound);
    let made =
        world.feedback("ml-engineer").create_finding(create("f1", vec![item])).await.unwrap().into_inner();
    assert_eq!(made.state(), feedback_finding::State::Analysed);

    let close = |resource: &str| CloseFindingRequest {
        name: made.name.clone(),
        action: "trained again without the cut".into(),
        action_resource: resource.into(),
        document: "documents/fix".into(),
        ..Default::default()
    };
    let early =
        world.feedback("ml-lead").close_finding(close("models/credit/versions/1.2.0")).await.unwrap_err();
    assert_eq!(runtime::status::reason(&early).as_deref(), Some("OUT_OF_ORDER"));
    let mut decide = DecideFindingRequest {
        name: made.name.clone(),
        role: "ml-lead".into(),
        reason: "the cause is in the data".into(),
        ..Default::default()
    };
    decide.set_decision(feedback_finding::Decision::Retrain);
    let foreign = DecideFindingRequest { role: "qa-engineer".into(), ..decide.clone() };
    assert_eq!(
        world.feedback("ml-lead").decide_finding(foreign).await.unwrap_err().code(),
        Code::PermissionDenied
    );
    let decided = world.feedback("ml-lead").decide_finding(decide.clone()).await.unwrap().into_inner();
    assert_eq!((decided.state(), decided.decided_by.as_str()), (feedback_finding::State::Decided, "ml-lead"));
    assert!(world.feedback("ml-lead").decide_finding(decide).await.is_err());

    let misfit = world.feedback("ml-lead").close_finding(close("")).await.unwrap_err();
    assert_eq!(runtime::status::reason(&misfit).as_deref(), Some("ACTION_DOES_NOT_FIT"));
    let closed =
        world.feedback("ml-lead").close_finding(close("models/credit/versions/1.2.0")).await.unwrap();
    assert_eq!(closed.into_inner().state(), feedback_finding::State::Closed);
}

/// A monitor that is gone leaves its loops to the next one within seconds of real time, also where virtual time stands.
#[tokio::test]
async fn another_monitor_takes_over_although_virtual_time_stands() {
    let world = World::new().await;
    let ran = |monitor: monitor::Monitor| async move {
        let mut turns = 0;
        monitor
            .alone("a-loop", 300, || {
                turns += 1;
                async { Ok(()) }
            })
            .await
            .unwrap();
        turns
    };
    assert_eq!(ran(world.monitor.clone()).await, 1);
    world.pass(365 * 86_400); // virtual time says nothing about who is alive
    let (_service, other) = world.second().await;
    assert_eq!(ran(other.clone()).await, 0, "the first one may still be there");
    let began = std::time::Instant::now();
    while ran(other.clone()).await == 0 {
        assert!(began.elapsed() < std::time::Duration::from_secs(20), "nobody took over");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}
