//! The registry entry of §6.4 as YAML, in the procedure's own form.

use contracts::registry::v1::{ModelVersion, TrainingRun};
use lifecycle::entry::{EntryMetrics, Latency, RegistryEntry, Spelled, TrainingConfig};
use lifecycle::{Findings, Share};

use crate::store::{Resource, Stored};
use crate::{Error, Registry};

impl Registry {
    /// The entry of a version.
    ///
    /// # Errors
    /// ENTRY_INCOMPLETE with every value that the procedure's form has and the records do not.
    pub(super) async fn registry_entry(&self, version: &ModelVersion) -> Result<String, Error> {
        let run = self.read::<TrainingRun>(&version.training_run).await?;
        let mut found = Findings::new();
        let config = config(&run, &mut found);
        let metrics = metrics(version, &mut found);
        found.into_result("ENTRY_INCOMPLETE", version.name.clone())?;
        let (Some(training_config), Some(metrics)) = (config, metrics) else {
            return Err(Error::Damaged(version.name.clone()));
        };
        let damaged = |why: String| Error::Damaged(format!("{}: {why}", version.name));
        let created =
            version.create_time.map(|time| prost_types::Timestamp { nanos: 0, ..time }).unwrap_or_default();
        let entry = RegistryEntry {
            model_id: version.model_id.parse().map_err(|_| damaged("model id".into()))?,
            base_model: version.base_model.clone(),
            quantization: if version.quantization.is_empty() {
                "none".into()
            } else {
                version.quantization.clone()
            },
            training_data_version: tag(&version.training_data_version).try_into().map_err(damaged)?,
            training_config,
            metrics,
            created_at: created.to_string().try_into().map_err(damaged)?,
            created_by: version.created_by.clone(),
            status: Resource::state(version).to_lowercase(),
        };
        Ok(entry.to_yaml())
    }
}

fn tag(dataset_version: &str) -> String {
    format!("ds-v{}", contracts::name::last(dataset_version))
}

fn config(run: &Stored<TrainingRun>, found: &mut Findings) -> Option<TrainingConfig> {
    let value = |name: &str| run.hyperparameters.get(name).map(|text| text.trim().to_owned());
    let mut missing = |name: &str, form: &str| {
        let observed = value(name).unwrap_or_else(|| "missing".into());
        found.add("§6.4", format!("training_config.{name}"), form, observed);
    };
    let epochs = value("epochs").and_then(|text| text.parse().ok());
    let batch_size = value("batch_size").and_then(|text| text.parse().ok());
    let learning_rate = value("learning_rate").and_then(|text| Spelled::new(text).ok());
    if epochs.is_none() {
        missing("epochs", "a whole number");
    }
    if learning_rate.is_none() {
        missing("learning_rate", "a number above zero");
    }
    if batch_size.is_none() {
        missing("batch_size", "a whole number");
    }
    Some(TrainingConfig { epochs: epochs?, learning_rate: learning_rate?, batch_size: batch_size? })
}

fn metrics(version: &ModelVersion, found: &mut Findings) -> Option<EntryMetrics> {
    let value = |name: &str| version.metrics.iter().find(|one| one.metric == name).map(|one| one.value);
    let share = |name: &str| value(name).and_then(|value| Share::new(value).ok());
    let (accuracy, fairness_score) = (share("accuracy"), share("demographic_parity"));
    let latency = value("latency_p50_ms").filter(|value| value.is_finite() && 0.0 <= *value);
    for (there, name) in [
        (accuracy.is_some(), "accuracy"),
        (latency.is_some(), "latency_p50"),
        (fairness_score.is_some(), "fairness_score"),
    ] {
        found.require(there, "§6.4", &format!("metrics.{name}"), "measured by an evaluation", "missing");
    }
    let latency_p50 = Latency { milliseconds: latency? };
    Some(EntryMetrics { accuracy: accuracy?, latency_p50, fairness_score: fairness_score? })
}
