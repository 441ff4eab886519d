//! `google.longrunning.Operations` over the stored operations.

use contracts::common::v1::OperationProgress;
use contracts::longrunning::operation::Result as Ended;
use contracts::longrunning::operations_server::Operations;
use contracts::longrunning::{
    CancelOperationRequest, DeleteOperationRequest, GetOperationRequest, ListOperationsRequest,
    ListOperationsResponse, Operation, WaitOperationRequest,
};
use contracts::page::Page;
use contracts::rpc;
use contracts::time::{duration_from_wire, to_wire};
use prost::Message as _;
use prost_types::Any;
use runtime::{Caller, Kind};
use std::time::Duration;
use storage::Outcome;
use tonic::{Code, Request, Response, Status};

use crate::store::Job;
use crate::{Error, Pipeline};

/// The longest a call waits, in real time; the caller asks again.
const LONGEST_WAIT: Duration = Duration::from_secs(25);
/// How often a waiting call looks.
const LOOK: Duration = Duration::from_millis(50);

#[tonic::async_trait]
impl Operations for Pipeline {
    async fn list_operations(
        &self,
        request: Request<ListOperationsRequest>,
    ) -> Result<Response<ListOperationsResponse>, Status> {
        let request = request.into_inner();
        if !request.filter.is_empty() {
            return Err(Error::field("filter", "is not supported").into());
        }
        let page = Page::parse(request.page_size, &request.page_token)
            .map_err(|bad| Error::field("page_token", bad.to_string()))?;
        let stored =
            storage::Operations::list(Pipeline::operations(self), &page.after, page.size.into()).await;
        let stored = stored.map_err(Error::from)?;
        let next_page_token = page.next_token(stored.iter().map(|one| one.name.as_str()));
        let operations = stored.iter().map(wire).collect::<Result<_, _>>()?;
        Ok(Response::new(ListOperationsResponse { operations, next_page_token }))
    }

    async fn get_operation(
        &self,
        request: Request<GetOperationRequest>,
    ) -> Result<Response<Operation>, Status> {
        let name = checked(&request.into_inner().name)?;
        let stored = Pipeline::operations(self).get(&name).await.map_err(Error::from)?;
        Ok(Response::new(wire(&stored)?))
    }

    async fn delete_operation(
        &self,
        request: Request<DeleteOperationRequest>,
    ) -> Result<Response<()>, Status> {
        checked(&request.into_inner().name)?;
        let why = "operations are records of what was done and are kept";
        Err(runtime::status(Code::Unimplemented, "OPERATIONS_ARE_KEPT", why, []))
    }

    async fn cancel_operation(
        &self,
        request: Request<CancelOperationRequest>,
    ) -> Result<Response<()>, Status> {
        let caller = Caller::of(&request)?;
        let name = checked(&request.into_inner().name)?;
        let stored = Pipeline::operations(self).get(&name).await.map_err(Error::from)?;
        let job = Job::decode(stored.metadata.as_slice()).map_err(Error::from)?;
        let may =
            job.principal == caller.principal || caller.has("data-engineer") || caller.kind == Kind::Service;
        if !may {
            let why = format!(
                "{name} was asked for by {}; only they or a data-engineer may cancel it",
                job.principal
            );
            return Err(runtime::status(Code::PermissionDenied, "NOT_YOURS", why, []));
        }
        Pipeline::operations(self).cancel(&name, self.clock().now()).await.map_err(Error::from)?;
        Ok(Response::new(()))
    }

    async fn wait_operation(
        &self,
        request: Request<WaitOperationRequest>,
    ) -> Result<Response<Operation>, Status> {
        let request = request.into_inner();
        let name = checked(&request.name)?;
        let asked = match &request.timeout {
            None => LONGEST_WAIT,
            Some(wire) => {
                duration_from_wire(wire).ok_or_else(|| Error::field("timeout", "must be zero or more"))?
            }
        };
        let until = tokio::time::Instant::now() + asked.min(LONGEST_WAIT);
        loop {
            let stored = Pipeline::operations(self).get(&name).await.map_err(Error::from)?;
            if stored.outcome.is_some() || until <= tokio::time::Instant::now() {
                return Ok(Response::new(wire(&stored)?));
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

fn checked(name: &str) -> Result<String, Error> {
    match contracts::name::parse("name", name, "operations/{operation}") {
        Ok(_) => Ok(name.to_owned()),
        Err(bad) => Err(Error::field("name", bad.description().to_string())),
    }
}

/// A stored operation on the wire.
///
/// # Errors
/// [`Error::Damaged`].
pub fn wire(stored: &storage::Operation) -> Result<Operation, Error> {
    let job = Job::decode(stored.metadata.as_slice())?;
    let answer =
        if job.build.is_some() { "wlp.registry.v1.DatasetVersion" } else { "wlp.pipeline.v1.ReplayResult" };
    let failed = |code: i32, message: &str, status: &[u8]| {
        let details = rpc::Status::decode(status).map(|status| status.details).unwrap_or_default();
        Ended::Error(rpc::Status { code, message: message.to_owned(), details })
    };
    let result = stored.outcome.as_ref().map(|outcome| match outcome {
        Outcome::Succeeded(value) => Ended::Response(any(answer, value.clone())),
        Outcome::Failed { code, message, status } => failed(*code, message, status),
        Outcome::Cancelled => failed(Code::Cancelled as i32, "cancelled", &[]),
    });
    let progress = OperationProgress {
        subject: job.subject,
        step: job.step,
        share_done: stored.progress,
        create_time: Some(to_wire(stored.create_time)),
        update_time: Some(to_wire(stored.update_time)),
        cancel_requested: stored.cancel_requested,
    };
    Ok(Operation {
        name: stored.name.clone(),
        metadata: Some(any("wlp.common.v1.OperationProgress", progress.encode_to_vec())),
        done: stored.outcome.is_some(),
        result,
    })
}

fn any(message: &str, value: Vec<u8>) -> Any {
    Any { type_url: format!("type.googleapis.com/{message}"), value }
}
