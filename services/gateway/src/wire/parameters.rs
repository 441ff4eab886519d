//! Parameters of a request that this server understands; others are let through, as the protocol has it.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use contracts::inference::infer_parameter::ParameterChoice;
use contracts::inference::{InferParameter, ModelInferRequest};
use engine::FieldError;

use super::shown;
use crate::sequence::{Asked, Id};

/// What parameters begin with that name a row's group.
const GROUP: &str = "group.";

/// Longest routing key, bytes.
const LONGEST_KEY: usize = 1024;
/// Longest name of a sequence, bytes.
const LONGEST_SEQUENCE: usize = 128;

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
    /// Triton's `sequence_id`, `sequence_start`, `sequence_end`: which sequence it belongs to.
    pub sequence: Asked,
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
        read.sequence = sequence(request, &mut wrong);
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

/// Which sequence a request belongs to: 0 and the empty name are none.
fn sequence(request: &ModelInferRequest, wrong: &mut impl FnMut(&str, String)) -> Asked {
    let given = |name: &str| request.parameters.get(name).map(|parameter| &parameter.parameter_choice);
    let id = match given("sequence_id") {
        Some(Some(ParameterChoice::Int64Param(number))) if *number >= 0 => {
            Some(Id::Number(number.unsigned_abs()))
        }
        Some(Some(ParameterChoice::Uint64Param(number))) => Some(Id::Number(*number)),
        Some(Some(ParameterChoice::StringParam(text))) if text.len() <= LONGEST_SEQUENCE => {
            Some(Id::Text(text.clone()))
        }
        Some(_) => {
            let why =
                format!("must be a whole number, 0 or more, or a string of at most {LONGEST_SEQUENCE} bytes");
            wrong("sequence_id", why);
            None
        }
        None => None,
    };
    let mut flag = |name: &str| match given(name) {
        Some(Some(ParameterChoice::BoolParam(flag))) => *flag,
        Some(_) => {
            wrong(name, "must be true or false".into());
            false
        }
        None => false,
    };
    let (start, end) = (flag("sequence_start"), flag("sequence_end"));
    let names = |id: &Id| !matches!(id, Id::Number(0)) && !matches!(id, Id::Text(text) if text.is_empty());
    Asked { id: id.filter(names), start, end }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sequence_of(given: Vec<(&str, ParameterChoice)>) -> (Asked, Vec<String>) {
        let parameter = |choice| InferParameter { parameter_choice: Some(choice) };
        let parameters =
            given.into_iter().map(|(name, choice)| (name.to_owned(), parameter(choice))).collect();
        let request = ModelInferRequest { parameters, ..Default::default() };
        let (read, bad) = Parameters::of(&request, None);
        (read.sequence, bad.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_sequence_has_a_number_or_a_name() {
        use ParameterChoice::{BoolParam, DoubleParam, Int64Param, StringParam, Uint64Param};
        let ids = [
            (Int64Param(7), Some(Id::Number(7))),
            (Uint64Param(u64::MAX), Some(Id::Number(u64::MAX))),
            (StringParam("a".into()), Some(Id::Text("a".into()))),
            (Int64Param(0), None),
            (StringParam(String::new()), None),
        ];
        for (given, id) in ids {
            let (asked, bad) = sequence_of(vec![("sequence_id", given), ("sequence_end", BoolParam(true))]);
            assert_eq!((asked, bad.len()), (Asked { id, start: false, end: true }, 0));
        }
        for given in [Int64Param(-1), DoubleParam(1.0), StringParam("a".repeat(129))] {
            let (asked, bad) = sequence_of(vec![("sequence_id", given), ("sequence_start", Int64Param(1))]);
            assert_eq!(asked, Asked::default());
            assert!(bad[0].starts_with("parameters[sequence_id]: must be a whole number"), "{bad:?}");
            assert_eq!(bad[1], "parameters[sequence_start]: must be true or false");
        }
    }
}
