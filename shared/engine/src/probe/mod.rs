//! The first load and the first run of a model, in a process that is thrown away.
//!
//! A file that passes inspection can still take the process with it: a division that the processor refuses, a constant
//! that asks for a terabyte, a loop without end. So a model is tried first in a worker: this program started once more, which
//! limits its own memory, processor time and rights, reads the model from its standard input, loads it, runs it once on
//! made-up values, and answers with one line. Only then the service loads the file itself.
//!
//! - [`Probed`] is an [`Engine`] around another that does this before it loads; [`ProbeOptions::around`] makes one.
//! - `confine.rs` is what the worker may not do, `worker.rs` what it does, `start.rs` how it is started and heard.
//! - `marks.rs` remembers by digest what passed, also over restarts; `report.rs` is what the two processes say.
//!
//! # What is not isolated
//! The worker has the user and the file system of the service: it may read what the service may read (it writes no file,
//! and its network is cut off only where the kernel gives it one of its own). It is a guard against models that break or
//! exhaust a process; a model that takes the worker over by a flaw of ONNX Runtime can answer what it likes. What a model
//! does on the values of later requests is limited by [`crate::RunOptions::limit`] alone.

mod confine;
mod marks;
mod report;
mod start;
mod worker;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use crate::inspect::sha256;
use crate::{Engine, EngineError, LoadOptions, Provider, Session};
use marks::Marks;
use report::{Fault, Job, Kind, Report};
use start::Worker;

pub(crate) use report::out_of_memory;
pub use worker::answer_if_asked;

/// Workers at a time: each may take the whole of its memory.
const AT_ONCE: usize = 2;
/// A model that was refused is not tried again for this long: a caller that repeats its load pays nothing for it.
const REFUSED_FOR: Duration = Duration::from_secs(600);
/// Refusals that are remembered at most.
const REFUSALS: usize = 1024;
/// Memory beside [`ProbeOptions::memory_mib`] for each byte of the file: read, parsed, copied and laid out for the
/// processor, the same model is in memory several times.
const TIMES_FILE: u64 = 8;

/// What the trial of a model may take: `[infer.probe]` of the gateway, `[limits.probe]` of the evaluator, `[probe]` of the
/// registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProbeOptions {
    /// Whether models are tried in a process of their own before the service loads them.
    pub on: bool,
    /// Address space of the worker in MiB, beside eight times the size of the model; its programs and libraries, some
    /// 500 MiB, are in it.
    pub memory_mib: u64,
    /// Processor time of the worker, all its threads together, seconds.
    pub cpu_s: u64,
    /// Real time of the worker, seconds.
    pub wall_s: u64,
    /// Whether a model that the processors cannot run, and that is to run on another provider, may be loaded without having
    /// been tried: the worker has processors only.
    pub allow_untried: bool,
}

impl Default for ProbeOptions {
    fn default() -> Self {
        Self { on: true, memory_mib: 2048, cpu_s: 120, wall_s: 180, allow_untried: false }
    }
}

impl ProbeOptions {
    /// The engine, with the trial before each first load unless it is switched off. What passed is kept in the folder
    /// `marks`, which is made when there is something to keep.
    pub fn around(&self, engine: impl Engine + 'static, marks: impl Into<PathBuf>) -> Arc<dyn Engine> {
        if self.on {
            return Arc::new(Probed::new(engine, self.clone(), marks));
        }
        tracing::warn!(
            "models are loaded without having been tried in a process of their own: probe.on is false"
        );
        Arc::new(engine)
    }

    /// Bytes of address space for a model of this size.
    fn memory(&self, model: usize) -> u64 {
        self.memory_mib.saturating_mul(1 << 20).saturating_add((model as u64).saturating_mul(TIMES_FILE))
    }
}

/// An engine that loads no model that has not been loaded and run in a worker process.
///
/// The worker uses ONNX Runtime on the processors, whatever the engine is.
#[derive(Debug)]
pub struct Probed<E> {
    engine: E,
    options: ProbeOptions,
    program: PathBuf,
    marks: Marks,
    refused: Mutex<HashMap<String, (Instant, EngineError)>>,
    room: Semaphore,
}

impl<E: Engine> Probed<E> {
    /// An engine around another; what passed is kept in the folder `marks`. The worker is this program itself, whose main
    /// must begin with [`answer_if_asked`].
    pub fn new(engine: E, options: ProbeOptions, marks: impl Into<PathBuf>) -> Self {
        Self {
            engine,
            options,
            program: this_program(),
            marks: Marks::new(marks.into()),
            refused: Mutex::default(),
            room: Semaphore::new(AT_ONCE),
        }
    }

