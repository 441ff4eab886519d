//! Uploads: bytes by their digest, in resumable pieces, checked and kept once.

use bytes::Bytes;
use contracts::pipeline::v1::upload_service_server::UploadService;
use contracts::pipeline::v1::{DataUpload, GetDataUploadRequest, UploadDataRequest};
use futures::{Stream, StreamExt, stream};
use runtime::Caller;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use storage::{Digest, blobs};
use tonic::{Request, Response, Status, Streaming};

use crate::parse::Fields;
use crate::{Error, Pipeline};

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
impl UploadService for Pipeline {
    async fn upload_data(
        &self,
        request: Request<Streaming<UploadDataRequest>>,
    ) -> Result<Response<DataUpload>, Status> {
        let caller = Caller::of(&request)?;
        let mut pieces = request.into_inner();
        let first =
            pieces.message().await?.ok_or_else(|| Error::field("digest", "required in the first message"))?;
        Ok(Response::new(self.upload(&caller, first, pieces).await?))
    }

    async fn get_data_upload(
        &self,
        request: Request<GetDataUploadRequest>,
    ) -> Result<Response<DataUpload>, Status> {
        let caller = Caller::of(&request)?;
        let digest = request.into_inner().digest;
        let parsed = parse(&digest)?;
        if let Some(done) = self.finished(parsed).await? {
            return Ok(Response::new(done));
        }
        let received_bytes =
            self.blobs().upload_offset(&upload_id(&caller, parsed)).await.map_err(Error::from)?;
        Ok(Response::new(DataUpload { digest, size_bytes: 0, received_bytes, complete: false }))
    }
}

impl Pipeline {
    async fn upload<S>(
        &self,
        caller: &Caller,
        first: UploadDataRequest,
        pieces: S,
    ) -> Result<DataUpload, Error>
    where
        S: Stream<Item = Result<UploadDataRequest, Status>> + Send,
    {
        let mut fields = Fields::default();
        fields.digest("digest", &first.digest);
        fields.require(0 < first.size_bytes, "size_bytes", "must be above 0");
        fields.done()?;
        let digest = parse(&first.digest)?;
        if let Some(done) = self.finished(digest).await? {
            return Ok(done); // the same bytes are kept once
        }
        let upload = blobs::Upload { id: upload_id(caller, digest), digest, size: first.size_bytes };
        let _turn = self.uploads().enter(&upload.id, &first.digest)?;
        let rest = pieces.map(|piece| piece.and_then(continues));
        let chunks = stream::iter([Ok::<Bytes, Status>(first.chunk)]).chain(rest);
        let received_bytes = self.blobs().put_stream(&upload, first.offset, chunks).await?;
        let complete = received_bytes == upload.size;
        if complete {
            self.blobs().finish(&upload).await?;
        }
        Ok(DataUpload { digest: first.digest, size_bytes: upload.size, received_bytes, complete })
    }

    async fn finished(&self, digest: Digest) -> Result<Option<DataUpload>, Error> {
        match self.blobs().size(&digest).await {
            Ok(size) => {
                let digest = digest.to_string();
                Ok(Some(DataUpload { digest, size_bytes: size, received_bytes: size, complete: true }))
            }
            Err(storage::BlobError::NotFound(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

fn continues(piece: UploadDataRequest) -> Result<Bytes, Status> {
    let bare = piece.digest.is_empty() && piece.size_bytes == 0 && piece.offset == 0;
    if bare {
        Ok(piece.chunk)
    } else {
        Err(Error::field("digest", "only the first message names the upload").into())
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
