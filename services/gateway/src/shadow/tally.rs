//! What was seen of one version in the shadow.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use engine::Tensor;
use statistics::LatencySketch;

use super::compare::{self, OutputTally};
use super::meters::VersionMeters;

/// How a copy ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The model failed.
    ModelFault,
    /// This host could not run it.
    HostFault,
    /// The request does not fit this version's signature.
    Incompatible,
    /// There was no room for it to wait.
    Dropped,
}

/// Counts and differences since the version came into the shadow.
#[derive(Debug)]
pub struct Tally {
    meters: VersionMeters,
    seen: Mutex<Seen>,
}

/// A copy of the numbers.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// Copies that both versions answered.
    pub compared: u64,
    /// Faults of the model.
    pub model_faults: u64,
    /// Faults of this host.
    pub host_faults: u64,
    /// Requests that do not fit.
    pub incompatible: u64,
    /// Copies that had no room.
    pub dropped: u64,
    /// By output.
    pub outputs: BTreeMap<String, OutputTally>,
    /// Time in the model that answered its caller, milliseconds, of the requests that are compared.
    pub production: LatencySketch,
    /// Time in the model in the shadow, milliseconds, of the same requests.
    pub shadow: LatencySketch,
}

impl Tally {
    /// Nothing seen.
    pub fn new(meters: VersionMeters) -> Self {
        Self { meters, seen: Mutex::default() }
    }

    /// Counts a copy that could not be compared.
    pub fn ended(&self, how: Ended) {
        let mut seen = self.lock();
        let (count, counter) = match how {
            Ended::ModelFault => (&mut seen.model_faults, &self.meters.model_fault),
            Ended::HostFault => (&mut seen.host_faults, &self.meters.host_fault),
            Ended::Incompatible => (&mut seen.incompatible, &self.meters.incompatible),
            Ended::Dropped => (&mut seen.dropped, &self.meters.dropped),
        };
        *count += 1;
        counter.inc();
    }

    /// Compares what both versions gave for one request, and how long each was in the model.
    pub fn compared(
        &self,
        (production, took): (&[Tensor], Duration),
        (shadow, shadow_took): (&[Tensor], Duration),
    ) {
        // Before the lock is taken: a request that hands over, and finds no room, takes it too.
        let mut own = BTreeMap::new();
        compare::count(&mut own, production, shadow);
        let outputs = {
            let mut seen = self.lock();
            seen.compared += 1;
            for (output, tally) in own {
                seen.outputs.entry(output).or_default().add(&tally);
            }
            // Times are never negative and never infinite.
            let _ = seen.production.add(took.as_secs_f64() * 1e3);
            let _ = seen.shadow.add(shadow_took.as_secs_f64() * 1e3);
            seen.outputs.clone()
        };
        self.meters.compared.inc();
        self.meters.production.observe(took.as_secs_f64());
        self.meters.shadow.observe(shadow_took.as_secs_f64());
        self.meters.show(&outputs);
    }

    /// The numbers as they are.
    pub fn seen(&self) -> Seen {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
