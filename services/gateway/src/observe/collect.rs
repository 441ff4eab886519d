//! From the seconds that are over to batches in the spool.

use std::sync::Arc;
use std::time::SystemTime;

use contracts::monitor::v1::{ReportObservationsRequest, SampledRequest, VersionObservation};
use prost::Message;

use super::lock;
use crate::backends::Backend;
use crate::gateway::Gateway;

/// Bytes of one batch, near enough: below the usual limit of 4 MiB of a message.
const BATCH_BYTES: usize = 1 << 20;

/// What a batch is made of.
enum Part {
    Observation(Box<VersionObservation>),
    Sample(SampledRequest),
}

impl Part {
    fn bytes(&self) -> usize {
        match self {
            Self::Observation(one) => one.encoded_len(),
            Self::Sample(one) => one.encoded_len(),
        }
    }
}

impl Gateway {
    /// Puts the seconds that are over into the spool; at the stop (`all`) the running one too.
    ///
    /// # Errors
    /// Of the file system; what could not be kept is lost then, and counted.
    pub async fn collect_observations(&self, all: bool) -> std::io::Result<()> {
        let now = (!all).then(|| self.clock().now());
        let observations = self.over(now).into_iter().map(|one| Part::Observation(Box::new(one)));
        let samples = std::mem::take(&mut *lock(&self.observing().samples)).into_iter().map(Part::Sample);
        let batches = self.batches(observations.chain(samples));
        if batches.is_empty() {
            return Ok(());
        }
        let spool = self.observing().spool.clone();
        let append = move || {
            let mut spool = lock(&spool);
            let (mut dropped, mut failed) = (0, Ok(()));
            for batch in batches {
                // One that cannot be kept loses no other.
                match spool.append(&batch.encode_to_vec()) {
                    Ok(gave_way) => dropped += gave_way,
                    Err(error) => (dropped, failed) = (dropped + 1, Err(error)),
                }
            }
            (dropped, failed)
        };
        let (dropped, failed) = tokio::task::spawn_blocking(append).await.map_err(std::io::Error::other)?;
        self.observing().filled.notify_one();
        if dropped > 0 {
            tracing::warn!(
                dropped,
                "observations are lost: the monitor has not taken them for long, or the disk fails"
            );
        }
        self.meters().dropped.inc_by(dropped);
        failed
    }

    /// Batches of about [`BATCH_BYTES`] each.
    fn batches(&self, parts: impl Iterator<Item = Part>) -> Vec<ReportObservationsRequest> {
        let mut batches: Vec<ReportObservationsRequest> = Vec::new();
        let mut bytes = usize::MAX;
        for part in parts {
            let size = part.bytes();
            if bytes.saturating_add(size) > BATCH_BYTES {
                batches.push(self.batch());
                bytes = 0;
            }
            bytes += size;
            match (batches.last_mut(), part) {
                (Some(batch), Part::Observation(one)) => batch.observations.push(*one),
                (Some(batch), Part::Sample(one)) => batch.samples.push(one),
                (None, _) => {}
            }
        }
        batches
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
            // Of a canary, also what its breaker has seen: the monitor replays the verdict from that (reading 5).
            let evidence =
                if canary { self.breakers().evidence(&backend.deployment, &backend.version) } else { 0.0 };
            let windows = backend.observer.take(now);
            observations.extend(windows.into_iter().map(|(second, (window, seen))| VersionObservation {
                breaker_log_e: evidence,
                ..window.wire(seen, backend, canary, second, reference)
            }));
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
