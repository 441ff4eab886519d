//! §10.2 "below acceptable for 30 days": what the monitor tells the registry of each day.

use contracts::common::v1::Verdict;
use contracts::registry::v1::{retirement_service_server::RetirementService, *};
use monitor::tasks::record_days;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use tonic::{Request, Response, Status};

use super::registry::{Registry, VERSION, never};
use super::world::World;

#[tonic::async_trait]
impl RetirementService for Registry {
    async fn record_service_day(
        &self,
        request: Request<RecordServiceDayRequest>,
    ) -> Result<Response<ServiceDay>, Status> {
        let request = request.into_inner();
        let mut state = self.up()?;
        if state.deployments.is_empty() {
            return Err(Status::failed_precondition("it serves no more"));
        }
        state.days.push(request);
        Ok(Response::new(ServiceDay::default()))
    }

    never! {
        start_retirement(StartRetirementRequest) -> Retirement;
        get_retirement(GetRetirementRequest) -> Retirement;
        list_retirements(ListRetirementsRequest) -> ListRetirementsResponse;
        advance_retirement(AdvanceRetirementRequest) -> Retirement;
        list_service_days(ListServiceDaysRequest) -> ListServiceDaysResponse;
    }
}

const DAY: u64 = 86_400;

/// The days that were told: date, whether below acceptable, and what failed.
async fn told(world: &World) -> Vec<(String, bool, Vec<String>)> {
    record_days::run_once(&world.monitor).await.unwrap();
    let days = world.registry.state.lock().unwrap().days.clone();
    let failed = |day: &RecordServiceDayRequest| {
        let failed = day.findings.iter().filter(|one| one.verdict() == Verdict::Fail);
        failed.map(|one| format!("{} {}", one.subject, one.observed)).collect()
    };
    days.iter().map(|day| (day.day.clone(), day.below_acceptable, failed(day))).collect()
}

/// The world's clock begins on Monday, 6 January 2025.
#[tokio::test]
async fn every_day_with_enough_requests_is_told_once_when_it_is_over() {
    let world = World::new().await;
    world.deployed();
    world.serve(1, 200, 100).await; // before the first look, on the day of the first look
    assert!(told(&world).await.is_empty(), "the day is not over");
    world.pass(DAY);
    world.serve(10, 30, 0).await; // no minute has enough, the day does
    let monday = ("2025-01-06".to_owned(), true, vec![format!("error-rate of {VERSION} 0.5000 (n=200)")]);
    assert_eq!(told(&world).await, vec![monday.clone()]);
    world.pass(DAY);
    world.serve(1, 50, 50).await; // too few on Wednesday
    world.pass(DAY);
    let tuesday = ("2025-01-07".to_owned(), false, vec![]);
    assert_eq!(told(&world).await, vec![monday.clone(), tuesday.clone()]);
    assert_eq!(told(&world).await, vec![monday, tuesday], "nothing is told twice");
    let sent = world.registry.state.lock().unwrap().days[1].clone();
    assert_eq!((sent.parent.as_str(), sent.findings.len()), (VERSION, 2), "latency and errors: {sent:?}");
}

#[tokio::test]
async fn labels_count_on_the_day_on_which_they_became_known() {
    let world = World::new().await;
    world.deployed();
    assert!(told(&world).await.is_empty());
    world.label(200, 0).await;
    world.pass(DAY);
    let wrong = vec![format!("accuracy of {VERSION} 0.8000 (n=1000)")];
    assert_eq!(told(&world).await, vec![("2025-01-06".to_owned(), true, wrong)]);
}

#[tokio::test]
async fn days_wait_for_a_registry_that_is_away_and_not_for_a_version_that_left() {
    let world = World::new().await;
    world.deployed();
    assert!(told(&world).await.is_empty());
    world.serve(1, 200, 0).await;
    world.registry.down.store(true, Ordering::SeqCst);
    world.pass(DAY);
    assert!(record_days::run_once(&world.monitor).await.is_err());
    world.pass(DAY);
    world.serve(1, 200, 100).await;
    world.pass(DAY);
    world.registry.down.store(false, Ordering::SeqCst);
    let days: Vec<(String, bool)> =
        told(&world).await.into_iter().map(|(day, below, _)| (day, below)).collect();
    assert_eq!(days, vec![("2025-01-06".to_owned(), false), ("2025-01-08".to_owned(), true)]);
}
