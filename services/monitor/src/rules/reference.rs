//! What a version is compared with: the profiles of its training data, and how it predicted when it was evaluated.

use contracts::common::v1::ColumnProfile;
use contracts::registry::v1::{
    DatasetVersion, Evaluation, GetDatasetVersionRequest, GetModelVersionRequest, ListEvaluationsRequest,
};

use crate::store::cursors;
use crate::{Error, Monitor, convert};

/// The reference of one version. Never a rolling window by accident: it is the training data set, by its digest.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reference {
    /// `datasets/{d}/versions/{v}`
    pub dataset_version: String,
    /// Digest of its manifest.
    pub digest: String,
    /// Histograms of its training split.
    pub features: Vec<ColumnProfile>,
    /// Histogram of the predictions of the latest evaluation.
    pub predictions: Option<ColumnProfile>,
    /// The evaluation that it comes from.
    pub evaluation: String,
    /// Lower bound of the evaluated accuracy (or the value, where there is no interval).
    pub accuracy: Option<f64>,
    /// Labels that are favourable to the person concerned.
    pub favourable: Vec<String>,
}

/// Asks the registry.
///
/// # Errors
/// If it cannot be reached or does not know the version.
pub async fn fetch(monitor: &Monitor, version: &str) -> Result<Reference, Error> {
    let mut registry = monitor.registry();
    let name = version.to_owned();
    let model = registry.models.get_model_version(GetModelVersionRequest { name }).await?.into_inner();
    let dataset = match model.training_data_version.as_str() {
        "" => DatasetVersion::default(),
        name => {
            let request = GetDatasetVersionRequest { name: name.to_owned() };
            registry.datasets.get_dataset_version(request).await?.into_inner()
        }
    };
    let latest = latest_evaluation(monitor, version).await?.unwrap_or_default();
    let accuracy = latest.measurements.iter().find(|one| one.metric == "accuracy" && one.slice.is_empty());
    // What is not predicted from is no feature: the label and the sensitive columns have profiles, too.
    let label = dataset.label_column.clone();
    Ok(Reference {
        dataset_version: dataset.name,
        digest: dataset.manifest_digest,
        features: dataset.profiles.into_iter().filter(|profile| profile.column != label).collect(),
        predictions: latest.prediction_profile,
        evaluation: latest.name,
        accuracy: accuracy.map(|one| one.lower.unwrap_or(one.value)).filter(|value| value.is_finite()),
        favourable: latest.favourable_labels,
    })
}

/// Labels that are favourable to the person concerned, as the registry says; as it last said while it is away.
///
/// # Errors
/// If the registry cannot be asked and nothing is kept.
pub async fn favourable(monitor: &Monitor, version: &str) -> Result<Vec<String>, Error> {
    let (connection, name) = (monitor.db().connection(), format!("favourable/{version}"));
    let kept: Option<Vec<String>> = match cursors::kept(connection, &name).await? {
        Some(bytes) => Some(serde_json::from_slice(&bytes)?),
        None => None,
    };
    match (fetch(monitor, version).await, kept) {
        (Ok(known), kept) => {
            if kept.as_ref() != Some(&known.favourable) {
                cursors::keep(connection, &name, serde_json::to_vec(&known.favourable)?).await?;
            }
            Ok(known.favourable)
        }
        (Err(error), Some(kept)) => {
            tracing::debug!(version, %error, "favourable labels as they were last known");
            Ok(kept)
        }
        (Err(error), None) => Err(error),
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
