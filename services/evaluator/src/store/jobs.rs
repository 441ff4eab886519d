//! Evaluations as long-running operations that survive a restart.

use crate::Error;
use contracts::evaluator::v1::EvaluateModelVersionRequest;
use prost::Message;
use runtime::Caller;
use std::time::SystemTime;
use storage::{Cause, Digest, Leases, Operation, Operations, Outcome, Records, with_retry};

/// The kind of every operation here.
const KIND: &str = "evaluate";
/// The method that makes them, for audit and replay.
const METHOD: &str = "/wlp.evaluator.v1.EvaluatorService/EvaluateModelVersion";

/// All that is needed to start an evaluation again after a restart.
#[derive(Clone, PartialEq, Message)]
pub struct Job {
    /// What was asked for.
    #[prost(message, optional, tag = "1")]
    pub request: Option<EvaluateModelVersionRequest>,
    /// By whom.
    #[prost(string, tag = "2")]
    pub requested_by: String,
    /// Where it stands, for people.
    #[prost(string, tag = "3")]
    pub step: String,
}

/// The operations of this service.
#[derive(Clone)]
pub struct Jobs {
    records: Records,
    operations: Operations,
}

impl Jobs {
    /// Over an open database.
    pub fn new(records: Records) -> Self {
        let operations = Operations::new(records.database().clone());
        Self { records, operations }
    }

    /// For one worker at a time among all processes of the service.
    pub fn leases(&self) -> Leases {
        Leases::new(self.records.database().clone())
    }

    /// Makes an operation, or gives the one that the same request made before.
    pub async fn create(
        &self,
        request: &EvaluateModelVersionRequest,
        caller: &Caller,
        time: SystemTime,
    ) -> Result<Operation, Error> {
        let name = format!("operations/evaluate-{}", uuid::Uuid::now_v7());
        let bare = EvaluateModelVersionRequest { request_id: String::new(), ..request.clone() };
        let cause = Cause {
            principal: caller.principal.clone(),
            roles: caller.roles.clone(),
            method: METHOD.to_owned(),
            request_id: Some(request.request_id.clone()).filter(|id| !id.is_empty()),
            request_digest: Digest::of(&bare.encode_to_vec()),
            reason: format!("evaluate {} over {}", request.model_version, request.dataset_version),
            time,
            trace_id: String::new(),
        };
        let job = Job {
            request: Some(request.clone()),
            requested_by: caller.principal.clone(),
            step: "queued".to_owned(),
        };
        with_retry(|| async {
            let unit = self.records.begin(cause.clone()).await?;
            if let Some(answer) = unit.replay().await? {
                drop(unit);
                return Ok(self.operations.get(&String::from_utf8_lossy(&answer)).await?);
            }
            let made = Operations::create(unit.connection(), &name, KIND, job.encode_to_vec(), time).await?;
            unit.commit(name.as_bytes()).await?;
            Ok(made)
        })
        .await
    }

    /// The operation.
    pub async fn get(&self, name: &str) -> Result<Operation, Error> {
        Ok(self.operations.get(name).await?)
    }

    /// One page by name.
    pub async fn list(&self, after: &str, limit: u64) -> Result<Vec<Operation>, Error> {
        Ok(self.operations.list(after, limit).await?)
    }

    /// Those that have not ended, the oldest first: names are made of times.
    pub async fn unfinished(&self) -> Result<Vec<Operation>, Error> {
        Ok(self.operations.unfinished(KIND).await?)
    }

    /// Notes a step; true if the operation was asked to stop.
    pub async fn step(&self, name: &str, job: &Job, share: f64, time: SystemTime) -> Result<bool, Error> {
        self.operations.describe(name, job.encode_to_vec(), time).await?;
        Ok(self.operations.progress(name, share, time).await?)
    }

    /// Asks it to stop.
    pub async fn cancel(&self, name: &str, time: SystemTime) -> Result<Operation, Error> {
        Ok(self.operations.cancel(name, time).await?)
    }

    /// Ends it; one that has ended before stays as it is.
    pub async fn finish(&self, name: &str, outcome: Outcome, time: SystemTime) -> Result<(), Error> {
        match self.operations.finish(name, outcome, time).await {
            Ok(()) | Err(storage::Error::OperationOver { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// What an operation works on.
pub fn job(operation: &Operation) -> Result<Job, Error> {
    Job::decode(operation.metadata.as_slice())
        .map_err(|error| Error::Damaged(format!("{}: {error}", operation.name)))
}
