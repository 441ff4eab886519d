//! Every table, figure and list of WLP-MLDEV-001 as literals, column by column, against the default policy.

mod data;
mod deployment;
mod entry;
mod evaluation;
mod model;
mod monitoring;
mod people;
mod phases;
mod planning;
mod policy_file;
mod rollout;
mod upkeep;

#[path = "../given/mod.rs"]
mod given;

use given::{DAY, policy};
use lifecycle::{Policy, approval::join, policy::Span};

fn seconds(span: Span) -> u64 {
    span.get().as_secs()
}

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
