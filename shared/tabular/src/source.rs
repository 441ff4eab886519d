//! A file's bytes, decompressed within limits.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

use crate::error::{Cause, Error, Result, over};
use crate::limits::Limits;

/// How a file is compressed, by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Not at all.
    None,
    /// RFC 1952, any number of members.
    Gzip,
    /// RFC 8878.
    Zstd,
}

/// Largest window of zstd that is taken, as a power of two: what its own tool takes without being told.
const ZSTD_WINDOW: u32 = 27;

/// A file, and how much of it was read.
#[derive(Debug, Clone)]
pub struct Source {
    /// Where it is.
    pub path: PathBuf,
    /// Its size in bytes.
    pub size: u64,
    /// How it is compressed.
    pub compression: Compression,
    /// Bytes that were read so far, of `size`.
    pub read: Arc<AtomicU64>,
}

impl Source {
    /// Looks at a file's first bytes.
    ///
    /// # Errors
    /// If it cannot be read or is no regular file.
    pub fn open(path: &Path) -> Result<Self> {
        let io = |error: io::Error| Error::io(path, &error);
        let metadata = std::fs::metadata(path).map_err(io)?;
        if !metadata.is_file() {
            let what = if metadata.is_dir() { "is a folder, required a file" } else { "is no regular file" };
            return Err(Error::new(Cause::Unreadable, path, what));
        }
        let mut head = Vec::new();
        File::open(path).map_err(io)?.take(4).read_to_end(&mut head).map_err(io)?;
        let compression = match head.as_slice() {
            [0x1F, 0x8B, ..] => Compression::Gzip,
            [0x28, 0xB5, 0x2F, 0xFD] => Compression::Zstd,
            _ => Compression::None,
        };
        Ok(Self { path: path.to_owned(), size: metadata.len(), compression, read: Arc::default() })
    }

    /// The bytes from the beginning, decompressed.
    ///
    /// # Errors
    /// If the file cannot be opened.
    pub fn bytes(&self, limits: &Limits) -> Result<Box<dyn Read + Send>> {
        self.read.store(0, Ordering::Relaxed);
        let io = |error: io::Error| Error::io(&self.path, &error);
        let file = Counted { inner: File::open(&self.path).map_err(io)?, read: Arc::clone(&self.read) };
        let file = BufReader::with_capacity(1 << 18, file);
        let inner: Box<dyn Read + Send> = match self.compression {
            Compression::None => return Ok(Box::new(file)),
            Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(file)),
            Compression::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(file).map_err(io)?;
                decoder.window_log_max(ZSTD_WINDOW).map_err(io)?;
                Box::new(decoder)
            }
        };
        let ratio = self.size.max(1).saturating_mul(limits.unfolding).max(Limits::UNFOLDED_FREE);
        Ok(Box::new(Bounded { inner, left: limits.unfolded_bytes.min(ratio), size: self.size }))
    }

    /// The first `most` decompressed bytes, or fewer where the file ends.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn head(&self, most: usize, limits: &Limits) -> Result<Vec<u8>> {
        let mut head = Vec::new();
        let read = self.bytes(limits)?.take(most as u64).read_to_end(&mut head);
        self.read.store(0, Ordering::Relaxed);
        read.map_err(|error| Error::io(&self.path, &error))?;
        Ok(head)
    }

    /// A file that can be read from any place: this one, or a temporary one with its decompressed bytes.
    ///
    /// # Errors
    /// If it cannot be read, or becomes larger than the limits allow.
    pub fn seekable(&self, limits: &Limits) -> Result<Seekable> {
        if self.compression == Compression::None {
            return Ok(Seekable { path: self.path.clone(), size: self.size, _temporary: None });
        }
        let io = |error: io::Error| Error::io(&self.path, &error);
        let mut file = tempfile::NamedTempFile::new().map_err(io)?;
        let size = io::copy(&mut self.bytes(limits)?, &mut file).map_err(io)?;
        let path = file.path().to_owned();
        Ok(Seekable { path, size, _temporary: Some(Arc::new(file.into_temp_path())) })
    }
}

/// A file that can be opened again and again; a temporary one goes with the last of its clones.
#[derive(Debug, Clone)]
pub struct Seekable {
    /// Where it is.
    pub path: PathBuf,
    /// Its size in bytes.
    pub size: u64,
    _temporary: Option<Arc<tempfile::TempPath>>,
}

struct Counted {
    inner: File,
    read: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// Ends with an error where decompression gives more than it may.
struct Bounded<R> {
    inner: R,
    left: u64,
    size: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        match self.left.checked_sub(count as u64) {
            Some(left) => self.left = left,
            None => {
                return Err(over(
                    Cause::Limit,
                    format!("its {} bytes unfold to more than is allowed", self.size),
                ));
            }
        }
        Ok(count)
    }
}
