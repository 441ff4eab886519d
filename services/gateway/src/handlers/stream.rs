//! `ModelStreamInfer`: answers in the order of the requests; what is wrong with one stands inside its message, and the
//! stream goes on.

use std::pin::Pin;
use std::time::Instant;

use contracts::inference::{ModelInferRequest, ModelInferResponse, ModelStreamInferResponse};
use futures::{Stream, StreamExt};
use runtime::layers::codes::deserved;
use tonic::{Status, Streaming};

use crate::gateway::Gateway;
use crate::infer::Call;

/// The answers of a stream.
pub type Answers = Pin<Box<dyn Stream<Item = Result<ModelStreamInferResponse, Status>> + Send>>;

/// Requests of one stream that are worked on at a time.
const AT_A_TIME: usize = 16;
/// What a request of a stream without a deadline may take: that of a unary call.
const LIMIT: std::time::Duration = runtime::layers::deadline::DEFAULT;

/// Answers the requests of a stream.
pub fn answers(gateway: Gateway, requests: Streaming<ModelInferRequest>, call: Call) -> Answers {
    let answer = move |request: Result<ModelInferRequest, Status>| {
        let (gateway, mut call) = (gateway.clone(), call.clone());
        async move {
            // The stream itself is broken (undecodable, too large): that ends it.
            let request = request.map_err(|why| deserved(&why).unwrap_or(why))?;
            call.deadline = call.deadline.or_else(|| Instant::now().checked_add(LIMIT));
            let id = request.id.clone();
            match gateway.infer(request, call).await {
                Ok(answer) => Ok(ModelStreamInferResponse {
                    error_message: String::new(),
                    infer_response: Some(Box::new(answer)),
                }),
                Err(error) => {
                    let status = Status::from(error);
                    let infer_response =
                        Some(Box::new(ModelInferResponse { id, ..ModelInferResponse::default() }));
                    Ok(ModelStreamInferResponse {
                        error_message: status.message().to_owned(),
                        infer_response,
                    })
                }
            }
        }
    };
    Box::pin(requests.map(answer).buffered(AT_A_TIME))
}
