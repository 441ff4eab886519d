//! Operations: created with their request in one transaction, run in the background, taken up again after a restart.
//! A run is idempotent: files are content-addressed, and a version that is registered already with the same manifest is
//! the answer.

use futures::FutureExt;
use prost::Message as _;
use runtime::{Caller, Tasks};
use std::panic::AssertUnwindSafe;
use storage::{Cause, Digest, Operation, Operations, Outcome};
use tonic::Status;
use tracing::{info, warn};

use crate::build::{build, replay};
use crate::steps::Progress;
use crate::store::Job;
use crate::{Error, Pipeline};

/// Kind of our operations in the table of operations.
const KIND: &str = "data-pipeline";
/// Times that an operation is taken up after a restart of the service.
const RESTARTS: u32 = 5;

/// Takes up unfinished operations once the service is started.
pub fn resume_when_started(tasks: &Tasks, pipeline: &Pipeline) {
    let pipeline = pipeline.clone();
    tasks.spawn("resume-operations", move |_| {
        let pipeline = pipeline.clone();
        async move {
            for operation in pipeline.operations().unfinished(KIND).await? {
                info!(operation = operation.name, "taking up an unfinished operation");
                take_up(&pipeline, operation).await?;
            }
            Ok::<_, storage::Error>(())
        }
    });
}

/// Starts an operation again, unless that ended the process too often: a build that needs more memory than there is would do
/// so at every start.
async fn take_up(pipeline: &Pipeline, mut operation: Operation) -> Result<(), storage::Error> {
    let now = pipeline.clock().now();
    let Ok(mut job) = Job::decode(operation.metadata.as_slice()) else {
        start(pipeline, operation);
        return Ok(());
    };
    job.restarts += 1;
    if RESTARTS < job.restarts {
        let status = Status::from(Error::TooOften(RESTARTS));
        return pipeline.operations().finish(&operation.name, failed(&status), now).await;
    }
    operation.metadata = job.encode_to_vec();
    pipeline.operations().describe(&operation.name, operation.metadata.clone(), now).await?;
    start(pipeline, operation);
    Ok(())
}

fn failed(status: &Status) -> Outcome {
    Outcome::Failed {
        code: status.code() as i32,
        message: status.message().to_owned(),
        status: status.details().to_vec(),
    }
}

impl Pipeline {
    /// Creates the operation of a job and starts it; the same request id gives the same operation.
    ///
    /// # Errors
    /// Of the database; [`storage::Error::RequestReused`].
    pub async fn submit(
        &self,
        caller: &Caller,
        method: &str,
        request_id: &str,
        job: Job,
    ) -> Result<Operation, Error> {
        let bytes = job.encode_to_vec();
        let (name, new) =
            storage::with_retry(async || self.create(caller, method, request_id, &job, &bytes).await).await?;
        let operation = self.operations().get(&name).await?;
        if new {
            start(self, operation.clone());
        }
        Ok(operation)
    }

    async fn create(
        &self,
        caller: &Caller,
        method: &str,
        request_id: &str,
        job: &Job,
        bytes: &[u8],
    ) -> Result<(String, bool), Error> {
        let now = self.clock().now();
        let cause = Cause {
            principal: caller.principal.clone(),
            roles: caller.roles.clone(),
            method: method.to_owned(),
            request_id: (!request_id.is_empty()).then(|| request_id.to_owned()),
            request_digest: Digest::of(bytes),
            reason: String::new(),
            time: now,
            trace_id: runtime::trace::trace_id().unwrap_or_default(),
        };
        let mut unit = self.records().begin(cause).await?;
        if let Some(name) = unit.replay().await? {
            let name = String::from_utf8(name).map_err(|_| Error::Damaged("name of an operation".into()))?;
            return Ok((name, false));
        }
        let name = format!("operations/{}", uuid::Uuid::new_v4());
        Operations::create(unit.connection(), &name, KIND, bytes.to_vec(), now).await?;
        unit.note("operation", &name, "create", job.subject.clone().into_bytes());
        unit.commit(name.as_bytes()).await?;
        Ok((name, true))
    }
}

/// Runs an operation in the background. If the service stops, it stays unfinished and is taken up again.
fn start(pipeline: &Pipeline, operation: Operation) {
    let (this, stop) = (pipeline.clone(), pipeline.tasks().stopping());
    pipeline.tasks().once("operation", async move {
        let ended = tokio::select! {
            () = stop.cancelled() => return,
            ended = AssertUnwindSafe(carry_out(&this, &operation)).catch_unwind() => ended,
        };
        let ended = ended.unwrap_or_else(|_| Err(Error::Internal("an operation panicked".into())));
        let outcome = match ended {
            Ok(answer) => Outcome::Succeeded(answer),
            Err(Error::Stopping) => return,
            Err(Error::Cancelled) => Outcome::Cancelled,
            Err(error) => {
                let status = Status::from(error);
                warn!(operation = operation.name, code = ?status.code(), message = status.message(), "operation failed");
                failed(&status)
            }
        };
        if let Err(error) = this.operations().finish(&operation.name, outcome, this.clock().now()).await {
            warn!(operation = operation.name, %error, "the end of an operation was not noted");
        }
    });
}

async fn carry_out(pipeline: &Pipeline, operation: &Operation) -> Result<Vec<u8>, Error> {
    let job = Job::decode(operation.metadata.as_slice())?;
    let _turn = pipeline.turns().acquire().await.map_err(|_| Error::Stopping)?;
    let progress = Steps { pipeline: pipeline.clone(), name: operation.name.clone(), job: job.clone() };
    match (&job.build, &job.replay) {
        (Some(request), _) => {
            Ok(build(pipeline, request, &job.principal, &operation.name, &progress).await?.encode_to_vec())
        }
        (None, Some(request)) => Ok(replay(pipeline, request, &progress).await?.encode_to_vec()),
        (None, None) => Err(Error::Damaged(format!("{} has no request", operation.name))),
    }
}

/// Notes the step in the operation, and stops where someone asked for it.
struct Steps {
    pipeline: Pipeline,
    name: String,
    job: Job,
}

#[tonic::async_trait]
impl Progress for Steps {
    async fn at(&self, step: &str, share: f64) -> Result<(), Error> {
        let now = self.pipeline.clock().now();
        let job = Job { step: step.to_owned(), ..self.job.clone() };
        self.pipeline.operations().describe(&self.name, job.encode_to_vec(), now).await?;
        let cancelled = self.pipeline.operations().progress(&self.name, share, now).await?;
        if cancelled { Err(Error::Cancelled) } else { Ok(()) }
    }
}
