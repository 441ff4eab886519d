//! What is told of a story.

use std::time::Duration;

/// How a step came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// What was done.
    pub title: String,
    /// Clause of the procedure.
    pub clause: String,
    /// What happened, as the services told it.
    pub said: String,
    /// Whether it came out as it must.
    pub expected: bool,
    /// Real time.
    pub took: Duration,
}

/// Shows progress.
pub trait Teller: Send + Sync {
    /// A new part of the story begins.
    fn chapter(&self, title: &str);
    /// A step begins.
    fn begin(&self, title: &str);
    /// It goes on.
    fn progress(&self, what: &str);
    /// It came out.
    fn end(&self, outcome: &Outcome);
}

/// Tells nothing; for tests, which look at the outcomes.
pub struct Quiet;

impl Teller for Quiet {
    fn chapter(&self, _: &str) {}
    fn begin(&self, _: &str) {}
    fn progress(&self, _: &str) {}
    fn end(&self, _: &Outcome) {}
}
