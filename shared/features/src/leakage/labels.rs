//! Labels: are their shares the same in every part?

use std::collections::BTreeMap;

use statistics::interval::{Share, newcombe};

use super::{Finding, Limits, Verdict};
use crate::error::Result;

/// Labels that are compared one by one, the most frequent ones; the others are compared together.
const LABELS: usize = 50;

/// The largest difference of a label's share between the first part and another, with intervals that hold for all labels
/// and parts at once (Newcombe's, at Bonferroni's level). Rows without a label are left out.
///
/// # Errors
/// Of the intervals, for a confidence that is none.
pub fn check<T: AsRef<str>>(
    labels: &[Option<T>],
    parts: &[Option<u8>],
    names: &[&str],
    limits: &Limits,
) -> Result<Finding> {
    let mut counts: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    let mut totals = vec![0; names.len()];
    for (label, part) in labels.iter().zip(parts) {
        if let (Some(label), Some(part)) = (label, part) {
            let part = usize::from(*part);
            counts.entry(label.as_ref()).or_insert_with(|| vec![0; names.len()])[part] += 1;
            totals[part] += 1;
        }
    }
    let rows = totals.iter().sum();
    let mut ordered: Vec<(&str, Vec<u64>)> = counts.into_iter().collect();
    ordered.sort_by_key(|(_, counts)| std::cmp::Reverse(counts.iter().sum::<u64>()));
    if LABELS < ordered.len() {
        let mut other = vec![0; names.len()];
        for (_, counts) in ordered.split_off(LABELS) {
            other.iter_mut().zip(counts).for_each(|(all, own)| *all += own);
        }
        ordered.push(("(others)", other));
    }
    let used: Vec<usize> = (0..names.len()).filter(|part| 0 < totals[*part]).collect();
    let undefined = |why: &str| {
        Finding::estimated(
            "label_shares",
            format!("not compared: {why}"),
            f64::NAN,
            None,
            limits.label_gap,
            rows,
        )
    };
    let Some((first, others)) = used.split_first().filter(|(_, others)| !others.is_empty()) else {
        return Ok(undefined("fewer than two parts have labels"));
    };
    let confidence = 1.0 - (1.0 - limits.confidence) / (ordered.len() * others.len()) as f64;
    let mut verdict = Verdict::Pass;
    let mut worst: Option<(f64, statistics::Interval, String)> = None;
    for (label, counts) in &ordered {
        for part in others {
            let (a, b) =
                (Share::new(counts[*part], totals[*part])?, Share::new(counts[*first], totals[*first])?);
            let (difference, open) = (a.value() - b.value(), newcombe(a, b, confidence)?);
            let size = match difference < 0.0 {
                true => statistics::Interval { lower: -open.upper, upper: -open.lower },
                false => open,
            };
            verdict = match verdict {
                Verdict::Fail => Verdict::Fail,
                _ if limits.label_gap < size.lower => Verdict::Fail,
                _ if limits.label_gap < size.upper || limits.label_gap < -size.lower => Verdict::Inconclusive,
                before => before,
            };
            if worst.as_ref().is_none_or(|(worst, ..)| *worst < difference.abs()) {
                let short: String = label.chars().take(40).collect();
                let what = format!(
                    "largest difference of a label's share: {short:?} is {:.4} of {} and {:.4} of {}",
                    b.value(),
                    names[*first],
                    a.value(),
                    names[*part]
                );
                worst = Some((difference.abs(), size, what));
            }
        }
    }
    let Some((value, interval, what)) = worst else { return Ok(undefined("no row has a label")) };
    Ok(Finding {
        verdict,
        ..Finding::estimated("label_shares", what, value, Some(interval), limits.label_gap, rows)
    })
}
