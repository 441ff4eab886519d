//! The eight dimensions of §5.2 as they are measured. The version's own rows after cleaning are judged; figures of the data
//! as it came stand beside them as details whose convention begins with `raw:`. Accuracy is measured by an audit alone
//! (reading 13), so nothing is written for it here. The verdicts are the registry's.

pub mod agreement;
mod coding;
mod gaps;
mod groups;
mod relevance;
mod repeats;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use contracts::common::v1::Measurement;
use contracts::pipeline::v1::BuildPlan;
use contracts::registry::v1::{GroupShare, QualityMeasurement};
use contracts::time::to_wire;
use features::{Kind, Values};
use statistics::interval::{Share, wilson};

use groups::Grouped;

use crate::Error;
use crate::steps::{Built, validation};

/// Confidence of the intervals shown.
const CONFIDENCE: f64 = 0.95;
/// Columns that are shown one by one.
const DETAILS: usize = 500;

/// What was measured.
pub struct Measured {
    /// One for each dimension but accuracy.
    pub quality: Vec<QualityMeasurement>,
    /// Shares of the groups.
    pub groups: Vec<GroupShare>,
}

/// Measures a version at `now`.
///
/// # Errors
/// Of Arrow or of a statistic.
pub fn measure(built: &Built, plan: &BuildPlan, now: SystemTime) -> Result<Measured, Error> {
    let groups = groups::shares(built, plan)?;
    let compared = gaps::compared(built, plan)?;
    let quality = vec![
        completeness(built, &compared)?,
        agreement::consistency(built, plan)?,
        timeliness(built, plan, now)?,
        uniqueness(built, plan, &compared)?,
        validity(built, plan)?,
        relevance::relevance(built, plan)?,
        groups::fairness(built, plan, &groups)?,
    ];
    Ok(Measured { quality, groups })
}

/// A share with Wilson's interval; not a number where nothing was counted.
pub fn share(metric: &str, bad: u64, all: u64, convention: &str, slice: String) -> Measurement {
    let counts = Share::new(bad, all).ok();
    let interval = counts.and_then(|counts| wilson(counts, CONFIDENCE).ok());
    Measurement {
        metric: metric.to_owned(),
        value: counts.map_or(f64::NAN, Share::value),
        sample_size: all,
        lower: interval.map(|it| it.lower),
        upper: interval.map(|it| it.upper),
        confidence: CONFIDENCE,
        convention: convention.to_owned(),
        slice,
        undefined_reason: if counts.is_none() { "nothing was counted".into() } else { String::new() },
        ..Measurement::default()
    }
}

fn counted(dimension: &str, metric: &str, bad: u64, all: u64, method: &str) -> QualityMeasurement {
    QualityMeasurement {
        dimension: dimension.to_owned(),
        value: Some(share(metric, bad, all, "wilson", String::new())),
        method: method.to_owned(),
        bad,
        all,
        ..QualityMeasurement::default()
    }
}

fn completeness(built: &Built, groups: &[Grouped]) -> Result<QualityMeasurement, Error> {
    let rows = built.clean.rows() as u64;
    let missing = validation::missing(&built.clean, &built.clean_schema)?;
    let cells = |rows: u64, missing: &BTreeMap<String, u64>| rows * missing.len() as u64;
    let bad = missing.values().sum();
    let method = "missing cells of all cells after cleaning: empty, null and the plan's markers";
    let mut out = counted("completeness", "missing_cells", bad, cells(rows, &missing), method);
    let raw: u64 = built.raw.missing.values().sum();
    let raw_cells = cells(built.raw.rows, &built.raw.missing);
    out.details.push(share("missing_cells", raw, raw_cells, "raw: wilson", String::new()));
    for (column, count) in built.raw.missing.iter().take(DETAILS) {
        if *count > 0 {
            out.details.push(share(
                "missing_cells",
                *count,
                built.raw.rows,
                "raw: wilson",
                format!("column={column}"),
            ));
        }
    }
    for (column, count) in missing.iter().take(DETAILS) {
        out.details.push(share("missing_cells", *count, rows, "wilson", format!("column={column}")));
    }
    let columns: Vec<Values<'_>> =
        built.clean_schema.columns.iter().map(|it| built.clean.column(&it.name)).collect::<Result<_, _>>()?;
    for by in groups {
        for (group, members) in &by.groups {
            let gone = |values: &Values<'_>| members.iter().filter(|row| values.is_missing(**row)).count();
            let count: usize = columns.iter().map(gone).sum();
            let (all, slice) = (members.len() * columns.len(), format!("{}={group}", by.column));
            out.details.push(share("missing_cells", count as u64, all as u64, "wilson", slice));
        }
    }
    let gaping = (0..built.clean.rows()).filter(|row| columns.iter().any(|values| values.is_missing(*row)));
    out.details.push(share("rows_with_missing", gaping.count() as u64, rows, "wilson", String::new()));
    out.details.extend(gaps::missing(&built.clean, &built.clean_schema, groups)?);
    Ok(out)
}

