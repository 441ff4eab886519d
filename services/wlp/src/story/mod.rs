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
mod fragile;
mod ladder;
mod load;
mod makers;
mod pace;
mod plan;
mod proofs;
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
use contracts::common::v1::Finding;
use storage::Digest;
use tonic::{Code, Status};

pub use actors::{Actors, operation_of as operation};
pub use canary::climb;
pub use comparison::{Baseline, Comparison, Measured, Score};
pub use dataset::{build_dataset, build_dirty, dataset, digits_plan};
pub use deployment::prepare;
pub use documents::document;
pub use drift::drift;
pub use evaluation::{evaluate, gate, import_tests};
pub use feedback::{close_feedback, collect_feedback};
pub use fragile::fragile;
pub use ladder::{Release, register, release};
pub use load::{Burst, Load, Shape};
pub use makers::{Data, Makers, Shortlist, Suite, Trained, Variant};
pub use pace::{FilePace, ManualPace, Pace};
pub use plan::plan;
pub use proofs::proofs;
pub use retirement::retire;
pub use reviews::{ethics, quality};
pub use source::source;
pub use teller::{Outcome, Quiet, Teller};
pub use training::train;
pub use whole::{first_release, plan_and_data, tell};
pub use worse::worse;

use crate::reach::Reach;
use crate::refusal;

/// Names of what the story makes.
pub mod names {
    /// The model line.
    pub const PROJECT: &str = "projects/digits";
    /// Where the data comes from.
    pub const SOURCE: &str = "dataSources/sklearn-digits";
    /// The data.
    pub const DATASET: &str = "datasets/digits";
    /// Its fit version.
    pub const DATASET_VERSION: &str = "datasets/digits/versions/1.0.0";
    /// The model.
    pub const MODEL: &str = "models/digits";
    /// The endpoint: `model_name` of the Open Inference Protocol.
    pub const ENDPOINT: &str = "digits";
    /// The deployment.
    pub const DEPLOYMENT: &str = "deployments/digits";
    /// Who writes the plan: an ML engineer who is ML lead too.
    pub const PLANNER: &str = "engineer-and-lead";
    /// Who makes the versions: an ML engineer who is QA engineer too.
    pub const AUTHOR: &str = "engineer-and-tester";
}

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

/// Whether a refusal is the one that is wanted.
fn meets(status: &Status, wanted: &str) -> bool {
    let (reason, words) = wanted.split_once('/').unwrap_or((wanted, ""));
    match runtime::status::reason(status) {
        Some(told) => told == reason && status.message().contains(words),
        // An operation keeps code and message of its failure: there the clause has to do.
        None => status.message().starts_with(wanted),
    }
}

/// Whether a refusal names its clause and what was required (what was observed stands between the two).
fn complete(status: &Status) -> bool {
    status.message().contains('§') && status.message().contains("required")
}

/// The refusal in a chain of causes.
pub fn status_of(error: &anyhow::Error) -> Option<&Status> {
    error.chain().find_map(|cause| cause.downcast_ref())
}

/// A service that is away, for the moment.
fn passing(error: &anyhow::Error) -> bool {
    let codes = [Code::Unavailable, Code::DeadlineExceeded, Code::Aborted, Code::Unknown];
    status_of(error).is_some_and(|status| codes.contains(&status.code()))
}

/// A finding in one line: clause, what was looked at, what was required and observed.
pub fn finding_line(finding: &Finding) -> String {
    let Finding { clause, subject, required, observed, .. } = finding;
    let verdict =
        finding.verdict().as_str_name().trim_start_matches("VERDICT_").to_lowercase().replace('_', " ");
    format!("{verdict:14} {clause} {subject} {observed}, required {required}")
}

/// The findings that do not pass, in one line.
pub fn failures(findings: &[Finding]) -> String {
    use contracts::common::v1::Verdict;
    let open = |one: &&Finding| !matches!(one.verdict(), Verdict::Pass | Verdict::NotApplicable);
    let told =
        |one: &Finding| format!("{} {} {}, required {}", one.clause, one.subject, one.observed, one.required);
    findings.iter().filter(open).map(told).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(message: &str) -> Status {
        runtime::status(Code::FailedPrecondition, "PLAN_INCOMPLETE", message, [])
    }

    #[test]
    fn a_refusal_is_known_by_reason_and_words() {
        let separated = refusal("§4.3 plan approver a, required someone who did not contribute");
        assert!(meets(&separated, "PLAN_INCOMPLETE"));
        assert!(meets(&separated, "PLAN_INCOMPLETE/someone who did not contribute"));
        assert!(!meets(&separated, "PLAN_INCOMPLETE/six inputs"));
        assert!(!meets(&separated, "ROLE_REQUIRED"));
        assert!(meets(&Status::failed_precondition("§5.1 source: required approved"), "§5.1"));
    }

    #[test]
    fn a_refusal_without_clause_or_requirement_is_not_complete() {
        assert!(complete(&refusal("§4.3 plan approver a, required someone else")));
        assert!(!complete(&refusal("a may not do that")));
    }
}
