//! Parameters of a request that this server understands; others are let through, as the protocol has it.

use std::collections::HashMap;
use std::time::Duration;

use contracts::inference::infer_parameter::ParameterChoice;
use contracts::inference::{InferParameter, ModelInferRequest};

use crate::Error;

/// Longest routing key, bytes.
const LONGEST_KEY: usize = 1024;

/// What a request asks for beside its tensors.
#[derive(Debug, Default, Clone)]
pub struct Parameters {
    /// Sticky routing: the same key meets the same version.
    pub key: Option<String>,
    /// Triton's `timeout`: how long the caller wants to wait.
    pub timeout: Option<Duration>,
    /// Triton's `triton_enable_empty_final_response`: the answer says that it is the last.
    pub final_response: bool,
}

impl Parameters {
    /// Reads them from the message; `header` is the `wlp-key` of the call, which wins.
    ///
    /// # Errors
    /// [`Error::BadRequest`] for a parameter of the wrong type or size.
    pub fn of(request: &ModelInferRequest, header: Option<&str>) -> Result<Self, Error> {
        let mut read = Self { key: header.map(str::to_owned), ..Self::default() };
        if let Some(parameter) = request.parameters.get("key") {
            let Some(ParameterChoice::StringParam(key)) = &parameter.parameter_choice else {
                return Err(Error::field("parameters[key]", "must be a string"));
            };
            read.key.get_or_insert_with(|| key.clone());
        }
        if read.key.as_ref().is_some_and(|key| key.len() > LONGEST_KEY) {
            return Err(Error::field("parameters[key]", format!("longer than {LONGEST_KEY} bytes")));
        }
        read.key = read.key.filter(|key| !key.is_empty());
        if let Some(parameter) = request.parameters.get("timeout") {
            let micros = match parameter.parameter_choice {
                Some(ParameterChoice::Int64Param(micros)) => u64::try_from(micros).ok(),
                Some(ParameterChoice::Uint64Param(micros)) => Some(micros),
                _ => None,
            };
            let Some(micros) = micros else {
                return Err(Error::field("parameters[timeout]", "must be microseconds, 0 or more"));
            };
            read.timeout = (micros > 0).then(|| Duration::from_micros(micros));
        }
        if let Some(parameter) = request.parameters.get("triton_enable_empty_final_response") {
            read.final_response =
                matches!(parameter.parameter_choice, Some(ParameterChoice::BoolParam(true)));
        }
        Ok(read)
    }

    /// What the answer carries back.
    pub fn echoed(&self) -> HashMap<String, InferParameter> {
        let last = InferParameter { parameter_choice: Some(ParameterChoice::BoolParam(true)) };
        self.final_response.then(|| ("triton_final_response".to_owned(), last)).into_iter().collect()
    }
}
