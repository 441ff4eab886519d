//! How the gateway's breaker does over whole rollouts: false aborts of healthy canaries, and how soon broken ones are off.
//!
//! `cargo run --release -p lifecycle --example canary_ladders -- [ladders [requests-per-second]]` simulates 10,000 rollouts
//! with 40 requests a second by the ladder of the built-in policy, on all cores, always with the same seeds.
#![allow(missing_docs, clippy::expect_used, clippy::print_stdout)]

#[path = "../tests/ladders/simulate.rs"]
mod simulate;

use std::ops::Range;
use std::thread;

use lifecycle::Policy;
use lifecycle::policy::rollout::RolloutPolicy;
use simulate::{CANARY_PER_SECOND, Delays, Traffic, delays, false_abort, quantile};
use statistics::interval::{Share, clopper_pearson_lower, clopper_pearson_upper};

/// Canaries that break, for each line of the second table.
const BROKEN: u64 = 1_000;
const RATES: [f64; 4] = [1.0, 0.5, 0.3, 0.1];

fn main() {
    let mut arguments = std::env::args().skip(1);
    let ladders = arguments.next().map_or(10_000, |text| text.parse().expect("a number of ladders"));
    let per_second = arguments.next().map_or(40.0, |text| text.parse().expect("requests per second"));
    let policy = Policy::builtin();
    aborts(&policy.rollout, ladders, per_second);
    detection(&policy.rollout, ladders.min(BROKEN));
}

/// Gives each core its part of the seeds.
fn parallel<T: Send>(seeds: u64, work: impl Fn(Range<u64>) -> T + Sync) -> Vec<T> {
    let cores = thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    thread::scope(|scope| {
        let work = &work;
        let parts = (0..cores).map(|core| core * seeds / cores..(core + 1) * seeds / cores);
        let parts: Vec<_> = parts.map(|part| scope.spawn(move || work(part))).collect();
        parts.into_iter().map(|part| part.join().expect("a part ended")).collect()
    })
}

fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "none".to_owned(), |share| format!("{:.1} %", 100.0 * share))
}

fn aborts(policy: &RolloutPolicy, ladders: u64, per_second: f64) {
    let healthy = policy.breaker.healthy_error_rate.value;
    println!(
        "False aborts of {ladders} ladders, {per_second} requests a second, bounds of Clopper and Pearson at 95 %\n"
    );
    println!("| canary fails | stable fails | aborts | lower bound | upper bound |\n|---|---|---|---|---|");
    for (canary, stable) in [
        (healthy, Some(0.0)),
        (healthy, Some(healthy)),
        (healthy, None),
        (healthy / 5.0, Some(healthy / 5.0)),
        (3.0 * healthy, Some(3.0 * healthy)),
    ] {
        let traffic = Traffic { per_second, canary, stable };
        let count =
            |seeds: Range<u64>| seeds.filter(|seed| false_abort(policy, traffic, *seed)).count() as u64;
        let aborts = parallel(ladders, count).into_iter().sum();
        let share = Share::new(aborts, ladders).expect("one ladder at least");
        println!(
            "| {} | {} | {aborts} | {:.3} % | {:.3} % |",
            percent(Some(canary)),
            percent(stable),
            100.0 * clopper_pearson_lower(share, 0.975).expect("a confidence"),
            100.0 * clopper_pearson_upper(share, 0.975).expect("a confidence"),
        );
    }
}

fn detection(policy: &RolloutPolicy, canaries: u64) {
    println!(
        "\nUntil a broken canary is off, {canaries} canaries a line, {CANARY_PER_SECOND} of its requests a second\n"
    );
    println!(
        "| at | stable | good before | fails | median s | 95 % s | median failed | 95 % failed | most failed | not found |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    let beside = |step| [(step, Some(0.002)), (step, Some(0.01))];
    let settings = [beside(0), beside(1), beside(2)].into_iter().flatten().chain([(0, None)]);
    for (step, stable) in settings {
        for calm in [0, 100, 2_000, 10_000] {
            let healthy = stable.unwrap_or(0.002);
            let work = |seeds| delays(policy, (step, calm), (healthy, stable), &RATES, seeds);
            let mut all: Vec<Delays> = RATES.iter().map(|_| Delays::default()).collect();
            for part in parallel(canaries, work) {
                for (all, part) in all.iter_mut().zip(part) {
                    all.requests.extend(part.requests);
                    all.failed.extend(part.failed);
                    all.other += part.other;
                }
            }
            for (rate, delays) in RATES.iter().zip(&all) {
                line(policy.steps[step].traffic_percent, stable, calm, *rate, delays);
            }
        }
    }
}

fn line(share: u32, stable: Option<f64>, calm: u64, rate: f64, delays: &Delays) {
    let seconds = |share| {
        let requests = quantile(&delays.requests, share);
        requests
            .map_or_else(|| "-".to_owned(), |requests| format!("{:.1}", requests as f64 / CANARY_PER_SECOND))
    };
    let failed = |share| quantile(&delays.failed, share).unwrap_or_default();
    println!(
        "| {share} % | {} | {calm} | {} | {} | {} | {} | {} | {} | {} |",
        percent(stable),
        percent(Some(rate)),
        seconds(0.5),
        seconds(0.95),
        failed(0.5),
        failed(0.95),
        failed(1.0),
        delays.other,
    );
}
