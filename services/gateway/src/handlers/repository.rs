//! The model repository: what became of every version, and loading and unloading where a folder is served.

use std::collections::HashMap;

use contracts::inference::model_repository_parameter::ParameterChoice;
use contracts::inference::repository_index_response::ModelIndex;
use contracts::inference::{
    ModelRepositoryParameter, RepositoryIndexRequest, RepositoryIndexResponse, RepositoryModelLoadRequest,
    RepositoryModelUnloadRequest,
};
use contracts::name;
use engine::FieldError;

use crate::Error;
use crate::backends::State;
use crate::gateway::Gateway;
use crate::local::{Local, given_config};
use crate::wire::shown;

const MOVED: &str = "models are loaded and unloaded by the registry's route table, not by a client";
/// Parameter of an unload that also unloads models which only this one needs: there are none.
const DEPENDENTS: &str = "unload_dependents";
/// Parameter of a load: a configuration in place of the folder's.
const CONFIG: &str = "config";

impl Gateway {
    /// Every version of the newest table, or of the folder, with what became of it.
    pub(super) async fn index(
        &self,
        request: &RepositoryIndexRequest,
    ) -> Result<RepositoryIndexResponse, Error> {
        if let Some(local) = self.local() {
            no_name(&request.repository_name).map_or(Ok(()), |bad| Err(Error::BadRequest(vec![bad])))?;
            let models = self.index_local(local, request.ready).await?;
            return Ok(RepositoryIndexResponse { models });
        }
        let one = |(name, version, state): (&str, &str, &State)| {
            let (state, reason) = match state {
                State::Ready => ("READY", String::new()),
                State::Loading => ("LOADING", String::new()),
                State::Failed(why) => ("UNAVAILABLE", why.clone()),
            };
            ModelIndex {
                name: name.to_owned(),
                version: name::last(version).to_owned(),
                state: state.into(),
                reason,
            }
        };
        let rows = self.board().rows();
        let shown = rows.iter().filter(|row| !request.ready || row.state == State::Ready);
        let models = shown.map(|row| one((&row.endpoint, &row.version, &row.state))).collect();
        Ok(RepositoryIndexResponse { models })
    }

    /// Loads a model of the folder, or loads it again.
    pub(super) async fn load_model(&self, request: &RepositoryModelLoadRequest) -> Result<(), Error> {
        let local = self.ordered()?;
        let mut bad: Vec<_> = no_name(&request.repository_name).into_iter().collect();
        let mut given = None;
        bad.extend(unknown(&request.parameters, |name, value| {
            let wrong = |why: String| Some(format!("failed to load: no configuration in JSON: {why}"));
            match (name, value) {
                (CONFIG, Some(ParameterChoice::StringParam(json))) => match given_config(json) {
                    Ok(config) => {
                        given = Some(config);
                        None
                    }
                    Err(why) => wrong(why),
                },
                (CONFIG, _) => wrong("it is no string".into()),
                _ if name.starts_with("file:") => {
                    Some("is not supported: a model's files are those of the folder".into())
                }
                _ => Some("is not known".into()),
            }
        }));
        if !bad.is_empty() {
            return Err(Error::BadRequest(bad));
        }
        self.load_named(local, &request.model_name, given).await
    }

    /// Unloads a model of the folder.
    pub(super) async fn unload_model(&self, request: &RepositoryModelUnloadRequest) -> Result<(), Error> {
        let local = self.ordered()?;
        let mut bad: Vec<_> = no_name(&request.repository_name).into_iter().collect();
        bad.extend(unknown(&request.parameters, |name, value| match (name, value) {
            (DEPENDENTS, Some(ParameterChoice::BoolParam(_))) => None,
            (DEPENDENTS, _) => Some("must be true or false".into()),
            _ => Some("is not known".into()),
        }));
        if !bad.is_empty() {
            return Err(Error::BadRequest(bad));
        }
        self.unload_named(local, &request.model_name).await
    }

    /// The folder, if callers load and unload its models.
    fn ordered(&self) -> Result<&Local, Error> {
        let local = self.local().ok_or(Error::Unsupported(MOVED))?;
        local.takes_orders().map(|()| local)
    }
}

/// There is one repository, and it has no name.
fn no_name(given: &str) -> Option<FieldError> {
    let description = format!("{:?}, there is one repository, required empty", shown(given));
    (!given.is_empty()).then(|| FieldError { field: "repository_name".into(), description })
}

/// The parameters that are not taken, with what `wrong` says of each.
fn unknown(
    parameters: &HashMap<String, ModelRepositoryParameter>,
    mut wrong: impl FnMut(&str, Option<&ParameterChoice>) -> Option<String>,
) -> Vec<FieldError> {
    let mut names: Vec<_> = parameters.keys().collect();
    names.sort();
    let one = |name: &String| {
        let description = wrong(name, parameters[name].parameter_choice.as_ref())?;
        Some(FieldError { field: format!("parameters[{}]", shown(name)), description })
    };
    names.into_iter().filter_map(one).collect()
}
