//! The thread of one instance: takes requests from the queue and runs them, one at a time.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use ort::ErrorCode;
use ort::session::{RunOptions, Session, SessionInputValue};

use super::convert;
use super::queue::{Job, Queue};
use crate::{Answer, EngineError, FieldError, Tensor, Timings};

/// Runs until the queue is closed and empty.
pub(super) fn work(queue: &Queue, mut session: Session) {
    while let Some(job) = queue.pop() {
        let Job { inputs, outputs, queued_at, switch, reply } = job;
        let batched_at = Instant::now();
        if switch.is_off() {
            continue;
        }
        let run = match RunOptions::new() {
            Ok(run) => Arc::new(run),
            Err(error) => {
                drop(reply.send(Err(EngineError::Host(convert::text(error.message())))));
                continue;
            }
        };
        let values = match values(&inputs) {
            Ok(values) => values,
            Err(error) => {
                drop(reply.send(Err(error)));
                continue;
            }
        };
        if !switch.start(run.clone()) {
            continue;
        }
        let started_at = Instant::now();
        // A binding that panics must not take the other requests of this session with it.
        let result = catch_unwind(AssertUnwindSafe(|| infer(&mut session, values, &outputs, &run)));
        let ended_at = Instant::now();
        let batch_rows = inputs.first().map_or(1, Tensor::rows);
        let timings = Timings { queued_at, batched_at, started_at, ended_at, batch_rows };
        let answer = match result {
            Ok(result) => result.map(|outputs| Answer { outputs, timings }),
            Err(_) => Err(EngineError::ModelFault("the runtime gave an output that is not there".into())),
        };
        // The caller may be gone; then nobody wants the answer.
        drop(reply.send(answer));
    }
}

fn values(inputs: &[Tensor]) -> Result<Vec<(String, SessionInputValue<'static>)>, EngineError> {
    inputs.iter().map(|tensor| Ok((tensor.name().to_owned(), convert::input(tensor)?))).collect()
}

fn infer(
    session: &mut Session,
    values: Vec<(String, SessionInputValue<'static>)>,
    wanted: &[String],
    run: &RunOptions,
) -> Result<Vec<Tensor>, EngineError> {
    let outputs = session.run_with_options(values, run).map_err(|error| fault(&error))?;
    wanted
        .iter()
        .map(|name| {
            let value =
                outputs.get(name).ok_or_else(|| EngineError::ModelFault(format!("no output {name}")))?;
            convert::output(name, value)
                .map_err(|why| EngineError::ModelFault(format!("output {name}: {why}")))
        })
        .collect()
}

/// A refusal before any node runs is the caller's, anything later the model's.
fn fault(error: &ort::Error) -> EngineError {
    let message = error.message();
    if error.code() == ErrorCode::InvalidArgument && !message.contains("while running") {
        let description = convert::text(message);
        return EngineError::BadInput(vec![FieldError { field: "inputs".into(), description }]);
    }
    EngineError::ModelFault(convert::text(message))
}
