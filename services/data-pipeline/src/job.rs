//! Operations: created with their request in one transaction, run in the background, taken up again after a restart.
//! A run is idempotent: files are content-addressed, and a version that is registered already with the same manifest is
//! the answer.

use contracts::pipeline::v1::{BuildDatasetVersionRequest, ReplayDatasetVersionRequest, ReplayResult};
use contracts::registry::v1::{
    CreateDatasetVersionRequest, DatasetVersion, GetDataSourceRequest, GetDatasetRequest,
    GetDatasetVersionRequest,
};
use prost::Message as _;
use runtime::{Caller, Tasks};
use storage::{Cause, Digest, Operation, Operations, Outcome};
use tonic::{Code, Status};
use tracing::{info, warn};

use crate::steps::{self, Built, Progress};
use crate::store::{Build, Job};
use crate::{Error, Pipeline, card, convert, quality};

/// Kind of our operations in the table of operations.
const KIND: &str = "data-pipeline";

/// Takes up unfinished operations once the service is started.
pub fn resume_when_started(tasks: &Tasks, pipeline: &Pipeline) {
    let pipeline = pipeline.clone();
    tasks.spawn("resume-operations", move |_| {
        let pipeline = pipeline.clone();
        async move {
            for operation in pipeline.operations().unfinished(KIND).await? {
                info!(operation = operation.name, "taking up an unfinished operation");
                start(&pipeline, operation);
            }
            Ok::<_, storage::Error>(())
        }
    });
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
            ended = carry_out(&this, &operation) => ended,
        };
        let outcome = match ended {
            Ok(answer) => Outcome::Succeeded(answer),
            Err(Error::Stopping) => return,
            Err(Error::Cancelled) => Outcome::Cancelled,
            Err(error) => {
                let status = Status::from(error);
                warn!(operation = operation.name, code = ?status.code(), message = status.message(), "operation failed");
                Outcome::Failed { code: status.code() as i32, message: status.message().to_owned() }
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

async fn build(
    pipeline: &Pipeline,
    request: &BuildDatasetVersionRequest,
    principal: &str,
    operation: &str,
    progress: &Steps,
) -> Result<DatasetVersion, Error> {
    let name = format!("{}/versions/{}", request.parent, request.version);
    let built = steps::run(pipeline, request, true, progress).await?;
    progress.at("quality", 0.85).await?;
    let plan = request.plan.clone().unwrap_or_default();
    let now = pipeline.clock().now();
    let (built, measured) = crate::blocking::run("quality", move || {
        let measured = quality::measure(&built, &plan, now)?;
        Ok((built, measured))
    })
    .await?;
    let mut version = convert::version(&name, request, &built, measured, principal)?;
    progress.at("registration", 0.95).await?;
    let made = card(pipeline, request, &built, &version).await?;
    version.data_card_digest = pipeline.blobs().put(made.markdown.into()).await?.to_string();
    let registered = register(pipeline, request, &version, operation).await?;
    let record = Build {
        request: Some(request.clone()),
        principal: principal.to_owned(),
        clean_digest: Digest::of(&built.files.clean).to_string(),
        card_digest: registered.data_card_digest.clone(),
        missing_sections: made.missing,
        quarantine_digest: Digest::of(&built.raw.quarantine).to_string(),
        version: Some(registered.clone()),
    };
    pipeline.keep_build(&name, &record).await?;
    Ok(registered)
}

/// The card, from the build and what the registry knows of dataset and sources.
async fn card(
    pipeline: &Pipeline,
    request: &BuildDatasetVersionRequest,
    built: &Built,
    version: &DatasetVersion,
) -> Result<card::Made, Error> {
    let deps = pipeline.deps();
    let asked = GetDatasetRequest { name: request.parent.clone() };
    let dataset = deps.datasets.clone().get_dataset(asked).await.map_err(Error::Registry)?.into_inner();
    let mut sources = Vec::new();
    for name in &version.data_sources {
        let asked = GetDataSourceRequest { name: name.clone() };
        sources
            .push(deps.sources.clone().get_data_source(asked).await.map_err(Error::Registry)?.into_inner());
    }
    Ok(card::make(&card::Facts { dataset: &dataset, sources: &sources, version, raw: &built.raw }))
}

/// Registers the version; the same content registered before is the same version.
async fn register(
    pipeline: &Pipeline,
    request: &BuildDatasetVersionRequest,
    version: &DatasetVersion,
    operation: &str,
) -> Result<DatasetVersion, Error> {
    let mut datasets = pipeline.deps().datasets.clone();
    let asked = CreateDatasetVersionRequest {
        parent: request.parent.clone(),
        version: request.version.clone(),
        dataset_version: Some(version.clone()),
        request_id: operation.trim_start_matches("operations/").to_owned(),
    };
    let refused = match datasets.create_dataset_version(asked).await {
        Ok(registered) => return Ok(registered.into_inner()),
        Err(status) => status,
    };
    // An earlier run of this operation may have come this far; its times differ, so the registry sees another request.
    let again = matches!(refused.code(), Code::AlreadyExists | Code::FailedPrecondition);
    if again {
        let asked = GetDatasetVersionRequest { name: version.name.clone() };
        if let Ok(existing) = datasets.get_dataset_version(asked).await {
            let existing = existing.into_inner();
            if existing.manifest_digest == version.manifest_digest && existing.built_by == version.built_by {
                return Ok(existing);
            }
            return Err(Error::Conflict {
                name: version.name.clone(),
                existing: existing.manifest_digest,
                built: version.manifest_digest.clone(),
            });
        }
    }
    Err(Error::Registry(refused))
}

async fn replay(
    pipeline: &Pipeline,
    request: &ReplayDatasetVersionRequest,
    progress: &Steps,
) -> Result<ReplayResult, Error> {
    let record = pipeline.build_record(&request.name).await?;
    let asked = record.request.ok_or_else(|| Error::Damaged(format!("{} has no request", request.name)))?;
    let recorded = record.version.unwrap_or_default();
    let built = steps::run(pipeline, &asked, false, progress).await?;
    let mut differences = Vec::new();
    let mut compare = |what: &str, was: &str, is: &str| {
        if was != is {
            differences.push(format!("{what}: {was} is {is}"));
        }
    };
    for (was, is) in recorded.steps.iter().zip(&built.steps) {
        compare(&was.step, &was.output_digest, &is.output_digest);
    }
    for (was, (is, _)) in recorded.splits.iter().zip(&built.files.splits) {
        compare(&format!("split {}", was.split), &was.digest, &is.digest);
    }
    compare("schema", &recorded.schema_digest, &built.schema.digest());
    compare("transform", &recorded.transform_digest, &built.serving.digest());
    Ok(ReplayResult { name: request.name.clone(), same: differences.is_empty(), differences })
}
