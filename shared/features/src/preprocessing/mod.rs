//! The preprocessing of a dataset version: what turned its raw columns into its features, as an artifact. Fitted on the
//! training rows alone, and replayed by the evaluator and the gateway with the kernels that fitted it.
//!
//! The artifact is canonical JSON: raw columns with their types, fitted steps, the columns that come out, and golden rows
//! whose outputs are known by digest. The same build gives the same bytes, and the bytes' digest is its name. Where it is
//! read, the golden rows are replayed: a program whose kernels differ in a single bit does not serve it.

mod golden;
mod input;
mod layout;

use std::collections::BTreeSet;

use arrow::array::{Array, ArrayRef, RecordBatch};
use serde::{Deserialize, Serialize};

pub use golden::{Golden, bits};
pub use input::{Asked, Given, Input};
pub use layout::{Need, TensorColumns, assign};

use crate::column::Values;
use crate::digest::sha256;
use crate::error::{Error, Result};
use crate::schema::Kind;
use crate::transform::{Frame, Step, needed, possible, run};

/// Bytes of an artifact at most.
pub const ARTIFACT_BYTES: usize = 64 << 20;
/// Name of the file beside a served model.
pub const FILE_NAME: &str = "preprocessing.json";
/// Columns that the steps of an artifact make at most, all together.
const COLUMNS: usize = 1 << 16;
/// What this code writes and reads.
const FORMAT: &str = "wlp-preprocessing/1";

/// A column that comes out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Output {
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// Whether a model takes it unless told otherwise: no group and no key.
    pub feature: bool,
    /// What a text input is given where the value is missing.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub missing_text: String,
}

/// The artifact.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preprocessing {
    format: String,
    /// Raw columns, in the data's order.
    pub inputs: Vec<Input>,
    /// Fitted operations in the order of application.
    pub steps: Vec<Step>,
    /// Columns that come out, in order.
    pub outputs: Vec<Output>,
    /// Which output columns make which tensor of the model; empty: the model's interface or its signature says so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub layout: Vec<TensorColumns>,
    /// Rows whose outputs are known.
    pub golden: Golden,
}

/// The training rows as they were before the first step, as far as an artifact keeps them: their columns, and golden rows
/// drawn from them.
#[derive(Debug, Clone)]
pub struct Raw {
    inputs: Vec<Input>,
    rows: RecordBatch,
}

impl Raw {
    /// Of the training rows. Requests may leave out values where one of them is missing.
    ///
    /// # Errors
    /// [`Error::Type`] for a column that is none of the five types.
    pub fn of(training: &RecordBatch) -> Result<Self> {
        let input = |field: &arrow::datatypes::FieldRef| {
            let values = Values::in_batch(training, field.name())?;
            let missing = (0..values.len()).any(|row| values.is_missing(row));
            let name = field.name().clone();
            Ok(Input { name, kind: values.kind(), missing, missing_texts: Vec::new() })
        };
        let inputs = training.schema_ref().fields().iter().map(input).collect::<Result<Vec<_>>>()?;
        Ok(Self { rows: golden::draw(training, &inputs)?, inputs })
    }

    /// The same, with the texts that mean missing in each column.
    #[must_use]
    pub fn with_missing_texts(mut self, texts: impl Fn(&str) -> Vec<String>) -> Self {
        for input in &mut self.inputs {
            input.missing_texts = texts(&input.name);
        }
        self
    }
}

impl Preprocessing {
    /// The artifact of fitted steps. `never` are the columns that no request can carry: the label, and what is made of a
    /// row's place; what is made from them is left out too. `is_feature` says of an output whether models take it.
    ///
    /// # Errors
    /// [`Error`] with the column.
    pub fn new(
        raw: Raw,
        steps: &[Step],
        never: &BTreeSet<String>,
        is_feature: impl Fn(&str) -> bool,
    ) -> Result<Self> {
        let inputs: Vec<Input> =
            raw.inputs.into_iter().filter(|input| !never.contains(&input.name)).collect();
        let names: Vec<String> = inputs.iter().map(|input| input.name.clone()).collect();
        let steps = possible(steps, &names, never);
        let rows = Frame::of(&raw.rows).select(&names)?;
        let mut frame = Frame::of(&rows);
        run(&steps, &mut frame)?;
        let made = frame.batch()?;
        let missing_text = |name: &str| {
            let input = inputs.iter().find(|input| input.name == name && input.kind == Kind::Utf8);
            input.and_then(|input| input.missing_texts.first().cloned()).unwrap_or_default()
        };
        let outputs = made.schema_ref().fields().iter().zip(made.columns()).map(|(field, array)| {
            Ok(Output {
                name: field.name().clone(),
                kind: Values::of(field.name(), array)?.kind(),
                feature: is_feature(field.name()),
                missing_text: missing_text(field.name()),
            })
        });
        Ok(Self {
            format: FORMAT.to_owned(),
            outputs: outputs.collect::<Result<_>>()?,
            golden: Golden::of(&rows, &made)?,
            inputs,
            steps,
            layout: Vec::new(),
        })
    }

