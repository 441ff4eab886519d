//! Short ways to say no.

use crate::rejection::{Finding, Findings, Rejection};

/// A refusal with a single finding.
pub(crate) fn one<T>(
    reason: &'static str,
    subject: &str,
    clause: &str,
    what: impl Into<String>,
    required: impl Into<String>,
    observed: impl Into<String>,
) -> Result<T, Rejection> {
    Err(Rejection::one(reason, subject, Finding::new(clause, what, required, observed)))
}

/// A refusal with every finding, or `Ok` if there is none.
pub(crate) fn all(
    reason: &'static str,
    subject: &str,
    found: impl IntoIterator<Item = Finding>,
) -> Result<(), Rejection> {
    let mut findings = Findings::new();
    findings.extend(found);
    findings.into_result(reason, subject)
}
