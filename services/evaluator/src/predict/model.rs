//! A loaded model over a layout: batches, limits, and whose fault a failure is.

use super::{Answer, Classes, Outputs, Raw, Reading};
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
    reading: Option<Reading>,
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
            reading: None,
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

    /// Decides how this model's answers are read, from those of the main run.
    ///
    /// # Errors
    /// [`Error::DoesNotFit`] where they cannot be read.
    pub fn learn(&mut self, raw: &[Raw]) -> Result<(), Error> {
        self.reading = Some(Reading::of(raw, &self.outputs, &self.classes)?);
        Ok(())
    }

    /// How answers are read, once that is decided.
    pub fn reading(&self) -> Option<&Reading> {
        self.reading.as_ref()
    }

    /// Whether classes come with scores.
    pub fn scored(&self) -> bool {
        self.reading.as_ref().is_some_and(Reading::scored)
    }

    /// What raw answers mean.
    pub fn read(&self, raw: Vec<Raw>) -> Vec<Answer> {
        let one = |raw: Raw| match (&self.reading, raw) {
            (Some(reading), raw) => reading.answer(raw, &self.classes),
            (None, Raw::Value(value)) => Answer::Value(value),
            (None, Raw::Failed(why)) => Answer::Failed(why),
            (None, Raw::Class { .. }) => Answer::Failed("nobody looked how its answers are read".to_owned()),
        };
        raw.into_iter().map(one).collect()
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
        let raw = match self.layout.refuses(sample) {
            Some(why) => vec![Raw::Failed(why)],
            None => self.run(&[sample]).await?,
        };
        let took = began.elapsed();
        Ok((self.read(raw).pop().unwrap_or_else(|| Answer::Failed("no answer".to_owned())), took))
    }

    /// An answer for each sample, in order. Rows on which the model fails are [`Answer::Failed`]; a batch that fails is
    /// halved until the rows are found that do.
    ///
    /// # Errors
    /// [`Error::Cancelled`], [`Error::DoesNotFit`], or a host that fails: never for a model that fails.
    pub async fn answer(&self, samples: &[Sample]) -> Result<Vec<Answer>, Error> {
        Ok(self.read(self.raw(samples).await?))
    }

    /// As [`Model::answer`], before it is known what the outputs mean. A row that no input can hold has failed without a
    /// run: a request for it would be refused.
    ///
    /// # Errors
    /// As [`Model::answer`].
    pub async fn raw(&self, samples: &[Sample]) -> Result<Vec<Raw>, Error> {
        let mut answers: Vec<Option<Raw>> =
            samples.iter().map(|sample| self.layout.refuses(sample).map(Raw::Failed)).collect();
        let open: Vec<usize> = (0..samples.len()).filter(|at| answers[*at].is_none()).collect();
        for chunk in open.chunks(self.batch) {
            // Parts still to run, the next one last.
            let mut parts: Vec<&[usize]> = vec![chunk];
            while let Some(part) = parts.pop() {
                let rows: Vec<&Sample> = part.iter().map(|at| &samples[*at]).collect();
                let got = self.run(&rows).await?;
                let failed = got.iter().any(|answer| matches!(answer, Raw::Failed(_)));
                if failed && part.len() > 1 && self.overtime.load(Ordering::Relaxed) < PATIENCE {
                    let (left, right) = part.split_at(part.len() / 2);
                    parts.extend([right, left]);
                } else {
                    part.iter().zip(got).for_each(|(at, answer)| answers[*at] = Some(answer));
                }
            }
        }
        let missing = || Raw::Failed("no answer".to_owned());
        Ok(answers.into_iter().map(|answer| answer.unwrap_or_else(missing)).collect())
    }

    /// One run. A fault of the model is a failure of all its rows.
    async fn run(&self, samples: &[&Sample]) -> Result<Vec<Raw>, Error> {
        if self.stop.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let failed = |why: String| Ok(vec![Raw::Failed(why); samples.len()]);
        if PATIENCE <= self.overtime.load(Ordering::Relaxed) {
            return failed("given up: earlier runs took too long".to_owned());
        }
        let tensors = self.layout.tensors(samples)?;
        match self.session.run(tensors, self.outputs.names(), self.options()).await {
            Ok(answer) => {
                self.rows.fetch_add(samples.len() as u64, Ordering::Relaxed);
                self.busy_us.fetch_add(answer.timings.run().as_micros() as u64, Ordering::Relaxed);
                let batch = self.layout.fixed_rows.unwrap_or(samples.len());
                self.outputs.read(&answer.outputs, samples.len(), batch)
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
        RunOptions {
            deadline: Instant::now().checked_add(self.limit),
            cancel: Some(self.stop.clone()),
            ..RunOptions::default()
        }
    }

    fn host(&self, error: EngineError) -> Error {
        match error {
            EngineError::Cancelled => Error::Cancelled,
            // A row that no engine takes.
            EngineError::BadInput(fields) => {
                Error::unfit("rows", fields.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
            }
            error => error.into(),
        }
    }
}
