//! Requests of the Open Inference Protocol for the made model.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use contracts::inference::infer_parameter::ParameterChoice;
use contracts::inference::model_infer_request::InferInputTensor;
use contracts::inference::{InferParameter, ModelInferRequest, ModelInferResponse};
use futures::StreamExt;
use tonic::Status;

use crate::made::{FEATURES, Row, rows};
use crate::net::By;

/// Of the next rows that are sent.
static SEED: AtomicU64 = AtomicU64::new(1);
/// Requests at a time.
const AT_A_TIME: usize = 8;

/// One row as a request to `endpoint`.
pub fn request(endpoint: &str, row: &Row) -> ModelInferRequest {
    let bytes: Vec<u8> = row.numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    let input = InferInputTensor {
        name: "x".into(),
        datatype: "FP32".into(),
        shape: vec![1, FEATURES as i64],
        ..InferInputTensor::default()
    };
    ModelInferRequest {
        model_name: endpoint.into(),
        inputs: vec![input],
        raw_input_contents: vec![bytes.into()],
        ..ModelInferRequest::default()
    }
}

/// A text parameter of a request.
pub fn text(value: &str) -> InferParameter {
    InferParameter { parameter_choice: Some(ParameterChoice::StringParam(value.to_owned())) }
}

/// The label in an answer; none if it holds none.
pub fn label(answer: &ModelInferResponse) -> Option<i64> {
    let at = answer.outputs.iter().position(|output| output.name == "label")?;
    let raw = answer.raw_output_contents.get(at)?;
    Some(i64::from_le_bytes(raw.get(..8)?.try_into().ok()?))
}

/// Sends `count` rows of the made data, others each time, and gives the answers with the row that was asked.
pub async fn send(by: &By, endpoint: &str, count: usize) -> Vec<(Row, Result<ModelInferResponse, Status>)> {
    let client = by.inference();
    let asked = futures::stream::iter(rows(SEED.fetch_add(1, Ordering::Relaxed), count)).map(|row| {
        let (mut client, request) = (client.clone(), request(endpoint, &row));
        async move { (row, client.model_infer(request).await.map(tonic::Response::into_inner)) }
    });
    asked.buffer_unordered(AT_A_TIME).collect().await
}

/// Sends `count` rows; answers that there are must be right. Gives the number of answers by version, and of refusals by
/// reason.
///
/// # Panics
/// If an answer is wrong.
pub async fn clean(by: &By, endpoint: &str, count: usize) -> BTreeMap<String, usize> {
    let mut tally = BTreeMap::new();
    for (row, answer) in send(by, endpoint, count).await {
        let key = match answer {
            Ok(answer) => {
                assert_eq!(label(&answer), Some(row.label), "{row:?}: {answer:?}");
                answer.model_version
            }
            Err(status) => runtime::status::reason(&status).unwrap_or_else(|| format!("{:?}", status.code())),
        };
        *tally.entry(key).or_insert(0) += 1;
    }
    tally
}
