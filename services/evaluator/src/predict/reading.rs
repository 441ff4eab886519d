//! What a model's outputs mean, decided once from all that it gave in the main run: labels are names or places, a single
//! score is a probability or a logit, several are probabilities or logits. Nothing is read in two ways within one model.

use super::classes::{Classes, position};
use super::{Answer, Outputs, Raw};
use crate::{Error, table::number_text};
use std::collections::BTreeMap;

/// How far a probability may leave 0..=1 by rounding in 16 or 32 bits.
const ROUNDING: f64 = 1e-3;
/// How far the sum of a row of probabilities may be off by rounding.
const SUM: f64 = 0.02;
/// Share of the rows that must be probabilities, so that one broken row does not change how all are read.
const MOST: f64 = 0.99;

/// How labels are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Labels {
    Names,
    Places,
}

/// How scores are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scores {
    /// There are none that could be read.
    None,
    /// The score column holds labels.
    Label,
    /// Of the second of two classes.
    Probability,
    /// Log odds of the second of two classes.
    Logit,
    /// One for each class, summing to one.
    Probabilities,
    /// One for each class, each in 0..=1 by itself: divided by their sum.
    Shares,
    /// One for each class: softmax.
    Logits,
}

/// How all answers of a model are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    labels: Labels,
    scores: Scores,
    notes: Vec<String>,
}

impl Reading {
    /// Looks at what the model gave for rows of data.
    ///
    /// # Errors
    /// [`Error::DoesNotFit`] where the scores are not one for each class.
    pub fn of(raw: &[Raw], outputs: &Outputs, classes: &Classes) -> Result<Self, Error> {
        let mut notes = Vec::new();
        let scores = scores(raw, outputs, classes, &mut notes)?;
        let mut reading = Self { labels: Labels::Names, scores, notes };
        reading.labels = reading.decide_labels(raw, classes);
        reading.note_strange(raw, classes);
        Ok(reading)
    }

    /// What is to be said about it, for people.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Whether classes come with scores.
    pub fn scored(&self) -> bool {
        !matches!(self.scores, Scores::None | Scores::Label)
    }

    /// An answer.
    pub fn answer(&self, raw: Raw, classes: &Classes) -> Answer {
        match raw {
            Raw::Failed(why) => Answer::Failed(why),
            Raw::Value(value) => Answer::Value(value),
            Raw::Class { label, scores } => {
                let label = if self.scores == Scores::Label {
                    scores.first().map(|value| number_text(*value))
                } else {
                    label
                };
                let scores = self.probabilities(scores, classes);
                let class = match label {
                    Some(label) => self.class(&label, classes),
                    None => best(&scores),
                };
                Answer::Class { class: class.unwrap_or(classes.len()), scores }
            }
        }
    }

    fn class(&self, label: &str, classes: &Classes) -> Option<usize> {
        match self.labels {
            Labels::Names => classes.named(label),
            Labels::Places => classes.at(label),
        }
    }

    /// One probability for each of the model's classes; empty where there are none.
    fn probabilities(&self, row: Vec<f64>, classes: &Classes) -> Vec<f64> {
        let two = |p: f64| vec![1.0 - p, p];
        match (self.scores, &row[..]) {
            (Scores::Probability, [p]) => two(unit(*p)),
            (Scores::Logit, [x]) => two(1.0 / (1.0 + (-x).exp())),
            (Scores::Probabilities, row) if row.len() == classes.of_model() => {
                let row: Vec<f64> = row.iter().map(|p| unit(*p)).collect();
                let sum: f64 = row.iter().sum();
                if (sum - 1.0).abs() <= ROUNDING { row } else { divided(row, sum) }
            }
            (Scores::Shares, row) if row.len() == classes.of_model() => {
                let row: Vec<f64> = row.iter().map(|p| unit(*p)).collect();
                let sum = row.iter().sum();
                divided(row, sum)
            }
            (Scores::Logits, row) if row.len() == classes.of_model() => softmax(row),
            _ => Vec::new(),
        }
    }

    /// Names or places: what all labels are; where both could be meant, what agrees with the scores on more rows.
    fn decide_labels(&self, raw: &[Raw], classes: &Classes) -> Labels {
        let mut rows = [0_usize; 2];
        let mut agree = [0_usize; 2];
        let mut total = 0_usize;
        for one in raw {
            let Raw::Class { label, scores } = one else { continue };
            let column = (self.scores == Scores::Label).then(|| scores.first().map(|it| number_text(*it)));
            let Some(label) = column.unwrap_or_else(|| label.clone()) else { continue };
            total += 1;
            let winner = best(&self.probabilities(scores.clone(), classes));
            for (at, class) in [classes.named(&label), classes.at(&label)].into_iter().enumerate() {
                rows[at] += usize::from(class.is_some());
                agree[at] += usize::from(class.is_some() && class == winner);
            }
        }
        let [names, places] = rows;
        let choose_places =
            if names == total && places == total { agree[1] > agree[0] } else { places > names };
        if choose_places { Labels::Places } else { Labels::Names }
    }

