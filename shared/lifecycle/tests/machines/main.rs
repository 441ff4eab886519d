//! Every state machine of the procedure against a model of its legal successors: whatever is called, in whatever
//! order, the rule and the model agree on what happens next.

mod alert;
mod checklists;
mod contributors;
mod dataset;
mod duty;
mod ethics;
mod feedback;
mod gates;
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

#[path = "../given/mod.rs"]
mod given;

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use given::{DAY, at, by, digest, done, policy};
use lifecycle::deployment::Done;
use lifecycle::{Approval, Rejection, Role};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

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
