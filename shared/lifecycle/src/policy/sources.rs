//! §5.1: source types, what to consider, whose approval.

use serde::{Deserialize, Serialize};

use super::{Cited, problem::Problems};
use crate::{role::Role, source::SourceKind};

/// The table of §5.1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sources {
    /// One row per source type.
    pub types: Vec<SourceRow>,
    /// Source types that need a licence (SPDX).
    pub license_needed: Cited<Vec<SourceKind>>,
    /// Source types that need a contract with an end.
    pub contract_needed: Cited<Vec<SourceKind>>,
}

/// One source type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceRow {
    /// Which.
    pub kind: SourceKind,
    /// What must be considered, kebab-case.
    pub considerations: Vec<String>,
    /// Every role whose approval is needed.
    pub approvals: Vec<Role>,
    /// Its clause.
    pub clause: String,
}

impl Sources {
    pub(super) fn check(&self, bad: &mut Problems) {
        bad.exactly("sources.types", self.types.iter().map(|row| row.kind), SourceKind::ALL);
        for (at, row) in self.types.iter().enumerate() {
            let path = format!("sources.types[{at}]");
            bad.require(!row.approvals.is_empty(), format!("{path}.approvals"), "must not be empty");
            bad.require(
                !row.considerations.is_empty(),
                format!("{path}.considerations"),
                "must not be empty",
            );
        }
    }
}
