//! One run of the model: alone on the caller's own thread, or for all requests that were put together.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ort::ErrorCode;

use super::convert::{self, Values};
use super::instance::Instance;
use super::pace::Pace;
use super::padding;
use super::queue::{Job, Queue, Turn};
use super::switch::Run;
use super::watch::watch;
use crate::{Answer, EngineError, FieldError, Tensor, Timings};

/// The thread of a session: takes turns until the queue is closed and empty.
pub(super) fn work(queue: &Queue, pace: &Pace) {
    while let Some(Turn { mut instance, jobs }) = queue.turn(pace) {
        serve(&mut instance, jobs, pace);
        queue.give_back(instance);
    }
}

/// Runs requests as one. Where that fails, each of them runs alone: a wrong request fails nobody but itself.
pub(super) fn serve(instance: &mut Instance, jobs: Vec<Job>, pace: &Pace) {
    match together(instance, jobs, pace) {
        Outcome::Answered => {}
        Outcome::Apart(jobs) => {
            for job in jobs {
                together(instance, vec![job], pace);
            }
        }
    }
}

enum Outcome {
    /// Everybody who still waits has an answer.
    Answered,
    /// The run failed, and whose fault it is shows only if each runs alone.
    Apart(Vec<Job>),
}

fn together(instance: &mut Instance, mut jobs: Vec<Job>, pace: &Pace) -> Outcome {
    let batched_at = Instant::now();
    jobs.retain(|job| !job.switch.is_off());
    let run = match Run::new(jobs.len()) {
        _ if jobs.is_empty() => return Outcome::Answered,
        Ok(run) => run,
        Err(error) => return refuse(jobs, &error),
    };
    let mut parts: Vec<&[Tensor]> = jobs.iter().map(|job| job.inputs.as_slice()).collect();
    let filled =
        jobs.iter().map(|job| job.rows).sum::<Option<usize>>().and_then(|rows| filler(parts[0], rows, pace));
    parts.extend(filled.iter().flat_map(Filler::rows));
    let values = match instance.lay_out(&parts) {
        Ok(values) => values,
        Err(_) if jobs.len() > 1 => return Outcome::Apart(jobs),
        Err(error) => return refuse(jobs, &error),
    };
    let mut wanted = false;
    for job in &jobs {
        if job.switch.start(&run) {
            job.options.note_start();
            wanted = true;
        } else {
            run.leave();
        }
    }
    if !wanted {
        return Outcome::Answered;
    }
    let started_at = Instant::now();
    let wanted = union(&jobs);
    let limit = jobs.first().and_then(|job| job.options.limit);
    let last =
        jobs.iter().map(|job| job.options.deadline).reduce(|one, other| Some(one?.max(other?))).flatten();
    let result = within(limit, last, &run, || guarded(instance, values, &wanted, &run));
    let ended_at = Instant::now();
    let rows = jobs.iter().map(rows_of).sum();
    pace.ran(rows, ended_at - started_at);
    if result.is_ok() {
        pace.succeeded(rows, ended_at - started_at);
    }
    let alone = jobs.len() == 1;
    let mut shares: Vec<usize> = jobs.iter().map(rows_of).collect();
    shares.extend(filled.map(|filler| filler.count));
    let whole = shares.len() == 1;
    let mut split =
        match result.and_then(|outputs| if whole { Ok(vec![outputs]) } else { cut(&outputs, &shares) }) {
            Ok(split) => split.into_iter(),
            Err(error) if alone || matches!(error, EngineError::Deadline { .. }) => {
                return refuse(jobs, &error);
            }
            Err(_) => return Outcome::Apart(jobs),
        };
    let mut lead = true;
    for job in jobs {
        let Job { outputs, queued_at, reply, .. } = job;
        let Some(made) = split.next() else { break };
        let timings = Timings { queued_at, batched_at, started_at, ended_at, batch_rows: rows, lead };
        lead = false;
        let outputs = if alone { made } else { chosen(&made, &outputs) };
        // The caller may be gone; then nobody wants the answer.
        drop(reply.send(Ok(Answer { outputs, timings })));
    }
    Outcome::Answered
}

/// Runs a request on the thread of its caller.
pub(super) fn alone(
    instance: &mut Instance,
    (inputs, rows): (&[Tensor], Option<usize>),
    wanted: &[String],
    run: &Arc<Run>,
    (limit, last): (Option<Duration>, Option<Instant>),
    pace: &Pace,
) -> Result<Answer, EngineError> {
    let batched_at = Instant::now();
    let filled = rows.and_then(|rows| filler(inputs, rows, pace));
    let parts: Vec<&[Tensor]> = std::iter::once(inputs).chain(filled.iter().flat_map(Filler::rows)).collect();
    let values = instance.lay_out(&parts)?;
    let started_at = Instant::now();
    let mut outputs = within(limit, last, run, || guarded(instance, values, wanted, run));
    let ended_at = Instant::now();
    let batch_rows = inputs.first().map_or(1, Tensor::rows);
    pace.ran(batch_rows, ended_at - started_at);
    if outputs.is_ok() {
        pace.succeeded(batch_rows, ended_at - started_at);
    }
    if let (Ok(all), Some(filler)) = (&outputs, filled) {
        outputs = cut(all, &[batch_rows, filler.count]).map(|mut parts| parts.swap_remove(0));
    }
    let timings = Timings { queued_at: batched_at, batched_at, started_at, ended_at, batch_rows, lead: true };
    Ok(Answer { outputs: outputs?, timings })
}

/// A row, and how often a run is filled up with it.
struct Filler {
    row: Vec<Tensor>,
    count: usize,
}

