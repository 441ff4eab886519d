//! What a version's inputs and outputs are counted against: the training data's profile, read through the model's
//! interface.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use contracts::common::v1::{ColumnProfile, ModelInterface};
use contracts::registry::v1::{DatasetVersion, Evaluation, ModelVersion};
use engine::{FieldError, ModelSignature, TensorSpec};

use super::groups::{self, GroupColumn};
use super::profile::Profile;

/// Prediction values that are told apart where the reference names none.
const MOST_VALUES: usize = 64;

/// Where features and predictions stand in the tensors, and the bins they are counted over.
#[derive(Debug, Default)]
pub struct Reference {
    columns: Vec<String>,
    profiles: Vec<Profile>,
    places: Vec<Place>,
    label_output: String,
    score_output: String,
    number_output: String,
    classes: Vec<String>,
    label_column: String,
    label: Option<Profile>,
    groups: Vec<GroupColumn>,
    favourable: BTreeSet<String>,
}

/// Where a column stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// Input tensor.
    pub(super) tensor: String,
    /// Second dimension of the tensor: columns side by side.
    pub(super) width: usize,
    /// Index among them.
    pub(super) at: usize,
}

/// Counts of predictions.
#[derive(Debug, Clone)]
pub enum Predictions {
    /// Over bins or levels of the reference.
    Binned(Profile, u64),
    /// Values as they come, of a bounded number.
    Values(BTreeMap<String, u64>, u64, u64),
}

impl Predictions {
    /// Counts one prediction, a class or a number as text.
    pub(super) fn add(&mut self, value: &str) {
        match self {
            Self::Binned(profile, rows) if profile.is_numeric() => {
                *rows += 1;
                profile.add_number(value.parse().unwrap_or(f64::NAN));
            }
            Self::Binned(profile, rows) => {
                *rows += 1;
                profile.add_category(value);
            }
            Self::Values(values, other, rows) => {
                *rows += 1;
                if let Some(count) = values.get_mut(value) {
                    *count += 1;
                } else if values.len() < MOST_VALUES {
                    values.insert(value.to_owned(), 1);
                } else {
                    *other += 1;
                }
            }
        }
    }

    /// For the wire; nothing without predictions.
    pub(super) fn wire(self, column: &str) -> Option<ColumnProfile> {
        match self {
            Self::Binned(profile, rows) => (rows > 0).then(|| profile.wire(column, rows)),
            Self::Values(values, other, rows) => (rows > 0).then(|| {
                let (values, counts) = values.into_iter().unzip();
                let counts = contracts::common::v1::CategoricalCounts { values, counts, other };
                let distribution = contracts::common::v1::column_profile::Distribution::Categorical(counts);
                ColumnProfile {
                    column: column.to_owned(),
                    rows,
                    missing: 0,
                    distribution: Some(distribution),
                }
            }),
        }
    }
}

impl Reference {
    /// Works out where everything stands (`ModelInterface` says how where it is silent).
    pub fn new(
        signature: &ModelSignature,
        model: &ModelVersion,
        dataset: Option<&DatasetVersion>,
        evaluation: &Evaluation,
    ) -> Self {
        let interface = model.interface.clone().unwrap_or_default();
        let mut made = Self {
            classes: interface.classes.clone(),
            label_column: dataset.map(|data| data.label_column.clone()).unwrap_or_default(),
            ..outputs(signature, &interface)
        };
        let Some(data) = dataset else { return made };
        let profiles: HashMap<&str, &ColumnProfile> =
            data.profiles.iter().map(|profile| (profile.column.as_str(), profile)).collect();
        made.label = profiles.get(data.label_column.as_str()).and_then(|profile| Profile::like(profile));
        let declared = data.columns.iter().filter(|column| !column.label && !column.sensitive);
        let features: Vec<String> = if interface.feature_columns.is_empty() {
            declared.map(|column| column.name.clone()).filter(|name| *name != data.label_column).collect()
        } else {
            interface.feature_columns.clone()
        };
        for (at, column) in features.iter().enumerate() {
            let place = place(signature, &interface, &features, at);
            let empty = profiles.get(column.as_str()).and_then(|profile| Profile::like(profile));
            if let (Some(place), Some(empty)) = (place, empty) {
                made.columns.push(column.clone());
                made.places.push(place);
                made.profiles.push(empty);
            }
        }
        made.favourable = groups::favourable(evaluation, &interface.classes, data);
        made.groups = GroupColumn::of(data, evaluation, |name| {
            match features.iter().position(|feature| feature == name) {
                Some(at) => place(signature, &interface, &features, at),
                None => signature.input(name).map(|own| Place { tensor: own.name.clone(), width: 1, at: 0 }),
            }
        });
        made
    }

