//! The eight dimensions of §5.2, as far as one file tells them. A verdict rests on the bound of an interval, never on a point.

use std::collections::BTreeMap;

use statistics::Interval;
use statistics::interval::{Share, clopper_pearson, normal, wilson};

use super::fairness;
use super::gaps::{self, Gap};
use super::report::{Detail, Dimension, Report, Verdict};
use super::state::{Setup, State, Values};
use crate::declared::Declared;
use features::Kind;

/// What the figures should be: numbers of the policy, which is not read here.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Targets {
    /// Confidence of the one-sided bounds.
    pub confidence: f64,
    /// Share of right rows in an audit, above this.
    pub accuracy: f64,
    /// Rows of an audit at least.
    pub audited: u64,
    /// Share of missing cells, below this.
    pub missing: f64,
    /// Age in days, below this.
    pub age: f64,
    /// Share of duplicate rows, below this.
    pub duplicates: f64,
    /// Share of rows in which a rule between columns does not hold, below this.
    pub inconsistent: f64,
    /// Share of rows that break the schema, below this.
    pub invalid: f64,
    /// Largest distance of a group's share from the population's, below this.
    pub imbalance: f64,
}

/// Confidence of intervals where no targets are given.
const CONFIDENCE: f64 = 0.95;
/// Microseconds of a day.
const DAY: f64 = 86_400e6;
/// The quantile of the rows' ages that is judged.
const AGE_QUANTILE: f64 = 0.95;

/// What the dimensions are measured from.
pub struct Facts<'a> {
    /// What was counted.
    pub state: &'a State,
    /// Of which table.
    pub setup: &'a Setup<'a>,
    /// What was declared.
    pub declared: Option<&'a Declared>,
    /// What the figures should be.
    pub targets: Option<&'a Targets>,
    /// Duplicate rows of each group by its name, for each group column.
    pub duplicates: &'a [BTreeMap<u8, u64>],
    /// The present time, microseconds since 1970.
    pub now: f64,
}

/// Measures all eight, in the order of the procedure.
pub fn measure(facts: &Facts<'_>, report: &Report) -> Vec<Dimension> {
    vec![
        accuracy(facts, report),
        completeness(facts, report),
        consistency(facts),
        timeliness(facts),
        uniqueness(facts, report),
        validity(facts),
        not_measurable(
            "relevance",
            "information about the label",
            "a profile does not train: the dataset's build measures relevance against the task's label",
        ),
        fairness::measure(facts),
    ]
}

pub(super) fn not_measurable(
    dimension: &'static str,
    measure: &'static str,
    reason: impl Into<String>,
) -> Dimension {
    Dimension {
        dimension,
        measure,
        estimate: None,
        interval: None,
        target: None,
        verdict: Verdict::NotMeasurable,
        reason: reason.into(),
        details: Vec::new(),
    }
}

impl Facts<'_> {
    /// The name of a column.
    pub fn column(&self, at: usize) -> &str {
        &self.setup.table.columns[at].plan.name
    }

    /// Rows of a group, by its place among the group columns and its hash, that equal an earlier row.
    pub fn duplicates_of(&self, place: usize, hash: u64) -> u64 {
        let name = self.setup.names.get(place).and_then(|names| names.of(hash));
        name.and_then(|name| self.duplicates.get(place)?.get(&name)).copied().unwrap_or(0)
    }

    /// Confidence of a two-sided interval whose ends are one-sided bounds at the targets' confidence.
    pub fn two_sided(&self) -> f64 {
        2.0 * self.targets.map_or(CONFIDENCE, |targets| targets.confidence) - 1.0
    }

    fn share(&self, events: u64, trials: u64) -> Option<(f64, Interval)> {
        let share = Share::new(events, trials).ok()?;
        Some((share.value(), wilson(share, self.two_sided()).ok()?))
    }

    /// A figure that should be below its target.
    pub(super) fn below(
        &self,
        dimension: &'static str,
        measure: &'static str,
        figure: Option<(f64, Interval)>,
        target: impl Fn(&Targets) -> f64,
        reason: impl Into<String>,
    ) -> Dimension {
        let Some((estimate, interval)) = figure else {
            return not_measurable(dimension, measure, "nothing was counted");
        };
        let target = self.targets.map(target);
        let verdict = match target {
            None => Verdict::NotJudged,
            Some(target) if interval.upper < target => Verdict::Pass,
            Some(target) if target <= interval.lower => Verdict::Fail,
            Some(_) => Verdict::Inconclusive,
        };
        Dimension {
            estimate: Some(estimate),
            interval: Some(interval),
            target: target.map(|target| format!("< {target}")),
            verdict,
            ..not_measurable(dimension, measure, reason)
        }
    }
}

/// Labels that contradict each other stand beside the figure as a detail, and never for it.
fn accuracy(facts: &Facts<'_>, report: &Report) -> Dimension {
    let mut told = audited(facts);
    if let Some(conflicts) = report.label_conflicts.filter(|count| *count > 0) {
        let part = "no audit: rows that equal an earlier one in all but the label".to_owned();
        told.details.extend(detail(facts, part, conflicts, report.rows));
    }
    told
}