    fn note_strange(&mut self, raw: &[Raw], classes: &Classes) {
        let mut strange: BTreeMap<String, usize> = BTreeMap::new();
        for one in raw {
            if let Raw::Class { label: Some(label), .. } = one
                && self.class(label, classes).is_none_or(|class| classes.of_model() <= class)
            {
                *strange.entry(label.clone()).or_default() += 1;
            }
        }
        if let Some((label, rows)) = strange.iter().max_by_key(|(_, rows)| **rows) {
            self.notes.push(format!(
                "{} labels that the model gave are none of its classes, the most frequent {label:?} in {rows} rows",
                strange.len()
            ));
        }
        if self.labels == Labels::Places && classes.names().iter().all(|name| position(name).is_some()) {
            self.notes.push("the model's labels are places in the list of classes, not names".to_owned());
        }
        if !classes.strange().is_empty() {
            let labels = classes.strange().iter().take(5).cloned().collect::<Vec<_>>().join(", ");
            self.notes.push(format!("labels of the data that are no class of the model: {labels}"));
        }
    }
}

fn scores(
    raw: &[Raw],
    outputs: &Outputs,
    classes: &Classes,
    notes: &mut Vec<String>,
) -> Result<Scores, Error> {
    let rows: Vec<&[f64]> = raw
        .iter()
        .filter_map(|one| if let Raw::Class { scores, .. } = one { Some(&scores[..]) } else { None })
        .filter(|row| !row.is_empty() && row.iter().all(|score| score.is_finite()))
        .collect();
    let Some(width) = rows.first().map(|row| row.len()) else { return Ok(Scores::None) };
    let known = classes.of_model();
    let misfit = || {
        let why =
            format!("{width} scores in a row, {known} classes: name the classes in the model's interface");
        Error::unfit(format!("output {}", outputs.score_name()), why)
    };
    if width == 1 {
        let values = rows.iter().map(|row| row[0]);
        let label = |value: f64| {
            let text = number_text(value);
            classes.named(&text).is_some() || classes.at(&text).is_some()
        };
        let labels = !outputs.labelled()
            && values.clone().all(label)
            && (known > 2 || values.clone().any(|value| !(0.0..=1.0).contains(&value)));
        if labels {
            return Ok(Scores::Label);
        }
        if known != 2 {
            return if outputs.labelled() { Ok(Scores::None) } else { Err(misfit()) };
        }
        if values.clone().all(|value| (-ROUNDING..=1.0 + ROUNDING).contains(&value)) {
            return Ok(Scores::Probability);
        }
        notes.push("the one score of a row leaves 0..1: read as a logit".to_owned());
        return Ok(Scores::Logit);
    }
    if width != known {
        // Decision functions of pairs of classes, or an embedding: the label alone is read.
        if outputs.labelled() && classes.are_named() {
            notes
                .push(format!("label only: {width} scores in a row are not one for each of {known} classes"));
            return Ok(Scores::None);
        }
        return Err(misfit());
    }
    let most = |holds: &dyn Fn(&[f64]) -> bool| {
        rows.iter().filter(|row| holds(row)).count() as f64 >= MOST * rows.len() as f64
    };
    let inside = |row: &[f64]| row.iter().all(|p| (-ROUNDING..=1.0 + ROUNDING).contains(p));
    if most(&|row| inside(row) && (row.iter().sum::<f64>() - 1.0).abs() <= SUM) {
        return Ok(Scores::Probabilities);
    }
    if most(&|row| inside(row) && row.iter().sum::<f64>() > 0.0) {
        notes.push("the scores of a row do not sum to one: divided by their sum".to_owned());
        return Ok(Scores::Shares);
    }
    notes.push("the scores of a row are no probabilities: read as logits, softmax".to_owned());
    Ok(Scores::Logits)
}

/// A probability without what rounding added.
fn unit(p: f64) -> f64 {
    p.clamp(0.0, 1.0)
}

fn divided(row: Vec<f64>, sum: f64) -> Vec<f64> {
    if sum > 0.0 { row.into_iter().map(|p| p / sum).collect() } else { row }
}

fn softmax(row: &[f64]) -> Vec<f64> {
    let highest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> = row.iter().map(|x| (x - highest).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}

/// Index of the highest score, the first of equals; `None` where one is NaN or there is none.
fn best(row: &[f64]) -> Option<usize> {
    if row.is_empty() || row.iter().any(|score| score.is_nan()) {
        return None;
    }
    let pick = |best: usize, at: usize| if row[at] > row[best] { at } else { best };
    Some((0..row.len()).fold(0, pick))
}

#[cfg(test)]
#[path = "reading_tests.rs"]
mod tests;
