//! Small files, written whole or not at all.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The data folder.
#[derive(Debug, Clone)]
pub struct Files {
    root: PathBuf,
}

impl Files {
    /// Makes the folder and its parts.
    ///
    /// # Errors
    /// Of the file system.
    pub fn open(root: impl AsRef<Path>) -> io::Result<Self> {
        let root = root.as_ref().to_owned();
        for part in ["breakers", "references", "policies", "spool"] {
            std::fs::create_dir_all(root.join(part))?;
        }
        Ok(Self { root })
    }

    /// A path below the folder; `name` is made by this crate or passed [`Files::safe`].
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// A resource name as a file name: ids have no `_`, so none can be confused with another.
    pub fn safe(name: &str) -> String {
        name.replace('/', "_")
    }

    /// The bytes, or nothing if there is no such file.
    ///
    /// # Errors
    /// Of the file system.
    pub fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        match std::fs::read(self.path(name)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes to a draft, syncs, renames: after a crash the old or the new bytes are there.
    ///
    /// # Errors
    /// Of the file system.
    pub fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let path = self.path(name);
        let draft = path.with_extension("draft");
        let mut file = std::fs::File::create(&draft)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&draft, &path)?;
        if let Some(folder) = path.parent() {
            std::fs::File::open(folder)?.sync_all()?;
        }
        Ok(())
    }

    /// [`Files::write`] on a thread that may block.
    ///
    /// # Errors
    /// Of the file system.
    pub async fn write_later(&self, name: String, bytes: Vec<u8>) -> io::Result<()> {
        let files = self.clone();
        tokio::task::spawn_blocking(move || files.write(&name, &bytes)).await.map_err(io::Error::other)?
    }

    /// Removes a file that may not be there.
    ///
    /// # Errors
    /// Of the file system.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        match std::fs::remove_file(self.path(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}