fn audited(facts: &Facts<'_>) -> Dimension {
    let (dimension, measure) = ("accuracy", "share of rows that are right, by an audit");
    let Some(audit) = facts.declared.and_then(|declared| declared.audit) else {
        let needed = facts.targets.map_or(String::new(), |it| format!(" of at least {} rows", it.audited));
        let reason = format!(
            "only an audit{needed} against the source of record tells it; no figure stands in for one"
        );
        return not_measurable(dimension, measure, reason);
    };
    let figure = Share::new(audit.checked - audit.wrong, audit.checked)
        .and_then(|share| Ok((share.value(), clopper_pearson(share, facts.two_sided())?)));
    let Ok((estimate, interval)) = figure else {
        return not_measurable(dimension, measure, "the audit is empty");
    };
    let verdict = match facts.targets {
        None => Verdict::NotJudged,
        Some(targets) if interval.upper <= targets.accuracy => Verdict::Fail,
        Some(targets) if targets.accuracy < interval.lower && targets.audited <= audit.checked => {
            Verdict::Pass
        }
        Some(_) => Verdict::Inconclusive,
    };
    let reason = format!("{} of {} audited rows were wrong (Clopper-Pearson)", audit.wrong, audit.checked);
    Dimension {
        estimate: Some(estimate),
        interval: Some(interval),
        target: facts.targets.map(|targets| format!("> {}", targets.accuracy)),
        verdict,
        ..not_measurable(dimension, measure, reason)
    }
}

/// Cells of a row are not independent, so the mean of the rows' shares is judged, and Wilson's interval beside it where that
/// is wider: it is never a point.
fn completeness(facts: &Facts<'_>, report: &Report) -> Dimension {
    let (rows, width) = (facts.state.rows, facts.setup.table.columns.len() as u64);
    let (sum, squares) = facts.state.missing;
    let cells = facts.share(sum, rows * width);
    let figure = cells.map(|(estimate, plain)| {
        let (n, w) = (rows as f64, width as f64);
        let variance = (squares as f64 / (w * w) - n * estimate * estimate) / (n - 1.0).max(1.0);
        let rows = normal(estimate, (variance.max(0.0) / n).sqrt(), facts.two_sided()).unwrap_or(plain);
        (
            estimate,
            Interval {
                lower: rows.lower.min(plain.lower).max(0.0),
                upper: rows.upper.max(plain.upper).min(1.0),
            },
        )
    });
    let mut reason =
        format!("{sum} of {} cells are null, empty, NaN or a marker (rows as units)", rows * width);
    let class =
        |column: &super::report::Column| column.texts.as_ref()?.classes.get("missing marker").copied();
    let suspected: u64 = report.columns.iter().filter_map(class).sum();
    if suspected > 0 {
        reason = format!("{reason}; {suspected} more may be markers that are not declared");
    }
    let mut told =
        facts.below("completeness", "share of missing cells", figure, |targets| targets.missing, reason);
    let mut worst: Vec<_> = report.columns.iter().filter(|column| column.missing.count > 0).collect();
    worst.sort_by_key(|column| std::cmp::Reverse(column.missing.count));
    told.details = worst
        .into_iter()
        .take(50)
        .filter_map(|column| detail(facts, format!("column {}", column.name), column.missing.count, rows))
        .collect();
    for (at, groups) in facts.setup.groups.iter().zip(&facts.state.groups).filter(|(_, it)| !it.too_many) {
        for (level, missing) in groups.levels.iter().zip(&groups.missing) {
            let part =
                format!("{} = {}", facts.setup.table.columns[*at].plan.name, facts.named(*at, level.0));
            told.details.extend(detail(facts, part, missing.iter().sum(), level.1 * width));
        }
    }
    told.details.extend(gaps::missing(facts, report).iter().map(Gap::detail));
    told
}

fn detail(facts: &Facts<'_>, part: String, events: u64, trials: u64) -> Option<Detail> {
    let (value, interval) = facts.share(events, trials)?;
    Some(Detail { part, value, of: trials, interval: Some(interval) })
}

fn consistency(facts: &Facts<'_>) -> Dimension {
    let measure = "share of rows in which a rule between columns does not hold";
    if facts.setup.contract.between.is_empty() {
        let reason = "one file has no second source, and no rules between columns are declared";
        return not_measurable("consistency", measure, reason);
    }
    let (compared, broken) = facts.state.ruled;
    let rules: Vec<&str> = facts.setup.contract.between.iter().map(|rule| rule.text.as_str()).collect();
    let reason = format!("{broken} of {compared} comparisons do not hold: {}", rules.join("; "));
    facts.below("consistency", measure, facts.share(broken, compared), |targets| targets.inconsistent, reason)
}

