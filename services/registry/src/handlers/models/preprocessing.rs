//! The preprocessing that a version names: the one of its training data, and one that fills the model's inputs. A version
//! that would be served with other transforms than it was trained with is refused (§5.3, §6).

use contracts::registry::v1::{Artifact, DatasetVersion, ModelVersion, TrainingRun};
use engine::{DataType, ModelSignature, TensorSpec};
use features::Preprocessing;
use features::preprocessing::{ARTIFACT_BYTES, Need, assign};
use lifecycle::{Finding, Rejection};

use crate::{Error, Registry};

const FIELD: &str = "model_version.preprocessing_digest";

impl Registry {
    /// Reads the preprocessing of a version that is to be made, replays its golden rows, and holds it against the model's
    /// inputs. Not inside a unit of work.
    ///
    /// # Errors
    /// `PREPROCESSING_MISMATCH`; NOT_FOUND for bytes that were not uploaded; INVALID_ARGUMENT for what is none or does not
    /// fit.
    pub(super) async fn try_preprocessing(
        &self,
        given: &ModelVersion,
        signature: &ModelSignature,
    ) -> Result<(), Error> {
        if given.preprocessing_digest.is_empty() {
            return Ok(());
        }
        let run = self.read::<TrainingRun>(&given.training_run).await?;
        let data = run.training_data.as_ref().map_or("", |data| data.dataset_version.as_str());
        same(given, &*self.read::<DatasetVersion>(data).await?)?;
        let artifact = self.read::<Artifact>(&given.preprocessing_digest).await?;
        if ARTIFACT_BYTES as u64 <= artifact.size_bytes {
            let why = format!("has {} bytes, at most {ARTIFACT_BYTES} are taken", artifact.size_bytes);
            return Err(Error::field(FIELD, why));
        }
        let digest = given.preprocessing_digest.parse().map_err(|_| Error::field(FIELD, "is no digest"))?;
        let bytes = self.blobs().read(&digest).await?;
        let read = tokio::task::spawn_blocking(move || Preprocessing::read(&bytes)).await;
        let read = read.map_err(|error| Error::Damaged(format!("preprocessing {digest}: {error}")))?;
        let read = read.map_err(|error| Error::field(FIELD, error.to_string()))?;
        fits(&read, given, signature).map_err(|why| Error::field(FIELD, why))
    }
}

/// Refuses a preprocessing that is not that of the training data.
///
/// # Errors
/// `PREPROCESSING_MISMATCH` with both digests.
pub(super) fn same(given: &ModelVersion, data: &DatasetVersion) -> Result<(), Error> {
    if given.preprocessing_digest.is_empty() || given.preprocessing_digest == data.transform_digest {
        return Ok(());
    }
    let finding = Finding::new(
        "§5.3, §6",
        format!("preprocessing of a version trained on {}", data.name),
        data.transform_digest.clone(),
        given.preprocessing_digest.clone(),
    );
    Err(Rejection::one("PREPROCESSING_MISMATCH", "model version", finding).into())
}

/// Whether its columns fill the model's inputs, as the interface says or without doubt.
fn fits(read: &Preprocessing, given: &ModelVersion, signature: &ModelSignature) -> Result<(), String> {
    let need = |spec: &TensorSpec| {
        let shape = spec.dims.is_some().then(|| spec.shape());
        Need::of(&spec.name, spec.datatype == DataType::Bytes, shape.as_deref())
    };
    let needs: Vec<Need> = signature.inputs.iter().map(need).collect();
    let interface = given.interface.clone().unwrap_or_default();
    let assigned =
        assign(&read.outputs, &read.layout, &interface.feature_columns, &interface.input_tensor, &needs)?;
    let columns: Vec<String> = assigned.into_iter().flat_map(|tensor| tensor.columns).collect();
    read.replay(&columns).map(|_| ()).map_err(|error| error.to_string())
}