    /// Canonical JSON.
    pub fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default() // texts, numbers and flags only: cannot fail
    }

    /// `sha256:` of [`Preprocessing::json`].
    pub fn digest(&self) -> String {
        sha256(self.json().as_bytes())
    }

    /// Reads an artifact and replays its golden rows.
    ///
    /// # Errors
    /// [`Error::Preprocessing`] for what is none, [`Error::Golden`] where this program's kernels give other bits.
    pub fn read(bytes: &[u8]) -> Result<Self> {
        let bad = Error::Preprocessing;
        if ARTIFACT_BYTES < bytes.len() {
            return Err(bad(format!("{} bytes, at most {ARTIFACT_BYTES} are taken", bytes.len())));
        }
        let read: Self = serde_json::from_slice(bytes).map_err(|error| bad(error.to_string()))?;
        read.check().map_err(bad)?;
        read.replay_golden()?;
        Ok(read)
    }

    fn check(&self) -> std::result::Result<(), String> {
        if self.format != FORMAT {
            return Err(format!("format {:?}, required {FORMAT:?}", self.format));
        }
        let inputs = self.inputs.iter().map(|input| input.name.as_str());
        let outputs = self.outputs.iter().map(|output| output.name.as_str());
        if let Some(name) = twice(inputs).or_else(|| twice(outputs)) {
            return Err(format!("column {name:?} stands twice"));
        }
        if let Some(input) = self.inputs.iter().find(|input| input.name.is_empty()) {
            return Err(format!("an input of type {} has no name", input.kind.as_str()));
        }
        if self.outputs.is_empty() {
            return Err("no column comes out".to_owned());
        }
        if let Some(why) = self.steps.iter().find_map(Step::fault) {
            return Err(why);
        }
        let made = self.steps.iter().fold(self.inputs.len(), |sum, step| sum.saturating_add(step.width()));
        if COLUMNS < made {
            return Err(format!("{made} columns, at most {COLUMNS} are made"));
        }
        Ok(())
    }

    fn replay_golden(&self) -> Result<()> {
        let rows = self.golden.rows(&self.inputs)?;
        let made = self.apply(&rows)?;
        let observed = bits(&made)?;
        if observed == self.golden.digest {
            return Ok(());
        }
        Err(Error::Golden { expected: self.golden.digest.clone(), observed })
    }

    /// All outputs of raw rows.
    ///
    /// # Errors
    /// As [`Replay::apply`].
    pub fn apply(&self, rows: &RecordBatch) -> Result<RecordBatch> {
        let names: Vec<String> = self.outputs.iter().map(|output| output.name.clone()).collect();
        self.replay(&names)?.apply(rows)
    }

    /// Raw columns that do not come out as they came in: filled, scaled, replaced.
    pub fn changes(&self) -> BTreeSet<&str> {
        let changed = self.steps.iter().filter_map(Step::place);
        changed.filter(|name| self.inputs.iter().any(|input| input.name == *name)).collect()
    }

    /// What makes some of the outputs: the inputs and steps that these need, and no others.
    ///
    /// # Errors
    /// [`Error::Missing`] for a column that does not come out, or that comes from no input.
    pub fn replay(&self, columns: &[String]) -> Result<Replay> {
        let known = |name: &String| self.outputs.iter().any(|output| output.name == *name);
        if let Some(name) = columns.iter().find(|name| !known(name)) {
            return Err(Error::Missing(name.clone()));
        }
        let (steps, inputs) = needed(&self.steps, columns);
        if let Some(name) = inputs.iter().find(|name| !self.inputs.iter().any(|one| one.name == **name)) {
            return Err(Error::Missing(name.clone()));
        }
        let inputs = self.inputs.iter().filter(|input| inputs.contains(&input.name)).cloned().collect();
        Ok(Replay { inputs, steps, columns: columns.to_vec() })
    }
}

fn twice<'a>(mut names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let mut seen = BTreeSet::new();
    names.find(|name| !seen.insert(*name))
}

/// The part of an artifact that makes certain columns.
#[derive(Debug, Clone, PartialEq)]
pub struct Replay {
    /// Raw columns that it needs.
    pub inputs: Vec<Input>,
    steps: Vec<Step>,
    columns: Vec<String>,
}

impl Replay {
    /// The columns of these rows, in the order that was asked for. One row alone and the same row among others give the
    /// same bits.
    ///
    /// # Errors
    /// [`Error::Missing`] and [`Error::Type`] for an input that is not there as the artifact says.
    pub fn apply(&self, rows: &RecordBatch) -> Result<RecordBatch> {
        let column = |input: &Input| {
            let array = rows.column_by_name(&input.name).ok_or_else(|| Error::Missing(input.name.clone()))?;
            if Kind::of(array.data_type()) != Some(input.kind) {
                return Err(Error::Type {
                    column: input.name.clone(),
                    actual: array.data_type().to_string(),
                    required: input.kind.as_str(),
                });
            }
            Ok(array.clone())
        };
        self.run(self.inputs.iter().map(column).collect::<Result<_>>()?, rows.num_rows())
    }

    /// The columns of a request of `rows` rows that gives these values for the inputs, in their order.
    ///
    /// # Errors
    /// Every input whose values cannot stand in its column: its place, and why.
    pub fn requested(
        &self,
        given: Vec<Given<'_>>,
        rows: usize,
    ) -> std::result::Result<RecordBatch, Vec<(usize, String)>> {
        let (mut arrays, mut bad) = (Vec::with_capacity(self.inputs.len()), Vec::new());
        for (at, (input, values)) in self.inputs.iter().zip(given).enumerate() {
            match input.array(values) {
                Ok(array) if array.len() == rows => arrays.push(array),
                Ok(array) => bad.push((at, format!("{} rows, required {rows}", array.len()))),
                Err(why) => bad.push((at, why)),
            }
        }
        if bad.is_empty() && arrays.len() < self.inputs.len() {
            bad.push((arrays.len(), "no values are given".to_owned()));
        }
        if !bad.is_empty() {
            return Err(bad);
        }
        self.run(arrays, rows).map_err(|error| vec![(0, error.to_string())])
    }

    fn run(&self, arrays: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
        let names = self.inputs.iter().map(|input| input.name.as_str().into());
        let mut frame = Frame::new(names.zip(arrays).collect(), rows);
        run(&self.steps, &mut frame)?;
        frame.select(&self.columns)
    }
}
