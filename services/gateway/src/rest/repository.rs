//! The model repository extension.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use contracts::inference as wire;
use contracts::inference::ModelRepositoryParameter;
use contracts::inference::model_repository_parameter::ParameterChoice;
use serde_json::Value;
use tonic::Status;

use super::answer::{Refused, ok};
use super::fields::{self, Faults, boolean, members};
use super::scan::{Kind, NotJson, Scanner};
use super::{Names, Rest, shown};

/// Parameters of one request at most.
const MOST: usize = 256;
/// What parameters begin with that name a file of a model; its bytes are base64 in JSON.
const FILE: &str = "file:";

/// `POST /v2/repository[/{repository}]/index`.
pub async fn index(
    State(rest): State<Rest>,
    names: Names,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refused> {
    let asked = move |body: &[u8]| -> Result<_, Status> {
        let mut ready = None;
        members(body, |scanner, name, faults| {
            match name {
                "ready" => fields::once(&mut ready, boolean(scanner, name, faults)?, name, faults),
                _ => _ = scanner.skip()?,
            }
            Ok(())
        })?;
        let ready = ready.unwrap_or_default();
        Ok(wire::RepositoryIndexRequest { repository_name: names.repository, ready })
    };
    let index: wire::RepositoryIndexResponse = rest.tell("RepositoryIndex", &headers, body, asked).await?;
    let one = |model| shown::brief("RepositoryIndexResponse.ModelIndex", model);
    let models = index.models.iter().map(one).collect::<Result<Vec<_>, Status>>()?;
    Ok(ok(&Value::Array(models)))
}

/// `POST /v2/repository[/{repository}]/models/{model}/load`.
pub async fn load(
    State(rest): State<Rest>,
    names: Names,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refused> {
    let asked = move |body: &[u8]| -> Result<_, Status> {
        let Names { model, repository, .. } = names;
        let parameters = parameters(body)?;
        Ok(wire::RepositoryModelLoadRequest { repository_name: repository, model_name: model, parameters })
    };
    let _: wire::RepositoryModelLoadResponse =
        rest.tell("RepositoryModelLoad", &headers, body, asked).await?;
    Ok(StatusCode::OK.into_response())
}

/// `POST /v2/repository[/{repository}]/models/{model}/unload`.
pub async fn unload(
    State(rest): State<Rest>,
    names: Names,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refused> {
    let asked = move |body: &[u8]| -> Result<_, Status> {
        let Names { model, repository, .. } = names;
        let parameters = parameters(body)?;
        Ok(wire::RepositoryModelUnloadRequest { repository_name: repository, model_name: model, parameters })
    };
    let _: wire::RepositoryModelUnloadResponse =
        rest.tell("RepositoryModelUnload", &headers, body, asked).await?;
    Ok(StatusCode::OK.into_response())
}

type Parameters = std::collections::HashMap<String, ModelRepositoryParameter>;

/// `parameters` of a body.
fn parameters(body: &[u8]) -> Result<Parameters, Status> {
    let (mut all, mut given) = (Parameters::new(), 0_usize);
    members(body, |scanner, name, faults| {
        if name != "parameters" {
            return scanner.skip().map(|_| ());
        }
        if !fields::is(scanner, Kind::Object, name, faults)? {
            return Ok(());
        }
        scanner.object(|scanner, name| {
            given += 1;
            if given > MOST {
                return scanner.skip().map(|_| ());
            }
            let field = format!("parameters[{}]", crate::wire::shown(name));
            if let Some(choice) = choice(scanner, name, &field, faults)? {
                let parameter = ModelRepositoryParameter { parameter_choice: Some(choice) };
                if all.insert(name.to_owned(), parameter).is_some() {
                    faults.add(field, "is given twice");
                }
            }
            Ok(())
        })?;
        if given > MOST {
            faults.add(name, format!("{given} parameters, at most {MOST} are taken"));
        }
        Ok(())
    })?;
    Ok(all)
}

fn choice(
    scanner: &mut Scanner<'_>,
    name: &str,
    field: &str,
    faults: &mut Faults,
) -> Result<Option<ParameterChoice>, NotJson> {
    if name.starts_with(FILE) {
        let Some(text) = fields::text(scanner, field, faults)? else { return Ok(None) };
        let bytes = BASE64_STANDARD.decode(text).ok();
        if bytes.is_none() {
            faults.add(field, "is not base64");
        }
        return Ok(bytes.map(ParameterChoice::BytesParam));
    }
    Ok(match scanner.kind()? {
        Kind::Null | Kind::Bool => scanner.literal()?.map(ParameterChoice::BoolParam),
        Kind::Text => Some(ParameterChoice::StringParam(scanner.text()?.into_owned())),
        Kind::Number => fields::whole(scanner, field, faults)?.map(ParameterChoice::Int64Param),
        found @ (Kind::List | Kind::Object) => {
            scanner.skip()?;
            faults.add(field, format!("is {found}, required a string, a whole number, true or false"));
            None
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_read_with_the_bytes_of_files() {
        let body =
            br#"{"parameters": {"config": "{}", "file:1/model.onnx": "aGk=", "unload_dependents": true}}"#;
        let all = parameters(body).unwrap();
        let choice = |name: &str| all[name].parameter_choice.clone().unwrap();
        assert_eq!(choice("config"), ParameterChoice::StringParam("{}".into()));
        assert_eq!(choice("file:1/model.onnx"), ParameterChoice::BytesParam(b"hi".to_vec()));
        assert_eq!(choice("unload_dependents"), ParameterChoice::BoolParam(true));
        assert!(parameters(b"").unwrap().is_empty());
        let wrong = parameters(br#"{"parameters": {"file:x": "?", "y": [], "z": 0.5}}"#).unwrap_err();
        for named in
            ["parameters[file:x]: is not base64", "parameters[y]: is a list", "parameters[z]: is 0.5"]
        {
            assert!(wrong.message().contains(named), "{wrong}");
        }
    }
}
