//! `POST /v2/models/{model}[/versions/{version}]/infer`.

use std::sync::{Arc, OnceLock};

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use contracts::inference::infer_parameter::ParameterChoice;
use contracts::inference::{
    InferParameter, ModelInferRequest, ModelInferResponse, ModelMetadataRequest, ModelMetadataResponse,
};
use runtime::{FieldViolation, bad_request};
use tonic::Status;

use super::answer::Refused;
use super::body::{self, apart};
use super::call::{Framed, framed_request};
use super::request::Wanted;
use super::{Names, Rest, raw, request, response};

/// Header and parameter of the same name and meaning: microseconds that the caller wants to wait.
const TIMEOUT: &str = "timeout";

/// Infers.
pub async fn infer(
    State(rest): State<Rest>,
    names: Names,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refused> {
    let wanted = Arc::new(OnceLock::new());
    let message = message(rest.clone(), names, headers.clone(), body, wanted.clone());
    let answer: ModelInferResponse = rest.call("ModelInfer", &headers, message).await?;
    let size = answer.raw_output_contents.iter().map(bytes::Bytes::len).sum();
    let wanted = wanted.get().cloned().unwrap_or_default();
    let written = apart(size, move || response::write(answer, &wanted)).await?;
    Ok(written.into_response())
}

/// The request's message, once somebody asks for it; how its answer should look goes to `wanted`.
async fn message(
    rest: Rest,
    names: Names,
    headers: HeaderMap,
    body: Body,
    wanted: Arc<OnceLock<Wanted>>,
) -> Result<Framed, Status> {
    let (head, timeout) = (number(&headers, response::LENGTH)?, number(&headers, TIMEOUT)?);
    let body = body::read(body, &headers, rest.most, &rest.incoming).await?;
    let (mut request, asked) = if head == Some(0) {
        let model = ModelMetadataRequest { name: names.model.clone(), version: names.version.clone() };
        let model: ModelMetadataResponse = rest.ask("ModelMetadata", &headers, &model).await?;
        raw::read(body, &model)?
    } else {
        let size = head.unwrap_or(body.len());
        apart(size, move || request::read(&body, head)).await?
    };
    (request.model_name, request.model_version) = (names.model, names.version);
    wait_at_most(timeout, &mut request);
    let _first = wanted.set(asked);
    Ok(framed_request(request))
}

/// A header that is a whole number.
fn number(headers: &HeaderMap, name: &str) -> Result<Option<usize>, Status> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    let number = value.to_str().ok().and_then(|text| text.trim().parse().ok());
    let wrong = || bad_request(vec![FieldViolation::new(name, "is a header that is no whole number")]);
    number.map(Some).ok_or_else(wrong)
}

/// The header is the parameter where the body does not have it.
fn wait_at_most(header: Option<usize>, request: &mut ModelInferRequest) {
    let Some(micros) = header else { return };
    let choice = ParameterChoice::Uint64Param(micros as u64);
    let parameter = InferParameter { parameter_choice: Some(choice) };
    request.parameters.entry(TIMEOUT.to_owned()).or_insert(parameter);
}
