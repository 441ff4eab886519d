//! From the spool to the monitor, at least once.

use std::sync::MutexGuard;
use std::time::Duration;

use contracts::monitor::v1::ReportObservationsRequest;
use prost::Message;
use tonic::{Code, Status};

use super::{Spool, lock};
use crate::gateway::Gateway;

impl Gateway {
    /// Delivers what is in the spool, oldest first, until it is empty.
    ///
    /// # Errors
    /// The first status that may pass by itself; the batch stays and is sent again.
    pub async fn deliver_observations(&self) -> Result<(), Status> {
        while let Some(record) = self.with_spool(|mut spool| self.oldest(&mut spool)).await? {
            match ReportObservationsRequest::decode(record.as_slice()) {
                Ok(batch) => self.report(batch).await?,
                Err(error) => {
                    tracing::error!(%error, "an observation in the spool cannot be read");
                    self.meters().dropped.inc();
                }
            }
            let bytes = record.len();
            self.with_spool(move |mut spool| spool.advance(bytes)).await?;
        }
        Ok(())
    }

    /// Completes when something was put into the spool, or after a while.
    pub async fn spool_filled(&self) {
        let patience = Duration::from_secs(1);
        let _ = tokio::time::timeout(patience, self.observing().filled.notified()).await;
    }

    async fn report(&self, batch: ReportObservationsRequest) -> Result<(), Status> {
        let mut client = self.clients().observations.clone();
        match client.report_observations(batch).await {
            Ok(_) => Ok(()),
            // The monitor will never take it: keeping it would hold all others up.
            Err(status) if matches!(status.code(), Code::InvalidArgument | Code::OutOfRange) => {
                tracing::error!(%status, "the monitor refuses an observation");
                self.meters().dropped.inc();
                Ok(())
            }
            Err(status) => Err(status),
        }
    }

    fn oldest(&self, spool: &mut Spool) -> std::io::Result<Option<Vec<u8>>> {
        let (record, lost) = spool.peek()?;
        if lost > 0 {
            tracing::error!(lost, "observations in the spool are damaged");
            self.meters().dropped.inc_by(lost);
        }
        Ok(record)
    }

    /// Small reads and writes of the page cache: done in place, under the lock for no longer than that.
    async fn with_spool<T>(
        &self,
        work: impl FnOnce(MutexGuard<'_, Spool>) -> std::io::Result<T>,
    ) -> Result<T, Status> {
        tokio::task::yield_now().await;
        work(lock(&self.observing().spool)).map_err(|error| Status::internal(error.to_string()))
    }
}
