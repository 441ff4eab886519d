//! From a digest to a warm session: fetched once, kept on disk, its digest checked, loaded, warmed up.

use std::sync::Arc;

use bytes::Bytes;
use contracts::registry::v1::DownloadArtifactRequest;
use engine::{RunOptions, Session};
use futures::StreamExt;
use storage::{BlobError, Digest, Upload};

use crate::gateway::Gateway;

/// Why a version could not be made ready.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LoadError {
    /// The registry did not give the bytes.
    #[error("the artifact cannot be fetched: {0}")]
    Fetch(String),
    /// The bytes are not those that the table names.
    #[error("the artifact's bytes do not have the digest {0}")]
    Digest(String),
    /// The disk or the store said no.
    #[error("the artifact cannot be kept: {0}")]
    Keep(String),
    /// The engine said no.
    #[error(transparent)]
    Engine(#[from] engine::EngineError),
}

/// A loaded, warm model of exactly these bytes.
///
/// # Errors
/// [`LoadError`].
pub async fn load(gateway: Gateway, digest: String, size: u64) -> Result<Arc<dyn Session>, LoadError> {
    let parsed: Digest = digest.parse().map_err(|_| LoadError::Digest(digest.clone()))?;
    let bytes = match gateway.blobs().read(&parsed).await {
        Ok(bytes) => bytes,
        // A damaged copy went into quarantine: fetched anew.
        Err(BlobError::NotFound(_) | BlobError::Damaged(_)) => {
            fetch(&gateway, parsed, size).await?;
            gateway.blobs().read(&parsed).await.map_err(|error| LoadError::Keep(error.to_string()))?
        }
        Err(error) => return Err(LoadError::Keep(error.to_string())),
    };
    let options = gateway.config().load_options();
    let limit = options.load_limit;
    let session = gateway.engine().load(bytes, options).await?;
    if session.digest() != digest {
        return Err(LoadError::Digest(digest));
    }
    session.warm_up(RunOptions::within(limit)).await?;
    tracing::info!(%digest, provider = %session.provider(), "model loaded and warm");
    Ok(session)
}

/// Brings the bytes to disk; goes on where an earlier try stopped.
async fn fetch(gateway: &Gateway, digest: Digest, size: u64) -> Result<(), LoadError> {
    let keep = |error: BlobError| match error {
        BlobError::DigestMismatch { expected, .. } => LoadError::Digest(expected.to_string()),
        BlobError::BrokenOff(why) => LoadError::Fetch(why),
        other => LoadError::Keep(other.to_string()),
    };
    let upload = Upload { id: format!("fetch-{}", &digest.to_hex()[..40]), digest, size };
    let offset = gateway.blobs().upload_offset(&upload.id).await.map_err(keep)?;
    if offset < size {
        let request = DownloadArtifactRequest { digest: digest.to_string(), offset };
        let mut client = gateway.clients().artifacts.clone();
        let stream = client
            .download_artifact(request)
            .await
            .map_err(|status| LoadError::Fetch(status.message().into()))?;
        let chunks = stream.into_inner().map(|item| match item {
            Ok(piece) => Ok::<Bytes, String>(piece.chunk),
            Err(status) => Err(status.message().to_owned()),
        });
        if let Err(error) = gateway.blobs().put_stream(&upload, offset, chunks).await {
            if let BlobError::TooLarge { .. } | BlobError::OffsetMismatch { .. } = error {
                let _ = gateway.blobs().abandon(&upload.id).await;
            }
            return Err(keep(error));
        }
    }
    gateway.blobs().finish(&upload).await.map(|_| ()).map_err(keep)
}
