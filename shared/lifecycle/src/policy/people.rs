//! Who may do what (§12), training of people, the approval block.

use serde::{Deserialize, Serialize};

use super::{Cited, Span, problem::Problems};
use crate::policy_change::Signature;
use crate::role::Role;
use crate::separation::Action;

/// The permission matrix and the rules beside it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct People {
    /// One row per action; what no row allows is refused.
    pub matrix: Vec<ActionRow>,
    /// Roles that are never held together with `admin`.
    pub never_with_admin: Cited<Vec<Role>>,
    /// How long a break-glass lasts at most.
    pub break_glass_within: Cited<Span>,
    /// How many models it covers at most.
    pub break_glass_models: Cited<u32>,
    /// Courses that roles need.
    pub courses: Vec<CourseRow>,
    /// Who signs the procedure.
    pub signatures: Vec<SignatureRow>,
}

/// Who may do one action.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActionRow {
    /// What.
    pub action: Action,
    /// Roles of which one is enough.
    pub roles: Vec<Role>,
    /// Roles that must each be among the approvers, beside the number of persons.
    #[serde(default)]
    pub each_of: Vec<Role>,
    /// True when who contributed is barred.
    pub bars_contributors: bool,
    /// Distinct persons that are needed.
    pub persons: usize,
    /// Where it comes from.
    pub clause: String,
}

/// A course that a role needs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CourseRow {
    /// Role.
    pub role: Role,
    /// Name of the course or procedure.
    pub course: String,
    /// How long a record holds.
    pub valid_for: Span,
    /// Where it comes from.
    pub clause: String,
}

/// A row of the approval block.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignatureRow {
    /// As what one signs.
    pub signature: Signature,
    /// In which role.
    pub role: Role,
    /// Its clause.
    pub clause: String,
}

impl People {
    pub(super) fn check(&self, bad: &mut Problems) {
        bad.exactly("people.matrix", self.matrix.iter().map(|row| row.action), Action::ALL);
        for (at, row) in self.matrix.iter().enumerate() {
            bad.require(!row.roles.is_empty(), format!("people.matrix[{at}].roles"), "must not be empty");
            bad.require(row.persons > 0, format!("people.matrix[{at}].persons"), "must be above 0");
        }
        bad.exactly("people.signatures", self.signatures.iter().map(|row| row.signature), Signature::ALL);
        let within = self.break_glass_within.value.get();
        bad.require(!within.is_zero(), "people.break_glass_within", "must be above 0");
        for (at, row) in self.courses.iter().enumerate() {
            bad.text(format!("people.courses[{at}].course"), &row.course);
        }
    }
}
