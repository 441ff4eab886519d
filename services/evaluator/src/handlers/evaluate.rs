//! Takes a request for an evaluation and answers with the operation that will do it.

use super::operations::to_wire;
use crate::{Error, evaluator::Evaluator, plan};
use contracts::evaluator::v1::EvaluateModelVersionRequest;
use contracts::evaluator::v1::evaluator_service_server::EvaluatorService;
use contracts::{longrunning, name};
use runtime::{Caller, FieldViolation};
use tonic::{Request, Response, Status};

#[tonic::async_trait]
impl EvaluatorService for Evaluator {
    async fn evaluate_model_version(
        &self,
        request: Request<EvaluateModelVersionRequest>,
    ) -> Result<Response<longrunning::Operation>, Status> {
        let caller = Caller::of(&request)?;
        let request = checked(request.into_inner())?;
        let made = self.jobs().create(&request, &caller, self.clock().now()).await?;
        self.queued().notify_one();
        Ok(Response::new(to_wire(&made)?))
    }
}

/// Every bad field at once; the version's name in its one form.
fn checked(mut request: EvaluateModelVersionRequest) -> Result<EvaluateModelVersionRequest, Error> {
    let mut bad = Vec::new();
    let mut refuse = |error: name::BadName| {
        bad.push(FieldViolation::new(error.field.clone(), error.description().to_string()));
    };
    match name::model_version("model_version", &request.model_version) {
        Ok(name) => request.model_version = name,
        Err(error) => refuse(error),
    }
    if let Err(error) =
        name::parse("dataset_version", &request.dataset_version, "datasets/{dataset}/versions/{version}")
    {
        refuse(error);
    }
    if let Err(error) = name::id("evaluation_id", &request.evaluation_id) {
        refuse(error);
    }
    if request.request_id.len() > 128 {
        bad.push(FieldViolation::new("request_id", "longer than 128 bytes"));
    }
    if let Some(asked) = &request.plan {
        plan::check(asked, &mut bad);
    }
    if bad.is_empty() { Ok(request) } else { Err(Error::BadRequest(bad)) }
}
