//! The rows of an evaluation: inputs, truth, groups, ranges, and what the model answered.

use crate::{Error, Limits, plan::Plan, predict::Answer, predict::Model, rows, rows::Sample, table::Table};
use contracts::common::v1::{ColumnProfile, column_profile::Distribution};
use std::collections::BTreeSet;

/// Groups of a column at most: every pair is compared.
const MOST_GROUPS: usize = 100;

/// What is right.
#[derive(Debug, Clone, PartialEq)]
pub enum Truth {
    /// Index into the model's classes.
    Classes(Vec<usize>),
    /// Numbers.
    Values(Vec<f64>),
}

/// Rows of a group column.
#[derive(Debug, Clone, PartialEq)]
pub struct Groups {
    /// The column.
    pub column: String,
    /// Group of each row.
    pub of_row: Vec<String>,
}

/// All that the measures look at.
#[derive(Debug)]
pub struct Data<'a> {
    /// What is measured.
    pub plan: &'a Plan,
    /// Inputs by row.
    pub samples: Vec<Sample>,
    /// Truth by row.
    pub truth: Truth,
    /// Rows of the split whose label is missing: left out.
    pub unlabelled: usize,
    /// Missing texts that were sent as empty ones.
    pub empty_texts: usize,
    /// Classes of the plan's favourable labels.
    pub favourable: Vec<usize>,
    /// Group columns.
    pub groups: Vec<Groups>,
    /// Lowest and highest value of each numeric input, from the training split where it is profiled.
    pub ranges: Vec<(f64, f64)>,
    /// What the model said, by row.
    pub answers: Vec<Answer>,
}

/// A label without the characters that the plan drops from its end; `None` where nothing is left.
pub fn label(text: &str, plan: &Plan) -> Option<String> {
    let text = text.trim().trim_end_matches(|c| plan.label_strip.contains(c));
    (!text.is_empty()).then(|| text.to_owned())
}

/// The label of each row as [`label`]; `None` where it is missing.
pub fn labels(table: &Table, plan: &Plan) -> Result<Vec<Option<String>>, Error> {
    let cells = &table.required(&plan.label_column, "label column")?.cells;
    Ok((0..table.rows()).map(|row| cells.text(row).and_then(|text| label(&text, plan))).collect())
}

/// Labels of other rows of the dataset: of the training split where it can be read, and of its profile.
pub fn known_labels(train: Option<&Table>, profiles: &[ColumnProfile], plan: &Plan) -> Vec<String> {
    let of_train = train.and_then(|train| labels(train, plan).ok()).unwrap_or_default();
    let profile = profiles.iter().find(|profile| profile.column == plan.label_column);
    let profiled = match profile.and_then(|profile| profile.distribution.as_ref()) {
        Some(Distribution::Categorical(counts)) => counts.values.as_slice(),
        _ => &[],
    };
    let profiled = profiled.iter().filter_map(|text| label(text, plan));
    of_train.into_iter().flatten().chain(profiled).collect()
}

impl<'a> Data<'a> {
    /// Fills the inputs, reads truth, groups and ranges.
    ///
    /// # Errors
    /// [`Error::DoesNotFit`] where a cell or column does not fit, or no row has a label.
    pub fn prepare(
        model: &Model,
        plan: &'a Plan,
        table: &Table,
        labels: &[Option<String>],
        profiles: &[ColumnProfile],
        limits: &Limits,
    ) -> Result<Self, Error> {
        let samples = rows::fill(model.layout(), table, &plan.missing_texts, limits.values)?;
        let ranges = ranges(model, &samples, profiles);
        let kept: Vec<usize> = (0..labels.len()).filter(|row| labels[*row].is_some()).collect();
        if kept.is_empty() {
            return Err(Error::unfit(format!("label column {:?}", plan.label_column), "no row has a label"));
        }
        let truth = truth(model, plan, labels)?;
        let favourable = favourable(model, plan)?;
        let empty_texts = rows::empty_texts(model.layout(), table, &plan.missing_texts)?;
        let groups = groups(plan, table, &kept)?;
        let mut samples: Vec<Option<Sample>> = samples.into_iter().map(Some).collect();
        let samples = kept.iter().filter_map(|row| samples[*row].take()).collect();
        let unlabelled = labels.len() - kept.len();
        Ok(Self {
            plan,
            samples,
            truth,
            unlabelled,
            empty_texts,
            favourable,
            groups,
            ranges,
            answers: Vec::new(),
        })
    }

