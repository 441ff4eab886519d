//! Following the audit log as it grows, from any sequence number.

use super::{AuditLog, Logged};
use crate::Error;
use futures::stream::{self, Stream};
use std::{collections::VecDeque, time::Duration};

/// How long a commit of another process may stay unseen (real time); own commits wake at once.
const POLL: Duration = Duration::from_millis(250);
/// Entries read at once.
const BATCH: u64 = 256;

impl AuditLog {
    /// All entries from `sequence` on, each once and in order, and then the new ones as they are
    /// committed by this or another process. Never ends; after an error it goes on where it was.
    /// To resume, give the sequence after the last one that was handled.
    pub fn watch(&self, sequence: u64) -> impl Stream<Item = Result<Logged, Error>> + Send + 'static {
        let start = (self.clone(), self.grown.subscribe(), sequence, VecDeque::new());
        stream::unfold(start, |(log, mut grown, mut next, mut ready)| async move {
            loop {
                if let Some(logged) = ready.pop_front() {
                    return Some((Ok(logged), (log, grown, next, ready)));
                }
                // Mark before reading: a commit in between wakes the wait below.
                grown.borrow_and_update();
                match log.read(next, BATCH).await {
                    Err(error) => {
                        tokio::time::sleep(POLL).await;
                        return Some((Err(error), (log, grown, next, ready)));
                    }
                    Ok(batch) => {
                        let gap = batch.first().is_some_and(|logged| logged.sequence != next);
                        if gap {
                            tokio::time::sleep(POLL).await;
                            let gap = Error::Damaged(format!("audit entry {next} is missing"));
                            return Some((Err(gap), (log, grown, next, ready)));
                        }
                        for logged in batch {
                            if logged.sequence != next {
                                break; // what comes before a gap is told first
                            }
                            next += 1;
                            ready.push_back(logged);
                        }
                    }
                }
                if ready.is_empty() {
                    // A closed channel cannot happen while `log` holds the sender.
                    let _woken = tokio::time::timeout(POLL, grown.changed()).await;
                }
            }
        })
    }
}
