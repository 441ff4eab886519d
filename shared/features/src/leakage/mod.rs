//! The audit of given splits: does one part know something of another?
//!
//! Each check answers with a [`Finding`]: what was looked at, how much was found, in which rows, and a verdict. A check that
//! saw too little to tell says so; it never passes.

pub mod adversarial;
mod design;
pub mod labels;
pub mod overlap;
pub mod shared;

use serde::{Deserialize, Serialize};
use statistics::Interval;

/// What a check says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Within the limit, with the interval.
    Pass,
    /// Beyond the limit, with the interval.
    Fail,
    /// The sample does not tell.
    Inconclusive,
}

/// What one check found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Which check: `shared_keys`, `equal_rows`, `near_duplicates`, `time_overlap`, `adversarial_auc`, `label_shares`.
    pub check: String,
    /// What was looked at, in words.
    pub what: String,
    /// How much was found, in the unit that `what` says; not a number where it could not be computed.
    pub value: f64,
    /// Its confidence interval, where it is an estimate.
    pub interval: Option<Interval>,
    /// The largest value that passes.
    pub limit: f64,
    /// Rows concerned.
    pub rows: u64,
    /// The first of them, numbered from 0.
    pub sample: Vec<u64>,
    /// Whether this is leakage.
    pub verdict: Verdict,
}

/// How the audit judges.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Confidence of the intervals, 0..1.
    pub confidence: f64,
    /// Largest area under the ROC curve at which parts still count as alike.
    pub auc: f64,
    /// Largest difference of a label's share between two parts.
    pub label_gap: f64,
    /// Rows that a finding names.
    pub sample: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { confidence: 0.95, auc: 0.55, label_gap: 0.05, sample: 20 }
    }
}

impl Finding {
    /// A count that must be zero; `complete` says that everything was looked at.
    fn counted(check: &str, what: String, rows: Vec<u64>, most: usize, complete: bool) -> Self {
        let count = rows.len() as u64;
        let verdict = match (count, complete) {
            (0, true) => Verdict::Pass,
            (0, false) => Verdict::Inconclusive,
            _ => Verdict::Fail,
        };
        Self {
            check: check.to_owned(),
            what,
            value: count as f64,
            interval: None,
            limit: 0.0,
            rows: count,
            sample: rows.into_iter().take(most).collect(),
            verdict,
        }
    }

    /// An estimate that must not be above a limit.
    fn estimated(
        check: &str,
        what: String,
        value: f64,
        interval: Option<Interval>,
        limit: f64,
        rows: u64,
    ) -> Self {
        let verdict = match interval {
            Some(interval) if interval.upper <= limit => Verdict::Pass,
            Some(interval) if limit < interval.lower => Verdict::Fail,
            _ => Verdict::Inconclusive,
        };
        Self { check: check.to_owned(), what, value, interval, limit, rows, sample: Vec::new(), verdict }
    }
}
