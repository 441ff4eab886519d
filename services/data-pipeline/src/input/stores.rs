//! Stores of inputs that are not uploaded: folders of this machine and buckets of S3-compatible stores, as the configuration
//! names them. An object is copied before anything is read of it, so that what has a digest cannot change any more.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, stream};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path as Key;
use object_store::{ClientOptions, ObjectStoreExt, RetryConfig};
use sha2::{Digest as _, Sha256};
use storage::{Blobs, Digest, blobs};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{Error, StoreOptions};

/// Longest that a store may take to answer.
const CONNECT: Duration = Duration::from_secs(10);
/// Times that a request is repeated, and for how long.
const RETRIES: (usize, Duration) = (3, Duration::from_secs(60));
/// Bytes that are read of a file at once.
const PIECE: usize = 1 << 20;

/// All stores that may be read.
#[derive(Debug, Default)]
pub struct Stores {
    folders: Vec<PathBuf>,
    buckets: BTreeMap<String, AmazonS3>,
}

/// What cannot be fetched, without the input's name.
enum Refused {
    /// The request names what is not there or may not be read.
    Uri(String),
    /// The store does not answer, or the disk is full.
    Host(String),
}

type Pieces = BoxStream<'static, Result<Bytes, String>>;

impl Stores {
    /// Opens the stores of a configuration; no store is asked anything.
    ///
    /// # Errors
    /// If a store is neither a folder nor a bucket, a folder is not there, or an environment variable is not set.
    pub fn open(options: &BTreeMap<String, StoreOptions>) -> anyhow::Result<Self> {
        let mut stores = Self::default();
        for (name, store) in options {
            let opened = stores.add(store);
            opened.map_err(|error| anyhow::anyhow!("stores.{name}: {error}"))?;
        }
        Ok(stores)
    }

    fn add(&mut self, store: &StoreOptions) -> anyhow::Result<()> {
        match (store.folder.as_str(), store.bucket.as_str()) {
            (folder, "") if !folder.is_empty() => {
                let real = std::fs::canonicalize(folder);
                let real = real.map_err(|error| anyhow::anyhow!("folder {folder:?}: {error}"))?;
                self.folders.push(real);
            }
            ("", bucket) if !bucket.is_empty() => {
                if self.buckets.insert(bucket.to_owned(), opened(store)?).is_some() {
                    anyhow::bail!("the bucket {bucket:?} stands twice");
                }
            }
            _ => anyhow::bail!("required: either folder or bucket"),
        }
        Ok(())
    }

    /// Copies the object of a uri into `blobs` and gives its digest. It may have `most` bytes and take `wall`; `folder` holds
    /// it meanwhile. `input` names it in errors, with its field before the first space.
    ///
    /// # Errors
    /// [`Error::BadData`] where the object may not be read, is not there or is too large; [`Error::Reader`] where the store
    /// does not give it.
    pub async fn fetch(
        &self,
        input: &str,
        uri: &str,
        blobs: &Blobs,
        folder: &Path,
        (most, wall): (u64, Duration),
    ) -> Result<Digest, Error> {
        let failed = |refused: Refused| match refused {
            Refused::Uri(what) => Error::BadData { input: input.to_owned(), what },
            Refused::Host(what) => Error::Reader { input: input.to_owned(), what },
        };
        let copied = tokio::time::timeout(wall, async {
            let (size, pieces) = self.find(uri).await?;
            if most < size {
                return Err(Refused::Uri(format!("has {size} bytes, at most {most} are taken")));
            }
            copy(pieces, folder, most).await
        });
        let late = || Refused::Host(format!("{uri} did not come within {} s", wall.as_secs()));
        let (file, digest, size) = copied.await.unwrap_or_else(|_| Err(late())).map_err(failed)?;
        let upload = blobs::Upload { id: format!("fetch-{}", uuid::Uuid::new_v4()), digest, size };
        let again = tokio::fs::File::open(file.path()).await;
        let again = again.map_err(|error| failed(Refused::Host(error.to_string())))?;
        blobs.put_stream(&upload, 0, pieces_of(again)).await?;
        Ok(blobs.finish(&upload).await?)
    }

    /// The size of an object, and its bytes.
    async fn find(&self, uri: &str) -> Result<(u64, Pieces), Refused> {
        let forms = "required: s3://bucket/key or file:///path";
        let Some((scheme, rest)) = uri.split_once("://") else {
            return Err(Refused::Uri(format!("{uri:?}: {forms}")));
        };
        if rest.split('/').any(|part| part == ".." || part == ".") {
            return Err(Refused::Uri(format!("{uri:?}: `.` and `..` are not followed")));
        }
        match scheme {
            "file" if rest.starts_with('/') => self.file(uri, Path::new(rest)).await,
            "s3" => self.object(uri, rest).await,
            _ => Err(Refused::Uri(format!("{uri:?}: {forms}"))),
        }
    }

