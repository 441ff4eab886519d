//! Callers: when a request begins, and what is kept of its end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::answer::Right;
use crate::call::{Failure, Link};
use crate::latency::Histogram;

/// What all callers send, and what they hold the answers against.
#[derive(Debug)]
pub struct Plan {
    /// Framed requests with their answers; callers take them in turn.
    pub cases: Vec<(Bytes, Right)>,
    /// Largest difference of a right answer.
    pub tolerance: f32,
    /// What begins in here has its latency noted.
    pub from: Instant,
    /// End of it.
    pub until: Instant,
}

/// When the next request begins.
#[derive(Debug, Clone)]
pub enum Pace {
    /// As soon as the caller's last one has ended, until then.
    Closed(Instant),
    /// At times that do not depend on the server; whichever caller is free takes the next. A late one counts from when it
    /// should have begun, so that a server that stalls cannot hide it.
    Open(Arc<Mutex<UnboundedReceiver<Instant>>>),
}

impl Pace {
    /// `rate` requests a second, evenly spaced.
    ///
    /// # Errors
    /// If no thread can be started.
    pub fn open(rate: f64, until: Instant) -> std::io::Result<Self> {
        let (send, receive) = unbounded_channel();
        let begin = Instant::now();
        // A thread: it wakes within some 50 us of the time, the timers of the runtime within a millisecond.
        let tick = move || {
            for at in 0_u64.. {
                let due = begin + Duration::from_secs_f64(at as f64 / rate);
                if due >= until {
                    break;
                }
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                if send.send(due).is_err() {
                    break; // no caller is left
                }
            }
        };
        std::thread::Builder::new().name("pace".into()).spawn(tick)?;
        Ok(Self::Open(Arc::new(Mutex::new(receive))))
    }

    async fn next(&self) -> Option<Instant> {
        match self {
            Self::Closed(until) => Some(Instant::now()).filter(|now| now < until),
            Self::Open(due) => due.lock().await.recv().await,
        }
    }
}

/// What callers kept.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Of right and wrong answers to what began in the window.
    pub latency: Histogram,
    /// Answers that came in the window.
    pub answered: u64,
    /// Calls without an answer, by kind, the warm-up's included.
    pub errors: BTreeMap<String, u64>,
    /// Message of one of them.
    pub error: Option<String>,
    /// Answers that were wrong, the warm-up's included.
    pub mismatches: u64,
    /// Largest difference of an answer from the right one.
    pub distance: f32,
}

impl Tally {
    /// Adds what another caller kept.
    pub fn add(&mut self, other: Self) {
        self.latency.add(&other.latency);
        self.answered += other.answered;
        for (kind, count) in other.errors {
            *self.errors.entry(kind).or_default() += count;
        }
        self.error = self.error.take().or(other.error);
        self.mismatches += other.mismatches;
        self.distance = self.distance.max(other.distance);
    }

    fn note(&mut self, plan: &Plan, right: &Right, began: Instant, outcome: Result<Bytes, Failure>) {
        let ended = Instant::now();
        match outcome {
            Ok(message) => {
                if (plan.from..plan.until).contains(&ended) {
                    self.answered += 1;
                }
                if (plan.from..plan.until).contains(&began) {
                    self.latency.note(ended - began);
                }
                let distance = right.distance(&message);
                self.distance = self.distance.max(distance);
                self.mismatches += u64::from(distance > plan.tolerance);
            }
            Err(failure) => {
                *self.errors.entry(failure.kind().to_owned()).or_default() += 1;
                self.error.get_or_insert_with(|| failure.message().to_owned());
            }
        }
    }
}

/// One caller: calls until the time is up or its connection is lost. `first` is the case that it begins with, so that
/// those who call at once do not send the same.
pub async fn caller(plan: Arc<Plan>, mut link: Link, pace: Pace, first: usize) -> Tally {
    let mut tally = Tally::default();
    for at in first.. {
        let Some(began) = pace.next().await else { break };
        let (frame, right) = &plan.cases[at % plan.cases.len()];
        let outcome = link.call(frame.clone(), began).await;
        let lost = matches!(outcome, Err(Failure::Lost(_)));
        tally.note(&plan, right, began, outcome);
        if lost {
            break;
        }
    }
    tally
}

#[cfg(test)]
mod tests {
    use contracts::inference::ModelInferResponse;
    use contracts::inference::model_infer_response::InferOutputTensor;
    use prost::Message;

    use super::*;
    use crate::input::raw;

    fn message(value: f32) -> Bytes {
        let output = InferOutputTensor { datatype: "FP32".into(), ..InferOutputTensor::default() };
        let raw_output_contents = vec![raw(&[value])];
        let answer = ModelInferResponse {
            outputs: vec![output],
            raw_output_contents,
            ..ModelInferResponse::default()
        };
        answer.encode_to_vec().into()
    }

    #[test]
    fn answers_and_errors_are_counted_apart() -> anyhow::Result<()> {
        let from = Instant::now();
        let plan = Plan { cases: Vec::new(), tolerance: 0.1, from, until: from + Duration::from_secs(3600) };
        let right = Right::new(message(1.0), None)?;
        let mut tally = Tally::default();
        tally.note(&plan, &right, from, Ok(message(1.0)));
        tally.note(&plan, &right, from, Ok(message(1.05)));
        tally.note(&plan, &right, from, Ok(message(2.0)));
        tally.note(&plan, &right, from, Err(Failure::Late));
        // Begun while warming up: the answer counts, its latency does not.
        let early = from.checked_sub(Duration::from_secs(9)).unwrap_or(from);
        let mut warm = Tally::default();
        warm.note(&plan, &right, early, Ok(message(1.0)));
        warm.note(&plan, &right, early, Err(Failure::Late));
        assert!(warm.latency.quantile_us(1.0) < f64::EPSILON);
        tally.add(warm);
        assert_eq!((tally.answered, tally.mismatches), (4, 1));
        assert_eq!(tally.errors, BTreeMap::from([("late".to_owned(), 2)]));
        assert!((tally.distance - 1.0).abs() < f32::EPSILON);
        Ok(())
    }

    #[tokio::test]
    async fn an_open_pace_counts_from_when_it_should_have_begun() -> anyhow::Result<()> {
        let pace = Pace::open(1000.0, Instant::now() + Duration::from_millis(20))?;
        let mut due = Vec::new();
        while let Some(at) = pace.next().await {
            due.push(at);
        }
        assert!((19..=20).contains(&due.len()), "{}", due.len());
        assert!(due.windows(2).all(|two| two[1] - two[0] == Duration::from_millis(1)));
        Ok(())
    }
}
