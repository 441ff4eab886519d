//! Wire -> domain for the rules of `lifecycle`, one file for each resource. What is converted was checked before
//! (`check` of the verb), so a value that still does not fit is damage, not bad input.

pub mod data_source;
pub mod dataset;
pub mod evaluation;
pub mod gate;
pub mod model;
pub mod project;
pub mod review;
pub mod rollout;
pub mod training_run;

use contracts::common::v1::{Finding, Verdict};
use prost_types::Timestamp;
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::Error;

/// The time of a stamped field; the epoch where it is absent, which is before everything.
pub fn time(wire: Option<&Timestamp>) -> SystemTime {
    optional_time(wire).unwrap_or(UNIX_EPOCH)
}

/// The time of an optional field.
pub fn optional_time(wire: Option<&Timestamp>) -> Option<SystemTime> {
    wire.and_then(contracts::time::from_wire)
}

/// A word of a closed list of the procedure (`smoke_tests`, `smoke-tests`).
///
/// # Errors
/// INVALID_ARGUMENT with what is taken.
pub fn word<T: FromStr<Err = String>>(field: &str, text: &str) -> Result<T, Error> {
    text.parse().map_err(|why: String| Error::field(field, why))
}

/// A finding on the wire.
pub fn finding(finding: &lifecycle::Finding, verdict: Verdict) -> Finding {
    Finding {
        clause: finding.clause.clone(),
        subject: finding.subject.clone(),
        required: finding.required.clone(),
        observed: finding.observed.clone(),
        verdict: verdict.into(),
    }
}

/// A verdict on the wire; `None` is "not applicable".
pub fn verdict(verdict: Option<&lifecycle::Verdict>) -> Verdict {
    match verdict {
        None => Verdict::NotApplicable,
        Some(lifecycle::Verdict::Pass) => Verdict::Pass,
        Some(lifecycle::Verdict::Fail) => Verdict::Fail,
        Some(lifecycle::Verdict::Inconclusive { .. }) => Verdict::Inconclusive,
        Some(lifecycle::Verdict::Undefined { .. }) => Verdict::Undefined,
    }
}
