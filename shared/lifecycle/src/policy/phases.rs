//! §3: the phases' transitions and the records that each needs.

use serde::{Deserialize, Serialize};

use super::problem::Problems;
use crate::phase::{Phase, Record};

/// Every transition that the life cycle allows; what is not listed is illegal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PhasePolicy {
    /// The arrows of the figure in §3, and the ways back for rework.
    pub transitions: Vec<Transition>,
}

/// One arrow of §3.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transition {
    /// Phase that is left.
    pub from: Phase,
    /// Phase that is entered.
    pub to: Phase,
    /// Records that must exist before the move, each with the clause that asks for it.
    pub records: Vec<RequiredRecord>,
}

/// A record that a transition needs, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequiredRecord {
    /// What must exist.
    pub record: Record,
    /// Clause of the procedure, printed in the refusal.
    pub clause: String,
}

impl PhasePolicy {
    pub(super) fn check(&self, bad: &mut Problems) {
        for (at, row) in self.transitions.iter().enumerate() {
            let path = format!("phases.transitions[{at}]");
            let same = self.transitions.iter().filter(|other| (other.from, other.to) == (row.from, row.to));
            bad.require(same.count() == 1, &path, "stands twice");
            bad.require(!row.records.is_empty(), &path, "needs at least one record");
            bad.require(row.from != Phase::Retire, &path, "leaves RETIRE, which is final");
        }
    }
}
