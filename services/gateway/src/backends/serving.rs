//! What one version asks of its requests beside its signature, and how they wait for it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use contracts::inference::ModelConfig;
use engine::{Answer, EngineError, ModelSignature, RunOptions, Session, Tensor};

use crate::config::Infer;
use crate::preprocess::Preprocessor;
use crate::sequence::Sequences;

/// Behind every request that has a level.
const LAST: u32 = u32::MAX;

/// Settings of one version.
#[derive(Debug, Clone)]
pub struct Serving {
    /// Rows of one request at most.
    pub max_rows: usize,
    /// How requests wait.
    pub waiting: Waiting,
    /// Names of classes by output, in the order of the classes; outputs without names are missing.
    pub labels: BTreeMap<String, Vec<String>>,
    /// Answers may be taken from the response cache.
    pub cache: bool,
    /// Requests belong to sequences.
    pub sequences: Option<Arc<Sequences>>,
    /// Callers send raw columns, of which this makes the model's inputs.
    pub preprocessor: Option<Arc<Preprocessor>>,
    /// A configuration that came with the model; `None`: the file alone speaks for it.
    pub stated: Option<Arc<Stated>>,
}

impl From<&Infer> for Serving {
    fn from(infer: &Infer) -> Self {
        Self {
            max_rows: infer.max_rows,
            waiting: Waiting::default(),
            labels: BTreeMap::new(),
            cache: false,
            sequences: None,
            preprocessor: None,
            stated: None,
        }
    }
}

/// A model's configuration, and what it makes of the file's signature.
#[derive(Debug, Clone, PartialEq)]
pub struct Stated {
    /// The configuration as a whole: what it leaves out is filled in from the file.
    pub config: ModelConfig,
    /// The signature, narrowed to what the configuration has.
    pub signature: ModelSignature,
}

impl Stated {
    /// Whether the first dimension of every input and output is the number of rows.
    pub fn is_batched(&self) -> bool {
        self.config.max_batch_size > 0
    }
}

/// The order of waiting requests, and how long they wait.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Levels of priority, 1 goes first; 0: all requests are alike.
    pub levels: u64,
    /// Level of a request that names none.
    pub default_level: u64,
    /// How long requests wait; `None`: as long as their callers do.
    pub policy: Option<QueuePolicy>,
    /// Levels that have a policy of their own.
    pub of_level: BTreeMap<u64, QueuePolicy>,
}

/// How long a request waits, and what becomes of it then.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueuePolicy {
    /// Longest time in the queue; `None`: any.
    pub timeout: Option<Duration>,
    /// A request may shorten it by its parameter `timeout`.
    pub shortened: bool,
    /// What waited too long goes behind all others, and is not refused.
    pub delays: bool,
}

impl Waiting {
    /// Whether the parameter `timeout` of a request is about the queue, and not about the request as a whole.
    pub fn rules_timeouts(&self) -> bool {
        self.policy.is_some()
    }

    /// Where a request stands that asks for that priority and that timeout; a level that does not exist is the last one.
    pub fn place(&self, priority: Option<u64>, timeout: Option<Duration>) -> Place {
        let asked = priority.filter(|level| *level > 0).unwrap_or(self.default_level);
        let level = asked.min(self.levels);
        let policy = self.of_level.get(&level).copied().or(self.policy).unwrap_or_default();
        let wait = match timeout.filter(|_| policy.shortened) {
            Some(asked) => Some(policy.timeout.map_or(asked, |own| own.min(asked))),
            None => policy.timeout,
        };
        Place { priority: u32::try_from(level).unwrap_or(LAST), wait, delays: policy.delays }
    }
}

/// The place of one request in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Who goes first: the smaller number.
    pub priority: u32,
    /// Longest time in the queue; `None`: as long as the caller waits.
    pub wait: Option<Duration>,
    /// After that time it goes behind all others, and is not refused.
    pub delays: bool,
}

