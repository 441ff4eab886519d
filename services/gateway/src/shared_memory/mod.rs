//! System shared memory: tensors that a caller on this host leaves in, and takes from, memory that both can see.
//!
//! A region is a POSIX shared memory object, which Linux shows as a file below `/dev/shm`. It is read and written through
//! its file: the caller may change or cut it at any moment, and what is read is a copy that it cannot change any more.
//! Only `wlp serve` has regions, when it is told to; it listens on loopback alone.
//!
//! `region.rs` is one region; `place.rs` is what requests say: inputs that lie in a region, outputs that go to one.

mod place;
mod region;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use contracts::inference::system_shared_memory_status_response::RegionStatus;
use contracts::inference::{SystemSharedMemoryRegisterRequest, SystemSharedMemoryStatusResponse};
use engine::FieldError;

use crate::Error;
use crate::wire::shown;
pub use place::{REGION, Targets, brought, declared, part};
use region::Region;

/// Where the host shows its shared memory objects.
const HOST: &str = "/dev/shm";
/// Regions at a time.
const MOST: usize = 1024;
/// Bytes of a region's name at most.
const LONGEST: usize = 256;

/// Why a region is not to be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegionError {
    /// There is one of that name.
    #[error("shared memory region {0:?} is registered already")]
    Exists(String),
    /// There is none.
    #[error("unable to find system shared memory region {0:?}")]
    Unknown(String),
    /// No more are kept.
    #[error("{MOST} shared memory regions are registered, no more are taken")]
    Full,
}

/// The regions that callers have registered.
#[derive(Debug)]
pub struct Regions {
    root: PathBuf,
    named: Mutex<BTreeMap<String, Arc<Region>>>,
}

impl Regions {
    /// None yet, of this host's shared memory.
    pub fn of_host() -> Self {
        Self::below(HOST)
    }

    fn below(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), named: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Region>>> {
        self.named.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Registers a region under a name of its own.
    ///
    /// # Errors
    /// [`Error::BadRequest`] with every field that is wrong; [`Error::Region`].
    pub fn register(&self, asked: &SystemSharedMemoryRegisterRequest) -> Result<(), Error> {
        let mut bad = Vec::new();
        if asked.name.is_empty() || asked.name.len() > LONGEST {
            let description = format!("{} bytes, required 1 to {LONGEST}", asked.name.len());
            bad.push(FieldError { field: "name".into(), description });
        }
        if self.lock().contains_key(&asked.name) {
            return Err(RegionError::Exists(shown(&asked.name)).into());
        }
        let opened = Region::open(&self.root, &asked.key, asked.offset, asked.byte_size);
        let region = match opened {
            Ok(region) if bad.is_empty() => region,
            opened => {
                bad.extend(opened.err().into_iter().flatten());
                return Err(Error::BadRequest(bad));
            }
        };
        let mut named = self.lock();
        if named.len() >= MOST {
            return Err(RegionError::Full.into());
        }
        if named.contains_key(&asked.name) {
            return Err(RegionError::Exists(shown(&asked.name)).into());
        }
        named.insert(asked.name.clone(), Arc::new(region));
        Ok(())
    }

    /// Forgets a region, or all of them without a name; one that is not there is forgotten already.
    pub fn unregister(&self, name: &str) {
        let mut named = self.lock();
        if name.is_empty() {
            named.clear();
        } else {
            named.remove(name);
        }
    }

    /// What is registered under a name; everything without one.
    ///
    /// # Errors
    /// [`Error::Region`] if there is no such region.
    pub fn status(&self, name: &str) -> Result<SystemSharedMemoryStatusResponse, Error> {
        let named = self.lock();
        if !name.is_empty() && !named.contains_key(name) {
            return Err(RegionError::Unknown(shown(name)).into());
        }
        let wanted = named.iter().filter(|(known, _)| name.is_empty() || *known == name);
        let row = |(name, region): (&String, &Arc<Region>)| {
            let status = RegionStatus {
                name: name.clone(),
                key: region.key().to_owned(),
                offset: region.offset(),
                byte_size: region.byte_size(),
            };
            (name.clone(), status)
        };
        Ok(SystemSharedMemoryStatusResponse { regions: wanted.map(row).collect() })
    }

    fn get(&self, name: &str) -> Option<Arc<Region>> {
        self.lock().get(name).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(name: &str, key: &str, offset: u64, byte_size: u64) -> SystemSharedMemoryRegisterRequest {
        SystemSharedMemoryRegisterRequest { name: name.into(), key: key.into(), offset, byte_size }
    }

    #[test]
    fn regions_come_and_go_by_name() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("k"), [0; 64]).unwrap();
        let regions = Regions::below(root.path());
        regions.register(&asked("a", "/k", 0, 64)).unwrap();
        regions.register(&asked("b", "k", 16, 48)).unwrap();
        let again = regions.register(&asked("a", "/k", 0, 8)).unwrap_err();
        assert!(matches!(again, Error::Region(RegionError::Exists(_))), "{again}");
        let all = regions.status("").unwrap().regions;
        assert_eq!(
            (all.len(), all["b"].offset, all["b"].byte_size, all["a"].key.as_str()),
            (2, 16, 48, "/k")
        );
        assert_eq!(regions.status("b").unwrap().regions.len(), 1);
        regions.unregister("b");
        regions.unregister("b");
        let gone = regions.status("b").unwrap_err();
        assert!(matches!(gone, Error::Region(RegionError::Unknown(_))), "{gone}");
        regions.unregister("");
        assert!(regions.status("").unwrap().regions.is_empty());
    }

    #[test]
    fn every_wrong_field_is_named_and_nothing_is_kept() {
        let root = tempfile::tempdir().unwrap();
        let regions = Regions::below(root.path());
        let Error::BadRequest(bad) = regions.register(&asked("", "/../k", 0, 0)).unwrap_err() else {
            panic!("fields are wrong")
        };
        let fields: Vec<_> = bad.iter().map(|bad| bad.field.as_str()).collect();
        assert_eq!(fields, ["name", "key", "byte_size"]);
        assert!(regions.status("").unwrap().regions.is_empty());
    }
}