    /// Another program as the worker; its main must begin with [`answer_if_asked`].
    #[must_use]
    pub fn with_program(mut self, program: impl AsRef<Path>) -> Self {
        self.program = program.as_ref().to_owned();
        self
    }

    /// Returns once the model of this digest may be loaded.
    async fn pass(&self, model: &Bytes, digest: &str, options: &LoadOptions) -> Result<(), EngineError> {
        let runtime = self.engine.describe();
        if self.marks.holds(digest, &runtime, &self.options) {
            return Ok(());
        }
        let _room = self.room.acquire().await.map_err(|_| EngineError::Closed)?;
        if self.marks.holds(digest, &runtime, &self.options) {
            return Ok(()); // another load of the same model was before this one
        }
        if let Some(error) = self.known_refusal(digest) {
            return Err(error);
        }
        let begun = Instant::now();
        match self.tried(model, digest, options).await {
            Ok(report) => {
                tracing::info!(
                    digest,
                    peak_mib = report.peak_bytes >> 20,
                    no_network = report.no_network,
                    ms = begun.elapsed().as_millis() as u64,
                    "the model passed its trial in a worker process"
                );
                self.marks.keep(digest, &runtime, &self.options).await;
                Ok(())
            }
            Err(Refusal::Untried(why)) => {
                tracing::warn!(digest, why, "the model is loaded untried: the processors cannot run it");
                Ok(())
            }
            Err(Refusal::Error(error)) => {
                tracing::warn!(digest, %error, "the model did not pass its trial in a worker process");
                self.remember(digest, &error);
                Err(error)
            }
        }
    }

    /// Starts the worker; its answer if the model passed.
    async fn tried(&self, model: &Bytes, digest: &str, options: &LoadOptions) -> Result<Report, Refusal> {
        let job = Job {
            bytes: model.len(),
            memory: self.options.memory(model.len()),
            cpu_s: self.options.cpu_s,
            wall_s: self.options.wall_s,
            limits: options.limits.clone(),
        };
        let report = Worker { program: &self.program, job: &job }.ask(model).await?;
        match report.fault {
            None if report.digest == digest => Ok(report),
            None => Err(EngineError::Host("the worker tried another model than it was given".into()).into()),
            Some(Fault { kind: Kind::NoKernel, why }) if elsewhere(options) => {
                if self.options.allow_untried {
                    return Err(Refusal::Untried(why));
                }
                let why = format!(
                    "the processors cannot run it, so that it cannot be tried before it is loaded on another provider; \
                     probe.allow_untried lets it through ({why})"
                );
                Err(EngineError::Load(why).into())
            }
            Some(fault) => Err(fault.error(&job).into()),
        }
    }

    fn known_refusal(&self, digest: &str) -> Option<EngineError> {
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.get(digest).filter(|(at, _)| at.elapsed() < REFUSED_FOR).map(|(_, error)| error.clone())
    }

    /// Only what the model is to blame for: a host that failed may do better the next time.
    fn remember(&self, digest: &str, error: &EngineError) {
        if !matches!(error, EngineError::Load(_)) {
            return;
        }
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if refused.len() >= REFUSALS {
            refused.clear();
        }
        refused.insert(digest.to_owned(), (Instant::now(), error.clone()));
    }
}

/// Why a model has not passed.
enum Refusal {
    Error(EngineError),
    /// It could not be tried, and may be loaded all the same.
    Untried(String),
}

impl From<EngineError> for Refusal {
    fn from(error: EngineError) -> Self {
        Self::Error(error)
    }
}

/// Whether the model may run on something else than the processors.
fn elsewhere(options: &LoadOptions) -> bool {
    options.provider.preferred.iter().any(|provider| *provider != Provider::Cpu)
}

/// Linux's own link to the program that runs: it holds when the file was replaced by a newer one.
fn this_program() -> PathBuf {
    let link = Path::new("/proc/self/exe");
    if link.exists() { link.to_owned() } else { std::env::current_exe().unwrap_or_else(|_| link.to_owned()) }
}

#[async_trait::async_trait]
impl<E: Engine> Engine for Probed<E> {
    fn describe(&self) -> String {
        self.engine.describe()
    }

    fn providers(&self) -> Vec<Provider> {
        self.engine.providers()
    }

    async fn load(&self, model: Bytes, options: LoadOptions) -> Result<Arc<dyn Session>, EngineError> {
        // What is too large is refused before anything reads it.
        if model.len() <= options.limits.bytes {
            let file = model.clone();
            let digest = tokio::task::spawn_blocking(move || sha256(&file)).await;
            let digest = digest.map_err(|error| EngineError::Host(error.to_string()))?;
            self.pass(&model, &digest, &options).await?;
        }
        self.engine.load(model, options).await
    }
}
