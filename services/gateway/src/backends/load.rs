//! From a digest to a warm session: fetched once, kept on disk, its digest checked, loaded, warmed up.

use std::sync::Arc;

use bytes::Bytes;
use contracts::registry::v1::{self as wire, DownloadArtifactRequest};
use engine::{RunOptions, Session};
use futures::StreamExt;
use storage::{BlobError, Digest, Upload};

use crate::gateway::Gateway;
use crate::preprocess::{self, Preprocessor};

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
    /// What stands before the model is none, or not for this model, or this program's kernels differ.
    #[error("the preprocessing cannot be used: {0}")]
    Preprocessing(String),
    /// The engine said no.
    #[error(transparent)]
    Engine(#[from] engine::EngineError),
}

/// What a version needs to answer requests.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The model.
    pub session: Arc<dyn Session>,
    /// What stands before it.
    pub preprocessor: Option<Arc<Preprocessor>>,
}

/// A loaded, warm model of exactly the bytes that a backend names, with what stands before it.
///
/// # Errors
/// [`LoadError`].
pub async fn load(gateway: Gateway, backend: wire::Backend) -> Result<Loaded, LoadError> {
    let session = model(&gateway, &backend.artifact_digest, backend.size_bytes).await?;
    let preprocessor = preprocess::load(&gateway, &backend, session.signature()).await?;
    Ok(Loaded { session, preprocessor })
}

/// The bytes of an artifact: those on disk, or fetched, where `size` tells how many they are.
///
/// # Errors
/// [`LoadError`].
pub async fn bytes(
    gateway: &Gateway,
    digest: &str,
    size: impl Future<Output = Result<u64, LoadError>>,
) -> Result<Bytes, LoadError> {
    let parsed: Digest = digest.parse().map_err(|_| LoadError::Digest(digest.to_owned()))?;
    match gateway.blobs().read(&parsed).await {
        Ok(bytes) => Ok(bytes),
        // A damaged copy went into quarantine: fetched anew.
        Err(BlobError::NotFound(_) | BlobError::Damaged(_)) => {
            fetch(gateway, parsed, size.await?).await?;
            gateway.blobs().read(&parsed).await.map_err(|error| LoadError::Keep(error.to_string()))
        }
        Err(error) => Err(LoadError::Keep(error.to_string())),
    }
}

async fn model(gateway: &Gateway, digest: &str, size: u64) -> Result<Arc<dyn Session>, LoadError> {
    let bytes = bytes(gateway, digest, std::future::ready(Ok(size))).await?;
    let options = gateway.config().load_options();
    let limit = options.load_limit;
    let session = gateway.engine().load(bytes, options).await?;
    if session.digest() != digest {
        return Err(LoadError::Digest(digest.to_owned()));
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
