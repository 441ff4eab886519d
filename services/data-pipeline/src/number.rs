//! The number of a build whose request names none: the registry says it (§5.3.7).

use contracts::pipeline::v1::BuildDatasetVersionRequest;
use contracts::registry::v1::{DatasetVersion, GetDatasetVersionRequest, NumberDatasetVersionRequest};
use tonic::Code;

use crate::{Error, Pipeline};

/// Gives the version its name and tag. What the dataset's latest version holds already is that version, and the answer.
///
/// # Errors
/// Of the registry.
pub async fn settle(
    pipeline: &Pipeline,
    request: &BuildDatasetVersionRequest,
    version: &mut DatasetVersion,
) -> Result<Option<DatasetVersion>, Error> {
    if !request.version.is_empty() {
        name(version, &request.parent, &request.version);
        return Ok(None);
    }
    let mut datasets = pipeline.deps().datasets.clone();
    let asked = NumberDatasetVersionRequest {
        parent: request.parent.clone(),
        dataset_version: Some(version.clone()),
    };
    let told = datasets.number_dataset_version(asked).await.map_err(Error::Registry)?.into_inner();
    name(version, &request.parent, &told.version);
    if !told.unchanged {
        return Ok(None);
    }
    let asked = GetDatasetVersionRequest { name: version.name.clone() };
    let existing = datasets.get_dataset_version(asked).await.map_err(Error::Registry)?;
    Ok(Some(existing.into_inner()))
}

fn name(version: &mut DatasetVersion, dataset: &str, number: &str) {
    version.name = format!("{dataset}/versions/{number}");
    version.tag = format!("ds-v{number}");
}

/// Whether a registration failed because another build took the number meanwhile.
pub fn taken(error: &Error) -> bool {
    match error {
        Error::Conflict { .. } => true,
        Error::Registry(status) => {
            let reason = runtime::status::reason(status).unwrap_or_default();
            status.code() == Code::AlreadyExists
                || reason.starts_with("VERSION_")
                || reason == "DATASET_UNCHANGED"
        }
        _ => false,
    }
}
