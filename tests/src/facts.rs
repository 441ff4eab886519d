//! Waiting for facts.

use std::future::Future;
use std::time::{Duration, Instant};

/// How long a fact may take in real time, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// Pause between two looks.
const LOOK: Duration = Duration::from_millis(10);

/// Looks until the fact is there and gives it.
///
/// # Panics
/// If it is not there in time.
pub async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, look: impl FnMut() -> F) -> T {
    within(PATIENCE, what, look).await
}

/// As [`eventually`], with another patience.
///
/// # Panics
/// If it is not there in time.
pub async fn within<T, F: Future<Output = Option<T>>>(
    patience: Duration,
    what: &str,
    mut look: impl FnMut() -> F,
) -> T {
    let begun = Instant::now();
    loop {
        if let Some(fact) = look().await {
            return fact;
        }
        assert!(begun.elapsed() < patience, "not in {patience:?}: {what}");
        tokio::time::sleep(LOOK).await;
    }
}
