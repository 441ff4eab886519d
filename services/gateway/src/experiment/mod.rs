//! A/B experiments: a declared comparison of a rollout's canary with stable, over the split that the rollout makes.
//!
//! An experiment routes nothing by itself: whom the canary gets is the rollout's business, and with a key it is always the same
//! version (`routing/key.rs`). What is declared, in the registry and once, is what the arms are compared for. Each arm counts
//! its requests off the answer; the comparison is an interval that holds at all looks together, so that looking at it early
//! and often deceives nobody. Shares of the traffic change with the ladder, and traffic changes with the day: arms are
//! compared within one step, and another step begins anew.

mod arm;
mod known;
mod report;

pub use arm::Arm;
pub use known::{Known, Running};
