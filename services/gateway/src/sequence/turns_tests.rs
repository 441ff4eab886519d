use super::*;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

const LONG: Duration = Duration::from_secs(3600);

fn id(number: u64) -> Id {
    Id::Number(number)
}

fn turns(slots: usize, waiting: usize, idle: Duration) -> Arc<Turns> {
    Arc::new(Turns::new(slots, waiting, idle))
}

fn state(value: i64) -> Vec<Tensor> {
    vec![Tensor::of("s", vec![1], &[value]).unwrap()]
}

fn value(turn: &Turn) -> i64 {
    turn.state()[0].values::<i64>().unwrap()[0]
}

/// Polls once: whether it is there.
fn there<T>(future: &mut Pin<Box<impl Future<Output = T>>>) -> Option<T> {
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

/// Runs a whole request.
async fn run(turns: &Arc<Turns>, of: u64, start: bool, end: bool) -> Result<i64, EngineError> {
    let mut turn = turns.enter(id(of), start, end)?;
    turn.come(None).await?;
    if start {
        turn.put(state(0));
    }
    let now = value(&turn) + 1;
    turn.done(state(now));
    Ok(now)
}

fn refused<T: std::fmt::Debug>(result: Result<T, EngineError>) -> bool {
    match result.unwrap_err() {
        EngineError::BadInput(bad) => bad[0].description.contains("must specify the START flag"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_sequence_begins_goes_on_and_ends() {
    let turns = turns(1, 0, LONG);
    assert!(refused(run(&turns, 1, false, false).await));
    assert_eq!(run(&turns, 1, true, false).await.unwrap(), 1);
    assert_eq!(run(&turns, 1, false, false).await.unwrap(), 2);
    assert_eq!(run(&turns, 1, false, true).await.unwrap(), 3);
    assert!(refused(run(&turns, 1, false, false).await));
    assert_eq!(run(&turns, 1, true, true).await.unwrap(), 1, "one request may be all of it");
    assert!(refused(run(&turns, 1, false, true).await));
    assert_eq!(run(&turns, 1, true, false).await.unwrap(), 1);
    assert_eq!(run(&turns, 1, true, false).await.unwrap(), 1, "it begins anew");
    assert_eq!(turns.slots.available_permits(), 0);
    assert_eq!(run(&turns, 1, false, true).await.unwrap(), 2);
    assert_eq!((turns.slots.available_permits(), turns.lock().open.len()), (1, 0));
}

#[tokio::test]
async fn requests_of_a_sequence_wait_for_those_before_them() {
    let turns = turns(2, 0, LONG);
    let mut first = turns.enter(id(1), true, false).unwrap();
    let mut second = turns.enter(id(1), false, false).unwrap();
    let mut third = turns.enter(id(1), false, true).unwrap();
    assert!(refused(turns.enter(id(1), false, false)), "the last one has come");
    first.come(None).await.unwrap();
    first.put(state(0));
    let mut waits = Box::pin(second.come(None));
    assert!(there(&mut waits).is_none());
    {
        let mut last = Box::pin(third.come(None));
        assert!(there(&mut last).is_none());
        first.done(state(7));
        assert!(there(&mut last).is_none(), "the second is before it");
        waits.await.unwrap();
        assert_eq!(value(&second), 7);
        second.done(state(8));
        last.await.unwrap();
    }
    assert_eq!(value(&third), 8);
    drop(third); // the model failed; it was the last all the same
    assert_eq!((turns.slots.available_permits(), turns.lock().open.len()), (2, 0));
}

#[tokio::test]
async fn a_sequence_waits_for_a_slot_and_too_many_are_refused() {
    let turns = turns(1, 1, LONG);
    run(&turns, 1, true, false).await.unwrap();
    let mut other = turns.enter(id(2), true, false).unwrap();
    let busy = turns.enter(id(3), true, false).unwrap_err();
    assert!(matches!(busy, EngineError::Busy { capacity: 2 }), "{busy:?}");
    {
        let mut waits = Box::pin(other.come(None));
        assert!(there(&mut waits).is_none());
        assert_eq!(run(&turns, 1, false, true).await.unwrap(), 2);
        waits.await.unwrap();
    }
    other.put(state(0));
    other.done(state(1));
    let late = Some(Instant::now());
    let mut third = turns.enter(id(3), true, false).unwrap();
    assert!(matches!(third.come(late).await, Err(EngineError::Deadline { running: false })));
    drop(third);
    assert!(refused(run(&turns, 3, false, false).await), "it never began");
    assert_eq!(run(&turns, 2, false, true).await.unwrap(), 2);
}

#[tokio::test]
async fn what_follows_a_beginning_that_failed_is_refused() {
    let turns = turns(1, 0, LONG);
    let mut first = turns.enter(id(1), true, false).unwrap();
    let mut second = turns.enter(id(1), false, false).unwrap();
    first.come(None).await.unwrap();
    drop(first);
    assert!(refused(second.come(None).await));
    drop(second);
    assert_eq!((turns.slots.available_permits(), turns.lock().open.len()), (1, 0));
    // One that begins anew and is given up before its turn: what follows does not meet the old state.
    run(&turns, 1, true, false).await.unwrap();
    let again = turns.enter(id(1), true, false).unwrap();
    let mut next = turns.enter(id(1), false, false).unwrap();
    drop(again);
    assert!(refused(next.come(None).await));
    drop(next);
    assert_eq!((turns.slots.available_permits(), turns.lock().open.len()), (1, 0));
}

#[tokio::test]
async fn a_request_that_fails_in_the_middle_changes_nothing() {
    let turns = turns(1, 0, LONG);
    run(&turns, 1, true, false).await.unwrap();
    let mut fails = turns.enter(id(1), false, false).unwrap();
    fails.come(None).await.unwrap();
    drop(fails);
    assert_eq!(run(&turns, 1, false, false).await.unwrap(), 2);
}

#[tokio::test]
async fn an_idle_sequence_is_over_and_makes_room() {
    let turns = turns(1, 1, Duration::ZERO);
    run(&turns, 1, true, false).await.unwrap();
    let mut waits = turns.enter(id(2), true, false).unwrap();
    waits.come(None).await.unwrap();
    assert!(!turns.lock().open.contains_key(&id(1)));
    assert!(refused(turns.enter(id(1), false, false)));
    drop(waits);
    let busy = self::turns(1, 1, LONG);
    run(&busy, 1, true, false).await.unwrap();
    let soon = Instant::now() + LONG / 2;
    busy.forget(&mut busy.lock(), soon);
    assert!(busy.lock().open.contains_key(&id(1)), "not yet");
    busy.forget(&mut busy.lock(), soon + LONG);
    assert!(busy.lock().open.is_empty());
    assert_eq!(busy.slots.available_permits(), 1);
}

/// A task that has had its share of time is told by a lock to come again, and would stand behind others then.
#[tokio::test]
async fn the_order_holds_in_one_busy_task() {
    let turns = turns(1, 0, LONG);
    let order = Mutex::new(Vec::new());
    let steps = (0..1000).map(|at| {
        let (mut turn, order) = (turns.enter(id(1), at == 0, false).unwrap(), &order);
        async move {
            turn.come(None).await.unwrap();
            order.lock().unwrap().push(at);
            tokio::task::yield_now().await;
            turn.done(Vec::new());
        }
    });
    futures::future::join_all(steps).await;
    assert_eq!(order.into_inner().unwrap(), (0..1000).collect::<Vec<_>>());
}

#[tokio::test]
async fn one_that_is_given_up_lets_nobody_pass_who_is_before_it() {
    let turns = turns(1, 0, LONG);
    let mut first = turns.enter(id(1), true, false).unwrap();
    let mut second = turns.enter(id(1), false, false).unwrap();
    let given_up = turns.enter(id(1), false, false).unwrap();
    let mut last = turns.enter(id(1), false, true).unwrap();
    first.come(None).await.unwrap();
    let mut second_waits = Box::pin(second.come(None));
    assert!(there(&mut second_waits).is_none());
    drop(given_up);
    let mut last_waits = Box::pin(last.come(None));
    first.done(Vec::new());
    assert!(there(&mut last_waits).is_none(), "the second has not been");
    second_waits.await.unwrap();
    second.done(Vec::new());
    last_waits.await.unwrap();
}

#[tokio::test]
async fn one_that_is_given_up_lets_nobody_pass() {
    let turns = turns(1, 0, LONG);
    let mut first = turns.enter(id(1), true, false).unwrap();
    let given_up = turns.enter(id(1), false, false).unwrap();
    let mut last = turns.enter(id(1), false, true).unwrap();
    first.come(None).await.unwrap();
    drop(given_up);
    let mut waits = Box::pin(last.come(None));
    assert!(there(&mut waits).is_none());
    first.done(Vec::new());
    waits.await.unwrap();
}
