//! The key-value store on a request's path: it answers soon, or is left alone for a while.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use prometheus_client::metrics::gauge::Gauge;
use storage::{Kv, KvError};

/// Longest time that a request waits for the store, real time.
const PATIENCE: Duration = Duration::from_millis(250);
/// How long a store that failed is not asked again, real time.
const REST: Duration = Duration::from_secs(1);

/// A store that may be away: then whoever asks goes on without it.
pub struct Shared {
    kv: Arc<dyn Kv>,
    /// What it is used for, in the log.
    purpose: &'static str,
    /// Not asked before; `None` while it answers.
    again: Mutex<Option<Instant>>,
    /// 1 while it answers.
    up: Gauge,
}

impl Shared {
    /// A store that is taken to be there until it fails. `up` shows whether it is.
    pub fn new(kv: Arc<dyn Kv>, purpose: &'static str, up: Gauge) -> Self {
        up.set(1);
        Self { kv, purpose, again: Mutex::new(None), up }
    }

    /// Asks the store; `None` if it is away. That it went or came back is logged once.
    pub async fn ask<'a, T, F>(&'a self, question: impl FnOnce(&'a dyn Kv) -> F) -> Option<T>
    where
        F: Future<Output = Result<T, KvError>> + Send + 'a,
    {
        if !self.may_ask(Instant::now()) {
            return None;
        }
        let why = match tokio::time::timeout(PATIENCE, question(&*self.kv)).await {
            Ok(Ok(answer)) => {
                self.note(None, Instant::now());
                return Some(answer);
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {PATIENCE:?}"),
        };
        self.note(Some(&why), Instant::now());
        None
    }

    /// While it is away, one request in each period tries.
    fn may_ask(&self, now: Instant) -> bool {
        let mut again = self.again.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *again {
            None => true,
            Some(at) if *at <= now => {
                *at = now + REST;
                true
            }
            Some(_) => false,
        }
    }

    fn note(&self, failed: Option<&str>, now: Instant) {
        let mut again = self.again.lock().unwrap_or_else(PoisonError::into_inner);
        let was_away = again.is_some();
        *again = failed.map(|_| now + REST);
        drop(again);
        self.up.set(failed.is_none().into());
        match failed {
            Some(why) if !was_away => {
                tracing::warn!(purpose = self.purpose, why, "the shared store is away: going on without it");
            }
            None if was_away => tracing::info!(purpose = self.purpose, "the shared store is back"),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use storage::kv::MemoryKv;

    fn shared() -> Shared {
        Shared::new(Arc::new(MemoryKv::new(1)), "test", Gauge::default())
    }

    #[test]
    fn a_store_that_failed_is_left_alone_for_a_while() {
        let (shared, now) = (shared(), Instant::now());
        assert!(shared.may_ask(now) && shared.may_ask(now));
        shared.note(Some("gone"), now);
        assert_eq!(shared.up.get(), 0);
        assert!(!shared.may_ask(now) && !shared.may_ask(now + REST / 2));
        assert!(shared.may_ask(now + REST));
        assert!(!shared.may_ask(now + REST), "one tries, the others go on without");
        shared.note(None, now + REST);
        assert_eq!(shared.up.get(), 1);
        assert!(shared.may_ask(now + REST));
    }

    #[tokio::test]
    async fn who_gets_no_answer_goes_on_without() {
        let shared = shared();
        assert_eq!(shared.ask(|kv| kv.delete("a")).await, Some(false));
        assert_eq!(shared.ask(|_| async { Err::<(), _>(KvError::Damaged("x".into())) }).await, None);
        assert_eq!(shared.ask(|kv| kv.delete("a")).await, None, "it is not asked");
        let hangs = self::shared();
        assert_eq!(hangs.ask(|_| std::future::pending::<Result<(), KvError>>()).await, None);
        assert_eq!(hangs.up.get(), 0);
    }
}
