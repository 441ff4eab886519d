//! Markdown with the same bytes for the same values.

use contracts::common::v1::{ChecklistItem, Finding, Measurement, Verdict};
use prost_types::Timestamp;

/// `Model card` of `model-card`.
pub fn title(kebab: &str) -> String {
    let spaced = kebab.replace(['-', '_'], " ");
    let mut letters = spaced.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// Lines of `- name: value`; empty values are left out.
pub fn facts<V: AsRef<str>>(facts: &[(&str, V)]) -> String {
    let line = |(name, value): &(&str, V)| format!("- {name}: {}\n", inline(value.as_ref()));
    facts.iter().filter(|(_, value)| !value.as_ref().trim().is_empty()).map(line).collect()
}

/// Lines of `- item`.
pub fn list<'a>(items: impl IntoIterator<Item = &'a String>) -> String {
    let mut text = String::new();
    for item in items {
        text.extend(["- ", &inline(item), "\n"]);
    }
    text
}

/// A table; nothing where there are no rows.
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let mut text = line(head.iter().map(ToString::to_string).collect());
    text.push_str(&line(head.iter().map(|_| "---".to_owned()).collect()));
    for row in rows {
        text.push_str(&line(row.iter().map(|value| inline(value).replace('|', "\\|")).collect()));
    }
    text
}

/// Measurements with samples and interval.
pub fn measurements<'a>(all: impl IntoIterator<Item = &'a Measurement>) -> String {
    let rows: Vec<Vec<String>> = all
        .into_iter()
        .map(|one| {
            let bound = |bound: Option<f64>| bound.map_or_else(String::new, |bound| bound.to_string());
            let value = if one.value.is_nan() {
                format!("undefined: {}", one.undefined_reason)
            } else {
                one.value.to_string()
            };
            vec![
                one.metric.clone(),
                one.slice.clone(),
                format!("{value} {}", one.unit).trim_end().to_owned(),
                one.sample_size.to_string(),
                format!("{}..{}", bound(one.lower), bound(one.upper)),
                one.convention.clone(),
            ]
        })
        .collect();
    table(&["metric", "slice", "value", "n", "interval", "convention"], &rows)
}

/// Findings with their verdicts.
pub fn findings(all: &[Finding]) -> String {
    let rows: Vec<Vec<String>> = all
        .iter()
        .map(|one| {
            let verdict = Verdict::try_from(one.verdict).unwrap_or_default().as_str_name();
            let verdict = verdict.trim_start_matches("VERDICT_").to_lowercase().replace('_', " ");
            vec![one.clause.clone(), one.subject.clone(), one.required.clone(), one.observed.clone(), verdict]
        })
        .collect();
    table(&["clause", "subject", "required", "observed", "verdict"], &rows)
}

/// A checklist.
pub fn checklist(items: &[ChecklistItem]) -> String {
    let line = |one: &ChecklistItem| {
        let proof = if one.evidence_digest.is_empty() { &one.note } else { &one.evidence_digest };
        if !one.done && !one.failed {
            return format!("- [ ] {}\n", one.item);
        }
        let mark = if one.done { "x" } else { "failed" };
        let (when, proof) = (time(one.time), inline(proof));
        format!("- [{mark}] {}: {} ({}), {when}, {proof}\n", one.item, one.principal, one.role)
    };
    items.iter().map(line).collect()
}

/// RFC 3339, or nothing.
pub fn time(time: Option<Timestamp>) -> String {
    time.map_or_else(String::new, |time| time.to_string())
}

/// One line: what a record says must not start a heading or a table of its own.
fn inline(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