    /// Names of the columns that are counted.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Name of the label column, or of the output that predicts it.
    pub fn label(&self) -> &str {
        let names = [&self.label_column, &self.label_output, &self.score_output, &self.number_output];
        names.into_iter().find(|name| !name.is_empty()).map_or("prediction", String::as_str)
    }

    /// Parameters `group.<column>` of a request that cannot be used.
    pub fn bad_groups(&self, given: &BTreeMap<String, String>, rows: usize) -> Vec<FieldError> {
        groups::bad(&self.groups, given, rows)
    }

    /// The group columns; none where no prediction is known to be favourable, for then there is nothing to compare.
    pub(super) fn groups(&self) -> &[GroupColumn] {
        if self.favourable.is_empty() { &[] } else { &self.groups }
    }

    /// Whether a prediction is a favourable one.
    pub(super) fn favours(&self, prediction: &str) -> bool {
        self.favourable.contains(prediction)
    }

    pub(super) fn places(&self) -> &[Place] {
        &self.places
    }

    /// Empty profiles, one for each column.
    pub(super) fn empty(&self) -> Vec<Profile> {
        self.profiles.clone()
    }

    pub(super) fn no_predictions(&self) -> Predictions {
        match &self.label {
            // Class names of integer labels are not the numbers that the label column holds.
            Some(profile) if !profile.is_numeric() || self.classes.is_empty() => {
                Predictions::Binned(profile.clone(), 0)
            }
            _ => Predictions::Values(BTreeMap::new(), 0, 0),
        }
    }

    pub(super) fn outputs(&self) -> (&str, &str, &str) {
        (&self.label_output, &self.score_output, &self.number_output)
    }

    pub(super) fn classes(&self) -> &[String] {
        &self.classes
    }
}

/// The tensor and index of a feature column.
fn place(
    signature: &ModelSignature,
    interface: &ModelInterface,
    features: &[String],
    at: usize,
) -> Option<Place> {
    if !interface.input_tensor.is_empty() {
        let tensor = signature.input(&interface.input_tensor)?.name.clone();
        return Some(Place { tensor, width: features.len(), at });
    }
    if let Some(own) = features.get(at).and_then(|column| signature.input(column)) {
        return Some(Place { tensor: own.name.clone(), width: 1, at: 0 });
    }
    let [only] = signature.inputs.as_slice() else { return None };
    Some(Place { tensor: only.name.clone(), width: features.len(), at })
}

/// The first integer or text output is the label, the first two-dimensional float output the scores; of a model that has
/// neither, the first float output is the number it predicts.
fn outputs(signature: &ModelSignature, interface: &ModelInterface) -> Reference {
    let float = |spec: &&TensorSpec| spec.datatype.is_float();
    let wide = |spec: &&TensorSpec| {
        spec.dims
            .as_ref()
            .is_some_and(|dims| dims.len() == 2 && dims.last().is_some_and(|last| last.as_i64() != 1))
    };
    let name = |spec: Option<&TensorSpec>| spec.map(|spec| spec.name.clone()).unwrap_or_default();
    let stated = |stated: &str, found: Option<&TensorSpec>| {
        if stated.is_empty() { name(found) } else { stated.to_owned() }
    };
    let outputs = &signature.outputs;
    let label_output = stated(&interface.label_output, outputs.iter().find(|spec| !float(spec)));
    let score_output = stated(&interface.score_output, outputs.iter().find(|spec| float(spec) && wide(spec)));
    let number_output = if label_output.is_empty() && score_output.is_empty() {
        name(outputs.iter().find(float))
    } else {
        String::new()
    };
    Reference { label_output, score_output, number_output, ..Reference::default() }
}