fn timeliness(facts: &Facts<'_>) -> Dimension {
    let (dimension, measure) = ("timeliness", "days that 95 % of the rows are younger than");
    let columns = &facts.setup.table.columns;
    let Some(name) = facts.declared.and_then(|declared| declared.event_time.as_ref()) else {
        let times: Vec<&str> = columns
            .iter()
            .filter(|it| it.plan.kind == Kind::Timestamp)
            .map(|it| it.plan.name.as_str())
            .collect();
        let hint =
            if times.is_empty() { String::new() } else { format!(" (times are in: {})", times.join(", ")) };
        return not_measurable(dimension, measure, format!("no event time is declared{hint}"));
    };
    let place =
        columns.iter().position(|column| column.plan.name == *name && column.plan.kind == Kind::Timestamp);
    let numbers = place.and_then(|at| match &facts.state.columns[at].values {
        Values::Numbers(numbers) => Some(numbers.whole()),
        Values::Texts(_) => None,
    });
    let Some(numbers) = numbers else {
        return not_measurable(dimension, measure, format!("{name:?} holds no times"));
    };
    let sorted = numbers.quantiles.sorted();
    let days = |micros: f64| (facts.now - micros) / DAY;
    // The oldest five percent are those with the smallest times.
    let figure = sorted
        .quantile(1.0 - AGE_QUANTILE)
        .ok()
        .map(|(value, bound)| (days(value), Interval { lower: days(bound.upper), upper: days(bound.lower) }));
    let count = numbers.quantiles.count();
    let future = count - sorted.up_to(facts.now);
    let range = numbers.quantiles.range().map_or(String::new(), |(min, max)| {
        format!("; the oldest is {:.1} days old, the newest {:.1}", days(min), days(max))
    });
    let reason = format!("{future} of {count} rows lie in the future{range}");
    facts.below(dimension, measure, figure, |targets| targets.age, reason)
}

fn uniqueness(facts: &Facts<'_>, report: &Report) -> Dimension {
    let rows = report.duplicate_rows;
    let keys = report.duplicate_keys.unwrap_or_default();
    let more = keys.duplicates.max(rows.duplicates);
    let mut reason = format!("{} rows equal an earlier one in every column, exact", rows.duplicates);
    if report.duplicate_keys.is_some() {
        reason = format!("{reason}; {} rows repeat a key", keys.duplicates);
    }
    if let Some(near) = &report.near_duplicates {
        reason = format!("{reason}; {} of {} nearly repeat a text", near.repeated, near.rows);
    }
    let figure = facts.share(more, rows.rows);
    let mut told =
        facts.below("uniqueness", "share of duplicate rows", figure, |targets| targets.duplicates, reason);
    if let Some(near) = &report.near_duplicates {
        let first = if near.rows < report.rows { ", of the first rows" } else { "" };
        let part = format!("near-duplicates by {}{first}", near.columns.join(", "));
        told.details.extend(detail(facts, part, near.repeated, near.rows));
    }
    for (place, (at, groups)) in facts.setup.groups.iter().zip(&facts.state.groups).enumerate() {
        for (hash, rows) in groups.levels.iter().filter(|_| !groups.too_many) {
            let part = format!("{} = {}", facts.column(*at), facts.named(*at, *hash));
            told.details.extend(detail(facts, part, facts.duplicates_of(place, *hash), *rows));
        }
    }
    told.details.extend(gaps::duplicates(facts).iter().map(Gap::detail));
    told
}

fn validity(facts: &Facts<'_>) -> Dimension {
    let measure = "share of rows that break the declared schema";
    let quarantine = &facts.state.quarantine;
    if facts.declared.is_none() {
        let reason = format!("no schema is declared; {} rows could not be read", quarantine.left);
        return not_measurable("validity", measure, reason);
    }
    let all = facts.state.rows + quarantine.left;
    let bad = quarantine.left + quarantine.broken;
    let breaches = facts.setup.contract.breaches.len();
    let reason = format!("{bad} of {all} rows; {breaches} breaches of the file as a whole");
    let mut told = facts.below("validity", measure, facts.share(bad, all), |targets| targets.invalid, reason);
    if breaches > 0 && told.verdict != Verdict::NotJudged {
        told.verdict = Verdict::Fail; // a column that is not there is wrong in every row
    }
    told.details = quarantine
        .counts()
        .take(50)
        .filter_map(|(reason, column, count)| {
            let part = format!("{}{}", column.map_or(String::new(), |it| format!("{it}: ")), reason.as_str());
            detail(facts, part, count.min(all), all)
        })
        .collect();
    told
}

impl Facts<'_> {
    /// The value of a column that has this hash.
    pub fn named(&self, column: usize, hash: u64) -> String {
        match &self.state.columns[column].values {
            Values::Numbers(numbers) => {
                let entry = numbers.frequent.entries().iter().find(|entry| entry.hash == hash);
                entry.map(|entry| {
                    super::summary::scalar(entry.item, self.setup.table.columns[column].plan.kind).text()
                })
            }
            Values::Texts(texts) => {
                let entry = texts.frequent.entries().iter().find(|entry| entry.hash == hash);
                entry.map(|entry| entry.item.text.to_string())
            }
        }
        .unwrap_or_else(|| "(missing)".into())
    }
}
