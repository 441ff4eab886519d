//! Relevance (§5.2, "appropriate for task?"): how much the columns say about the label, above what chance would say.

use std::collections::HashMap;

use contracts::common::v1::Measurement;
use contracts::pipeline::v1::BuildPlan;
use contracts::registry::v1::QualityMeasurement;
use features::Values;
use statistics::histogram::quantile_edges;
use statistics::random::SplitMix64;

use super::share;
use crate::Error;
use crate::steps::Built;

/// Rows that are looked at; more say the same.
const ROWS: usize = 20_000;
/// Bins of a number.
const BINS: usize = 10;
/// Shuffles of the label for the chance level.
const SHUFFLES: usize = 20;
/// Columns that are looked at.
const COLUMNS: usize = 500;

/// The dimension: the largest share of the label's entropy that one column explains, less what a shuffled label gives.
///
/// # Errors
/// If a column is missing.
pub fn relevance(built: &Built, plan: &BuildPlan) -> Result<QualityMeasurement, Error> {
    let mut out = QualityMeasurement { dimension: "relevance".into(), ..QualityMeasurement::default() };
    let all = built.rows.rows() - built.rows.augmented;
    let undefined = |why: &str| Measurement {
        metric: "signal".into(),
        value: f64::NAN,
        undefined_reason: why.to_owned(),
        ..Measurement::default()
    };
    if plan.label_column.is_empty() {
        out.value = Some(undefined("the plan names no label"));
        return Ok(out);
    }
    let mut generator = SplitMix64::new(plan.seed);
    let labels = built.rows.column(&plan.label_column)?;
    let mut rows: Vec<usize> = (0..all).filter(|row| !labels.is_missing(*row)).collect();
    let unlabelled = (all - rows.len()) as u64;
    out.details.push(share("unlabelled_rows", unlabelled, all as u64, "wilson", String::new()));
    if ROWS < rows.len() {
        generator.shuffle(&mut rows);
        rows.truncate(ROWS);
    }
    let (label, levels) = codes(&labels, &rows);
    let entropy = entropy(&counts(label.iter().copied(), levels), rows.len());
    if levels < 2 || entropy <= 0.0 {
        out.value = Some(undefined("the label has a single value"));
        return Ok(out);
    }
    let mut shuffled: Vec<Vec<usize>> = vec![label.clone(); SHUFFLES];
    shuffled.iter_mut().for_each(|one| generator.shuffle(one));
    let mut best: Option<Measurement> = None;
    let columns = built.schema.columns.iter().filter(|column| !column.label && !column.sensitive);
    for column in columns.take(COLUMNS) {
        let (codes, width) = codes(&built.rows.column(&column.name)?, &rows);
        let about = |label: &[usize]| information(&codes, width, label, levels) / entropy;
        let (found, chance): (f64, Vec<f64>) =
            (about(&label), shuffled.iter().map(|one| about(one)).collect());
        let mean = chance.iter().sum::<f64>() / SHUFFLES as f64;
        let above = chance.iter().filter(|one| found <= **one).count();
        let p_value = (above + 1) as f64 / (SHUFFLES + 1) as f64;
        let signal = Measurement {
            metric: "signal".into(),
            value: (found - mean).clamp(0.0, 1.0),
            sample_size: rows.len() as u64,
            convention: format!("mutual information/entropy of the label - shuffled, p={p_value:.3}"),
            slice: format!("column={}", column.name),
            ..Measurement::default()
        };
        if best.as_ref().is_none_or(|best| best.value < signal.value) {
            best = Some(signal.clone());
        }
        out.details.push(signal);
    }
    out.method =
        format!("mutual information of each column with {}, above {SHUFFLES} shuffles", plan.label_column);
    out.value = Some(best.unwrap_or_else(|| undefined("no column but label and groups")));
    Ok(out)
}

/// Small numbers for values: quantile bins of numbers with many values, values otherwise; missing is a value of its own.
fn codes(values: &Values<'_>, rows: &[usize]) -> (Vec<usize>, usize) {
    let mut seen: HashMap<String, usize> = HashMap::new();
    let mut codes = Vec::with_capacity(rows.len());
    for row in rows {
        let text = values.text(*row).unwrap_or_default();
        let next = seen.len();
        codes.push(*seen.entry(text.into_owned()).or_insert(next));
    }
    let numbers: Vec<f64> =
        rows.iter().filter_map(|row| values.number(*row)).filter(|it| it.is_finite()).collect();
    if seen.len() <= 2 * BINS || numbers.is_empty() {
        return (codes, seen.len());
    }
    let Ok(edges) = quantile_edges(&numbers, BINS) else { return (codes, seen.len()) };
    let bin = |row: &usize| {
        values.number(*row).map_or(0, |number| 1 + edges.partition_point(|edge| *edge <= number))
    };
    (rows.iter().map(bin).collect(), edges.len() + 2)
}

fn counts(codes: impl Iterator<Item = usize>, width: usize) -> Vec<u64> {
    let mut counts = vec![0; width];
    codes.for_each(|code| counts[code] += 1);
    counts
}

/// Nats.
fn entropy(counts: &[u64], all: usize) -> f64 {
    let share = |count: &u64| *count as f64 / all as f64;
    counts.iter().filter(|count| **count > 0).map(|count| -share(count) * share(count).ln()).sum()
}

/// Mutual information in nats: H(x) + H(y) - H(x, y).
fn information(x: &[usize], width: usize, y: &[usize], levels: usize) -> f64 {
    let mut pairs: HashMap<usize, u64> = HashMap::new();
    for (a, b) in x.iter().zip(y) {
        *pairs.entry(a * levels + b).or_default() += 1;
    }
    let mut joint: Vec<u64> = pairs.into_values().collect();
    joint.sort_unstable(); // the sum does not depend on the order of a hash map
    let all = x.len();
    entropy(&counts(x.iter().copied(), width), all) + entropy(&counts(y.iter().copied(), levels), all)
        - entropy(&joint, all)
}
