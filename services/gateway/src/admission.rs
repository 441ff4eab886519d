//! How much work is taken in at a time: by count and by bytes. What does not fit is told so at once. Only inference asks for
//! room: health, metadata, statistics, what operators do and a change of routes never wait for it and are never refused.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::Error;
use crate::config;
use crate::incoming::Incoming;

/// Bytes are admitted in units of this many, so that a permit count fits 32 bits.
const UNIT: u64 = 1024;

/// The door.
#[derive(Clone, Debug)]
pub struct Admission {
    requests: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    units: u32,
    retry: Duration,
    incoming: Incoming,
}

/// A place inside; dropping it makes room.
#[derive(Debug)]
pub struct Permit {
    _request: OwnedSemaphorePermit,
    _bytes: OwnedSemaphorePermit,
}

impl Admission {
    /// A door with the limits of the configuration.
    pub fn new(config: &config::Admission) -> Self {
        let most = u64::from(u32::MAX).min(Semaphore::MAX_PERMITS as u64);
        let units = (config.bytes / UNIT).clamp(1, most) as u32;
        Self {
            requests: Arc::new(Semaphore::new(config.requests.clamp(1, Semaphore::MAX_PERMITS))),
            bytes: Arc::new(Semaphore::new(units as usize)),
            units,
            retry: Duration::from_millis(config.retry_ms),
            incoming: Incoming::new(config),
        }
    }

    /// Where messages count until they are there as a whole.
    pub fn incoming(&self) -> &Incoming {
        &self.incoming
    }

    /// Lets a request of that size in, or says why not.
    ///
    /// # Errors
    /// [`Error::Full`].
    pub fn admit(&self, bytes: usize) -> Result<Permit, Error> {
        let full = |what| Error::Full { what, after: self.retry };
        let request =
            self.requests.clone().try_acquire_owned().map_err(|_| full("too many requests at a time"))?;
        // One request larger than all room gets the whole room: the limits of messages and of shared memory bound it.
        let units = (bytes as u64).div_ceil(UNIT).clamp(1, u64::from(self.units)) as u32;
        let bytes =
            self.bytes.clone().try_acquire_many_owned(units).map_err(|_| full("too many bytes at a time"))?;
        Ok(Permit { _request: request, _bytes: bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_by_count_and_by_bytes() {
        let door =
            Admission::new(&config::Admission { requests: 2, bytes: 4096, ..config::Admission::default() });
        let first = door.admit(3000).unwrap();
        assert!(matches!(door.admit(3000), Err(Error::Full { what: "too many bytes at a time", .. })));
        let second = door.admit(10).unwrap();
        assert!(matches!(door.admit(10), Err(Error::Full { what: "too many requests at a time", .. })));
        drop((first, second));
        assert!(door.admit(1 << 30).is_ok());
    }
}
