//! Every state machine of the procedure against a model of its legal successors: whatever is called, in whatever
//! order, the rule and the model agree on what happens next.

mod alert;
mod checklists;
mod contributors;
mod dataset;
mod duty;
mod feedback;
mod incident;
mod phase;
mod pipeline;
mod planning;
mod policy_version;
mod retirement;
mod rollout;
mod selection;
mod source;
mod training;

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lifecycle::deployment::Done;
use lifecycle::{Approval, Policy, Rejection, Role};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

const DAY: u64 = 86_400;

fn policy() -> &'static Policy {
    Policy::builtin()
}

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_767_225_600 + seconds) // 2026-01-01
}

fn digest(letter: char) -> String {
    format!("sha256:{}", letter.to_string().repeat(64))
}

/// An approval by a person who is named after the role.
fn by(role: Role, seconds: u64) -> Approval {
    Approval::new(role.as_str(), role, at(seconds))
}

fn done(seconds: u64) -> Done {
    Done { evidence: "proof".into(), who: "ml-ops-engineer".into(), when: at(seconds) }
}

fn any_of<T: Copy + std::fmt::Debug>(all: &'static [T]) -> impl Strategy<Value = T> {
    select(all)
}

/// One of the roles that matter, or any other.
fn role_near(likely: &'static [Role]) -> impl Strategy<Value = Role> {
    prop_oneof![select(likely), select(Role::ALL)]
}

/// Why a rule said no; empty when it did not.
fn reason<T>(answer: &Result<T, Rejection>) -> &'static str {
    answer.as_ref().err().map_or("", Rejection::reason)
}
