//! Every threshold of the procedure from both sides: what lies just inside passes, the number itself and what lies
//! outside does not, and what is no number or absent never does. The numbers are the procedure's, written here again.

mod acceptance;
mod alerts;
mod attack;
mod benchmarks;
mod canary;
mod carry;
mod choice;
mod classifier;
mod clocks;
mod datasets;
mod drift;
mod measured;
mod quality;
mod records;
mod retirement;
mod service_levels;
mod versions;

#[path = "../given/mod.rs"]
mod given;

use std::time::{Duration, SystemTime};

use given::{DAY, at, by, digest, done, exact, policy};
use lifecycle::{Approval, Role, Strict};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// How far a value lies from a boundary, as a share of it: zero stands for the very next number.
fn distance() -> impl Strategy<Value = f64> {
    prop_oneof![Just(0.0), 1e-12..1e-6f64, 1e-6..0.1f64]
}

/// A number strictly on the side of `boundary` that `side` asks for.
fn inside(boundary: f64, side: Strict, distance: f64) -> f64 {
    match side {
        Strict::Above => (boundary + distance * boundary).max(boundary.next_up()),
        Strict::Below => (boundary - distance * boundary).min(boundary.next_down()),
    }
}

/// A number on the other side.
fn outside(boundary: f64, side: Strict, distance: f64) -> f64 {
    match side {
        Strict::Above => inside(boundary, Strict::Below, distance),
        Strict::Below => inside(boundary, Strict::Above, distance),
    }
}

/// What is no number that could pass.
const NO_NUMBERS: [f64; 3] = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY];

/// Nanoseconds around a moment: before it, on it, after it.
fn nanos() -> impl Strategy<Value = i64> {
    prop_oneof![Just(-1i64), Just(0), Just(1), -1_000_000_000_000..1_000_000_000_000i64]
}

/// `seconds` moved by `nanos`.
fn around(seconds: u64, nanos: i64) -> Duration {
    let moved = Duration::from_nanos(nanos.unsigned_abs());
    let whole = Duration::from_secs(seconds);
    if nanos < 0 { whole.saturating_sub(moved) } else { whole + moved }
}
