//! What a person should look at.

use features::Kind;
use statistics::contingency;

use super::gaps;
use super::people::{is_sensitive_name, of_people};
use super::quality::Facts;
use super::report::{Column, Finding, Report};
use super::state::Values;
use crate::typing;

/// Rows from which on a constraint is suggested.
const ROWS: u64 = 100;
/// Chance below which missing values are said to depend on another column, over all columns together.
const LEVEL: f64 = 0.001;
/// Strength (Cramér's V) from which on that is said.
const STRENGTH: f64 = 0.1;
/// Difference between groups from which on it is told.
const GAP: f64 = 0.05;
/// Near-duplicates are told from one in so many rows on.
const FEW: u64 = 200;
/// Different values of a label at most, where its name does not say that it is one.
const CLASSES: u64 = 10;
/// Names of labels.
const LABELS: [&str; 7] = ["label", "labels", "target", "class", "outcome", "response", "y"];
/// Findings at most.
const FINDINGS: usize = 400;

/// What should be looked at.
pub fn all(report: &Report, facts: &Facts<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    if report.rows == 0 {
        found.push(Finding { kind: "empty", column: None, what: "has no rows".into() });
    }
    for (column, state) in report.columns.iter().zip(&facts.state.columns) {
        let mut add =
            |kind, what: String| found.push(Finding { kind, column: Some(column.name.clone()), what });
        let samples = match &state.values {
            Values::Texts(texts) => texts.frequent.entries().iter().map(|it| &*it.item.text).collect(),
            Values::Numbers(_) => Vec::new(),
        };
        of_values(column, report, &samples, &mut add);
        of_people(column, facts, &mut add);
    }
    of_label(report, facts, &mut found);
    of_repeats(report, &mut found);
    of_groups(facts, &mut found);
    dependent(report, facts, &mut found);
    found.truncate(FINDINGS);
    found
}

/// The column that a model may be to predict, by its name or as the last one that says nothing of a person.
fn of_label(report: &Report, facts: &Facts<'_>, found: &mut Vec<Finding>) {
    if facts.declared.is_some_and(|declared| declared.label.is_some()) || report.rows < ROWS {
        return;
    }
    let classes = |column: &&Column| {
        column.distinct.exact && (2..=CLASSES).contains(&column.distinct.count) && column.kind != "float64"
    };
    let named = |column: &&Column| LABELS.contains(&column.name.to_lowercase().as_str());
    let last = report.columns.iter().rev().find(|column| !is_sensitive_name(&column.name));
    let Some(column) = report.columns.iter().find(named).or(last.filter(classes)) else { return };
    found.push(Finding {
        kind: "label-like",
        column: Some(column.name.clone()),
        what: "may be the label: declare it to see who gets which, and where equal rows contradict it".into(),
    });
}

/// Texts that repeat, and labels that contradict each other.
fn of_repeats(report: &Report, found: &mut Vec<Finding>) {
    if let Some(near) = report.near_duplicates.as_ref().filter(|near| near.rows <= near.repeated * FEW) {
        let (repeated, rows, clusters) = (near.repeated, near.rows, near.clusters);
        found.push(Finding {
            kind: "near-duplicates",
            column: Some(near.columns.join(", ")),
            what: format!(
                "{repeated} of {rows} rows nearly repeat another one's text, in {clusters} clusters: keep each in one split"
            ),
        });
    }
    if let Some(conflicts) = report.label_conflicts.filter(|count| *count > 0) {
        let rows = if conflicts == 1 { "row equals" } else { "rows equal" };
        let what = format!("{conflicts} {rows} an earlier one but for the label: one of the two is wrong");
        found.push(Finding { kind: "label-conflicts", column: None, what });
    }
}

/// Groups that surely differ in duplicates or labels.
fn of_groups(facts: &Facts<'_>, found: &mut Vec<Finding>) {
    let all = gaps::duplicates(facts).into_iter().chain(gaps::labels(facts));
    for gap in all.filter(|gap| GAP <= gap.interval.lower) {
        let [(high, most), (low, least)] = &gap.ends;
        let points = |share: f64| share * 100.0;
        found.push(Finding {
            kind: "group-gap",
            column: Some(gap.by.clone()),
            what: format!(
                "{}: {:.1} % of {high}, {:.1} % of {low}, at least {:.1} points apart",
                gap.of,
                points(*most),
                points(*least),
                points(gap.interval.lower)
            ),
        });
    }
}

