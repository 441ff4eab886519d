//! Findings in words.

use contracts::common::v1::{Finding, Verdict};

/// A finding in one line: clause, what was looked at, what was required and observed.
pub fn finding_line(finding: &Finding) -> String {
    let Finding { clause, subject, required, observed, .. } = finding;
    let verdict =
        finding.verdict().as_str_name().trim_start_matches("VERDICT_").to_lowercase().replace('_', " ");
    format!("{verdict:14} {clause} {subject} {observed}, required {required}")
}

/// The findings that do not pass, in one line.
pub fn failures(findings: &[Finding]) -> String {
    let open = |one: &&Finding| !matches!(one.verdict(), Verdict::Pass | Verdict::NotApplicable);
    let told =
        |one: &Finding| format!("{} {} {}, required {}", one.clause, one.subject, one.observed, one.required);
    findings.iter().filter(open).map(told).collect::<Vec<_>>().join("; ")
}
