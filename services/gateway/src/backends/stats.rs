//! Counts of one backend since it was loaded, for ModelStatistics and ListBackends.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use contracts::inference::{InferStatistics, ModelStatistics, StatisticDuration};

use crate::breaker::Fault;

/// How a routed request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Answered.
    Answered,
    /// Failed, and by whom.
    Failed(Fault),
}

/// Counters; durations in nanoseconds.
#[derive(Debug, Default)]
pub struct Stats {
    answered: Pair,
    failed: Pair,
    queue: Pair,
    batch: Pair,
    compute: Pair,
    hit: Pair,
    missed: Pair,
    rows: AtomicU64,
    model_faults: AtomicU64,
    last_ms: AtomicU64,
}

#[derive(Debug, Default)]
struct Pair {
    count: AtomicU64,
    nanos: AtomicU64,
}

impl Pair {
    fn add(&self, took: Duration) {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.nanos.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn wire(&self) -> StatisticDuration {
        let (count, ns) = (self.count.load(Ordering::Relaxed), self.nanos.load(Ordering::Relaxed));
        StatisticDuration { count, ns }
    }
}

impl Stats {
    /// Counts an ended request.
    pub fn ended(&self, outcome: Outcome, took: Duration, now: SystemTime) {
        match outcome {
            Outcome::Answered => self.answered.add(took),
            Outcome::Failed(fault) => {
                self.failed.add(took);
                if fault == Fault::Model {
                    self.model_faults.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        self.last_ms.store(u64::try_from(since.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Counts an answer of the model.
    pub fn ran(&self, rows: usize, queue: Duration, batch: Duration, compute: Duration) {
        self.rows.fetch_add(rows as u64, Ordering::Relaxed);
        self.queue.add(queue);
        self.batch.add(batch);
        self.compute.add(compute);
    }

    /// Counts an answer from the response cache, and the time to find it.
    pub fn hit(&self, took: Duration) {
        self.hit.add(took);
    }

    /// Counts an answer that was not in the response cache, and the time to look for it and to put it there.
    pub fn missed(&self, took: Duration) {
        self.missed.add(took);
    }

    /// Requests that were routed here and ended.
    pub fn requests(&self) -> u64 {
        self.answered.count.load(Ordering::Relaxed) + self.failed.count.load(Ordering::Relaxed)
    }

    /// Of those, failed by the model.
    pub fn model_faults(&self) -> u64 {
        self.model_faults.load(Ordering::Relaxed)
    }

    /// In the protocol's form, with the runs that the engine counts.
    pub fn wire(&self, name: &str, version: &str, runs: u64) -> ModelStatistics {
        let answers = self.compute.count.load(Ordering::Relaxed);
        ModelStatistics {
            name: name.to_owned(),
            version: version.to_owned(),
            last_inference: self.last_ms.load(Ordering::Relaxed),
            inference_count: self.rows.load(Ordering::Relaxed),
            execution_count: runs,
            inference_stats: Some(InferStatistics {
                success: Some(self.answered.wire()),
                fail: Some(self.failed.wire()),
                queue: Some(self.queue.wire()),
                compute_input: Some(self.batch.wire()),
                compute_infer: Some(self.compute.wire()),
                compute_output: Some(StatisticDuration { count: answers, ns: 0 }),
                cache_hit: Some(self.hit.wire()),
                cache_miss: Some(self.missed.wire()),
            }),
            ..ModelStatistics::default()
        }
    }
}
