//! Parameters of a request that this server understands; others are let through, as the protocol has it.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use contracts::inference::infer_parameter::ParameterChoice;
use contracts::inference::{InferParameter, ModelInferRequest};
use engine::FieldError;

use super::shown;

/// What parameters begin with that name a row's group.
const GROUP: &str = "group.";

/// Longest routing key, bytes.
const LONGEST_KEY: usize = 1024;

/// What a request asks for beside its tensors.
#[derive(Debug, Default, Clone)]
pub struct Parameters {
    /// Sticky routing: the same key meets the same version.
    pub key: Option<String>,
    /// Triton's `timeout`: how long the caller wants to wait.
    pub timeout: Option<Duration>,
    /// Triton's `priority`: 1 goes first; 0 is that of a request that names none.
    pub priority: Option<u64>,
    /// Triton's `triton_enable_empty_final_response`: the answer says that it is the last.
    pub final_response: bool,
    /// Values of sensitive columns that are no inputs of the model, by column: `group.<column>` is one value for all rows, or
    /// one for each row separated by commas. They reach the counts of groups (§9.1) and nothing else.
    pub groups: BTreeMap<String, String>,
}

impl Parameters {
    /// Reads them from the message, with every one that cannot be used; `header` is the `wlp-key` of the call, which wins.
    pub fn of(request: &ModelInferRequest, header: Option<&str>) -> (Self, Vec<FieldError>) {
        let mut bad = Vec::new();
        let mut wrong = |name: &str, why: String| {
            bad.push(FieldError { field: format!("parameters[{name}]"), description: why });
        };
        let mut read = Self { key: header.map(str::to_owned), ..Self::default() };
        match request.parameters.get("key").map(|parameter| &parameter.parameter_choice) {
            Some(Some(ParameterChoice::StringParam(key))) => _ = read.key.get_or_insert_with(|| key.clone()),
            Some(_) => wrong("key", "must be a string".into()),
            None => {}
        }
        if read.key.as_ref().is_some_and(|key| key.len() > LONGEST_KEY) {
            wrong("key", format!("longer than {LONGEST_KEY} bytes"));
        }
        read.key = read.key.filter(|key| !key.is_empty());
        match request.parameters.get("timeout").map(|parameter| &parameter.parameter_choice) {
            Some(Some(ParameterChoice::Int64Param(micros))) if *micros >= 0 => {
                read.timeout = Some(Duration::from_micros(micros.unsigned_abs()));
            }
            Some(Some(ParameterChoice::Uint64Param(micros))) => {
                read.timeout = Some(Duration::from_micros(*micros));
            }
            Some(_) => wrong("timeout", "must be microseconds, 0 or more".into()),
            None => {}
        }
        read.timeout = read.timeout.filter(|timeout| !timeout.is_zero());
        match request.parameters.get("priority").map(|parameter| &parameter.parameter_choice) {
            Some(Some(ParameterChoice::Int64Param(level))) if *level >= 0 => {
                read.priority = Some(level.unsigned_abs());
            }
            Some(Some(ParameterChoice::Uint64Param(level))) => read.priority = Some(*level),
            Some(_) => wrong("priority", "must be a whole number, 0 or more".into()),
            None => {}
        }
        if let Some(parameter) = request.parameters.get("triton_enable_empty_final_response") {
            read.final_response =
                matches!(parameter.parameter_choice, Some(ParameterChoice::BoolParam(true)));
        }
        for (name, parameter) in &request.parameters {
            let Some(column) = name.strip_prefix(GROUP) else { continue };
            match &parameter.parameter_choice {
                Some(ParameterChoice::StringParam(values)) => {
                    read.groups.insert(column.to_owned(), values.clone());
                }
                _ => wrong(&shown(name), "must be a string".into()),
            }
        }
        (read, bad)
    }

    /// What the answer carries back.
    pub fn echoed(&self) -> HashMap<String, InferParameter> {
        let last = InferParameter { parameter_choice: Some(ParameterChoice::BoolParam(true)) };
        self.final_response.then(|| ("triton_final_response".to_owned(), last)).into_iter().collect()
    }
}