    /// Rows.
    pub fn len(&self) -> usize {
        self.samples.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// Whether `answer` is right for `row`.
    pub fn is_right(&self, row: usize, answer: &Answer) -> bool {
        match &self.truth {
            Truth::Classes(truth) => answer.class() == Some(truth[row]),
            Truth::Values(truth) => {
                answer.value().is_some_and(|value| (value - truth[row]).abs() <= self.plan.tolerance)
            }
        }
    }

    /// By row, whether the model was right.
    pub fn right(&self) -> Vec<bool> {
        self.answers.iter().enumerate().map(|(row, answer)| self.is_right(row, answer)).collect()
    }

    /// True classes; empty for a regression.
    pub fn classes(&self) -> &[usize] {
        if let Truth::Classes(classes) = &self.truth { classes } else { &[] }
    }

    /// Rows with finite scores, one for each of `classes` and the true class among them: row and scores.
    pub fn scored(&self) -> Vec<(usize, Vec<f64>)> {
        let truth = self.classes();
        let usable = |(row, answer): (usize, &Answer)| {
            let scores = answer.scores()?;
            (*truth.get(row)? < scores.len()).then(|| (row, scores.to_vec()))
        };
        self.answers.iter().enumerate().filter_map(usable).collect()
    }
}

fn truth(model: &Model, plan: &Plan, labels: &[Option<String>]) -> Result<Truth, Error> {
    let present = labels.iter().flatten();
    if plan.classifies() {
        let index = |label: &String| {
            model
                .classes()
                .index(label)
                .ok_or_else(|| Error::unfit(format!("label {label:?}"), model.classes().offered()))
        };
        return Ok(Truth::Classes(present.map(index).collect::<Result<_, _>>()?));
    }
    let number = |label: &String| {
        let value = label.parse::<f64>().ok().filter(|value| value.is_finite());
        value.ok_or_else(|| Error::unfit(format!("label {label:?}"), "required a finite number"))
    };
    Ok(Truth::Values(present.map(number).collect::<Result<_, _>>()?))
}

/// The classes that the plan calls favourable; each label must be one.
fn favourable(model: &Model, plan: &Plan) -> Result<Vec<usize>, Error> {
    if !plan.classifies() {
        return Ok(Vec::new());
    }
    let class = |text: &String| {
        let found = label(text, plan).and_then(|label| model.classes().index(&label));
        let found = found.filter(|class| *class < model.classes().of_model());
        found.ok_or_else(|| Error::unfit(format!("favourable label {text:?}"), model.classes().offered()))
    };
    plan.favourable_labels.iter().map(class).collect()
}

fn groups(plan: &Plan, table: &Table, kept: &[usize]) -> Result<Vec<Groups>, Error> {
    let read = |column: &String| {
        let cells = &table.required(column, "group column")?.cells;
        let group = |row: &usize| {
            cells.text(*row).filter(|text| !text.is_empty()).unwrap_or_else(|| "(missing)".to_owned())
        };
        let of_row: Vec<String> = kept.iter().map(group).collect();
        let several = of_row.iter().collect::<BTreeSet<_>>().len();
        if MOST_GROUPS < several {
            let why = format!("{several} values, at most {MOST_GROUPS} are groups of people");
            return Err(Error::unfit(format!("group column {column:?}"), why));
        }
        Ok(Groups { column: column.clone(), of_row })
    };
    plan.group_columns.iter().map(read).collect()
}

/// The range of each numeric input: as the training split was profiled, else as these rows show it.
fn ranges(model: &Model, samples: &[Sample], profiles: &[ColumnProfile]) -> Vec<(f64, f64)> {
    let profiled = |name: &str| {
        let profile = profiles.iter().find(|profile| profile.column == name)?;
        let Some(Distribution::Numeric(histogram)) = &profile.distribution else { return None };
        let range = (histogram.min, histogram.max);
        (range.0.is_finite() && range.1.is_finite() && range.0 <= range.1).then_some(range)
    };
    let observed = |at: usize| {
        let values = samples.iter().map(|sample| sample.numbers[at]).filter(|value| value.is_finite());
        let range = values
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
        if range.0 <= range.1 { range } else { (0.0, 0.0) }
    };
    let columns = model.layout().number_columns();
    columns.iter().enumerate().map(|(at, (name, _))| profiled(name).unwrap_or_else(|| observed(at))).collect()
}
