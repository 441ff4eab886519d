//! Relevance (§5.2, "appropriate for task?"): how much the columns say about the label, above what chance would say.
//!
//! A column counts only if it says more than any column does of a shuffled label, in every shuffle: with many columns the
//! best of them says something about pure noise. Free text, in which every value is different and so "explains" any label,
//! is read by its words and its length.

use std::collections::HashMap;

use contracts::common::v1::Measurement;
use contracts::pipeline::v1::BuildPlan;
use contracts::registry::v1::QualityMeasurement;
use features::Values;
use statistics::random::SplitMix64;

use super::coding::{codes, is_free_text, readings_of_text};
use super::share;
use crate::Error;
use crate::steps::Built;

/// Rows that are looked at; more say the same.
const ROWS: usize = 20_000;
/// Shuffles of the label for the chance level: with all of them below, p is at most 0.01 over all columns together.
const SHUFFLES: usize = 99;
/// Columns that are looked at.
const COLUMNS: usize = 500;
/// Share of the label's entropy from which on a column determines it.
const DETERMINED: f64 = 0.99;
/// As much of it must be above chance.
const MOSTLY: f64 = 0.5;
/// Differences below this are rounding.
const ROUNDING: f64 = 1e-9;
/// Cells of a table of counts that is kept whole; a larger one is counted sparsely.
const DENSE: usize = 1 << 20;

/// What one reading of a column says.
struct Said {
    /// Information less its mean over the shuffles, of the label's entropy.
    above: f64,
    /// Information with what chance gives, of the label's entropy.
    whole: f64,
    /// `above` of each shuffle.
    chance: Vec<f64>,
    how: String,
}

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
    let label = Label::new(label, levels, &mut generator);
    if levels < 2 || label.entropy <= 0.0 {
        out.value = Some(undefined("the label has a single value"));
        return Ok(out);
    }
    let columns = built.schema.columns.iter().filter(|column| !column.label && !column.sensitive);
    let mut said = Vec::new();
    for column in columns.take(COLUMNS) {
        said.push((column.name.clone(), best(&built.rows.column(&column.name)?, &rows, &label)));
    }
    let highest: Vec<f64> = (0..SHUFFLES)
        .map(|at| said.iter().map(|(_, one)| one.chance[at]).fold(f64::NEG_INFINITY, f64::max))
        .collect();
    let mut alone = Vec::new();
    for (name, one) in said {
        let beaten = highest.iter().filter(|chance| one.above <= **chance + ROUNDING).count();
        let p_value = (beaten + 1) as f64 / (SHUFFLES + 1) as f64;
        // A column of many values tells every label of its own rows: that is chance, and not above it.
        if beaten == 0 && DETERMINED <= one.whole && MOSTLY <= one.above {
            alone.push(Measurement {
                metric: "label_determined".into(),
                value: one.whole.min(1.0),
                sample_size: rows.len() as u64,
                convention: "the column alone tells the label: a leak, if it is known only later".into(),
                slice: format!("column={name}"),
                ..Measurement::default()
            });
        }
        out.details.push(Measurement {
            metric: "signal".into(),
            value: if beaten == 0 && ROUNDING < one.above { one.above.min(1.0) } else { 0.0 },
            sample_size: rows.len() as u64,
            convention: format!(
                "mutual information/entropy of the label - shuffled, {}, p={p_value:.3}",
                one.how
            ),
            slice: format!("column={name}"),
            ..Measurement::default()
        });
    }
    out.details.extend(alone);
    out.method = format!(
        "mutual information of each column with {}, 0 unless above the best column of each of {SHUFFLES} shuffles",
        plan.label_column
    );
    let best =
        out.details.iter().filter(|one| one.metric == "signal").max_by(|a, b| a.value.total_cmp(&b.value));
    out.value = Some(best.cloned().unwrap_or_else(|| undefined("no column but label and groups")));
    Ok(out)
}

/// The label as small numbers, and shuffled.
struct Label {
    codes: Vec<usize>,
    levels: usize,
    entropy: f64,
    shuffled: Vec<Vec<usize>>,
}

impl Label {
    fn new(codes: Vec<usize>, levels: usize, generator: &mut SplitMix64) -> Self {
        let entropy = entropy(&counts(codes.iter().copied(), levels), codes.len());
        let mut shuffled: Vec<Vec<usize>> = vec![codes.clone(); SHUFFLES];
        shuffled.iter_mut().for_each(|one| generator.shuffle(one));
        Self { codes, levels, entropy, shuffled }
    }

