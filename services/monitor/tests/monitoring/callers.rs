//! Who still calls a version (§10.3 step 2).

use contracts::monitor::v1::{
    CallerCount, ListCallersRequest, VersionObservation, observation_service_client::ObservationServiceClient,
};
use tonic::Code;

use super::registry::VERSION;
use super::world::{World, second};

fn callers(counts: &[(&str, u64)]) -> Vec<CallerCount> {
    let one = |(principal, requests): &(&str, u64)| CallerCount {
        principal: (*principal).into(),
        requests: *requests,
    };
    counts.iter().map(one).collect()
}

#[tokio::test]
async fn callers_are_named_with_what_they_asked_for() {
    let world = World::new().await;
    let begin = world.clock.now();
    for counts in [[("shop", 6), ("bank", 4)], [("shop", 9), ("bank", 1)], [("shop", 0), ("bank", 10)]] {
        let callers = callers(&counts);
        world.send(vec![VersionObservation { callers, ..second(world.clock.now(), 10, 0, 5.0) }]).await;
        world.pass(60);
    }
    let ask = |after| ListCallersRequest { version: VERSION.into(), after_time: after, ..Default::default() };
    let mut client = ObservationServiceClient::new(world.peer("ml-ops-engineer"));
    let all = client.list_callers(ask(None)).await.unwrap().into_inner();
    let shown: Vec<_> = all.callers.iter().map(|one| (one.principal.as_str(), one.requests)).collect();
    assert_eq!((shown, all.requests), (vec![("bank", 15), ("shop", 15)], 30));
    let last = contracts::time::to_wire(begin + std::time::Duration::from_secs(120));
    assert_eq!(all.callers[1].last_time, Some(last), "the shop was last heard of in the second minute");
    let late = client.list_callers(ask(Some(last))).await.unwrap().into_inner();
    assert_eq!((late.callers.len(), late.callers[0].principal.as_str(), late.requests), (1, "bank", 10));
    let bad =
        ListCallersRequest { version: "credit".into(), deployment: "Credit!".into(), ..Default::default() };
    let refused = client.list_callers(bad).await.unwrap_err();
    let named: Vec<_> =
        runtime::status::field_violations(&refused).into_iter().map(|bad| bad.field).collect();
    assert_eq!(named, ["version", "deployment"]);
    let stranger = ObservationServiceClient::new(world.peer("client")).list_callers(ask(None)).await;
    assert_eq!(stranger.unwrap_err().code(), Code::PermissionDenied);
}
