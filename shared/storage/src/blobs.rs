//! Content-addressed bytes: uploads that resume, digests checked on the way in and on the way out.
//!
//! Layout under the root: `sha256/<2 hex>/<64 hex>`, `uploads/<id>`, `quarantine/<64 hex>`.

use crate::Digest;
use bytes::Bytes;
use futures::{Stream, StreamExt, TryStreamExt, stream::BoxStream};
use object_store::{ObjectStore, ObjectStoreExt, local::LocalFileSystem, path::Path as Key};
use sha2::{Digest as _, Sha256};
use std::{
    io,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};
use tokio::{
    fs,
    io::{AsyncReadExt, AsyncWriteExt},
};

/// What can go wrong with blobs.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// No such blob. Serve as `NOT_FOUND`.
    #[error("blob {0} does not exist")]
    NotFound(Digest),
    /// The upload id is not 1 to 63 of `a-z0-9-`. Serve as `INVALID_ARGUMENT`.
    #[error("upload id {0:?} must be 1 to 63 of a-z, 0-9 and -")]
    BadUploadId(String),
    /// Bytes were sent for another place than where the upload stands. Serve as `OUT_OF_RANGE`.
    #[error("upload stands at byte {have}, not {given}")]
    OffsetMismatch {
        /// Bytes that are stored; go on from here.
        have: u64,
        /// Offset that was given.
        given: u64,
    },
    /// More bytes than announced or allowed. The upload is discarded. Serve as `RESOURCE_EXHAUSTED`.
    #[error("more than {limit} bytes")]
    TooLarge {
        /// Most bytes.
        limit: u64,
    },
    /// Fewer bytes than announced. The upload stays. Serve as `FAILED_PRECONDITION`.
    #[error("upload has {have} of {size} bytes")]
    Incomplete {
        /// Bytes that are stored.
        have: u64,
        /// Bytes announced.
        size: u64,
    },
    /// Uploaded bytes have another digest. The upload is discarded. Serve as `INVALID_ARGUMENT`.
    #[error("bytes have digest {actual}, expected {expected}")]
    DigestMismatch {
        /// What was announced.
        expected: Digest,
        /// What the bytes have.
        actual: Digest,
    },
    /// A stored blob no longer has its digest; it is in quarantine now. Serve as `DATA_LOSS`.
    #[error("blob {0} is damaged and was put into quarantine")]
    Damaged(Digest),
    /// The range does not lie within the blob. Serve as `OUT_OF_RANGE`.
    #[error("bytes {begin}..{end} are not within {size}")]
    BadRange {
        /// First byte.
        begin: u64,
        /// One after the last byte.
        end: u64,
        /// Size of the blob.
        size: u64,
    },
    /// The disk is full. Serve as `RESOURCE_EXHAUSTED`.
    #[error("no space left for blobs")]
    Full,
    /// The sender's stream broke off; what came is kept and the upload resumes. The sender knows why.
    #[error("upload broke off: {0}")]
    BrokenOff(String),
    /// Anything else of the file system. Serve as `INTERNAL`.
    #[error("blob storage failed: {0}")]
    Io(io::Error),
}

impl From<io::Error> for BlobError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                Self::Full
            }
            _ => Self::Io(error),
        }
    }
}

/// An upload as announced: the same again resumes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// Chosen by the sender, `[a-z0-9-]{1,63}`.
    pub id: String,
    /// Digest of all bytes.
    pub digest: Digest,
    /// Number of all bytes.
    pub size: u64,
}

/// A store in one folder. Clones are cheap.
#[derive(Clone)]
pub struct Blobs {
    root: PathBuf,
    store: Arc<dyn ObjectStore>,
    max_bytes: u64,
}

impl Blobs {
    /// Opens (and makes) the folder; no blob may be larger than `max_bytes`.
    pub async fn open(root: &Path, max_bytes: u64) -> Result<Self, BlobError> {
        for part in ["sha256", "uploads", "quarantine"] {
            fs::create_dir_all(root.join(part)).await?;
        }
        let root = fs::canonicalize(root).await?;
        let store = LocalFileSystem::new_with_prefix(&root).map_err(|error| io_error(error.into()))?;
        Ok(Self { root, store: Arc::new(store), max_bytes })
    }

