//! From what was kept of a column to what is told of it.

use std::collections::BTreeMap;

use features::Kind;
use statistics::Interval;
use statistics::distinct::DistinctSketch;
use statistics::frequent::Frequent;
use statistics::quantiles::Sorted;

use super::pattern;
use super::report::{Column, Distinct, Histogram, LooksLike, Missing, Numbers, Quantile, Texts, Top};
use super::state::{ColumnState, Values};
use crate::declared::{Declared, Scalar};
use crate::table;
use crate::typing;

/// Quantiles that are told.
const QUANTILES: [f64; 9] = [0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0];
/// Frequent values that are told.
const TOP: usize = 10;
/// Bins of a histogram.
const BINS: usize = 24;
/// Confidence of the interval of a number of different values.
const CONFIDENCE: f64 = 0.95;

/// Tells of a column.
pub fn column(column: &table::Column, state: &ColumnState, rows: u64, declared: Option<&Declared>) -> Column {
    let plan = &column.plan;
    let rule = declared.and_then(|declared| declared.columns.get(&plan.name));
    let missing = Missing {
        count: state.missing(),
        share: if rows == 0 { 0.0 } else { state.missing() as f64 / rows as f64 },
        nulls: state.nulls,
        empty: state.empty,
        nan: state.nan,
        sentinels: state.sentinels.clone(),
        suspected: state.suspects.clone(),
    };
    let mut told = Column {
        name: plan.name.clone(),
        kind: plan.kind.as_str(),
        stored: column.stored.clone(),
        unit: rule.and_then(|rule| rule.unit.clone()),
        missing,
        distinct: exactly(0),
        numbers: None,
        texts: None,
        top: Vec::new(),
        top_error: 0,
    };
    let present = rows - state.missing();
    match &state.values {
        Values::Numbers(values) => {
            let whole = values.whole();
            told.distinct = different(&values.frequent, values.many.is_some(), &whole.distinct, present);
            told.top = top(&values.frequent, |number| scalar(*number, plan.kind));
            told.top_error = values.frequent.error();
            told.numbers = numbers(&whole, state, plan.kind);
        }
        Values::Texts(values) => {
            let whole = values.whole();
            told.distinct = different(&values.frequent, values.many.is_some(), &whole.distinct, present);
            let truth = plan.kind == Kind::Bool;
            told.top = top(&values.frequent, |sample| match &*sample.text {
                text if truth => Scalar::Truth(text == "true"),
                text => Scalar::Text(text.to_owned()),
            });
            told.top_error = values.frequent.error();
            told.texts = (!truth).then(|| texts(&whole)).flatten();
        }
    }
    told
}

/// A number as a value of its column.
pub fn scalar(number: f64, kind: Kind) -> Scalar {
    match kind {
        Kind::Timestamp => Scalar::Text(typing::written(number)),
        Kind::Int64 if number.fract() == 0.0 && number.abs() < 9e18 => Scalar::Whole(number as i64),
        _ => Scalar::Number(number),
    }
}

fn exactly(count: u64) -> Distinct {
    Distinct { count, exact: true, interval: Interval { lower: count as f64, upper: count as f64 } }
}

/// No more values are different than there are.
fn different<T>(frequent: &Frequent<T>, many: bool, sketch: &DistinctSketch, present: u64) -> Distinct {
    if !many {
        return exactly(frequent.entries().len() as u64);
    }
    let most = present as f64;
    let interval = sketch.interval(CONFIDENCE).unwrap_or(Interval { lower: 0.0, upper: most });
    let interval = Interval { lower: interval.lower.min(most), upper: interval.upper.min(most) };
    Distinct { count: sketch.estimate().min(most).round() as u64, exact: false, interval }
}

fn top<T>(frequent: &Frequent<T>, value: impl Fn(&T) -> Scalar) -> Vec<Top> {
    // What may have occurred as rarely as the error says nothing.
    frequent
        .top(TOP)
        .into_iter()
        .filter(|entry| frequent.error() == 0 || frequent.error() < entry.count * 20)
        .map(|entry| Top { value: value(&entry.item), count: entry.count })
        .collect()
}

