//! §3: the phases' transitions and the records that each needs.

use serde::{Deserialize, Serialize};

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
