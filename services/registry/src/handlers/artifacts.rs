//! Artifacts: bytes by their digest, uploaded in resumable pieces, checked and deduplicated by the server.

use async_trait::async_trait;
use bytes::Bytes;
use contracts::registry::v1::{
    Artifact, DownloadArtifactRequest, DownloadArtifactResponse, GetArtifactRequest, GetUploadRequest,
    Upload, UploadArtifactRequest, artifact_service_server::ArtifactService,
};
use futures::{Stream, StreamExt, TryStreamExt, stream};
use prost::Message as _;
use runtime::Caller;
use std::collections::HashSet;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use storage::{BlobError, Blobs, Digest, blobs};
use tonic::{Request, Response, Status, Streaming};

use crate::work::{Verb, Work};
use crate::{Error, Registry, parse::Fields, verbs::Mutation};

/// Bytes of one piece of a download.
const PIECE: u64 = 1 << 20;

/// Uploads that are going on; each has one sender at a time.
#[derive(Clone, Default)]
pub struct Uploads(Arc<Mutex<HashSet<String>>>);

struct Turn {
    uploads: Uploads,
    id: String,
}

impl Uploads {
    fn enter(&self, id: &str, digest: &str) -> Result<Turn, Error> {
        let mut going = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !going.insert(id.to_owned()) {
            return Err(Error::UploadInProgress(digest.to_owned()));
        }
        Ok(Turn { uploads: self.clone(), id: id.to_owned() })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.uploads.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}

#[tonic::async_trait]
impl ArtifactService for Registry {
    type DownloadArtifactStream =
        Pin<Box<dyn Stream<Item = Result<DownloadArtifactResponse, Status>> + Send>>;

    async fn upload_artifact(
        &self,
        request: Request<Streaming<UploadArtifactRequest>>,
    ) -> Result<Response<Upload>, Status> {
        let caller = Caller::of(&request)?;
        let mut pieces = request.into_inner();
        let first =
            pieces.message().await?.ok_or_else(|| Error::field("digest", "required in the first message"))?;
        Ok(Response::new(self.upload(&caller, first, pieces).await?))
    }

    async fn get_upload(&self, request: Request<GetUploadRequest>) -> Result<Response<Upload>, Status> {
        let caller = Caller::of(&request)?;
        let digest = request.into_inner().digest;
        let parsed = parse(&digest)?;
        if let Some(done) = self.finished(&digest).await? {
            return Ok(Response::new(done));
        }
        let id = upload_id(&caller, parsed);
        let received_bytes = self.blobs().upload_offset(&id).await.map_err(Error::from)?;
        Ok(Response::new(Upload { digest, size_bytes: 0, received_bytes, complete: false }))
    }

    async fn get_artifact(&self, request: Request<GetArtifactRequest>) -> Result<Response<Artifact>, Status> {
        let digest = request.into_inner().digest;
        parse(&digest)?;
        Ok(Response::new(self.read::<Artifact>(&digest).await?.into_inner()))
    }

