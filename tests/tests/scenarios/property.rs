//! §3: however it is called, nothing reaches production, and no phase is entered, without its records.

mod attempts;
mod records;

use attempts::{Try, any_order, carry_out, nearly_right, right};
use contracts::registry::v1::Phase;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, TestRunner};
use records::Records;
use tests::mesh::Alone;

/// How far the sequences came.
#[derive(Debug, Default)]
struct Reached {
    /// Sequences in which a version took traffic.
    traffic: usize,
    /// Sequences in which it took all of it.
    production: usize,
    /// Sequences after which the line stood in DEPLOY or beyond.
    deploy: usize,
    /// Sequences after which the line stood in MONITOR.
    monitor: usize,
}

/// Looks at the records after each attempt; gives what takes traffic now.
fn check(records: &Records, done: &[Try], before: u32) -> u32 {
    let percent = records.traffic();
    let allowed = match before {
        0 => [0, 5, 5],
        5 => [0, 5, 25],
        25 => [0, 25, 50],
        50 => [0, 50, 100],
        _ => [0, 100, 100],
    };
    assert!(allowed.contains(&percent), "traffic went from {before} to {percent} %: {done:?}");
    if percent > 0 {
        let missing = records.missing_behind_traffic();
        assert!(missing.is_empty(), "{percent} % without {missing:?}: {done:?}");
    }
    let missing = records.missing_behind_phase();
    assert!(missing.is_empty(), "{:?} without {missing:?}: {done:?}", records.phase());
    percent
}

async fn try_all(sequences: &[Vec<Try>]) -> Reached {
    let mesh = Alone::start().await;
    let mut reached = Reached::default();
    for (at, attempts) in sequences.iter().enumerate() {
        let line = mesh.line(&format!("any-{at}"));
        line.to_version().await;
        line.deploy().await;
        let (mut percent, mut most, mut phase) = (0, 0, Phase::Data);
        for (count, attempt) in attempts.iter().enumerate() {
            carry_out(&mesh, &line, *attempt).await;
            let records = Records::of(&line).await;
            percent = check(&records, &attempts[..=count], percent);
            most = most.max(percent);
            phase = records.phase();
        }
        reached.traffic += usize::from(most > 0);
        reached.production += usize::from(most == 100);
        reached.deploy += usize::from(phase >= Phase::Deploy);
        reached.monitor += usize::from(phase == Phase::Monitor);
    }
    reached
}

fn run(sequences: &[Vec<Try>]) -> Reached {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| ())); // refusals inside a helper are no news
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let outcome =
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| runtime.block_on(try_all(sequences))));
    std::panic::set_hook(hook);
    match outcome {
        Ok(reached) => reached,
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned().unwrap_or_default();
            panic!("{text}")
        }
    }
}

#[test]
fn no_random_sequence_of_calls_reaches_production_without_its_records() {
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::default() });
    let mut sequences = vec![right()]; // what nobody can reach would be checked by nobody
    for _ in 0..12 {
        sequences.push(any_order().new_tree(&mut runner).expect("a sequence").current());
        sequences.push(nearly_right().new_tree(&mut runner).expect("a sequence").current());
    }
    let reached = run(&sequences);
    println!("of {} sequences: {reached:?}", sequences.len());
    let Reached { traffic, production, deploy, monitor } = reached;
    assert!(
        traffic > 0 && production > 0,
        "no sequence took traffic: the records behind it were never looked at"
    );
    assert!(
        deploy > 0 && monitor > 0,
        "no line came to DEPLOY and MONITOR: the phases' records were never looked at"
    );
}
