//! From the seconds that are over to batches in the spool.

use std::sync::Arc;
use std::time::SystemTime;

use contracts::monitor::v1::{ReportObservationsRequest, VersionObservation};
use prost::Message;

use super::lock;
use crate::backends::Backend;
use crate::gateway::Gateway;

/// Bytes of one batch, near enough: below the usual limit of 4 MiB of a message.
const BATCH_BYTES: usize = 1 << 20;

impl Gateway {
    /// Puts the seconds that are over into the spool; at the stop (`all`) the running one too.
    ///
    /// # Errors
    /// Of the file system; the batch is lost then, and counted.
    pub async fn collect_observations(&self, all: bool) -> std::io::Result<()> {
        let now = (!all).then(|| self.clock().now());
        let observations = self.over(now);
        let samples = std::mem::take(&mut *lock(&self.observing().samples));
        let mut batches: Vec<ReportObservationsRequest> = Vec::new();
        let mut bytes = usize::MAX;
        for observation in observations {
            let size = observation.encoded_len();
            if bytes.saturating_add(size) > BATCH_BYTES {
                batches.push(self.batch());
                bytes = 0;
            }
            bytes += size;
            if let Some(batch) = batches.last_mut() {
                batch.observations.push(observation);
            }
        }
        if !samples.is_empty() {
            match batches.last_mut() {
                Some(batch) => batch.samples = samples,
                None => batches.push(ReportObservationsRequest { samples, ..self.batch() }),
            }
        }
        if batches.is_empty() {
            return Ok(());
        }
        let spool = self.observing().spool.clone();
        let count = batches.len() as u64;
        let append = move || {
            let mut spool = lock(&spool);
            batches.iter().try_fold(0, |dropped, batch| Ok(dropped + spool.append(&batch.encode_to_vec())?))
        };
        let appended: std::io::Result<u64> =
            tokio::task::spawn_blocking(append).await.map_err(std::io::Error::other)?;
        self.observing().filled.notify_one();
        match appended {
            Ok(dropped) => {
                if dropped > 0 {
                    tracing::warn!(dropped, "observations gave way: the monitor has not taken them for long");
                }
                self.meters().dropped.inc_by(dropped);
                Ok(())
            }
            Err(error) => {
                self.meters().dropped.inc_by(count);
                Err(error)
            }
        }
    }

    fn batch(&self) -> ReportObservationsRequest {
        ReportObservationsRequest {
            gateway: self.id().to_owned(),
            batch_id: uuid::Uuid::new_v4().to_string(),
            ..ReportObservationsRequest::default()
        }
    }

    /// Observations of production backends; of staging ones nothing is reported.
    fn over(&self, now: Option<SystemTime>) -> Vec<VersionObservation> {
        let mut observations = Vec::new();
        let mut take = |backend: &Arc<Backend>, canary, now| {
            let reference = backend.observer.reference().map(|reference| &**reference);
            let windows = backend.observer.take(now);
            observations.extend(
                windows.into_iter().map(|(second, window)| window.wire(backend, canary, second, reference)),
            );
        };
        for endpoint in self.live().endpoints.values() {
            for target in &endpoint.targets {
                if endpoint.staging {
                    drop(target.backend.observer.take(now));
                } else {
                    take(&target.backend, target.canary, now);
                }
            }
        }
        let mut leaving = lock(&self.observing().leaving);
        leaving.retain(|(backend, canary)| {
            let alone = Arc::strong_count(backend) == 1;
            take(backend, *canary, if alone { None } else { now });
            !alone
        });
        observations
    }
}
