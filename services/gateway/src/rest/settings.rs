//! Trace and log settings.

use std::collections::HashMap;

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use contracts::inference as wire;
use contracts::inference::log_settings_request::setting_value::ParameterChoice as LogChoice;
use contracts::inference::log_settings_response::setting_value::ParameterChoice as LogAnswer;
use contracts::inference::{log_settings_request, trace_setting_request};
use serde_json::{Map, Value};
use tonic::Status;

use super::answer::{Refused, ok};
use super::fields::{Faults, members, whole};
use super::scan::{Kind, NotJson, Scanner};
use super::{Names, Rest};
use crate::wire::shown;

/// The trace setting that is a list, whatever it has.
const LEVELS: &str = "trace_level";
/// Values of one setting at most.
const MOST_VALUES: usize = 64;

/// `GET /v2[/models/{model}]/trace/setting`.
pub async fn trace(State(rest): State<Rest>, names: Names, headers: HeaderMap) -> Result<Response, Refused> {
    let asked = wire::TraceSettingRequest { model_name: names.model, ..Default::default() };
    Ok(traced(rest.ask("TraceSetting", &headers, &asked).await?))
}

/// `POST /v2[/models/{model}]/trace/setting`.
pub async fn set_trace(
    State(rest): State<Rest>,
    names: Names,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refused> {
    let asked = move |body: &[u8]| -> Result<_, Status> {
        let mut settings = HashMap::new();
        members(body, |scanner, name, faults| {
            let value = values(scanner, &shown(name), faults)?;
            settings.insert(name.to_owned(), trace_setting_request::SettingValue { value });
            Ok(())
        })?;
        Ok(wire::TraceSettingRequest { settings, model_name: names.model })
    };
    Ok(traced(rest.tell("TraceSetting", &headers, body, asked).await?))
}

/// A setting as strings: `null` takes it back to its default and is none.
fn values(scanner: &mut Scanner<'_>, field: &str, faults: &mut Faults) -> Result<Vec<String>, NotJson> {
    let mut all = Vec::new();
    if scanner.kind()? == Kind::List {
        scanner.list(|scanner| value(scanner, field, faults, &mut all))?;
    } else {
        value(scanner, field, faults, &mut all)?;
    }
    Ok(all)
}

fn value(
    scanner: &mut Scanner<'_>,
    field: &str,
    faults: &mut Faults,
    all: &mut Vec<String>,
) -> Result<(), NotJson> {
    let one = match scanner.kind()? {
        Kind::Text => scanner.text()?.into_owned(),
        Kind::Number => scanner.number()?.to_owned(),
        Kind::Null => return scanner.literal().map(|_| ()),
        found @ (Kind::Bool | Kind::List | Kind::Object) => {
            faults.add(field, format!("is {found}, required strings"));
            return scanner.skip().map(|_| ());
        }
    };
    if all.len() < MOST_VALUES {
        all.push(one);
    } else {
        faults.add(field, format!("has more than {MOST_VALUES} values"));
    }
    Ok(())
}

fn traced(answer: wire::TraceSettingResponse) -> Response {
    let one = |(name, setting): (String, wire::trace_setting_response::SettingValue)| {
        let mut values: Vec<Value> = setting.value.into_iter().map(Value::String).collect();
        let alone = name != LEVELS && values.len() == 1;
        let value = if alone { values.remove(0) } else { Value::Array(values) };
        (name, value)
    };
    ok(&answer.settings.into_iter().map(one).collect::<Map<_, _>>())
}

/// `GET /v2/logging`.
pub async fn log(State(rest): State<Rest>, headers: HeaderMap) -> Result<Response, Refused> {
    Ok(logged(rest.ask("LogSettings", &headers, &wire::LogSettingsRequest::default()).await?))
}

/// `POST /v2/logging`.
pub async fn set_log(State(rest): State<Rest>, headers: HeaderMap, body: Body) -> Result<Response, Refused> {
    let asked = |body: &[u8]| -> Result<_, Status> {
        let mut settings = HashMap::new();
        members(body, |scanner, name, faults| {
            if let Some(choice) = log_choice(scanner, &shown(name), faults)? {
                let value = log_settings_request::SettingValue { parameter_choice: Some(choice) };
                settings.insert(name.to_owned(), value);
            }
            Ok(())
        })?;
        Ok(wire::LogSettingsRequest { settings })
    };
    Ok(logged(rest.tell("LogSettings", &headers, body, asked).await?))
}

fn log_choice(
    scanner: &mut Scanner<'_>,
    field: &str,
    faults: &mut Faults,
) -> Result<Option<LogChoice>, NotJson> {
    Ok(match scanner.kind()? {
        Kind::Null | Kind::Bool => scanner.literal()?.map(LogChoice::BoolParam),
        Kind::Text => Some(LogChoice::StringParam(scanner.text()?.into_owned())),
        Kind::Number => whole(scanner, field, faults)?.map(LogChoice::Uint32Param),
        found @ (Kind::List | Kind::Object) => {
            faults.add(field, format!("is {found}, required a string, a whole number, true or false"));
            scanner.skip()?;
            None
        }
    })
}

fn logged(answer: wire::LogSettingsResponse) -> Response {
    let one = |(name, setting): (String, wire::log_settings_response::SettingValue)| {
        let value = match setting.parameter_choice {
            Some(LogAnswer::BoolParam(value)) => Value::from(value),
            Some(LogAnswer::Uint32Param(value)) => Value::from(value),
            Some(LogAnswer::StringParam(value)) => Value::from(value),
            None => Value::Null,
        };
        (name, value)
    };
    ok(&answer.settings.into_iter().map(one).collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    async fn body(response: Response) -> Value {
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        serde_json::from_slice(&bytes).unwrap()
    }

    #[tokio::test]
    async fn settings_are_shown_as_triton_shows_them() {
        let setting = |values: &[&str]| wire::trace_setting_response::SettingValue {
            value: values.iter().map(|&value| value.to_owned()).collect(),
        };
        let settings = [
            ("trace_level".to_owned(), setting(&["OFF"])),
            ("trace_rate".to_owned(), setting(&["1000"])),
            ("files".to_owned(), setting(&["a", "b"])),
        ];
        let shown = traced(wire::TraceSettingResponse { settings: settings.into() });
        let wanted = json!({"trace_level": ["OFF"], "trace_rate": "1000", "files": ["a", "b"]});
        assert_eq!(body(shown).await, wanted);
        let setting = |choice| wire::log_settings_response::SettingValue { parameter_choice: Some(choice) };
        let settings = [
            ("log_info".to_owned(), setting(LogAnswer::BoolParam(true))),
            ("log_verbose_level".to_owned(), setting(LogAnswer::Uint32Param(2))),
            ("log_file".to_owned(), setting(LogAnswer::StringParam(String::new()))),
        ];
        let shown = logged(wire::LogSettingsResponse { settings: settings.into() });
        let wanted = json!({"log_info": true, "log_verbose_level": 2, "log_file": ""});
        assert_eq!(body(shown).await, wanted);
    }

    #[test]
    fn a_setting_is_one_value_or_several_and_null_is_none() {
        let read = |text: &str| {
            let mut faults = Faults::default();
            let values = values(&mut Scanner::over(text), "f", &mut faults).unwrap();
            faults.done().map(|()| values).map_err(|status| status.message().to_owned())
        };
        assert_eq!(read("\"1\""), Ok(vec!["1".into()]));
        assert_eq!(read("[\"TIMESTAMPS\", \"TENSORS\"]"), Ok(vec!["TIMESTAMPS".into(), "TENSORS".into()]));
        assert_eq!(read("7"), Ok(vec!["7".into()]));
        assert_eq!(read("null"), Ok(vec![]));
        assert_eq!(read("true"), Err("f: is true or false, required strings".into()));
    }
}