fn numbers(whole: &super::stats::ManyNumbers, state: &ColumnState, kind: Kind) -> Option<Numbers> {
    let (min, max) = whole.quantiles.range().ok()?;
    let sorted = whole.quantiles.sorted();
    let quantile = |at: f64| sorted.quantile(at).ok();
    let quantiles = QUANTILES
        .into_iter()
        .filter_map(|at| {
            let (value, Interval { lower, upper }) = quantile(at)?;
            let [value, lower, upper] = [value, lower, upper].map(|it| scalar(it, kind));
            Some(Quantile { at, value, lower, upper })
        })
        .collect();
    let (first, third) = (quantile(0.25)?.0, quantile(0.75)?.0);
    let reach = 1.5 * (third - first);
    let count = whole.quantiles.count();
    let below = sorted.up_to((first - reach).next_down());
    let above = count - sorted.up_to(third + reach);
    let mean = whole.moments.mean().unwrap_or(min);
    Some(Numbers {
        count,
        min: scalar(min, kind),
        max: scalar(max, kind),
        mean: if kind == Kind::Timestamp { scalar(mean, kind) } else { Scalar::Number(mean) },
        std: (kind != Kind::Timestamp).then(|| whole.moments.variance().ok().map(f64::sqrt)).flatten(),
        zeros: whole.zeros,
        negatives: whole.negatives,
        infinite: state.infinite.0 + state.infinite.1,
        quantiles,
        rank_error: whole.quantiles.rank_error(),
        outliers: below + above,
        histogram: histogram(&sorted, count, (min, max), kind),
    })
}

fn histogram(sorted: &Sorted, count: u64, (min, max): (f64, f64), kind: Kind) -> Histogram {
    let (mut low, mut high) = (min, max);
    // A few values far out would leave one bin for all others.
    if let (Ok((first, _)), Ok((last, _))) = (sorted.quantile(0.01), sorted.quantile(0.99))
        && first < last
        && 8.0 * (last - first) < max - min
    {
        (low, high) = (first, last);
    }
    let mut bins = BINS;
    if kind == Kind::Int64 && high - low < BINS as f64 {
        // A bin for each whole number.
        bins = (high - low) as usize + 1;
        (low, high) = (low - 0.5, high + 0.5);
    }
    if low >= high {
        return Histogram { low, high, counts: vec![count], below: 0, above: 0 };
    }
    let edge = |at: usize| low + (high - low) * at as f64 / bins as f64;
    let up_to: Vec<u64> = (0..=bins)
        .map(|at| match at {
            // The first bin holds its lower edge, the last one its upper.
            0 => sorted.up_to(low.next_down()),
            at if at == bins => sorted.up_to(high),
            at => sorted.up_to(edge(at).next_down()),
        })
        .collect();
    let counts = up_to.windows(2).map(|pair| pair[1].saturating_sub(pair[0])).collect();
    Histogram { low, high, counts, below: up_to[0], above: count - up_to[bins] }
}

fn texts(whole: &super::stats::ManyTexts) -> Option<Texts> {
    let (shortest, longest) = whole.range?;
    let count = |class: pattern::Classes| whole.classes[class.trailing_zeros() as usize];
    let looks_like = pattern::KINDS
        .into_iter()
        .filter(|class| count(*class) * 2 > whole.count)
        .max_by(|a, b| count(*a).cmp(&count(*b)).then(b.cmp(a)))
        .map(|class| LooksLike {
            class: pattern::NAMES[class.trailing_zeros() as usize],
            fits: count(class),
            misfits: whole.count - count(class),
        });
    let classes: BTreeMap<&'static str, u64> =
        pattern::NAMES.into_iter().zip(whole.classes).filter(|(_, count)| *count > 0).collect();
    let mean = whole.letters as f64 / whole.count.max(1) as f64;
    Some(Texts { shortest, mean, longest, looks_like, classes })
}
