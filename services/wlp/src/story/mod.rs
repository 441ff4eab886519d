//! The story of one model, from plan to production and back out (§3 to §11), told over a mesh that may be in this process
//! or anywhere: the demo tells it on a fast clock with real models, scenario tests on a manual one.
//!
//! Every file is a phase: functions over [`Story`] that call the services as the role that the procedure names. A step that
//! must be refused is a step too: [`Story::refused`] calls what must not pass and tells the refusal.

mod actors;
mod canary;
mod comparison;
mod dataset;
mod deployment;
mod documents;
mod drift;
mod evaluation;
mod feedback;
mod findings;
mod fragile;
mod ladder;
mod load;
mod makers;
pub mod names;
mod pace;
mod plan;
mod proofs;
mod refusals;
mod retirement;
mod reviews;
mod source;
mod teller;
mod training;
mod watched;
mod whole;
mod worse;

use std::fmt::Debug;
use std::future::Future;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use storage::Digest;

pub use actors::{Actors, operation_of as operation};
pub use canary::climb;
pub use comparison::{Baseline, Comparison, Measured, Score};
pub use dataset::{build_dataset, build_dirty, dataset, digits_plan};
pub use deployment::prepare;
pub use documents::document;
pub use drift::drift;
pub use evaluation::{evaluate, gate, import_tests};
pub use feedback::{close_feedback, collect_feedback};
pub use findings::{failures, finding_line};
pub use fragile::fragile;
pub use ladder::{Release, register, release};
pub use load::{Burst, Load, Shape};
pub use makers::{Data, Makers, Shortlist, Suite, Trained, Variant};
pub use pace::{FilePace, ManualPace, Pace};
pub use plan::plan;
pub use proofs::proofs;
pub use refusals::status_of;
pub use retirement::retire;
pub use reviews::{ethics, quality};
pub use source::source;
pub use teller::{Outcome, Quiet, Teller};
pub use training::train;
pub use whole::{first_release, plan_and_data, tell};
pub use worse::worse;

use crate::reach::Reach;
use crate::refusal;
use refusals::{complete, meets, passing};

/// Longest real time that a wait may take.
const PATIENCE: Duration = Duration::from_mins(4);
/// Most steps of a wait, for clocks that do not run by themselves.
const STEPS: usize = 4000;

/// A story in the telling.
pub struct Story {
    /// Typed clients of everybody.
    pub actors: Actors,
    /// Makes data, models and test reports.
    pub makers: Arc<dyn Makers>,
    /// Moves the clock.
    pub pace: Arc<dyn Pace>,
    /// Traffic.
    pub load: Load,
    /// Where documents and evidence are written.
    pub folder: PathBuf,
    teller: Arc<dyn Teller>,
    outcomes: Mutex<Vec<Outcome>>,
}

impl Story {
    /// A story over a mesh.
    pub fn new(
        reach: Arc<dyn Reach>,
        makers: Arc<dyn Makers>,
        pace: Arc<dyn Pace>,
        teller: Arc<dyn Teller>,
        folder: PathBuf,
    ) -> Self {
        let actors = Actors::new(reach);
        Self { actors, makers, pace, load: Load::default(), folder, teller, outcomes: Mutex::default() }
    }

    /// What happened so far.
    pub fn outcomes(&self) -> Vec<Outcome> {
        self.outcomes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether every step came out as it must.
    pub fn as_expected(&self) -> bool {
        self.outcomes().iter().all(|outcome| outcome.expected)
    }

    /// A step that must succeed: what it gives, and what to tell of it.
    ///
    /// # Errors
    /// What the step failed with; it is told, and the story cannot go on.
    pub async fn step<T>(
        &self,
        title: &str,
        clause: &str,
        work: impl Future<Output = anyhow::Result<(T, String)>>,
    ) -> anyhow::Result<T> {
        let start = self.begin(title);
        match work.await {
            Ok((value, said)) => {
                self.tell(title, clause, said, true, start);
                Ok(value)
            }
            Err(error) => {
                self.tell(title, clause, format!("FAILED: {}", refusal::of_error(&error)), false, start);
                Err(error.context(title.to_owned()))
            }
        }
    }

    /// A call that must be refused for one of the `reasons` (`REASON`, or `REASON/words of its message`; where the refusal
    /// carries no reason, the clause that the message begins with). Accepted, or refused otherwise, or without clause and
    /// requirement, it is told as a failure and the story goes on.
    pub async fn refused<T: Debug>(
        &self,
        title: &str,
        clause: &str,
        reasons: &[&str],
        work: impl Future<Output = anyhow::Result<T>>,
    ) {
        let start = self.begin(title);
        let (said, expected) = match work.await {
            Ok(_) => (format!("ACCEPTED, required: refused with {}", reasons.join(" or ")), false),
            Err(error) => match status_of(&error) {
                Some(status) => {
                    let expected = reasons.iter().any(|wanted| meets(status, wanted)) && complete(status);
                    let said = format!("refused: {}", refusal::text(status));
                    let wanted = if expected {
                        String::new()
                    } else {
                        format!(" (required: {})", reasons.join(" or "))
                    };
                    (said + &wanted, expected)
                }
                None => (format!("FAILED: {error:#}"), false),
            },
        };
        self.tell(title, clause, said, expected, start);
    }

    /// Something that was observed and is right or wrong.
    pub fn note(&self, title: &str, clause: &str, said: impl Into<String>, expected: bool) {
        self.tell(title, clause, said.into(), expected, Instant::now());
    }

    /// A new part begins.
    pub fn chapter(&self, title: &str) {
        self.teller.chapter(title);
    }

    fn begin(&self, title: &str) -> Instant {
        self.teller.begin(title);
        Instant::now()
    }

    fn tell(&self, title: &str, clause: &str, said: String, expected: bool, start: Instant) {
        let outcome = Outcome {
            title: title.to_owned(),
            clause: clause.to_owned(),
            said,
            expected,
            took: start.elapsed(),
        };
        self.teller.end(&outcome);
        self.outcomes.lock().unwrap_or_else(PoisonError::into_inner).push(outcome);
    }

    /// Waits for a fact under load: each turn asks `probe`, then sends a burst and lets a little time pass. A service that
    /// is away for a while is asked again.
    ///
    /// # Errors
    /// What `probe` fails with, or that the fact did not come.
    pub async fn until<T>(
        &self,
        what: &str,
        shape: Shape,
        mut probe: impl AsyncFnMut() -> anyhow::Result<Option<T>>,
    ) -> anyhow::Result<T> {
        let start = Instant::now();
        let mut last = String::new();
        for turn in 0..STEPS {
            match probe().await {
                Ok(Some(fact)) => return Ok(fact),
                Ok(None) => {}
                Err(error) if passing(&error) => last = format!(": {error:#}"),
                Err(error) => return Err(error.context(what.to_owned())),
            }
            if PATIENCE < start.elapsed() {
                break;
            }
            let sent = self.load.burst(&self.actors, shape).await?;
            self.teller.progress(&format!("{what}: turn {turn}, {sent}"));
            self.pace.step().await;
        }
        anyhow::bail!("{what} did not come within {} s{last}", start.elapsed().as_secs())
    }

    /// Keeps a text as evidence: writes it under the story's folder and gives its digest.
    ///
    /// # Errors
    /// Of the file system.
    pub fn evidence(&self, name: &str, text: &str) -> anyhow::Result<String> {
        let folder = self.folder.join("evidence");
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        std::fs::write(folder.join(format!("{name}.txt")), text).context("cannot keep evidence")?;
        Ok(Digest::of(text.as_bytes()).to_string())
    }
}