    /// Bytes of an upload that are stored; 0 for one that was never begun.
    pub async fn upload_offset(&self, id: &str) -> Result<u64, BlobError> {
        match fs::metadata(self.upload_path(id)?).await {
            Ok(metadata) => Ok(metadata.len()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(error.into()),
        }
    }

    /// Appends a stream at `offset` and returns the new offset. If the stream fails, what came before
    /// stays and the upload can go on from [`Blobs::upload_offset`]. One sender per upload at a time.
    ///
    /// # Errors
    /// [`BlobError::OffsetMismatch`], [`BlobError::TooLarge`], [`BlobError::Full`], [`BlobError::BrokenOff`].
    pub async fn put_stream<S, E>(&self, upload: &Upload, offset: u64, stream: S) -> Result<u64, BlobError>
    where
        S: Stream<Item = Result<Bytes, E>> + Send,
        E: std::fmt::Display,
    {
        let path = self.upload_path(&upload.id)?;
        if upload.size > self.max_bytes {
            return Err(BlobError::TooLarge { limit: self.max_bytes });
        }
        let mut file = fs::OpenOptions::new().create(true).append(true).open(&path).await?;
        let mut have = file.metadata().await?.len();
        if have != offset {
            return Err(BlobError::OffsetMismatch { have, given: offset });
        }
        let mut stream = std::pin::pin!(stream);
        let mut broken = None;
        while let Some(chunk) = stream.next().await {
            let chunk = match chunk {
                Ok(chunk) => chunk,
                Err(error) => {
                    broken = Some(BlobError::BrokenOff(error.to_string()));
                    break;
                }
            };
            have += chunk.len() as u64;
            if have > upload.size {
                drop(file);
                fs::remove_file(&path).await?;
                return Err(BlobError::TooLarge { limit: upload.size });
            }
            file.write_all(&chunk).await?;
        }
        file.flush().await?;
        file.sync_data().await?;
        broken.map_or(Ok(have), Err)
    }

    /// Checks size and digest and makes the blob visible, all at once. Equal bytes are kept once.
    ///
    /// # Errors
    /// [`BlobError::Incomplete`], [`BlobError::DigestMismatch`].
    pub async fn finish(&self, upload: &Upload) -> Result<Digest, BlobError> {
        let from = self.upload_path(&upload.id)?;
        let have = self.upload_offset(&upload.id).await?;
        if have != upload.size {
            // A finish that was answered and is asked again finds the blob instead of the upload.
            if have == 0 && self.size(&upload.digest).await.is_ok_and(|size| size == upload.size) {
                return Ok(upload.digest);
            }
            return Err(BlobError::Incomplete { have, size: upload.size });
        }
        if have == 0 {
            fs::OpenOptions::new().create(true).append(true).open(&from).await?;
        }
        let actual = digest_of_file(&from).await?;
        if actual != upload.digest {
            fs::remove_file(&from).await?;
            return Err(BlobError::DigestMismatch { expected: upload.digest, actual });
        }
        let to = self.local_path(&upload.digest);
        let folder = to.parent().unwrap_or(&self.root);
        fs::create_dir_all(folder).await?;
        fs::File::open(&from).await?.sync_all().await?;
        // Over an equal blob the rename changes nothing, over a damaged one it repairs.
        fs::rename(&from, &to).await?;
        fs::File::open(folder).await?.sync_all().await?;
        Ok(actual)
    }

    /// Stores bytes that are at hand.
    pub async fn put(&self, bytes: Bytes) -> Result<Digest, BlobError> {
        let digest = Digest::of(&bytes);
        if !self.exists(&digest).await? {
            let id = format!("put-{}", uuid::Uuid::new_v4());
            let upload = Upload { id, digest, size: bytes.len() as u64 };
            let once = futures::stream::iter([Ok::<_, io::Error>(bytes)]);
            self.put_stream(&upload, 0, once).await?;
            self.finish(&upload).await?;
        }
        Ok(digest)
    }

    /// Forgets an unfinished upload.
    pub async fn abandon(&self, id: &str) -> Result<(), BlobError> {
        match fs::remove_file(self.upload_path(id)?).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Whether the blob is there (its bytes are checked when read).
    pub async fn exists(&self, digest: &Digest) -> Result<bool, BlobError> {
        match self.size(digest).await {
            Ok(_) => Ok(true),
            Err(BlobError::NotFound(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Bytes of a blob.
    pub async fn size(&self, digest: &Digest) -> Result<u64, BlobError> {
        Ok(self.store.head(&key(digest)).await.map_err(|error| store_error(error, digest))?.size)
    }

    /// The whole blob in pieces. The digest is checked at the end: on a mismatch the last item is
    /// [`BlobError::Damaged`], so act only on a stream that ended well.
    pub async fn get(
        &self,
        digest: &Digest,
    ) -> Result<BoxStream<'static, Result<Bytes, BlobError>>, BlobError> {
        let digest = *digest;
        let found = self.store.get(&key(&digest)).await.map_err(|error| store_error(error, &digest))?;
        let start = Some((found.into_stream(), Sha256::new(), self.clone()));
        let checked = futures::stream::try_unfold(start, move |state| async move {
            let Some((mut rest, mut hasher, blobs)) = state else { return Ok(None) };
            match rest.try_next().await.map_err(|error| store_error(error, &digest))? {
                Some(chunk) => {
                    hasher.update(&chunk);
                    Ok(Some((chunk, Some((rest, hasher, blobs)))))
                }
                None if Digest(hasher.finalize().into()) == digest => Ok(None),
                None => Err(blobs.quarantine(&digest).await),
            }
        });
        Ok(checked.boxed())
    }

    /// Bytes `range` of a blob; not checked against the digest, which covers all of it.
    pub async fn get_range(&self, digest: &Digest, range: Range<u64>) -> Result<Bytes, BlobError> {
        let size = self.size(digest).await?;
        if range.start >= range.end || range.end > size {
            return Err(BlobError::BadRange { begin: range.start, end: range.end, size });
        }
        self.store.get_range(&key(digest), range).await.map_err(|error| store_error(error, digest))
    }

    /// The whole blob at once, checked.
    pub async fn read(&self, digest: &Digest) -> Result<Bytes, BlobError> {
        let found = self.store.get(&key(digest)).await.map_err(|error| store_error(error, digest))?;
        let bytes = found.bytes().await.map_err(|error| store_error(error, digest))?;
        if Digest::of(&bytes) == *digest { Ok(bytes) } else { Err(self.quarantine(digest).await) }
    }

    /// Reads a blob and checks it; a damaged one goes into quarantine.
    pub async fn check(&self, digest: &Digest) -> Result<(), BlobError> {
        let actual = match digest_of_file(&self.local_path(digest)).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(BlobError::NotFound(*digest));
            }
            other => other?,
        };
        if actual == *digest { Ok(()) } else { Err(self.quarantine(digest).await) }
    }

    /// Where the blob lies (or would); for readers that need a file. [`Blobs::check`] it first.
    pub fn local_path(&self, digest: &Digest) -> PathBuf {
        let hex = digest.to_hex();
        self.root.join("sha256").join(&hex[..2]).join(hex)
    }

    /// Removes uploads that nobody has touched for `age` before `now` (real time, as the file system's
    /// is). Returns how many.
    pub async fn sweep(&self, now: SystemTime, age: Duration) -> Result<usize, BlobError> {
        let mut swept = 0;
        let mut uploads = fs::read_dir(self.root.join("uploads")).await?;
        while let Some(upload) = uploads.next_entry().await? {
            let touched = upload.metadata().await?.modified()?;
            if now.duration_since(touched).is_ok_and(|idle| idle >= age) {
                fs::remove_file(upload.path()).await?;
                swept += 1;
            }
        }
        Ok(swept)
    }

    async fn quarantine(&self, digest: &Digest) -> BlobError {
        let to = self.root.join("quarantine").join(digest.to_hex());
        match fs::rename(self.local_path(digest), to).await {
            Ok(()) => tracing::error!(%digest, "damaged blob put into quarantine"),
            Err(error) => tracing::error!(%digest, %error, "damaged blob could not be put into quarantine"),
        }
        BlobError::Damaged(*digest)
    }

    fn upload_path(&self, id: &str) -> Result<PathBuf, BlobError> {
        let plain = id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        if id.is_empty() || id.len() > 63 || !plain {
            return Err(BlobError::BadUploadId(id.to_owned()));
        }
        Ok(self.root.join("uploads").join(id))
    }
}

async fn digest_of_file(path: &Path) -> io::Result<Digest> {
    let mut file = fs::File::open(path).await?;
    let (mut hasher, mut buffer) = (Sha256::new(), vec![0; 1 << 20]);
    loop {
        match file.read(&mut buffer).await? {
            0 => return Ok(Digest(hasher.finalize().into())),
            count => hasher.update(&buffer[..count]),
        }
    }
}

fn key(digest: &Digest) -> Key {
    let hex = digest.to_hex();
    Key::from(format!("sha256/{}/{hex}", &hex[..2]))
}

fn io_error(error: io::Error) -> BlobError {
    BlobError::from(error)
}

fn store_error(error: object_store::Error, digest: &Digest) -> BlobError {
    match error {
        object_store::Error::NotFound { .. } => BlobError::NotFound(*digest),
        other => io_error(io::Error::other(other)),
    }
}