    async fn file(&self, uri: &str, path: &Path) -> Result<(u64, Pieces), Refused> {
        let absent = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => {
                Refused::Uri(format!("{uri:?}: there is no such file"))
            }
            _ => Refused::Host(format!("{uri:?}: {error}")),
        };
        // What a link leads to counts, not where the link lies: of a place outside nothing is told, not even that it is there.
        let outside = || Refused::Uri(format!("{uri:?}: lies in no folder of the stores"));
        let begins = self.folders.iter().any(|folder| path.starts_with(folder));
        let real = match tokio::fs::canonicalize(path).await {
            Ok(real) => real,
            Err(error) if begins => return Err(absent(error)),
            Err(_) => return Err(outside()),
        };
        if !self.folders.iter().any(|folder| real.starts_with(folder)) {
            return Err(outside());
        }
        let metadata = tokio::fs::metadata(&real).await.map_err(absent)?;
        if !metadata.is_file() {
            return Err(Refused::Uri(format!("{uri:?}: is no file")));
        }
        let file = tokio::fs::File::open(&real).await.map_err(absent)?;
        Ok((metadata.len(), pieces_of(file).map(|piece| piece.map_err(|error| error.to_string())).boxed()))
    }

    async fn object(&self, uri: &str, rest: &str) -> Result<(u64, Pieces), Refused> {
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        let Some(store) = self.buckets.get(bucket) else {
            return Err(Refused::Uri(format!("{uri:?}: {bucket:?} is no bucket of the stores")));
        };
        let key = Key::parse(key).ok().filter(|key| *key != Key::default());
        let key = key.ok_or_else(|| Refused::Uri(format!("{uri:?}: has no key, or one with empty parts")))?;
        match store.get(&key).await {
            Ok(found) => {
                let size = found.meta.size;
                let pieces = found.into_stream();
                Ok((size, pieces.map(|piece| piece.map_err(|error| error.to_string())).boxed()))
            }
            Err(object_store::Error::NotFound { .. }) => {
                Err(Refused::Uri(format!("{uri:?}: there is no such object")))
            }
            Err(error) => {
                let said: String =
                    error.to_string().lines().next().unwrap_or_default().chars().take(300).collect();
                Err(Refused::Host(format!("{uri:?}: {said}")))
            }
        }
    }
}

/// A bucket, with its keys from the environment.
fn opened(store: &StoreOptions) -> anyhow::Result<AmazonS3> {
    let variable = |field: &str, name: &str| {
        std::env::var(name).map_err(|_| anyhow::anyhow!("{field}: the environment has no {name}"))
    };
    let client = ClientOptions::new()
        .with_connect_timeout(CONNECT)
        .with_timeout_disabled() // the whole takes as long as an input may
        .with_allow_http(store.allow_http);
    let retry = RetryConfig { max_retries: RETRIES.0, retry_timeout: RETRIES.1, ..RetryConfig::default() };
    let region = if store.region.is_empty() { "us-east-1" } else { &store.region };
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(&store.bucket)
        .with_region(region)
        .with_client_options(client)
        .with_retry(retry);
    if !store.endpoint.is_empty() {
        builder = builder.with_endpoint(&store.endpoint).with_virtual_hosted_style_request(false);
    }
    builder = if store.access_key_env.is_empty() {
        builder.with_skip_signature(true)
    } else {
        builder
            .with_access_key_id(variable("access_key_env", &store.access_key_env)?)
            .with_secret_access_key(variable("secret_key_env", &store.secret_key_env)?)
    };
    if !store.token_env.is_empty() {
        builder = builder.with_token(variable("token_env", &store.token_env)?);
    }
    Ok(builder.build()?)
}

/// Writes what comes into a file that goes with its handle; its digest and size.
async fn copy(
    mut pieces: Pieces,
    folder: &Path,
    most: u64,
) -> Result<(tempfile::NamedTempFile, Digest, u64), Refused> {
    let host = |error: std::io::Error| Refused::Host(format!("cannot be copied: {error}"));
    let file = tempfile::Builder::new().prefix("fetch-").tempfile_in(folder).map_err(host)?;
    let mut out = tokio::fs::File::from_std(file.reopen().map_err(host)?);
    let (mut hash, mut size) = (Sha256::new(), 0_u64);
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|error| Refused::Host(format!("broke off after {size} bytes: {error}")))?;
        size += piece.len() as u64;
        if most < size {
            return Err(Refused::Uri(format!("has more than the {most} bytes that are taken")));
        }
        hash.update(&piece);
        out.write_all(&piece).await.map_err(host)?;
    }
    out.flush().await.map_err(host)?;
    let digest: Result<Digest, _> = format!("sha256:{}", hex::encode(hash.finalize())).parse();
    let digest = digest.map_err(|_| Refused::Host("its digest cannot be written".into()))?;
    Ok((file, digest, size))
}

/// The bytes of a file, piece by piece.
fn pieces_of(file: tokio::fs::File) -> impl futures::Stream<Item = std::io::Result<Bytes>> + Send + 'static {
    stream::try_unfold(file, |mut file| async move {
        let mut piece = Vec::with_capacity(PIECE);
        let count = (&mut file).take(PIECE as u64).read_to_end(&mut piece).await?;
        Ok::<_, std::io::Error>((count > 0).then(|| (Bytes::from(piece), file)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stores_that_cannot_be_used_are_named_at_the_start() {
        let both = StoreOptions { folder: "/".into(), bucket: "b".into(), ..StoreOptions::default() };
        let absent = StoreOptions { folder: "/nowhere/at/all".into(), ..StoreOptions::default() };
        let unset = StoreOptions {
            bucket: "b".into(),
            access_key_env: "NO_SUCH_VARIABLE_HERE".into(),
            ..StoreOptions::default()
        };
        for (store, what) in [
            (both, "either folder or bucket"),
            (StoreOptions::default(), "either folder or bucket"),
            (absent, "/nowhere/at/all"),
            (unset, "access_key_env: the environment has no NO_SUCH_VARIABLE_HERE"),
        ] {
            let refused =
                Stores::open(&[("mine".to_owned(), store)].into()).err().map(|error| error.to_string());
            let refused = refused.unwrap_or_default();
            assert!(refused.starts_with("stores.mine: ") && refused.contains(what), "{refused:?}");
        }
    }
}
