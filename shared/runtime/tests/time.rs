//! Virtual time and the tasks that live by it.
#![allow(clippy::unwrap_used, clippy::duration_suboptimal_units, clippy::unchecked_time_subtraction)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use runtime::clock::ClockFile;
use runtime::{Clock, Tasks};

const DAY: Duration = Duration::from_secs(86_400);

#[tokio::test]
async fn a_manual_clock_moves_only_when_told_and_wakes_those_whose_time_has_come() {
    let clock = Clock::manual(UNIX_EPOCH + DAY);
    let sleeper = tokio::spawn({
        let clock = clock.clone();
        async move { clock.sleep(DAY).await }
    });
    tokio::time::sleep(Duration::from_millis(20)).await;
    clock.advance(DAY - Duration::from_secs(1));
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(!sleeper.is_finished());
    clock.advance(Duration::from_secs(1));
    sleeper.await.unwrap();
    assert_eq!(clock.now(), UNIX_EPOCH + 2 * DAY);
}

#[tokio::test]
async fn a_scaled_clock_runs_faster() {
    let clock = Clock::scaled(86_400.0);
    let (real, start) = (Instant::now(), clock.now());
    clock.sleep(DAY / 10).await;
    assert!(DAY / 10 <= clock.now().duration_since(start).unwrap());
    let passed = real.elapsed();
    assert!((90..2000).contains(&passed.as_millis()), "{passed:?}");
}

#[tokio::test]
async fn a_clock_file_is_shared_and_followed_by_those_who_sleep() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clock.json");
    ClockFile::starting_at(UNIX_EPOCH + DAY, 0.0).save(&path).unwrap();
    let (one, two) = (Clock::file(&path).unwrap(), Clock::file(&path).unwrap());
    assert_eq!((one.now(), two.now()), (UNIX_EPOCH + DAY, UNIX_EPOCH + DAY));
    let sleeper = tokio::spawn({
        let one = one.clone();
        async move { one.sleep(DAY).await }
    });
    tokio::time::sleep(Duration::from_millis(30)).await;
    ClockFile::starting_at(UNIX_EPOCH + DAY, 1e6).save(&path).unwrap();
    sleeper.await.unwrap();
    assert!(UNIX_EPOCH + 2 * DAY <= two.now());
    std::fs::write(&path, "{").unwrap();
    assert!(Clock::file(&path).is_err());
    assert!(UNIX_EPOCH + 2 * DAY <= one.now(), "an unreadable file keeps the last good answer");
}

#[tokio::test]
async fn a_real_clock_is_the_systems() {
    assert!(
        Clock::real().now().duration_since(SystemTime::now()).unwrap_or_default() < Duration::from_secs(1)
    );
}

async fn until(count: &AtomicU32, at_least: u32) {
    for _ in 0..1000 {
        if at_least <= count.load(Ordering::SeqCst) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{} of {at_least}", count.load(Ordering::SeqCst));
}

#[tokio::test]
async fn a_periodic_task_waits_for_the_start_and_survives_errors_and_panics() {
    let (clock, count) = (Clock::manual(UNIX_EPOCH + DAY), Arc::new(AtomicU32::new(0)));
    let tasks = Tasks::new("test", clock.clone());
    tasks.every("count", Duration::from_secs(60), {
        let count = count.clone();
        move || {
            let turn = count.fetch_add(1, Ordering::SeqCst);
            async move {
                assert!(turn != 0, "on purpose");
                if turn == 1 { Err("on purpose") } else { Ok(()) }
            }
        }
    });
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(count.load(Ordering::SeqCst), 0);
    tasks.start();
    until(&count, 1).await;
    for turn in 2..5 {
        tokio::time::sleep(Duration::from_millis(10)).await;
        assert_eq!(count.load(Ordering::SeqCst), turn - 1);
        clock.advance(Duration::from_secs(60));
        until(&count, turn).await;
    }
    assert!(tasks.stop(Duration::from_secs(1)).await);
    clock.advance(DAY);
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(count.load(Ordering::SeqCst), 4);
}

/// However fast the virtual clock runs, real periods stay as they are; on a manual clock a test turns them.
#[tokio::test]
async fn a_real_period_does_not_follow_the_speed() {
    let counting = |clock: &Clock, period| {
        let (tasks, count) = (Tasks::new("test", clock.clone()), Arc::new(AtomicU32::new(0)));
        let turns = count.clone();
        tasks.every_real("count", period, move || {
            turns.fetch_add(1, Ordering::SeqCst);
            async { Ok::<_, String>(()) }
        });
        tasks.start();
        (tasks, count)
    };
    let began = std::time::Instant::now();
    let (fast, count) = counting(&Clock::scaled(10_000.0), Duration::from_millis(50));
    until(&count, 4).await;
    assert!(Duration::from_millis(150) <= began.elapsed(), "{:?}", began.elapsed());
    assert!(fast.stop(Duration::from_secs(1)).await);
    let clock = Clock::manual(UNIX_EPOCH + DAY);
    let (manual, count) = counting(&clock, Duration::from_secs(60));
    for turn in 1..4 {
        until(&count, turn).await;
        assert_eq!(count.load(Ordering::SeqCst), turn);
        clock.advance(Duration::from_secs(60));
    }
    assert!(manual.stop(Duration::from_secs(1)).await);
}

#[tokio::test]
async fn a_supervised_task_starts_again_and_a_stubborn_one_is_dropped() {
    let (tasks, count) = (Tasks::new("test", Clock::real()), Arc::new(AtomicU32::new(0)));
    tasks.start();
    tasks.spawn("restarts", {
        let count = count.clone();
        move |stop| {
            let run = count.fetch_add(1, Ordering::SeqCst);
            async move {
                assert!(run != 0, "on purpose");
                stop.cancelled().await;
                Ok::<(), String>(())
            }
        }
    });
    until(&count, 2).await;
    tasks.once("stubborn", std::future::pending());
    assert!(!tasks.stop(Duration::from_millis(50)).await);
}
