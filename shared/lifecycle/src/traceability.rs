//! §4.1 requirement → evidence: each requirement resolves to at least one passing evidence, or is listed open.

use crate::rejection::{Findings, Rejection};
use crate::verdict::Verdict;

/// A requirement of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    /// Its id within the plan.
    pub id: String,
    /// Type and words, `non-functional: latency < 2 s`.
    pub text: String,
}

/// A result that speaks for a requirement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// Id of the requirement.
    pub requirement: String,
    /// Name of the test, metric or document.
    pub name: String,
    /// What it says; only a pass resolves.
    pub verdict: Verdict,
}

/// One row of the matrix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The requirement.
    pub requirement: Requirement,
    /// Names of the evidence that passes.
    pub passing: Vec<String>,
    /// Names and verdicts of the evidence that does not.
    pub other: Vec<(String, Verdict)>,
}

impl Row {
    /// Whether nothing passing speaks for it.
    pub fn is_open(&self) -> bool {
        self.passing.is_empty()
    }
}

/// The matrix of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Matrix {
    /// One row per requirement, in their order.
    pub rows: Vec<Row>,
    /// Evidence that names no requirement of the plan.
    pub orphans: Vec<Evidence>,
}

/// Resolves every requirement.
pub fn trace(requirements: &[Requirement], evidence: &[Evidence]) -> Matrix {
    let rows = requirements
        .iter()
        .map(|requirement| {
            let own = evidence.iter().filter(|item| item.requirement == requirement.id);
            let (passing, other): (Vec<_>, Vec<_>) = own.partition(|item| item.verdict.passed());
            Row {
                requirement: requirement.clone(),
                passing: passing.into_iter().map(|item| item.name.clone()).collect(),
                other: other.into_iter().map(|item| (item.name.clone(), item.verdict.clone())).collect(),
            }
        })
        .collect();
    let known = |item: &&Evidence| !requirements.iter().any(|requirement| requirement.id == item.requirement);
    Matrix { rows, orphans: evidence.iter().filter(known).cloned().collect() }
}

impl Matrix {
    /// Requirements that are open.
    pub fn open(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| row.is_open())
    }

    /// That nothing is open.
    /// # Errors
    /// `REQUIREMENTS_OPEN` with one finding per open requirement.
    pub fn require_resolved(&self) -> Result<(), Rejection> {
        let mut found = Findings::new();
        for row in self.open() {
            let observed = match row.other.as_slice() {
                [] => "no evidence".to_owned(),
                others => others
                    .iter()
                    .map(|(name, verdict)| format!("{name}: {verdict}"))
                    .collect::<Vec<_>>()
                    .join(", "),
            };
            let subject = format!("requirement {}", row.requirement.id);
            found.add("§4.1", subject, "at least one passing evidence", observed);
        }
        found.into_result("REQUIREMENTS_OPEN", "traceability")
    }
}
