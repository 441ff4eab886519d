//! Trace and log settings: what is the case can be asked; what a client asks for is read and changes nothing.
//!
//! Traces and logs belong to whoever runs the server. In the mesh a change is refused; a server of a folder answers with what
//! stays, for clients that set them on their way and go on.

use std::collections::HashMap;

use contracts::inference as wire;
use contracts::inference::log_settings_request::setting_value::ParameterChoice as Asked;
use contracts::inference::log_settings_response::setting_value::ParameterChoice as Told;
use engine::FieldError;
use runtime::config::Telemetry;

use crate::Error;
use crate::gateway::Gateway;
use crate::wire::shown;

const FIXED: &str = "traces and logs are set in the gateway's configuration, not by a client";
/// Values of the setting `trace_level`.
const LEVELS: [&str; 4] = ["OFF", "TIMESTAMPS", "TENSORS", ""];

impl Gateway {
    /// The settings of traces, of one model or of all, which are alike.
    pub(super) fn traces(
        &self,
        request: &wire::TraceSettingRequest,
    ) -> Result<wire::TraceSettingResponse, Error> {
        let name = &request.model_name;
        if !name.is_empty() && !self.live().endpoints.contains_key(name) {
            return Err(Error::UnknownEndpoint(shown(name)));
        }
        self.unchanged(request.settings.is_empty(), wrong_traces(&request.settings))?;
        let one = |(name, value): (&str, String)| {
            (name.to_owned(), wire::trace_setting_response::SettingValue { value: vec![value] })
        };
        let settings = traces(&self.config().telemetry).into_iter().map(one).collect();
        Ok(wire::TraceSettingResponse { settings })
    }

    /// The settings of logs.
    pub(super) fn logs(
        &self,
        request: &wire::LogSettingsRequest,
    ) -> Result<wire::LogSettingsResponse, Error> {
        self.unchanged(request.settings.is_empty(), wrong_logs(&request.settings))?;
        let one = |(name, value): (&str, Told)| {
            let value = wire::log_settings_response::SettingValue { parameter_choice: Some(value) };
            (name.to_owned(), value)
        };
        let settings = logs(&self.config().telemetry).into_iter().map(one).collect();
        Ok(wire::LogSettingsResponse { settings })
    }

    /// Whether a request that asks for nothing, or for nothing that would be done, is answered.
    fn unchanged(&self, only_asks: bool, bad: Vec<FieldError>) -> Result<(), Error> {
        match self.local() {
            _ if !bad.is_empty() => Err(Error::BadRequest(bad)),
            None if !only_asks => Err(Error::Unsupported(FIXED)),
            _ => Ok(()),
        }
    }
}

