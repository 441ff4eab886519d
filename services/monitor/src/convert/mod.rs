//! Wire <-> domain, one file for each resource.

pub mod alert;
pub mod canary;
pub mod candidate;
pub mod feedback;
pub mod incident;
pub mod profile;
pub mod sketch;

use contracts::common::v1::{Finding, Verdict};
use prost_types::Timestamp;
use std::time::{SystemTime, UNIX_EPOCH};

/// The time of a field that was checked or stamped; the epoch where it is absent, which is before everything.
pub fn time(wire: Option<&Timestamp>) -> SystemTime {
    wire.and_then(contracts::time::from_wire).unwrap_or(UNIX_EPOCH)
}

/// A time on the wire.
#[allow(clippy::unnecessary_wraps)] // as the fields of the contract are
pub fn wire_time(time: SystemTime) -> Option<Timestamp> {
    Some(contracts::time::to_wire(time))
}

/// A finding on the wire; what is found does not hold.
pub fn finding(finding: &lifecycle::Finding) -> Finding {
    Finding {
        clause: finding.clause.clone(),
        subject: finding.subject.clone(),
        required: finding.required.clone(),
        observed: finding.observed.clone(),
        verdict: Verdict::Fail.into(),
    }
}
