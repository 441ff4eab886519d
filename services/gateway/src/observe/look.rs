//! Looking at the tensors of a request, off its path.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use contracts::monitor::v1::SampledRequest;
use contracts::registry::v1::{Evaluation, ModelVersion};
use contracts::time::to_wire;
use engine::Tensor;

use super::columns::{Column, Columns, cut, head};
use super::groups::GroupColumn;
use super::profile::Profile;
use super::reference::Reference;
use crate::backends::Backend;
use crate::gateway::Gateway;

/// The tensors of an answered request; their bytes are shared, not copied.
#[derive(Debug)]
pub struct Detail {
    /// Version that answered.
    pub backend: Arc<Backend>,
    /// When.
    pub time: SystemTime,
    /// What came in.
    pub inputs: Vec<Tensor>,
    /// What went out.
    pub outputs: Vec<Tensor>,
    /// Values of group columns that its parameters gave.
    pub groups: BTreeMap<String, String>,
    /// Set where the request is one of the sample: its id and trace.
    pub sample: Option<(String, String)>,
}

impl Gateway {
    /// Looks at requests until none comes any more.
    pub async fn look_at_requests(&self) {
        let mut details = self.observing().looked.lock().await;
        while let Some(detail) = details.recv().await {
            self.look(detail);
            // One after another would keep a core from others under load.
            tokio::task::yield_now().await;
        }
    }

    /// Looks at those that wait still; for the stop.
    pub async fn look_at_the_rest(&self) {
        let mut details = self.observing().looked.lock().await;
        while let Ok(detail) = details.try_recv() {
            self.look(detail);
        }
    }

    fn look(&self, detail: Detail) {
        let Detail { backend, time, inputs, outputs, groups, sample } = detail;
        let most = self.config().observe.max_rows;
        let predictions = if let Some(reference) = backend.observer.reference() {
            let predictions = predictions(reference, &outputs, most);
            count(&backend, time, reference, &inputs, &groups, &predictions, most);
            predictions
        } else {
            let (model, evaluation) = (ModelVersion::default(), Evaluation::default());
            let unknown = Reference::new(backend.model_signature(), &model, None, &evaluation);
            predictions(&unknown, &outputs, most)
        };
        if let Some((request_id, trace_id)) = sample {
            self.observing().keep_sample(SampledRequest {
                request_id,
                deployment: backend.deployment.clone(),
                version: backend.version.clone(),
                time: Some(to_wire(time)),
                predictions,
                trace_id,
            });
        }
    }
}

/// Counts the rows of a request: features, predictions, groups.
fn count(
    backend: &Backend,
    time: SystemTime,
    reference: &Reference,
    inputs: &[Tensor],
    given: &BTreeMap<String, String>,
    predictions: &[String],
    most: usize,
) {
    let read = Columns::of(inputs, most);
    let columns: Vec<Option<Column>> = reference.places().iter().map(|place| read.at(place)).collect();
    let rows = columns.iter().flatten().map(Column::len).max().unwrap_or(0);
    let groups: Vec<(&GroupColumn, Vec<String>)> = reference
        .groups()
        .iter()
        .filter_map(|group| Some((group, members(group, &read, given, predictions.len())?)))
        .collect();
    backend.observer.look(time, |seen| {
        let (features, feature_rows, counted) = seen.profiles(reference);
        *feature_rows += rows as u64;
        for (profile, column) in features.iter_mut().zip(columns) {
            add(profile, column, rows);
        }
        for value in predictions {
            counted.add(value);
        }
        for (group, values) in &groups {
            for (value, prediction) in values.iter().zip(predictions).filter(|(value, _)| group.counts(value))
            {
                seen.group(&group.name, value, reference.favours(prediction));
            }
        }
    });
}

/// The value of a group column for each row that has a prediction: of the model's own input, else of the parameter.
fn members(
    group: &GroupColumn,
    read: &Columns<'_>,
    given: &BTreeMap<String, String>,
    rows: usize,
) -> Option<Vec<String>> {
    match group.place.as_ref().and_then(|place| read.at(place)) {
        Some(Column::Texts(values)) => Some(values),
        Some(Column::Numbers(values)) => Some(values.iter().map(f64::to_string).collect()),
        None => group.given(given.get(&group.name)?, rows),
    }
}

fn add(profile: &mut Profile, column: Option<Column>, rows: usize) {
    match column {
        None => (0..rows).for_each(|_| profile.add_missing()),
        Some(Column::Numbers(values)) => {
            for value in values {
                if profile.is_numeric() {
                    profile.add_number(value);
                } else {
                    profile.add_category(&value.to_string());
                }
            }
        }
        Some(Column::Texts(values)) => {
            for value in &values {
                if profile.is_numeric() {
                    profile.add_number(value.parse().unwrap_or(f64::NAN));
                } else {
                    profile.add_category(value);
                }
            }
        }
    }
}

/// One prediction for each row, as text; empty if the outputs do not show any.
fn predictions(reference: &Reference, outputs: &[Tensor], most: usize) -> Vec<String> {
    let (label, scores, number) = reference.outputs();
    let find = |name: &str| outputs.iter().find(|tensor| !name.is_empty() && tensor.name() == name);
    if let Some(tensor) = find(label).and_then(|tensor| head(tensor, most)) {
        if let Ok(elements) = tensor.elements() {
            return elements.iter().map(|text| cut(text)).collect();
        }
        let class = |value: f64| named(reference, value);
        return tensor.to_f64().unwrap_or_default().into_iter().map(class).collect();
    }
    if let Some(tensor) = find(scores).and_then(|tensor| head(tensor, most)) {
        let (rows, values) = (tensor.rows(), tensor.to_f64().unwrap_or_default());
        let width = values.len().checked_div(rows).unwrap_or(0);
        if width == 0 {
            return Vec::new();
        }
        return values.chunks_exact(width).map(|row| named(reference, best(row))).collect();
    }
    let numbers = find(number).and_then(|tensor| head(tensor, most)?.to_f64().ok());
    numbers.unwrap_or_default().into_iter().map(|value| value.to_string()).collect()
}

/// Index of the largest score; NaN never wins, and NaN alone is no prediction.
fn best(scores: &[f64]) -> f64 {
    let largest =
        scores.iter().enumerate().filter(|(_, score)| !score.is_nan()).max_by(|a, b| a.1.total_cmp(b.1));
    largest.map_or(f64::NAN, |(at, _)| at as f64)
}

fn named(reference: &Reference, class: f64) -> String {
    let name = (class >= 0.0).then(|| reference.classes().get(class as usize)).flatten();
    name.map_or_else(|| class.to_string(), Clone::clone)
}