    async fn download_artifact(
        &self,
        request: Request<DownloadArtifactRequest>,
    ) -> Result<Response<Self::DownloadArtifactStream>, Status> {
        let request = request.into_inner();
        let digest = parse(&request.digest)?;
        let size = self.blobs().size(&digest).await.map_err(Error::from)?;
        let bytes = match request.offset {
            0 => self.blobs().get(&digest).await.map_err(Error::from)?.map_err(Error::from).boxed(),
            offset => rest(self.blobs().clone(), digest, offset, size).boxed(),
        };
        let pieces = bytes.map_ok(|chunk| DownloadArtifactResponse { chunk }).map_err(Status::from);
        Ok(Response::new(pieces.boxed()))
    }
}

impl Registry {
    async fn upload<S>(
        &self,
        caller: &Caller,
        first: UploadArtifactRequest,
        pieces: S,
    ) -> Result<Upload, Error>
    where
        S: Stream<Item = Result<UploadArtifactRequest, Status>> + Send,
    {
        let mut fields = Fields::default();
        fields.digest("digest", &first.digest);
        fields.require(0 < first.size_bytes, "size_bytes", "must be above 0");
        fields.optional_text("media_type", &first.media_type);
        fields.done()?;
        if let Some(done) = self.finished(&first.digest).await? {
            return Ok(done); // somebody uploaded the same bytes: they are kept once
        }
        let digest = parse(&first.digest)?;
        let upload = blobs::Upload { id: upload_id(caller, digest), digest, size: first.size_bytes };
        let _turn = self.uploads().enter(&upload.id, &first.digest)?;
        let refused = Arc::new(Mutex::new(None));
        let keep = refused.clone();
        let rest = pieces.map(move |piece| {
            piece.and_then(continues).inspect_err(|why| {
                let told = runtime::layers::codes::deserved(why).unwrap_or_else(|| why.clone());
                *keep.lock().unwrap_or_else(PoisonError::into_inner) = Some(told);
            })
        });
        let chunks = stream::iter([Ok::<Bytes, Status>(first.chunk)]).chain(rest);
        let received = self.blobs().put_stream(&upload, first.offset, chunks).await;
        if let Some(told) = refused.lock().unwrap_or_else(PoisonError::into_inner).take()
            && let Err(BlobError::BrokenOff(_)) = &received
        {
            return Err(Error::Sender(told)); // what came before is kept, the upload resumes
        }
        let received = received?;
        if received < upload.size {
            let (digest, size_bytes) = (first.digest, first.size_bytes);
            return Ok(Upload { digest, size_bytes, received_bytes: received, complete: false });
        }
        self.blobs().finish(&upload).await?;
        let (size_bytes, media_type) = (first.size_bytes, first.media_type);
        let done = self
            .act(caller, Artifact { digest: first.digest, size_bytes, media_type, create_time: None })
            .await?;
        Ok(complete(&done))
    }

    /// The upload of bytes that are here already.
    async fn finished(&self, digest: &str) -> Result<Option<Upload>, Error> {
        match self.read::<Artifact>(digest).await {
            Ok(artifact) if self.blobs().exists(&parse(digest)?).await? => Ok(Some(complete(&artifact))),
            Ok(_) | Err(Error::Storage(storage::Error::NotFound { .. })) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The record of an artifact whose bytes are complete; the request of an upload is a stream.
impl Mutation for Artifact {
    const METHOD: &'static str = "/wlp.registry.v1.ArtifactService/UploadArtifact";

    fn request_id(&self) -> &'static str {
        ""
    }

    fn digest(&self) -> Digest {
        Digest::of(&self.encode_to_vec())
    }
}

#[async_trait]
impl Verb for Artifact {
    type Answer = Artifact;

    fn check(&self, fields: &mut Fields) {
        fields.digest("digest", &self.digest);
    }

    async fn decide(self, work: &mut Work) -> Result<Artifact, Error> {
        match work.find::<Artifact>(&self.digest).await? {
            Some(known) => Ok(known.into_inner()), // another upload of the same bytes ended first
            None => work.insert(self, "upload").await,
        }
    }
}

fn complete(artifact: &Artifact) -> Upload {
    Upload {
        digest: artifact.digest.clone(),
        size_bytes: artifact.size_bytes,
        received_bytes: artifact.size_bytes,
        complete: true,
    }
}

fn continues(piece: UploadArtifactRequest) -> Result<Bytes, Status> {
    let bare = piece.digest.is_empty() && piece.size_bytes == 0 && piece.offset == 0;
    if bare {
        Ok(piece.chunk)
    } else {
        Err(Error::field("digest", "only the first message names the artifact").into())
    }
}

fn parse(digest: &str) -> Result<Digest, Error> {
    digest.parse().map_err(|_| Error::field("digest", "required: sha256:<64 lower-case hexadecimal digits>"))
}

/// One for each caller and digest: two callers that send the same bytes do not meet.
fn upload_id(caller: &Caller, digest: Digest) -> String {
    let whole = format!("{}\n{digest}", caller.principal);
    Digest::of(whole.as_bytes()).to_hex().chars().take(48).collect()
}

fn rest(
    blobs: Blobs,
    digest: Digest,
    offset: u64,
    size: u64,
) -> impl Stream<Item = Result<Bytes, Error>> + Send {
    stream::try_unfold(offset, move |at| {
        let blobs = blobs.clone();
        async move {
            if at == size {
                return Ok(None);
            }
            let end = at.saturating_add(PIECE).min(size);
            let piece = blobs.get_range(&digest, at..end).await?;
            Ok(Some((piece, end)))
        }
    })
}