impl Place {
    /// Runs a request from this place.
    ///
    /// # Errors
    /// As [`Session::run`]; [`EngineError::Deadline`] if it waited too long and may not wait on.
    pub async fn run(
        self,
        session: &dyn Session,
        inputs: Vec<Tensor>,
        outputs: Vec<String>,
        options: RunOptions,
    ) -> Result<Answer, EngineError> {
        let mut options = RunOptions { priority: self.priority, ..options };
        let Some(wait) = self.wait else { return session.run(inputs, outputs, options).await };
        let again = self.delays.then(|| (inputs.clone(), outputs.clone()));
        let started = options.started.get_or_insert_default().clone();
        let mut run = session.run(inputs, outputs, options.clone());
        tokio::select! {
            biased;
            answer = &mut run => return answer,
            () = tokio::time::sleep(wait) => {}
        }
        if started.load(Ordering::Acquire) {
            return run.await;
        }
        drop(run); // takes it out of the queue
        match again {
            Some((inputs, outputs)) => {
                session.run(inputs, outputs, RunOptions { priority: LAST, ..options }).await
            }
            None => Err(EngineError::Deadline { running: false }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::{Counts, Provider, Timings};
    use std::sync::Mutex;
    use std::time::Instant;

    const fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn levels_and_timeouts_are_those_of_the_policy() {
        let own = QueuePolicy { timeout: Some(ms(5)), shortened: false, delays: true };
        let waiting = Waiting {
            levels: 3,
            default_level: 2,
            policy: Some(QueuePolicy { timeout: Some(ms(50)), shortened: true, delays: false }),
            of_level: [(3, own)].into(),
        };
        let place = |priority, timeout| {
            let place = waiting.place(priority, timeout);
            (place.priority, place.wait, place.delays)
        };
        assert_eq!(place(None, None), (2, Some(ms(50)), false));
        assert_eq!(place(Some(0), Some(ms(20))), (2, Some(ms(20)), false));
        assert_eq!(place(Some(1), Some(ms(90))), (1, Some(ms(50)), false));
        assert_eq!(place(Some(u64::MAX), Some(ms(1))), (3, Some(ms(5)), true));
        let alike = Waiting::default();
        assert_eq!(alike.place(Some(7), Some(ms(1))), Place { priority: 0, wait: None, delays: false });
        assert!(!alike.rules_timeouts() && waiting.rules_timeouts());
    }

    /// Starts a run at once, or lets it wait for ever unless it is the last in the queue.
    #[derive(Debug)]
    struct Queue {
        starts: bool,
        seen: Mutex<Vec<u32>>,
    }

    #[async_trait::async_trait]
    impl Session for Queue {
        fn signature(&self) -> &ModelSignature {
            unreachable!("nobody asks")
        }
        fn digest(&self) -> &'static str {
            ""
        }
        fn provider(&self) -> Provider {
            Provider::Cpu
        }
        fn in_flight(&self) -> usize {
            0
        }
        fn batches(&self) -> bool {
            false
        }
        fn counts(&self) -> Counts {
            Counts::default()
        }
        async fn run(
            &self,
            _: Vec<Tensor>,
            _: Vec<String>,
            options: RunOptions,
        ) -> Result<Answer, EngineError> {
            self.seen.lock().unwrap().push(options.priority);
            if self.starts {
                options.started.unwrap().store(true, Ordering::Release);
                tokio::time::sleep(ms(30)).await;
            } else if options.priority != LAST {
                std::future::pending::<()>().await;
            }
            let now = Instant::now();
            let timings = Timings {
                queued_at: now,
                batched_at: now,
                started_at: now,
                ended_at: now,
                batch_rows: 1,
                lead: true,
            };
            Ok(Answer { outputs: Vec::new(), timings })
        }
        async fn warm_up(&self, _: RunOptions) -> Result<(), EngineError> {
            Ok(())
        }
    }

    async fn run(starts: bool, delays: bool) -> (Result<(), EngineError>, Vec<u32>) {
        let queue = Queue { starts, seen: Mutex::default() };
        let place = Place { priority: 2, wait: Some(ms(5)), delays };
        let answer = place.run(&queue, Vec::new(), Vec::new(), RunOptions::default()).await;
        (answer.map(drop), queue.seen.into_inner().unwrap())
    }

    #[tokio::test]
    async fn the_time_in_the_queue_is_not_the_time_in_the_model() {
        let (answer, seen) = run(true, false).await;
        assert!(answer.is_ok(), "it had begun: {answer:?}");
        assert_eq!(seen, [2]);
    }

    #[tokio::test]
    async fn what_waits_too_long_is_refused_or_goes_last() {
        let (answer, seen) = run(false, false).await;
        assert!(matches!(answer, Err(EngineError::Deadline { running: false })), "{answer:?}");
        assert_eq!(seen, [2]);
        let (answer, seen) = run(false, true).await;
        assert!(answer.is_ok(), "{answer:?}");
        assert_eq!(seen, [2, LAST]);
    }
}