impl Filler {
    fn rows(&self) -> impl Iterator<Item = &[Tensor]> {
        std::iter::repeat_n(self.row.as_slice(), self.count)
    }
}

/// What a run of that many rows is filled up with, if it is: copies of the first of them.
fn filler(first: &[Tensor], rows: usize, pace: &Pace) -> Option<Filler> {
    let count = pace.missing(rows);
    (count > 0).then(|| padding::row(first).map(|row| Filler { row, count })).flatten()
}

fn refuse(jobs: Vec<Job>, error: &EngineError) -> Outcome {
    for job in jobs {
        drop(job.reply.send(Err(error.clone())));
    }
    Outcome::Answered
}

fn rows_of(job: &Job) -> usize {
    job.rows.unwrap_or_else(|| job.inputs.first().map_or(1, Tensor::rows))
}

/// The outputs that somebody asked for.
fn union(jobs: &[Job]) -> Vec<String> {
    let mut all = jobs.first().map(|job| job.outputs.clone()).unwrap_or_default();
    for name in jobs.iter().skip(1).flat_map(|job| &job.outputs) {
        if !all.contains(name) {
            all.push(name.clone());
        }
    }
    all
}

/// What each request gets of the outputs.
fn cut(outputs: &[Tensor], rows: &[usize]) -> Result<Vec<Vec<Tensor>>, EngineError> {
    let mut all: Vec<Vec<Tensor>> = rows.iter().map(|_| Vec::with_capacity(outputs.len())).collect();
    for output in outputs {
        let parts = output.split(rows).map_err(|error| EngineError::ModelFault(error.to_string()))?;
        for (own, part) in all.iter_mut().zip(parts) {
            own.push(part);
        }
    }
    Ok(all)
}

fn chosen(made: &[Tensor], wanted: &[String]) -> Vec<Tensor> {
    wanted.iter().filter_map(|name| made.iter().find(|tensor| tensor.name() == name)).cloned().collect()
}

/// Runs for `limit` at most, and not longer than until `last`, when nobody waits any more.
fn within<T>(
    limit: Option<Duration>,
    last: Option<Instant>,
    run: &Arc<Run>,
    work: impl FnOnce() -> Result<T, EngineError>,
) -> Result<T, EngineError> {
    let own = limit.and_then(|limit| Instant::now().checked_add(limit));
    let until = own.into_iter().chain(last).min();
    let _watched = until.and_then(|until| watch(run, until));
    let done = work();
    match limit {
        _ if done.is_ok() || !run.overran() => done,
        Some(limit) if own == until => Err(EngineError::TooLong { limit }),
        _ => Err(EngineError::Deadline { running: true }),
    }
}

/// A binding that panics must not take the other requests of this session with it.
fn guarded(
    instance: &mut Instance,
    values: Values,
    wanted: &[String],
    run: &Run,
) -> Result<Vec<Tensor>, EngineError> {
    catch_unwind(AssertUnwindSafe(|| instance.run(values, wanted, run))).unwrap_or_else(|_| {
        Err(EngineError::ModelFault("the runtime gave an output that is not there".into()))
    })
}

/// A refusal before any node runs is the caller's, anything later the model's.
pub(super) fn fault(error: &ort::Error) -> EngineError {
    let message = error.message();
    if error.code() == ErrorCode::InvalidArgument && !message.contains("while running") {
        let description = convert::text(message);
        return EngineError::BadInput(vec![FieldError { field: "inputs".into(), description }]);
    }
    EngineError::ModelFault(convert::text(message))
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::super::padding::Padding;
    use super::super::sample::{loaded, rows};
    use super::super::sizes::Sizes;
    use super::*;
    use crate::{Counts, RunOptions};

    /// Callers get their own rows, and nobody counts those that were added.
    #[test]
    fn rows_that_fill_a_run_up_reach_nobody() {
        let Some(mut instance) = loaded() else { return };
        let pace = Pace::of(Sizes::default(), Padding::up_to(8));
        let mut asked = vec![rows(1, 7), rows(4, 1), rows(2, 30)];
        let outputs: Vec<String> = ["y", "u", "c"].map(String::from).to_vec();
        let mut answers = Vec::new();
        let plain = Pace::default();
        let limits = (None, None);
        for (inputs, pace) in asked.iter().flat_map(|inputs| [(inputs, &plain), (inputs, &pace)]) {
            let run = Run::new(1).unwrap();
            let given = (inputs.as_slice(), Some(inputs[0].rows()));
            answers.push(alone(&mut instance, given, &outputs, &run, limits, pace).unwrap().outputs);
        }
        assert!(answers.chunks(2).all(|pair| pair[0] == pair[1]), "{answers:?}");
        assert_eq!(pace.missing(1), 3, "the largest of them had 4");

        let (mut jobs, mut waiting) = (Vec::new(), Vec::new());
        for inputs in asked.drain(..).skip(1) {
            let (reply, receive) = oneshot::channel();
            let (rows, options) = (Some(inputs[0].rows()), RunOptions::default());
            let (queued_at, switch) = (Instant::now(), Arc::default());
            jobs.push(Job {
                inputs,
                outputs: outputs.clone(),
                rows,
                light: true,
                options,
                queued_at,
                switch,
                reply,
            });
            waiting.push(receive);
        }
        serve(&mut instance, jobs, &pace);
        for (mut receive, plain) in waiting.into_iter().zip([&answers[2], &answers[4]]) {
            let answer = receive.try_recv().unwrap().unwrap();
            assert_eq!((&answer.outputs, answer.timings.batch_rows), (plain, 6));
        }
        assert_eq!(pace.counts(), Counts { runs: 4, rows: 1 + 4 + 2 + 6 });
    }
}
