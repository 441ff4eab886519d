//! Every table, figure and list of WLP-MLDEV-001 as literals, column by column, against the default policy.

mod data;
mod deployment;
mod evaluation;
mod model;
mod monitoring;
mod phases;
mod planning;
mod policy_file;
mod rollout;
mod upkeep;

use lifecycle::{Policy, approval::join, policy::Span};

fn policy() -> &'static Policy {
    Policy::builtin()
}

fn seconds(span: Span) -> u64 {
    span.get().as_secs()
}

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