fn of_values(column: &Column, report: &Report, samples: &[&str], add: &mut impl FnMut(&'static str, String)) {
    let present = report.rows - column.missing.count;
    if present == 0 && report.rows > 0 {
        return add("no-values", "has no values".into());
    }
    if column.distinct.exact && column.distinct.count == 1 && present > 1 {
        let value = column.top.first().map_or(String::new(), |top| top.value.text());
        let gaps = if column.missing.count > 0 { " or nothing" } else { "" };
        add("constant", format!("always {value}{gaps}"));
    }
    if is_identifier(column, report) {
        let how =
            if column.distinct.exact { "every value is another" } else { "about every value is another" };
        add("identifier-like", format!("{how}: a key, or no feature"));
    }
    for (marker, count) in &column.missing.suspected {
        add("missing-marker", format!("{count} times {marker:?}, read as missing: declare it as a sentinel"));
    }
    if let Some(texts) = &column.texts {
        let count = |class: &str| texts.classes.get(class).copied().unwrap_or(0);
        let markers = count("missing marker");
        if markers > 0 {
            let mut which: Vec<String> = (samples.iter())
                .filter(|text| typing::SUSPECTS.contains(&text.trim()))
                .map(|text| format!("{:?}", text.trim()))
                .collect();
            which.sort_unstable();
            which.dedup();
            let which = if which.is_empty() { String::new() } else { format!(" ({})", which.join(", ")) };
            let what = if markers == 1 { "value often stands" } else { "values often stand" };
            let what = format!("{markers} {what} for a missing one{which}");
            add("missing-marker", format!("{what}: declare as a sentinel if so"));
        }
        match count("padded") {
            0 => {}
            1 => add("padded", "1 value begins or ends with white space".into()),
            many => add("padded", format!("{many} values begin or end with white space")),
        }
        match count("blank") {
            0 => {}
            1 => add("blank", "1 value is nothing but white space".into()),
            many => add("blank", format!("{many} values are nothing but white space")),
        }
        let nested = |text: &&str| text.starts_with('[') || text.starts_with('{');
        if !samples.is_empty() && samples.iter().all(nested) {
            add("nested", "holds lists or objects: profiled as their JSON text".into());
        }
        if let Some(looks) = &texts.looks_like {
            if looks.misfits > 0 {
                let (all, misfits) = (looks.fits + looks.misfits, looks.misfits);
                let are = if misfits == 1 { "is" } else { "are" };
                add("misfits", format!("{misfits} of {all} values {are} no {}", looks.class));
            } else if ["number", "whole number", "number, decimal comma", "date, other form"]
                .contains(&looks.class)
            {
                add("stored-as-text", format!("every value is a {} and stored as text", looks.class));
            }
        }
    }
    if let Some(numbers) = &column.numbers {
        for (marker, count) in sentinel_like(column) {
            add("sentinel-like", format!("{count} times {marker}, apart from all other values: a marker?"));
        }
        if numbers.infinite > 0 {
            add("infinite", format!("{} values are infinite", numbers.infinite));
        }
    }
}

/// Whole numbers of nines at the edge of the range that stand out.
pub fn sentinel_like(column: &Column) -> Vec<(i64, u64)> {
    let Some(numbers) = &column.numbers else { return Vec::new() };
    let at = |quantile: f64| {
        let found = numbers.quantiles.iter().find(|it| it.at == quantile)?;
        found.value.number(Kind::Float64)
    };
    let (Some(low), Some(high)) = (at(0.25), at(0.75)) else { return Vec::new() };
    let spread = (high - low).max(1.0);
    let edges = [numbers.min.number(Kind::Float64), numbers.max.number(Kind::Float64)];
    let count = |marker: f64| {
        let top = column.top.iter().find(|top| top.value.number(Kind::Float64) == Some(marker))?;
        (top.count > 1).then_some(top.count)
    };
    // Nothing else is below zero, and what is above it is no small code.
    let wide = edges[1].is_some_and(|max| max >= 20.0);
    if wide && edges[0] == Some(-1.0) && count(-1.0) == Some(numbers.negatives) {
        return vec![(-1, numbers.negatives)];
    }
    [-99.0, -999.0, -9_999.0, -99_999.0, 99.0, 999.0, 9_999.0, 99_999.0, 999_999.0]
        .into_iter()
        .filter(|marker| edges.contains(&Some(*marker)))
        .filter(|marker| *marker < low - 3.0 * spread || high + 3.0 * spread < *marker)
        .filter_map(|marker| Some((marker as i64, count(marker)?)))
        .collect()
}

/// Every value another, as far as that is known, and no measure.
fn is_identifier(column: &Column, report: &Report) -> bool {
    let present = report.rows - column.missing.count;
    let unique = if column.distinct.exact {
        column.distinct.count == present
    } else {
        present as f64 <= column.distinct.interval.upper
    };
    let long = column.texts.as_ref().is_some_and(|texts| texts.mean > 40.0);
    present >= 20 && column.missing.count == 0 && unique && !long && matches!(column.kind, "int64" | "utf8")
}

/// Whether values are missing more often for some labels or groups than for others (chi-squared, Bonferroni).
fn dependent(report: &Report, facts: &Facts<'_>, found: &mut Vec<Finding>) {
    let groups = facts.setup.groups.iter().zip(&facts.state.groups).filter(|(_, groups)| !groups.too_many);
    let mut tests = Vec::new();
    for (by, groups) in groups {
        for (at, column) in report.columns.iter().enumerate() {
            if at == *by || column.missing.count == 0 || column.missing.count == report.rows {
                continue;
            }
            let table = groups.levels.iter().zip(&groups.missing);
            let table = table.map(|((_, rows), missing)| (missing[at], rows - missing[at]));
            tests.push((*by, at, table.collect::<Vec<(u64, u64)>>()));
        }
    }
    let level = LEVEL / tests.len().max(1) as f64;
    for (by, at, table) in tests {
        let Some((p_value, strength)) = association(&table) else { continue };
        if p_value < level && STRENGTH <= strength {
            let by = &report.columns[by].name;
            found.push(Finding {
                kind: "missing-not-at-random",
                column: Some(report.columns[at].name.clone()),
                what: format!(
                    "is missing more often for some values of {by} than for others (Cramér's V {strength:.2})"
                ),
            });
        }
    }
}

/// p-value of the chi-squared test of independence and Cramér's V of counts with and without a value.
fn association(table: &[(u64, u64)]) -> Option<(f64, f64)> {
    let (missing, present): (Vec<u64>, Vec<u64>) = table.iter().copied().unzip();
    let test = contingency::homogeneity(&present, &missing).ok()?;
    Some((test.p_value, test.cramers_v))
}
