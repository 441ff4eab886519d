//! From the spool to the monitor, at least once.

use std::sync::MutexGuard;
use std::time::Duration;

use contracts::monitor::v1::ReportObservationsRequest;
use prost::Message;
use storage::Digest;
use tonic::{Code, Status};
use tracing::Instrument;

use super::spool::Found;
use super::{Spool, lock};
use crate::gateway::Gateway;

impl Gateway {
    /// Delivers what is in the spool, oldest first, until it is empty.
    ///
    /// # Errors
    /// The first status that may pass by itself; the batch stays and is sent again.
    pub async fn deliver_observations(&self) -> Result<(), Status> {
        while let Some((place, record)) = self.with_spool(|mut spool| self.oldest(&mut spool)).await? {
            match ReportObservationsRequest::decode(record.as_slice()) {
                Ok(batch) => self.report(batch).await?,
                Err(error) => {
                    tracing::error!(%error, "an observation in the spool cannot be read");
                    self.meters().dropped.inc();
                }
            }
            self.with_spool(move |mut spool| spool.advance(place)).await?;
        }
        Ok(())
    }

    /// Completes when something was put into the spool, or after a while.
    pub async fn spool_filled(&self) {
        let patience = Duration::from_secs(1);
        let _ = tokio::time::timeout(patience, self.observing().filled.notified()).await;
    }

    /// Sends a batch. Of one that the monitor refuses for what is in it, the halves are sent, and so on: what is dropped is
    /// the observation or sample that is refused alone.
    async fn report(&self, batch: ReportObservationsRequest) -> Result<(), Status> {
        let span = tracing::info_span!("deliver-observations", batch = %batch.batch_id);
        if let Some(traceparent) = self.observing().take_trace() {
            runtime::trace::resume(&span, &traceparent);
        }
        let mut parts = vec![batch];
        while let Some(part) = parts.pop() {
            let mut client = self.clients().observations.clone();
            let sent = client.report_observations(part.clone());
            let sent = sent.instrument(span.clone()).await;
            let Err(status) = sent else { continue };
            if passes(&status) {
                return Err(status);
            }
            if divides(&status) && part.observations.len() + part.samples.len() > 1 {
                parts.extend(halves(part));
                continue;
            }
            // The monitor will never take it: keeping it would hold all others up.
            tracing::error!(%status, batch = %part.batch_id, "the monitor refuses an observation");
            self.meters().dropped.inc();
        }
        Ok(())
    }

    fn oldest(&self, spool: &mut Spool) -> std::io::Result<Option<Found>> {
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

/// Whether a refusal may pass by itself: the monitor is away, full, or fails without saying that it always will.
fn passes(status: &Status) -> bool {
    match status.code() {
        Code::ResourceExhausted => runtime::status::retry_after(status).is_some(),
        Code::Unavailable
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::Cancelled
        | Code::Unknown
        | Code::Internal
        // A key that was changed on one side only: a matter of the operators, not of the batch.
        | Code::Unauthenticated
        | Code::PermissionDenied
        // An older monitor, in the middle of an upgrade.
        | Code::Unimplemented => true,
        Code::Ok
        | Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::FailedPrecondition
        | Code::OutOfRange
        | Code::DataLoss => false,
    }
}

/// Whether parts of a refused batch may be taken.
fn divides(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::InvalidArgument | Code::OutOfRange | Code::FailedPrecondition | Code::ResourceExhausted
    )
}

/// Two batches that are one together, samples with the second. Their ids follow from its id, so that sent again they are
/// the same two.
fn halves(mut batch: ReportObservationsRequest) -> [ReportObservationsRequest; 2] {
    let (observations, samples) = match batch.observations.len() {
        0 => (Vec::new(), batch.samples.split_off(batch.samples.len() / 2)),
        1 => (Vec::new(), std::mem::take(&mut batch.samples)),
        many => (batch.observations.split_off(many / 2), std::mem::take(&mut batch.samples)),
    };
    let named = |half: &str| {
        let hex = Digest::of(format!("{}/{half}", batch.batch_id).as_bytes()).to_hex();
        let number = u128::from_str_radix(&hex[..32], 16).unwrap_or_default();
        uuid::Builder::from_random_bytes(number.to_be_bytes()).into_uuid().to_string()
    };
    let (one, other) = (named("first"), named("second"));
    let rest =
        ReportObservationsRequest { gateway: batch.gateway.clone(), batch_id: other, observations, samples };
    batch.batch_id = one;
    [batch, rest]
}
