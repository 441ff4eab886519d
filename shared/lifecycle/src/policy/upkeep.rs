//! §10 duties and retirement, §11 documents, incidents.

use serde::{Deserialize, Serialize};

use super::{Cited, Span, problem::Problems};
use crate::documents::{Document, Occasion};
use crate::duty::{Activity, Frequency};
use crate::incident::{Part, Severity};
use crate::retirement::{Criterion, Step};
use crate::role::Role;

/// §10.1
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Duties {
    /// The five activities.
    pub activities: Vec<DutyRow>,
    /// Time to follow a change, for what is due per change.
    pub per_change_within: Cited<Span>,
}

/// A row of §10.1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DutyRow {
    /// What.
    pub activity: Activity,
    /// How often.
    pub frequency: Frequency,
    /// Who.
    pub role: Role,
    /// Its clause.
    pub clause: String,
}

/// §10.2 and §10.3
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetirementPolicy {
    /// Consecutive days below acceptable.
    pub degraded_days: Cited<u32>,
    /// Relative improvement that supersedes, a share; reaching it is enough.
    pub improvement: Cited<f64>,
    /// Who declares the criteria that no machine can see.
    pub declared_by: Vec<DeclarerRow>,
    /// The steps in order.
    pub steps: Vec<Step>,
    /// Least time between the announcement and traffic zero, unless security.
    pub notice: Cited<Span>,
    /// Classes of retention.
    pub retention: Vec<RetentionRow>,
}

/// Who declares a criterion.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeclarerRow {
    /// Which criterion.
    pub criterion: Criterion,
    /// Who.
    pub roles: Vec<Role>,
    /// Its clause.
    pub clause: String,
}

/// How long records are kept after a retirement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetentionRow {
    /// Name of the class.
    pub class: String,
    /// How long.
    pub keep: Span,
    /// Its clause.
    pub clause: String,
}

/// A row of §11.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DocumentRow {
    /// Which.
    pub document: Document,
    /// One per what.
    pub per: Occasion,
    /// Who signs.
    pub owner: Role,
    /// Template, `TPL-MODEL`.
    pub template: String,
    /// Parts that must not be empty.
    pub parts: Vec<String>,
    /// Its clause.
    pub clause: String,
}

/// Incidents: severities and required parts of their report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IncidentPolicy {
    /// Clocks per severity.
    pub severities: Vec<SeverityRow>,
    /// What must be known before an incident is closed.
    pub parts: Cited<Vec<Part>>,
    /// Who may acknowledge and resolve one, beside the owner of its report.
    pub responders: Cited<Vec<Role>>,
}

/// Clocks of a severity.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeverityRow {
    /// Which.
    pub severity: Severity,
    /// Longest time until somebody looks at it.
    pub acknowledge_within: Span,
    /// Longest time until it harms nobody any more.
    pub mitigate_within: Span,
    /// Longest time until its report is closed.
    pub close_within: Span,
    /// Its clause.
    pub clause: String,
}

impl Duties {
    pub(super) fn check(&self, bad: &mut Problems) {
        bad.exactly("duties.activities", self.activities.iter().map(|row| row.activity), Activity::ALL);
        bad.require(
            !self.per_change_within.value.get().is_zero(),
            "duties.per_change_within",
            "must be above 0",
        );
    }
}

impl RetirementPolicy {
    pub(super) fn check(&self, bad: &mut Problems) {
        bad.require(self.degraded_days.value > 0, "retirement.degraded_days", "must be above 0");
        bad.inner_share("retirement.improvement", self.improvement.value);
        bad.require(self.steps == Step::ALL, "retirement.steps", "must be the seven steps in their order");
        let declared = self.declared_by.iter().map(|row| row.criterion);
        bad.exactly("retirement.declared_by", declared, Criterion::DECLARED);
        bad.require(!self.retention.is_empty(), "retirement.retention", "must not be empty");
    }
}

impl IncidentPolicy {
    pub(super) fn check(&self, bad: &mut Problems) {
        bad.exactly("incidents.severities", self.severities.iter().map(|row| row.severity), Severity::ALL);
        bad.exactly("incidents.parts", self.parts.value.iter().copied(), Part::ALL);
    }
}

/// Checks the rows of §11.
pub(super) fn check_documents(rows: &[DocumentRow], bad: &mut Problems) {
    bad.exactly("documents", rows.iter().map(|row| row.document), Document::ALL);
    for (at, row) in rows.iter().enumerate() {
        bad.require(!row.parts.is_empty(), format!("documents[{at}].parts"), "must not be empty");
        bad.text(format!("documents[{at}].template"), &row.template);
    }
}
