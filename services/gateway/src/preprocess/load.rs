//! From a digest to a preprocessor: fetched once, kept on disk, its digest checked, its golden rows replayed.

use std::sync::Arc;

use contracts::registry::v1::{Backend, GetArtifactRequest};
use engine::ModelSignature;
use features::Preprocessing;
use features::preprocessing::ARTIFACT_BYTES;

use super::Preprocessor;
use crate::backends::{LoadError, bytes};
use crate::gateway::Gateway;

/// The preprocessor of a backend that names one, before a model of that signature.
///
/// # Errors
/// [`LoadError`].
pub async fn load(
    gateway: &Gateway,
    backend: &Backend,
    model: &ModelSignature,
) -> Result<Option<Arc<Preprocessor>>, LoadError> {
    let digest = &backend.preprocessing_digest;
    if digest.is_empty() {
        return Ok(None);
    }
    let size = async {
        let request = GetArtifactRequest { digest: digest.clone() };
        let artifact = gateway.clients().artifacts.clone().get_artifact(request).await;
        let size =
            artifact.map_err(|status| LoadError::Fetch(status.message().into()))?.into_inner().size_bytes;
        if ARTIFACT_BYTES as u64 <= size {
            let why = format!("{size} bytes, at most {ARTIFACT_BYTES} are taken");
            return Err(LoadError::Preprocessing(why));
        }
        Ok(size)
    };
    let bytes = bytes(gateway, digest, size).await?;
    let (model, interface, named) = (model.clone(), backend.interface.clone(), digest.clone());
    let read = tokio::task::spawn_blocking(move || {
        let artifact = Preprocessing::read(&bytes).map_err(|error| error.to_string())?;
        if artifact.digest() != named {
            return Err("it is not in canonical form".to_owned());
        }
        Preprocessor::new(&artifact, &model, interface.as_ref())
    });
    let read = read.await.map_err(|error| LoadError::Preprocessing(error.to_string()))?;
    let preprocessor = read.map_err(LoadError::Preprocessing)?;
    tracing::info!(%digest, "preprocessing loaded, its golden rows hold");
    Ok(Some(Arc::new(preprocessor)))
}
