//! Metrics, intervals, tests, sketches, drift, fairness: values in, numbers out.
//!
//! Pure: no input or output, no clock, no threads. Every function names the convention it follows and its
//! source. A value that is not a number, an empty input or a quantity that does not exist for the input
//! (a ratio 0/0, a rate of a group without members) is an [`Error`], never a number that could pass a gate.
//! Numbers of the procedure (thresholds, levels, group sizes) are arguments here; they live in the policy.

// formulas keep the letters of their sources
#![allow(clippy::many_single_char_names)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::float_cmp))]

pub mod answer;
pub mod balance;
pub mod betting;
pub mod binned;
pub mod bleu;
pub mod bootstrap;
pub mod calibration;
pub mod canary;
pub mod categories;
pub mod classification;
pub mod confidence_sequence;
pub mod contingency;
mod counts;
pub mod detector;
pub mod distinct;
pub mod drift;
pub mod eprocess;
pub mod error;
pub mod estimated;
pub mod fairness;
pub mod frequent;
pub mod hashing;
pub mod histogram;
pub mod interval;
pub mod kernel;
pub mod ks;
pub mod latency;
pub mod moments;
pub mod multiplicity;
pub mod paired;
pub mod percentile;
pub mod probability;
pub mod profile;
pub mod quantiles;
pub mod random;
pub mod rank_test;
pub mod ranking;
pub mod regression;
pub mod relative;
pub mod rouge;
pub mod row_digest;
pub mod sample_size;
pub mod special;
pub mod state;

pub use canary::CanaryTest;
pub use eprocess::ErrorBudgetTest;
pub use error::{Error, Result};
pub use interval::Interval;
pub use latency::LatencySketch;
pub use moments::Moments;
pub use relative::RelativeTest;