    fn about(&self, codes: &[usize], width: usize, how: String) -> Said {
        let own = entropy(&counts(codes.iter().copied(), width), codes.len());
        let share = |label: &[usize]| {
            (own + self.entropy - joint_entropy(codes, width, label, self.levels)) / self.entropy
        };
        let chance: Vec<f64> = self.shuffled.iter().map(|one| share(one)).collect();
        let mean = chance.iter().sum::<f64>() / SHUFFLES as f64;
        let whole = share(&self.codes);
        Said { above: whole - mean, whole, chance: chance.iter().map(|one| one - mean).collect(), how }
    }
}

/// What a column says by its best reading; by chance it says what the best reading of a shuffle does.
fn best(values: &Values<'_>, rows: &[usize], label: &Label) -> Said {
    let readings = if is_free_text(values, rows) {
        readings_of_text(values, rows)
    } else {
        let (codes, width) = codes(values, rows);
        vec![(codes, width, "by value".to_owned())]
    };
    let chance = vec![f64::NEG_INFINITY; SHUFFLES];
    let mut best = Said { above: 0.0, whole: 0.0, chance, how: "no reading".into() };
    for (codes, width, how) in readings {
        let one = label.about(&codes, width, how);
        for (highest, chance) in best.chance.iter_mut().zip(&one.chance) {
            *highest = highest.max(*chance);
        }
        if best.above < one.above {
            (best.above, best.whole, best.how) = (one.above, one.whole, one.how);
        }
    }
    best
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

/// Entropy of pairs, in nats.
fn joint_entropy(x: &[usize], width: usize, y: &[usize], levels: usize) -> f64 {
    let pairs = x.iter().zip(y).map(|(a, b)| a * levels + b);
    if width.saturating_mul(levels) <= DENSE {
        return entropy(&counts(pairs, width * levels), x.len());
    }
    let mut found: HashMap<usize, u64> = HashMap::new();
    pairs.for_each(|pair| *found.entry(pair).or_default() += 1);
    let mut joint: Vec<u64> = found.into_values().collect();
    joint.sort_unstable(); // the sum does not depend on the order of a hash map
    entropy(&joint, x.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Float64Array, StringArray};

    fn signal(values: Values<'_>, labels: &[usize]) -> bool {
        let rows: Vec<usize> = (0..labels.len()).collect();
        let label = Label::new(labels.to_vec(), 2, &mut SplitMix64::new(3));
        let said = best(&values, &rows, &label);
        said.chance.iter().all(|chance| chance + ROUNDING < said.above)
    }

    #[test]
    fn texts_that_are_all_different_say_nothing_by_being_different() {
        let mut rng = SplitMix64::new(5);
        let mut found = [0; 2];
        for _ in 0..20 {
            let labels: Vec<usize> = (0..200).map(|_| rng.below(2)).collect();
            let noise: StringArray =
                (0..200).map(|at| Some(format!("text number {at} {}", rng.below(30)))).collect();
            let word: StringArray = labels
                .iter()
                .enumerate()
                .map(|(at, label)| Some(format!("text {at} {}", if *label == 1 { "prize" } else { "mum" })))
                .collect();
            found[0] += usize::from(signal(Values::Utf8(&noise), &labels));
            found[1] += usize::from(signal(Values::Utf8(&word), &labels));
        }
        assert!(found[0] <= 2, "noise: {} of 20", found[0]);
        assert_eq!(found[1], 20, "a word that tells the label");
    }

    #[test]
    fn noise_is_rarely_a_signal_and_a_number_that_tells_always_is() {
        let mut rng = SplitMix64::new(6);
        let mut found = [0; 2];
        for _ in 0..40 {
            let labels: Vec<usize> = (0..300).map(|_| rng.below(2)).collect();
            let noise: Float64Array = (0..300).map(|_| Some(rng.next_f64())).collect();
            let tells: Float64Array =
                labels.iter().map(|label| Some(*label as f64 + rng.next_f64())).collect();
            found[0] += usize::from(signal(Values::Float64(&noise), &labels));
            found[1] += usize::from(signal(Values::Float64(&tells), &labels));
        }
        assert!(found[0] <= 3, "noise: {} of 40", found[0]);
        assert_eq!(found[1], 40);
    }
}
