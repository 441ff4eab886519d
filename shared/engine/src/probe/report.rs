//! What the service tells the worker, and what the worker answers.

use serde::{Deserialize, Serialize};

use crate::{EngineError, Limits};

/// Characters of a reason at most.
const WHY: usize = 8000;

/// The first line of the worker's input; the bytes of the model follow.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Job {
    /// Bytes of the model.
    pub bytes: usize,
    /// Address space, bytes.
    pub memory: u64,
    /// Processor time.
    pub cpu_s: u64,
    /// Real time, which the service keeps.
    pub wall_s: u64,
    /// What inspection allows.
    pub limits: Limits,
}

/// The worker's answer, one line.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Report {
    /// `sha256:<hex>` of what was tried.
    pub digest: String,
    /// Most memory that was in use at a time, bytes.
    pub peak_bytes: u64,
    /// Whether the worker had no network.
    pub no_network: bool,
    /// Why the model did not pass.
    pub fault: Option<Fault>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Fault {
    pub kind: Kind,
    pub why: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Kind {
    /// By inspection or by ONNX Runtime, in its words.
    Refused,
    /// The memory ended.
    Memory,
    /// The processors have no implementation of one of its operators.
    NoKernel,
    /// The worker could not work: says nothing about the model.
    Host,
}

impl Fault {
    pub fn new(kind: Kind, why: &str) -> Self {
        Self { kind, why: line(why) }
    }

    /// Why a load failed.
    pub fn of_load(error: &EngineError) -> Self {
        let why = match error {
            EngineError::Load(why) | EngineError::ModelFault(why) => why.clone(),
            other => other.to_string(),
        };
        let kind = if out_of_memory(&why) {
            Kind::Memory
        } else if !matches!(error, EngineError::Load(_) | EngineError::ModelFault(_)) {
            Kind::Host
        } else if why.contains("Could not find an implementation") {
            Kind::NoKernel
        } else {
            Kind::Refused
        };
        Self::new(kind, &why)
    }

    /// Why a run on made-up values says that the model must not be loaded; that it refuses such values does not.
    pub fn of_run(error: &EngineError) -> Option<Self> {
        match error {
            EngineError::ModelFault(why) if out_of_memory(why) => Some(Self::new(Kind::Memory, why)),
            EngineError::ModelFault(_) | EngineError::BadInput(_) => None,
            other => Some(Self::new(Kind::Host, &other.to_string())),
        }
    }

    /// As the service says it.
    pub fn error(&self, job: &Job) -> EngineError {
        let why = line(&self.why);
        match self.kind {
            Kind::Refused | Kind::NoKernel => EngineError::Load(why),
            Kind::Memory => {
                tried(&format!("it asked for more than {} MiB of memory ({why})", job.memory >> 20))
            }
            Kind::Host => EngineError::Host(format!("the worker that tries models failed: {why}")),
        }
    }
}

/// A refusal of what was found in the worker.
pub(super) fn tried(why: &str) -> EngineError {
    EngineError::Load(format!("tried in a worker process, {why}"))
}

/// Whether an allocator or a runtime says that memory is at an end.
pub(crate) fn out_of_memory(message: &str) -> bool {
    const SAID: [&str; 6] = [
        "bad_alloc",
        "Failed to allocate memory",
        "memory allocation of",
        "Cannot allocate memory",
        "cannot allocate memory",
        "bad allocation",
    ];
    SAID.iter().any(|said| message.contains(said))
}

/// One line without characters that change what a terminal shows: the worker's words are a stranger's.
pub(super) fn line(text: &str) -> String {
    let mut out = String::new();
    for c in text.trim().chars().take(WHY) {
        if c.is_control() || crate::inspect::is_invisible(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}
