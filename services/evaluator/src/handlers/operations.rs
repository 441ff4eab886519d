//! `google.longrunning.Operations` over the stored operations.

use crate::{Error, evaluator::Evaluator, store::jobs};
use contracts::longrunning::{self, operation, operations_server};
use contracts::{common::v1::OperationProgress, page::Page, rpc, time};
use prost::Message;
use prost_types::Any;
use runtime::Caller;
use std::time::Duration;
use storage::Outcome;
use tonic::{Code, Request, Response, Status};

/// Longest that one wait takes; a client asks again.
const LONGEST_WAIT: Duration = Duration::from_secs(25);
/// How often a waiting call looks, for evaluations that run in another process.
const LOOK: Duration = Duration::from_millis(250);
/// Roles that may stop what others started.
const STEWARDS: [&str; 2] = ["qa-engineer", "ml-lead"];

/// The protobuf type of a message inside an `Any`.
fn pack<M: Message>(full_name: &str, message: &M) -> Any {
    Any { type_url: format!("type.googleapis.com/{full_name}"), value: message.encode_to_vec() }
}

/// A stored operation on the wire.
pub(super) fn to_wire(stored: &storage::Operation) -> Result<longrunning::Operation, Error> {
    let job = jobs::job(stored)?;
    let subject =
        job.request.map(|request| format!("{}/evaluations/{}", request.model_version, request.evaluation_id));
    let progress = OperationProgress {
        subject: subject.unwrap_or_default(),
        step: job.step,
        share_done: stored.progress,
        create_time: Some(time::to_wire(stored.create_time)),
        update_time: Some(time::to_wire(stored.update_time)),
        cancel_requested: stored.cancel_requested,
    };
    let failed = |code: i32, message: String, status: &[u8]| {
        let details = rpc::Status::decode(status).map(|status| status.details).unwrap_or_default();
        operation::Result::Error(rpc::Status { code, message, details })
    };
    let result = stored.outcome.clone().map(|outcome| match outcome {
        Outcome::Succeeded(value) => operation::Result::Response(Any {
            type_url: "type.googleapis.com/wlp.registry.v1.Evaluation".to_owned(),
            value,
        }),
        Outcome::Failed { code, message, status } => failed(code, message, &status),
        Outcome::Cancelled => failed(Code::Cancelled as i32, "cancelled".to_owned(), &[]),
    });
    Ok(longrunning::Operation {
        name: stored.name.clone(),
        metadata: Some(pack("wlp.common.v1.OperationProgress", &progress)),
        done: result.is_some(),
        result,
    })
}

impl Evaluator {
    async fn wait(
        &self,
        request: longrunning::WaitOperationRequest,
    ) -> Result<longrunning::Operation, Error> {
        let asked = request.timeout.as_ref().and_then(time::duration_from_wire).unwrap_or(LONGEST_WAIT);
        let end = tokio::time::Instant::now() + asked.min(LONGEST_WAIT);
        loop {
            let changed = self.changed().notified();
            let stored = self.jobs().get(&request.name).await?;
            if stored.outcome.is_some() || end <= tokio::time::Instant::now() {
                return to_wire(&stored);
            }
            tokio::select! {
                () = changed => {}
                () = tokio::time::sleep(LOOK) => {}
                () = tokio::time::sleep_until(end) => {}
            }
        }
    }

    async fn cancel(&self, name: &str, caller: &Caller) -> Result<(), Error> {
        let owner = jobs::job(&self.jobs().get(name).await?)?.requested_by;
        if owner != caller.principal && !STEWARDS.iter().any(|role| caller.has(role)) {
            return Err(Error::NotYours { operation: name.to_owned(), owner });
        }
        self.jobs().cancel(name, self.clock().now()).await?;
        self.interrupt(name);
        self.queued().notify_one();
        Ok(())
    }

    async fn page(
        &self,
        request: longrunning::ListOperationsRequest,
    ) -> Result<longrunning::ListOperationsResponse, Error> {
        let page = Page::parse(request.page_size, &request.page_token).map_err(|error| {
            Error::BadRequest(vec![runtime::FieldViolation::new("page_token", error.to_string())])
        })?;
        let found = self.jobs().list(&page.after, u64::from(page.size)).await?;
        let next = page.next_token(found.iter().map(|operation| operation.name.as_str()));
        let operations = found.iter().map(to_wire).collect::<Result<_, _>>()?;
        Ok(longrunning::ListOperationsResponse { operations, next_page_token: next })
    }
}

#[tonic::async_trait]
impl operations_server::Operations for Evaluator {
    async fn list_operations(
        &self,
        request: Request<longrunning::ListOperationsRequest>,
    ) -> Result<Response<longrunning::ListOperationsResponse>, Status> {
        Ok(Response::new(self.page(request.into_inner()).await?))
    }

    async fn get_operation(
        &self,
        request: Request<longrunning::GetOperationRequest>,
    ) -> Result<Response<longrunning::Operation>, Status> {
        let stored = self.jobs().get(&request.into_inner().name).await?;
        Ok(Response::new(to_wire(&stored)?))
    }

    async fn delete_operation(
        &self,
        _: Request<longrunning::DeleteOperationRequest>,
    ) -> Result<Response<()>, Status> {
        Err(Error::Unsupported("operations are records of the procedure and are not deleted").into())
    }

    async fn cancel_operation(
        &self,
        request: Request<longrunning::CancelOperationRequest>,
    ) -> Result<Response<()>, Status> {
        let caller = Caller::of(&request)?;
        self.cancel(&request.into_inner().name, &caller).await?;
        Ok(Response::new(()))
    }

    async fn wait_operation(
        &self,
        request: Request<longrunning::WaitOperationRequest>,
    ) -> Result<Response<longrunning::Operation>, Status> {
        Ok(Response::new(self.wait(request.into_inner()).await?))
    }
}
