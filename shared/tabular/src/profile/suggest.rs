//! What a person should look at, and a schema that the file meets: a beginning, to be judged by who knows the data.

use std::collections::BTreeMap;

use features::Kind;
use statistics::contingency;

use super::gaps;
use super::quality::Facts;
use super::report::{Column, Finding, Report};
use super::state::Values;
use crate::declared::{self, Declared, Scalar};
use crate::typing;

/// Values of a column that are suggested as a set at most.
const SET: usize = 25;
/// Rows for each value of a suggested set at least.
const ROWS_A_VALUE: u64 = 20;
/// Rows from which on a constraint is suggested.
const ROWS: u64 = 100;
/// Share of texts of a class from which on a pattern is suggested.
const CLASS_SHARE: f64 = 0.98;
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

/// Words in names of columns that say something of a person.
const SENSITIVE: [&str; 34] = [
    "sex",
    "gender",
    "race",
    "ethnic",
    "ethnicity",
    "religion",
    "age",
    "birth",
    "birthday",
    "birthdate",
    "dob",
    "nationality",
    "disability",
    "marital",
    "marriage",
    "orientation",
    "political",
    "union",
    "health",
    "diagnosis",
    "pregnant",
    "citizenship",
    "foreign",
    "immigrant",
    "ssn",
    "passport",
    "iban",
    "surname",
    "firstname",
    "lastname",
    "email",
    "phone",
    "address",
    "salary",
];
/// Pairs of words that do together.
const SENSITIVE_PAIRS: [(&str, &str); 8] = [
    ("native", "country"),
    ("personal", "status"),
    ("first", "name"),
    ("last", "name"),
    ("full", "name"),
    ("post", "code"),
    ("zip", "code"),
    ("credit", "card"),
];
/// Classes of texts that name a person or a device.
const PERSONAL: [&str; 4] = ["e-mail", "telephone number", "payment card", "IPv4 address"];

/// What should be looked at.
pub fn findings(report: &Report, facts: &Facts<'_>) -> Vec<Finding> {
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
fn sentinel_like(column: &Column) -> Vec<(i64, u64)> {
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

fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = vec![String::new()];
    let mut lower = false;
    for letter in name.chars() {
        if !letter.is_alphanumeric() || (lower && letter.is_uppercase()) {
            words.push(String::new());
        }
        if letter.is_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.extend(letter.to_lowercase());
        }
        lower = letter.is_lowercase();
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Whether a column's name says something of a person.
pub fn is_sensitive_name(name: &str) -> bool {
    let words = words(name);
    let alone = words.iter().any(|word| SENSITIVE.contains(&word.as_str()));
    alone || words.windows(2).any(|pair| SENSITIVE_PAIRS.contains(&(pair[0].as_str(), pair[1].as_str())))
}

fn of_people(column: &Column, facts: &Facts<'_>, add: &mut impl FnMut(&'static str, String)) {
    let rule = facts.declared.and_then(|declared| declared.columns.get(&column.name));
    if rule.is_some_and(|rule| rule.sensitive) {
        return;
    }
    if is_sensitive_name(&column.name) {
        add("sensitive-looking", "named like something of a person: declare as sensitive if it is".into());
    }
    let texts = column.texts.as_ref();
    if let Some(class) = texts.and_then(|texts| {
        let looks = texts.looks_like.as_ref()?;
        PERSONAL.contains(&looks.class).then_some(looks.class)
    }) {
        add("sensitive-looking", format!("its values look like this: {class}"));
    }
}

/// Whether values are missing more often for some labels or groups than for others (chi-squared, Bonferroni).
fn dependent(report: &Report, facts: &Facts<'_>, found: &mut Vec<Finding>) {
    let groups = facts.setup.groups.iter().zip(&facts.state.groups).filter(|(_, groups)| !groups.too_many);
    let mut tests: Vec<(usize, usize, Vec<(u64, u64)>)> = Vec::new();
    for (by, groups) in groups {
        for (at, column) in report.columns.iter().enumerate() {
            if at == *by || column.missing.count == 0 || column.missing.count == report.rows {
                continue;
            }
            let table = groups.levels.iter().zip(&groups.missing);
            let table = table.map(|((_, rows), missing)| (missing[at], rows - missing[at]));
            tests.push((*by, at, table.collect()));
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

/// A schema that the file meets.
pub fn schema(report: &Report) -> Declared {
    let mut suggested = Declared::default();
    for column in &report.columns {
        suggested.columns.insert(column.name.clone(), rule(column, report));
    }
    let mut markers: BTreeMap<&str, u64> = BTreeMap::new();
    for column in &report.columns {
        for (marker, count) in column.missing.suspected.iter().chain(&column.missing.sentinels) {
            *markers.entry(marker).or_default() += count;
        }
    }
    suggested.sentinels = markers.into_keys().map(|marker| Scalar::Text(marker.to_owned())).collect();
    suggested
}

fn rule(column: &Column, report: &Report) -> declared::Column {
    let mut rule =
        declared::Column { kind: Kind::parse(column.kind), unit: column.unit.clone(), ..Default::default() };
    rule.sensitive = is_sensitive_name(&column.name);
    if report.rows < ROWS {
        return rule;
    }
    rule.required = column.missing.count == 0;
    let present = report.rows - column.missing.count;
    let few = column.distinct.exact && column.distinct.count <= SET as u64;
    let often = column.distinct.count * ROWS_A_VALUE <= present;
    let whole_top = column.top.len() as u64 == column.distinct.count;
    if few && often && whole_top && column.kind == "utf8" {
        rule.values = column.top.iter().map(|top| top.value.clone()).collect();
        rule.values.sort_by_key(Scalar::text);
    } else if let Some(numbers) = &column.numbers {
        let sentinels = sentinel_like(column);
        rule.sentinels = sentinels.iter().map(|(marker, _)| Scalar::Whole(*marker)).collect();
        if sentinels.is_empty() && numbers.infinite == 0 {
            (rule.min, rule.max) = (Some(numbers.min.clone()), Some(numbers.max.clone()));
        }
    } else if let Some(texts) = &column.texts
        && let Some(looks) = &texts.looks_like
        && looks.fits as f64 >= CLASS_SHARE * present as f64
    {
        rule.pattern = match looks.class {
            "e-mail" => Some(r"[A-Za-z0-9._%+'-]+@([A-Za-z0-9-]+\.)+[A-Za-z]{2,}".into()),
            "UUID" => Some("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}".into()),
            "URL" => Some(r"(?i:https?://|ftp://|www\.)\S+".into()),
            _ => None,
        };
    }
    rule
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_people_are_found() {
        for name in [
            "sex",
            "SEX",
            "native_country",
            "applicantAge",
            "Date of Birth",
            "e_mail_email",
            "personal_status",
        ] {
            assert!(is_sensitive_name(name), "{name}");
        }
        for name in ["essex", "page", "average", "count", "education", "fnlwgt"] {
            assert!(!is_sensitive_name(name), "{name}");
        }
    }
}