fn uniqueness(built: &Built, plan: &BuildPlan, groups: &[Grouped]) -> Result<QualityMeasurement, Error> {
    let rows = built.clean.rows() as u64;
    let bad = validation::duplicates(&built.clean, &plan.key_columns)?;
    let method = if plan.key_columns.is_empty() {
        "rows that equal an earlier row in every column of the input, after cleaning"
    } else {
        "rows that equal an earlier row of the same input, or repeat its key, after cleaning"
    };
    let mut out = counted("uniqueness", "duplicate_rows", bad, rows, method);
    out.details.push(share(
        "duplicate_rows",
        built.raw.duplicates,
        built.raw.rows,
        "raw: wilson",
        String::new(),
    ));
    out.details.extend(repeats::near(&built.clean, plan)?);
    if !groups.is_empty() {
        out.details.extend(gaps::duplicates(&repeats::repeated(&built.clean)?, groups));
    }
    Ok(out)
}

fn validity(built: &Built, plan: &BuildPlan) -> Result<QualityMeasurement, Error> {
    let bad = validation::still_broken(&built.clean, plan, &built.clean_schema, &built.raw)?;
    let method = "rows that break a type, range, allowed value or pattern of the plan, after cleaning";
    let mut out = counted("validity", "invalid_rows", bad, built.clean.rows() as u64, method);
    out.details.push(share(
        "invalid_rows",
        built.raw.invalid_rows + built.raw.left,
        built.raw.rows + built.raw.left,
        "raw: wilson",
        String::new(),
    ));
    if built.raw.left > 0 {
        let all = built.raw.rows + built.raw.left;
        out.details.push(share("violations", built.raw.left, all, "raw: wilson", "rows: readable".into()));
    }
    for (what, count) in built.raw.violations.iter().take(DETAILS) {
        out.details.push(share("violations", *count, built.raw.rows, "raw: wilson", what.clone()));
    }
    Ok(out)
}

fn timeliness(built: &Built, plan: &BuildPlan, now: SystemTime) -> Result<QualityMeasurement, Error> {
    let mut out = QualityMeasurement { dimension: "timeliness".into(), ..QualityMeasurement::default() };
    if plan.event_time_column.is_empty() {
        out.method = "no event time: counts from the data owner's confirmation of the sources".into();
        return Ok(out);
    }
    let values = built.clean.column(&plan.event_time_column)?;
    if values.kind() != Kind::Timestamp {
        let why = format!("{:?} is {}, required timestamp", plan.event_time_column, values.kind().as_str());
        return Err(Error::field("plan.event_time_column", why));
    }
    let times: Vec<SystemTime> =
        (0..values.len()).filter_map(|row| values.number(row)).filter_map(time).collect();
    let days = |time: &SystemTime| now.duration_since(*time).ok().map(|age| age.as_secs_f64() / 86_400.0);
    let mut ages: Vec<f64> = times.iter().filter_map(days).collect();
    ages.sort_unstable_by(f64::total_cmp);
    let age = |metric: &str, value: Option<f64>| Measurement {
        metric: metric.into(),
        value: value.unwrap_or(f64::NAN),
        sample_size: ages.len() as u64,
        unit: "d".into(),
        undefined_reason: if value.is_none() { "no event time in the past".into() } else { String::new() },
        ..Measurement::default()
    };
    let at = |quantile: f64| statistics::percentile::percentile(&ages, quantile).ok();
    out.value = Some(age("newest_age", ages.first().copied()));
    out.details =
        vec![age("age_p50", at(0.5)), age("age_p95", at(0.95)), age("age_max", ages.last().copied())];
    let future = (times.len() - ages.len()) as u64;
    out.details.push(share("future_events", future, times.len() as u64, "wilson", String::new()));
    // One row that is dated in the future must not make old data current.
    out.newest_event_time = times.into_iter().filter(|time| *time <= now).max().map(to_wire);
    out.method = format!("newest value of {} that is not in the future", plan.event_time_column);
    Ok(out)
}

/// Microseconds since 1970, before it too.
fn time(micros: f64) -> Option<SystemTime> {
    let distance = Duration::from_micros(micros.abs() as u64);
    if micros < 0.0 { UNIX_EPOCH.checked_sub(distance) } else { UNIX_EPOCH.checked_add(distance) }
}
