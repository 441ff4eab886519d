//! Work that computes, off the threads that serve; a panic in it (a hostile file in a parser) is an error, not a crash.

use crate::Error;
use tracing::Span;

/// Runs `work` on a blocking thread. `what` names it for the error of a panic.
///
/// # Errors
/// Of the work; [`Error::BadData`] if it panicked.
pub async fn run<T: Send + 'static>(
    what: impl Into<String>,
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let (what, span) = (what.into(), Span::current());
    match tokio::task::spawn_blocking(move || span.in_scope(work)).await {
        Ok(done) => done,
        Err(cause) if cause.is_panic() => {
            tracing::error!(%what, "a computation panicked");
            Err(Error::BadData { input: what, what: "cannot be processed: the computation broke off".into() })
        }
        Err(_) => Err(Error::Stopping),
    }
}
