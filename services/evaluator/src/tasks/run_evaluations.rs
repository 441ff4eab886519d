//! Works operations off, one at a time, the oldest first; a lease keeps the replicas of the service from doing one twice.

use crate::evaluation::{Subject, Watch, evaluate};
use crate::evaluator::{Ended, Evaluator};
use crate::predict::zipmap;
use crate::preprocess::Rows;
use crate::report::{self, Identity};
use crate::store::jobs::{self, Job};
use crate::{Error, fetch, plan, plan::Plan};
use contracts::registry::v1::Evaluation;
use engine::LoadOptions;
use prost::Message;
use std::time::Duration;
use storage::{Operation, Outcome};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};
use tracing::{info, warn};

/// What the lease is for.
const LEASE: &str = "run-evaluations";
/// Virtual time that the lease lasts without a renewal.
const LEASE_TIME: Duration = Duration::from_secs(60);
/// Real time between looks for work that came another way than by a call here.
const LOOK: Duration = Duration::from_secs(1);

/// Runs until the service stops.
pub async fn run(evaluator: Evaluator, stop: CancellationToken) -> Result<(), Error> {
    let owner = uuid::Uuid::now_v7().to_string();
    loop {
        let now = evaluator.clock().now();
        let lease_time = LEASE_TIME.mul_f64(evaluator.clock().speed().max(1.0));
        if let Some(lease) = evaluator.jobs().leases().acquire(LEASE, &owner, lease_time, now).await? {
            for operation in evaluator.jobs().unfinished().await? {
                if stop.is_cancelled() {
                    break;
                }
                let keep = async {
                    loop {
                        tokio::time::sleep(LEASE_TIME / 4).await;
                        let renewed = evaluator
                            .jobs()
                            .leases()
                            .renew(&lease, lease_time, evaluator.clock().now())
                            .await;
                        if !matches!(renewed, Ok(Some(_))) {
                            warn!("the lease on evaluations is lost");
                            return;
                        }
                    }
                };
                tokio::select! {
                    done = one(&evaluator, &operation, &stop) => done?,
                    () = keep => break,
                }
            }
            if stop.is_cancelled() {
                evaluator.jobs().leases().release(&lease).await?;
            }
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = evaluator.queued().notified() => {}
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

/// One operation from where it stands to its end. A stop of the service leaves it unfinished: it is taken up again.
async fn one(evaluator: &Evaluator, operation: &Operation, stop: &CancellationToken) -> Result<(), Error> {
    let job = match jobs::job(operation) {
        Ok(job) => job,
        Err(error) => return finish(evaluator, operation, failed(error)).await,
    };
    if operation.cancel_requested {
        return finish(evaluator, operation, Outcome::Cancelled).await;
    }
    let token = evaluator.start(&operation.name);
    // Whichever way this ends, the thread that computes stops soon after.
    let _stops = token.clone().drop_guard();
    evaluator.counts().running.inc();
    let limit = evaluator.limits().evaluation();
    let work = apart(work(evaluator.clone(), operation.name.clone(), job, token.clone()));
    let ended = tokio::select! {
        ended = tokio::time::timeout(limit, work) => Some(ended.unwrap_or(Err(Error::Deadline(limit)))),
        () = stop.cancelled() => None,
    };
    evaluator.counts().running.dec();
    let outcome = match ended {
        // The service stops, or another one is down: the operation stays and is tried again.
        None => return Ok(()),
        Some(Err(error)) if error.passes_by_itself() && operation_is_young(evaluator, operation) => {
            warn!(operation = operation.name, %error, "evaluation is put off");
            evaluator.end(&operation.name);
            return Ok(());
        }
        Some(Ok(evaluation)) => Outcome::Succeeded(evaluation.encode_to_vec()),
        Some(Err(Error::Cancelled)) => Outcome::Cancelled,
        Some(Err(error)) => failed(error),
    };
    finish(evaluator, operation, outcome).await
}

/// Runs the work on a thread of its own: it computes for minutes, and one that panics ends its operation and nothing else.
async fn apart(
    work: impl Future<Output = Result<Evaluation, Error>> + Send + 'static,
) -> Result<Evaluation, Error> {
    let (runtime, span) = (tokio::runtime::Handle::current(), tracing::Span::current());
    let done = tokio::task::spawn_blocking(move || span.in_scope(|| runtime.block_on(work))).await;
    done.unwrap_or_else(|broken| Err(Error::Broken(broken.to_string())))
}

/// Whether an evaluation may still wait for another service to come back.
fn operation_is_young(evaluator: &Evaluator, operation: &Operation) -> bool {
    let age = evaluator.clock().now().duration_since(operation.create_time).unwrap_or_default();
    age < evaluator.limits().evaluation().mul_f64(evaluator.clock().speed().max(1.0))
}

fn failed(error: Error) -> Outcome {
    let status = Status::from(error);
    let reason = runtime::status::reason(&status).unwrap_or_default();
    Outcome::Failed {
        code: status.code() as i32,
        message: format!("{reason}: {}", status.message()),
        status: status.details().to_vec(),
    }
}

async fn finish(evaluator: &Evaluator, operation: &Operation, outcome: Outcome) -> Result<(), Error> {
    let how = match &outcome {
        Outcome::Succeeded(_) => "succeeded",
        Outcome::Cancelled => "cancelled",
        Outcome::Failed { code, message, .. } => {
            warn!(operation = operation.name, code = ?Code::from_i32(*code), message, "evaluation failed");
            "failed"
        }
    };
    info!(operation = operation.name, outcome = how, "evaluation ended");
    evaluator.counts().ended.get_or_create(&Ended { outcome: how }).inc();
    evaluator.jobs().finish(&operation.name, outcome, evaluator.clock().now()).await?;
    evaluator.end(&operation.name);
    Ok(())
}

/// Tells the operation where its evaluation stands, and the evaluation whether it shall stop.
struct Steps<'a> {
    evaluator: &'a Evaluator,
    name: &'a str,
    job: Job,
}

#[async_trait::async_trait]
impl Watch for Steps<'_> {
    async fn step(&self, step: &str, share: f64) -> Result<(), Error> {
        let job = Job { step: step.to_owned(), ..self.job.clone() };
        match self.evaluator.jobs().step(self.name, &job, share, self.evaluator.clock().now()).await {
            Ok(false) => Ok(()),
            Ok(true) | Err(Error::Storage(storage::Error::OperationOver { .. })) => Err(Error::Cancelled),
            Err(error) => Err(error),
        }
    }
}

async fn work(
    evaluator: Evaluator,
    operation: String,
    job: Job,
    stop: CancellationToken,
) -> Result<Evaluation, Error> {
    let (deps, limits) = (evaluator.deps(), evaluator.limits());
    let request = job.request.clone().unwrap_or_default();
    let requested_by = job.requested_by.clone();
    let steps = Steps { evaluator: &evaluator, name: &operation, job };
    steps.step("reading records", 0.0).await?;
    let facts = fetch::facts(deps, &request.model_version, &request.dataset_version).await?;
    let asked = request.plan.clone().unwrap_or_default();
    let interface = facts.version.interface.clone().unwrap_or_default();
    let task = plan::task(facts.model.task)?;
    let mut plan = Plan::resolve(&asked, task, &facts.dataset, &interface, &facts.policy, limits)?;
    plan.preprocessing_digest.clone_from(&facts.version.preprocessing_digest);
    let artifact = &facts.version.artifact_digest;
    let plan_digest = plan.digest(artifact, &facts.dataset.manifest_digest, report::VERSION);
    let name = format!("{}/evaluations/{}", request.model_version, request.evaluation_id);
    if let Some(found) = fetch::existing(deps, &name).await? {
        // A crash after the registry took the report: the same plan by the same person is this very evaluation.
        let ours = found.plan_digest == plan_digest && found.requested_by == requested_by;
        return if ours { Ok(found) } else { Err(Error::Exists(name)) };
    }
    steps.step("reading model and data", 0.01).await?;
    let mut bytes = fetch::artifact(deps, artifact, limits).await?;
    if let Some(opened) = zipmap::open(&bytes) {
        bytes = opened.model;
        if plan.classes.is_empty() {
            plan.classes = opened.classes;
        }
    }
    let table = fetch::split(deps, &facts.dataset, &plan.split, limits).await?;
    let train = match plan.split.as_str() {
        "train" => None,
        _ => fetch::split(deps, &facts.dataset, "train", limits).await.ok(),
    };
    steps.step("loading the model", 0.03).await?;
    let options = LoadOptions {
        provider: limits.provider.clone(),
        intra_threads: limits.threads,
        ..LoadOptions::default()
    };
    let session = deps.engine.load(bytes, options).await?;
    let rows = Rows { table, train, profiles: facts.dataset.profiles.clone() };
    let Rows { table, train, profiles } = match fetch::preprocessing(deps, &plan.preprocessing_digest).await?
    {
        None => rows,
        Some(mut before) => {
            before.name_features(session.signature(), &mut plan)?;
            if plan.preprocessing_digest == facts.dataset.transform_digest {
                rows // they are what it made
            } else {
                let own = fetch::preprocessing(deps, &facts.dataset.transform_digest).await;
                let unknown = || Error::unfit("rows", "nobody knows whether they are raw");
                before.apply(rows, &own?.ok_or_else(unknown)?)?
            }
        }
    };
    let identity = Identity {
        name,
        dataset_version: request.dataset_version.clone(),
        dataset_digest: facts.dataset.manifest_digest.clone(),
        artifact_digest: artifact.clone(),
        plan_digest,
        engine: deps.engine.describe(),
        provider: session.provider().to_string(),
        requested_by,
    };
    let subject = Subject {
        session,
        table: &table,
        train: train.as_ref(),
        profiles: &profiles,
        plan: &plan,
        policy: &facts.policy,
        limits,
        stop,
    };
    let measured = evaluate(subject, &steps).await?;
    steps.step("handing the report over", 0.98).await?;
    let evaluation = report::to_wire(measured, &plan, &facts.policy, identity);
    let request_id = contracts::name::last(&operation);
    fetch::hand_over(deps, &request.model_version, &request.evaluation_id, evaluation, request_id).await
}