/// As they are, under Triton's names. Spans go to a collector or nowhere, so there is no file and no count.
fn traces(telemetry: &Telemetry) -> [(&'static str, String); 6] {
    let level = if telemetry.otlp_endpoint.is_empty() { "OFF" } else { "TIMESTAMPS" };
    let rate = (1.0 / telemetry.sample_ratio.clamp(1e-9, 1.0)).round();
    [
        ("trace_level", level.to_owned()),
        ("trace_rate", format!("{rate}")),
        ("trace_count", "-1".to_owned()),
        ("log_frequency", "0".to_owned()),
        ("trace_file", String::new()),
        ("trace_mode", "opentelemetry".to_owned()),
    ]
}

/// As they are, under Triton's names: from the directive that names no module.
fn logs(telemetry: &Telemetry) -> [(&'static str, Told); 6] {
    let own = telemetry.filter.split(',').map(str::trim).find(|directive| !directive.contains('='));
    let levels = ["off", "error", "warn", "info", "debug", "trace"];
    let level =
        own.and_then(|own| levels.iter().position(|level| own.eq_ignore_ascii_case(level))).unwrap_or(1);
    [
        ("log_error", Told::BoolParam(level >= 1)),
        ("log_warning", Told::BoolParam(level >= 2)),
        ("log_info", Told::BoolParam(level >= 3)),
        ("log_verbose_level", Told::Uint32Param(level.saturating_sub(3) as u32)),
        ("log_file", Told::StringParam(String::new())),
        ("log_format", Told::StringParam("default".to_owned())),
    ]
}

fn wrong_traces(asked: &HashMap<String, wire::trace_setting_request::SettingValue>) -> Vec<FieldError> {
    wrong(asked, |name, setting| {
        let whole = |value: &String| value.trim().parse::<i64>().is_ok();
        match name {
            "trace_level" => {
                let known = setting.value.iter().all(|value| LEVELS.contains(&value.as_str()));
                (!known).then_some("required OFF, TIMESTAMPS or TENSORS")
            }
            "trace_rate" | "trace_count" | "log_frequency" => {
                (!setting.value.iter().all(whole)).then_some("required a whole number")
            }
            "trace_file" | "trace_mode" => None,
            _ => Some("is not known"),
        }
    })
}

fn wrong_logs(asked: &HashMap<String, wire::log_settings_request::SettingValue>) -> Vec<FieldError> {
    wrong(asked, |name, setting| {
        let choice = setting.parameter_choice.as_ref();
        match (name, choice) {
            ("log_error" | "log_warning" | "log_info", Some(Asked::BoolParam(_)))
            | ("log_verbose_level", Some(Asked::Uint32Param(_)))
            | ("log_file" | "log_format", Some(Asked::StringParam(_))) => None,
            ("log_error" | "log_warning" | "log_info", _) => Some("required true or false"),
            ("log_verbose_level", _) => Some("required a whole number, 0 or more"),
            ("log_file" | "log_format", _) => Some("required a string"),
            _ => Some("is not known"),
        }
    })
}

fn wrong<T>(asked: &HashMap<String, T>, why: impl Fn(&str, &T) -> Option<&'static str>) -> Vec<FieldError> {
    let mut names: Vec<_> = asked.keys().collect();
    names.sort();
    let one = |name: &String| {
        let description = why(name, &asked[name])?.to_owned();
        Some(FieldError { field: format!("settings[{}]", shown(name)), description })
    };
    names.into_iter().filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_those_of_the_configuration() {
        let quiet = traces(&Telemetry::default());
        assert!(quiet.contains(&("trace_level", "OFF".to_owned())), "{quiet:?}");
        let sampled = Telemetry {
            otlp_endpoint: "http://127.0.0.1:4317".into(),
            sample_ratio: 0.01,
            filter: "sqlx=trace,DEBUG".into(),
            ..Telemetry::default()
        };
        let told = traces(&sampled);
        assert!(told.contains(&("trace_level", "TIMESTAMPS".to_owned())), "{told:?}");
        assert!(told.contains(&("trace_rate", "100".to_owned())), "{told:?}");
        assert!(logs(&sampled).contains(&("log_verbose_level", Told::Uint32Param(1))));
        let none = logs(&Telemetry { filter: "off".into(), ..Telemetry::default() });
        assert!(none.contains(&("log_error", Told::BoolParam(false))), "{none:?}");
    }

    #[test]
    fn every_setting_that_is_none_is_named() {
        let trace = |name: &str, value: &[&str]| {
            let value = value.iter().map(|&value| value.to_owned()).collect();
            (name.to_owned(), wire::trace_setting_request::SettingValue { value })
        };
        let good = [
            trace("trace_level", &["TIMESTAMPS", "TENSORS"]),
            trace("trace_rate", &[]),
            trace("trace_count", &["-1"]),
        ];
        assert!(wrong_traces(&good.into()).is_empty());
        let bad = [trace("trace_level", &["ALL"]), trace("trace_rate", &["often"]), trace("color", &["red"])];
        let fields: Vec<_> = wrong_traces(&bad.into()).into_iter().map(|bad| bad.field).collect();
        assert_eq!(fields, ["settings[color]", "settings[trace_level]", "settings[trace_rate]"]);
        let log = |name: &str, choice| {
            (name.to_owned(), wire::log_settings_request::SettingValue { parameter_choice: Some(choice) })
        };
        let bad = [log("log_info", Asked::Uint32Param(1)), log("log_file", Asked::StringParam("x".into()))];
        let fields: Vec<_> = wrong_logs(&bad.into()).into_iter().map(|bad| bad.field).collect();
        assert_eq!(fields, ["settings[log_info]"]);
    }
}
