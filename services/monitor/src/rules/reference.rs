//! What a version is compared with: the profiles of its training data, and how it predicted when it was evaluated.
//!
//! The training data of a version never change, so the reference is kept as it was first told and never replaced: what the
//! registry says later is only held against it (§9.2: never a rolling window by accident). An evaluation may follow another,
//! and the newest counts. Both are there while the registry is away.

use contracts::common::v1::ColumnProfile;
use contracts::registry::v1::{
    DatasetVersion, Evaluation, GetDatasetVersionRequest, GetModelVersionRequest, ListEvaluationsRequest,
};
use prost::Message;
use serde::{Deserialize, Serialize};

use crate::store::cursors;
use crate::{Error, Monitor, convert};

/// What a version is compared with, and what it was made of.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reference {
    /// Digest of the manifest of the data that the histograms were made of.
    pub digest: String,
    /// Histograms of the training split.
    pub features: Vec<ColumnProfile>,
    /// Histogram of the predictions of an evaluation.
    pub predictions: Option<ColumnProfile>,
    /// The evaluation that it comes from.
    pub evaluation: String,
    /// Lower bound of the evaluated accuracy (or the value, where there is no interval).
    pub accuracy: Option<f64>,
    /// Labels that are favourable to the person concerned.
    pub favourable: Vec<String>,
    /// What the version's own records ask for.
    pub expected: Expected,
}

/// What the registry's records of a version say that it must be compared with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expected {
    /// Digest of the manifest of its training data.
    pub digest: String,
    /// Its newest evaluation.
    pub evaluation: String,
}

/// The reference of a version: as it is kept, held against what the registry says; as it last said while it is away.
///
/// # Errors
/// If the registry cannot be asked and nothing is kept.
pub async fn known(monitor: &Monitor, version: &str) -> Result<Reference, Error> {
    let connection = monitor.db().connection();
    let name = format!("expected/{version}");
    let data: Option<DatasetVersion> = message(monitor, &format!("reference/{version}")).await?;
    match (trained(monitor, version).await, data) {
        (Ok(told), data) => {
            let evaluation = evaluated(monitor, version).await?;
            let expected =
                Expected { digest: told.manifest_digest.clone(), evaluation: evaluation.name.clone() };
            cursors::keep_changed(connection, &name, serde_json::to_vec(&expected)?).await?;
            let data = match data {
                Some(data) => data,
                None => first(monitor, version, told).await?,
            };
            Ok(Reference::of(data, evaluation, expected))
        }
        (Err(error), Some(data)) => {
            tracing::debug!(version, %error, "the reference as it was last known");
            let evaluation = evaluated(monitor, version).await?;
            let bytes = cursors::kept(connection, &name).await?.unwrap_or_default();
            Ok(Reference::of(data, evaluation, serde_json::from_slice(&bytes)?))
        }
        (Err(error), None) => Err(error),
    }
}

impl Reference {
    fn of(data: DatasetVersion, evaluation: Evaluation, expected: Expected) -> Self {
        let accuracy =
            evaluation.measurements.iter().find(|one| one.metric == "accuracy" && one.slice.is_empty());
        let accuracy = accuracy.map(|one| one.lower.unwrap_or(one.value)).filter(|value| value.is_finite());
        // What is not predicted from is no feature: the label has a profile, too.
        let label = data.label_column;
        Self {
            digest: data.manifest_digest,
            features: data.profiles.into_iter().filter(|profile| profile.column != label).collect(),
            predictions: evaluation.prediction_profile,
            evaluation: evaluation.name,
            accuracy,
            favourable: evaluation.favourable_labels,
            expected,
        }
    }
}

/// Labels that are favourable to the person concerned, as the registry says; as it last said while it is away.
///
/// # Errors
/// If the registry cannot be asked and nothing is kept.
pub async fn favourable(monitor: &Monitor, version: &str) -> Result<Vec<String>, Error> {
    Ok(evaluated(monitor, version).await?.favourable_labels)
}

async fn message<M: Message + Default>(monitor: &Monitor, name: &str) -> Result<Option<M>, Error> {
    let bytes = cursors::kept(monitor.db().connection(), name).await?;
    Ok(bytes.map(|bytes| M::decode(bytes.as_slice())).transpose()?)
}

/// Keeps the training data as they were first told. Of a version without any there is nothing to keep.
async fn first(monitor: &Monitor, version: &str, told: DatasetVersion) -> Result<DatasetVersion, Error> {
    let data = DatasetVersion {
        name: told.name,
        manifest_digest: told.manifest_digest,
        label_column: told.label_column,
        profiles: told.profiles,
        ..DatasetVersion::default()
    };
    if !data.manifest_digest.is_empty() {
        let name = format!("reference/{version}");
        cursors::keep(monitor.db().connection(), &name, data.encode_to_vec()).await?;
    }
    Ok(data)
}

/// The training data that the version's record names.
async fn trained(monitor: &Monitor, version: &str) -> Result<DatasetVersion, Error> {
    let mut registry = monitor.registry();
    let name = version.to_owned();
    let model = registry.models.get_model_version(GetModelVersionRequest { name }).await?.into_inner();
    if model.training_data_version.is_empty() {
        return Ok(DatasetVersion::default());
    }
    let request = GetDatasetVersionRequest { name: model.training_data_version };
    Ok(registry.datasets.get_dataset_version(request).await?.into_inner())
}

/// The newest evaluation of a version, or one without anything; as it was last known while the registry is away.
async fn evaluated(monitor: &Monitor, version: &str) -> Result<Evaluation, Error> {
    let name = format!("evaluated/{version}");
    match latest_evaluation(monitor, version).await {
        Ok(latest) => {
            let latest = latest.unwrap_or_default();
            cursors::keep_changed(monitor.db().connection(), &name, latest.encode_to_vec()).await?;
            Ok(latest)
        }
        Err(error) => match message(monitor, &name).await? {
            Some(kept) => {
                tracing::debug!(version, %error, "the evaluation as it was last known");
                Ok(kept)
            }
            None => Err(error),
        },
    }
}

async fn latest_evaluation(monitor: &Monitor, version: &str) -> Result<Option<Evaluation>, Error> {
    let mut registry = monitor.registry();
    let mut request =
        ListEvaluationsRequest { parent: version.to_owned(), ..ListEvaluationsRequest::default() };
    let mut latest: Option<Evaluation> = None;
    loop {
        let page = registry.evaluations.list_evaluations(request.clone()).await?.into_inner();
        for one in page.evaluations {
            let at = |it: &Evaluation| convert::time(it.create_time.as_ref());
            if latest.as_ref().is_none_or(|before| at(before) <= at(&one)) {
                latest = Some(one);
            }
        }
        if page.next_page_token.is_empty() {
            return Ok(latest);
        }
        request.page_token = page.next_page_token;
    }
}
