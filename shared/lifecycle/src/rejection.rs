//! Why a rule said no: the clause, what it required, what was observed.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One thing that does not hold. Printed as `§7.3 demographic parity 0.83, required > 0.9`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Finding {
    /// Section of the procedure, `§7.3`.
    pub clause: String,
    /// What was judged, in words: `demographic parity`.
    pub subject: String,
    /// What the clause asks for: `> 0.9`.
    pub required: String,
    /// What was there: `0.83`, `missing`.
    pub observed: String,
}

impl Finding {
    /// A finding from its four parts.
    pub fn new(
        clause: impl Into<String>,
        subject: impl Into<String>,
        required: impl Into<String>,
        observed: impl Into<String>,
    ) -> Self {
        Self {
            clause: clause.into(),
            subject: subject.into(),
            required: required.into(),
            observed: observed.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}, required {}", self.clause, self.subject, self.observed, self.required)
    }
}

/// A refusal: what was refused, a stable reason for programs, and every finding that led to it.
///
/// Printed as `G2 refused: §7.3 demographic parity 0.83, required > 0.9`; several findings are joined by `; `.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    reason: &'static str,
    subject: String,
    findings: Vec<Finding>,
}

impl Rejection {
    /// A refusal of `subject` (`"G2"`, `"plan approval"`) for `reason` (`UPPER_SNAKE`) with its findings.
    pub fn new(reason: &'static str, subject: impl Into<String>, findings: Vec<Finding>) -> Self {
        Self { reason, subject: subject.into(), findings }
    }

    /// A refusal with a single finding.
    pub fn one(reason: &'static str, subject: impl Into<String>, finding: Finding) -> Self {
        Self::new(reason, subject, vec![finding])
    }

    /// Stable reason for programs, `UPPER_SNAKE`.
    pub fn reason(&self) -> &'static str {
        self.reason
    }

    /// What was refused.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// Clause of the first finding; empty when there is none.
    pub fn clause(&self) -> &str {
        self.findings.first().map_or("", |finding| finding.clause.as_str())
    }

    /// Everything that did not hold, in the order of the rule.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} refused", self.subject)?;
        for (at, finding) in self.findings.iter().enumerate() {
            write!(f, "{} {finding}", if at == 0 { ":" } else { ";" })?;
        }
        Ok(())
    }
}

impl std::error::Error for Rejection {}

/// Collects findings, so that a refusal names everything that is wrong at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings(Vec<Finding>);

impl Findings {
    /// No findings yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a finding.
    pub fn add(
        &mut self,
        clause: impl Into<String>,
        subject: impl Into<String>,
        required: impl Into<String>,
        observed: impl Into<String>,
    ) {
        self.0.push(Finding::new(clause, subject, required, observed));
    }

    /// Adds "required present, observed missing" for `subject`.
    pub fn missing(&mut self, clause: impl Into<String>, subject: impl Into<String>) {
        self.add(clause, subject, "present", "missing");
    }

    /// Adds a "missing" finding when `text` is empty or blank.
    pub fn need_text(&mut self, clause: &str, subject: &str, text: &str) {
        if text.trim().is_empty() {
            self.missing(clause, subject);
        }
    }

    /// Adds a finding when `text` is no `sha256:<64 hex>` digest.
    pub fn need_digest(&mut self, clause: &str, subject: &str, text: &str) {
        if text.is_empty() {
            self.missing(clause, subject);
        } else if !is_digest(text) {
            self.add(clause, subject, "sha256:<64 hex digits>", format!("{text:?}"));
        }
    }

    /// Adds a finding unless `holds`.
    pub fn require(
        &mut self,
        holds: bool,
        clause: &str,
        subject: &str,
        required: impl Into<String>,
        observed: impl Into<String>,
    ) {
        if !holds {
            self.add(clause, subject, required, observed);
        }
    }

    /// Takes over the findings of another collection.
    pub fn extend(&mut self, others: impl IntoIterator<Item = Finding>) {
        self.0.extend(others);
    }

    /// True when nothing was found.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The findings in order.
    pub fn into_vec(self) -> Vec<Finding> {
        self.0
    }

    /// `Ok` when nothing was found.
    ///
    /// # Errors
    /// A [`Rejection`] of `subject` with every finding.
    pub fn into_result(self, reason: &'static str, subject: impl Into<String>) -> Result<(), Rejection> {
        if self.0.is_empty() { Ok(()) } else { Err(Rejection::new(reason, subject, self.0)) }
    }
}

/// True for `sha256:` followed by 64 lower-case hexadecimal digits.
pub fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:").is_some_and(|hex| {
        hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    })
}
