//! A loaded model over a layout: batches, limits, and whose fault a failure is.

use super::{Answer, Classes, Outputs};
use crate::{Error, Limits, rows::Layout, rows::Sample};
use engine::{EngineError, FaultKind, RunOptions, Session};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// Runs over their time after which a model is not asked again.
const PATIENCE: usize = 3;

/// A model that answers samples.
#[derive(Debug)]
pub struct Model {
    session: Arc<dyn Session>,
    layout: Layout,
    outputs: Outputs,
    classes: Classes,
    batch: usize,
    limit: Duration,
    stop: CancellationToken,
    overtime: AtomicUsize,
    rows: AtomicU64,
    busy_us: AtomicU64,
}

impl Model {
    /// Over a session; `stop` ends it between and within runs.
    pub fn new(
        session: Arc<dyn Session>,
        layout: Layout,
        outputs: Outputs,
        classes: Classes,
        batch: usize,
        limits: &Limits,
        stop: CancellationToken,
    ) -> Self {
        let batch = layout.fixed_rows.unwrap_or(batch).max(1);
        Self {
            session,
            layout,
            outputs,
            classes,
            batch,
            limit: limits.run(),
            stop,
            overtime: AtomicUsize::new(0),
            rows: AtomicU64::new(0),
            busy_us: AtomicU64::new(0),
        }
    }

    /// Where values stand in the inputs.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The classes.
    pub fn classes(&self) -> &Classes {
        &self.classes
    }

    /// Whether classes come with scores.
    pub fn scored(&self) -> bool {
        self.outputs.scored()
    }

    /// Rows that run at once.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// Rows run since the last call, and the time that the model took for them.
    pub fn take_work(&self) -> (u64, Duration) {
        (self.rows.swap(0, Ordering::Relaxed), Duration::from_micros(self.busy_us.swap(0, Ordering::Relaxed)))
    }

    /// Runs every instance once on made-up inputs.
    ///
    /// # Errors
    /// [`Error::Cancelled`], or a host that fails.
    pub async fn warm_up(&self) -> Result<(), Error> {
        match self.session.warm_up(self.options()).await {
            Ok(()) | Err(EngineError::Deadline { .. }) => Ok(()),
            Err(error) => Err(self.host(error)),
        }
    }

    /// One row, and how long the answer took.
    ///
    /// # Errors
    /// As [`Model::answer`].
    pub async fn timed(&self, sample: &Sample) -> Result<(Answer, Duration), Error> {
        let began = Instant::now();
        let mut answers = self.run(&[sample]).await?;
        let took = began.elapsed();
        Ok((answers.pop().unwrap_or_else(|| Answer::Failed("no answer".to_owned())), took))
    }

    /// An answer for each sample, in order. Rows on which the model fails are [`Answer::Failed`]; a batch that fails is
    /// halved until the rows are found that do.
    ///
    /// # Errors
    /// [`Error::Cancelled`], [`Error::DoesNotFit`], or a host that fails: never for a model that fails.
    pub async fn answer(&self, samples: &[Sample]) -> Result<Vec<Answer>, Error> {
        let mut answers = Vec::with_capacity(samples.len());
        for chunk in samples.chunks(self.batch) {
            // Parts still to run, the next one last.
            let mut parts: Vec<Vec<&Sample>> = vec![chunk.iter().collect()];
            while let Some(part) = parts.pop() {
                let got = self.run(&part).await?;
                let failed = got.iter().any(|answer| matches!(answer, Answer::Failed(_)));
                if failed && part.len() > 1 && self.overtime.load(Ordering::Relaxed) < PATIENCE {
                    let (left, right) = part.split_at(part.len() / 2);
                    parts.extend([right.to_vec(), left.to_vec()]);
                } else {
                    answers.extend(got);
                }
            }
        }
        Ok(answers)
    }

    /// One run. A fault of the model is a failure of all its rows.
    async fn run(&self, samples: &[&Sample]) -> Result<Vec<Answer>, Error> {
        if self.stop.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let failed = |why: String| Ok(vec![Answer::Failed(why); samples.len()]);
        if PATIENCE <= self.overtime.load(Ordering::Relaxed) {
            return failed("given up: earlier runs took too long".to_owned());
        }
        let tensors = self.layout.tensors(samples)?;
        match self.session.run(tensors, self.outputs.names(), self.options()).await {
            Ok(answer) => {
                self.rows.fetch_add(samples.len() as u64, Ordering::Relaxed);
                self.busy_us.fetch_add(answer.timings.run().as_micros() as u64, Ordering::Relaxed);
                let batch = self.layout.fixed_rows.unwrap_or(samples.len());
                self.outputs.read(&answer.outputs, samples.len(), batch, &self.classes)
            }
            Err(EngineError::Deadline { .. }) => {
                self.overtime.fetch_add(1, Ordering::Relaxed);
                failed(format!("took longer than {} s", self.limit.as_secs()))
            }
            Err(error) if error.fault() == FaultKind::Model => failed(error.to_string()),
            Err(error) => Err(self.host(error)),
        }
    }

    fn options(&self) -> RunOptions {
        RunOptions { deadline: Instant::now().checked_add(self.limit), cancel: self.stop.clone() }
    }

    fn host(&self, error: EngineError) -> Error {
        match error {
            EngineError::Cancelled => Error::Cancelled,
            // A row that no engine takes, such as a text with a zero byte.
            EngineError::BadInput(fields) => {
                Error::unfit("rows", fields.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
            }
            error => error.into(),
        }
    }
}
