//! What server and models say of themselves.

use std::sync::Arc;

use contracts::inference as wire;

use crate::Error;
use crate::gateway::Gateway;
use crate::routing::{Endpoint, Target};
use crate::wire::{config, metadata, shown};

impl Gateway {
    /// Whether a model, or one version of it, takes traffic.
    pub(super) fn ready(&self, request: &wire::ModelReadyRequest) -> wire::ModelReadyResponse {
        let live = self.live();
        let ready = live.endpoints.get(&request.name).is_some_and(|endpoint| {
            if request.version.is_empty() {
                endpoint.effective().iter().any(|percent| *percent > 0)
            } else {
                endpoint.find(&request.version).is_some_and(|(place, _)| endpoint.answers(place))
            }
        });
        wire::ModelReadyResponse { ready }
    }

    pub(super) fn server_stated(&self) -> wire::ServerMetadataResponse {
        let ordered = self.local().is_some_and(|local| local.takes_orders().is_ok());
        let repository = if ordered { "model_repository" } else { "model_repository(index)" };
        let mut extensions = vec![
            "classification",
            "logging",
            "model_configuration",
            repository,
            "parameters",
            "statistics",
            "trace",
        ];
        if self.local().is_some() {
            // Priorities and queue policies come with a model's configuration.
            extensions.extend(["schedule_policy", "sequence"]);
        }
        if self.regions().is_some() {
            extensions.push("system_shared_memory");
        }
        // A server of a folder stands where Triton stood, and there are clients that go no further with another name.
        let name = if self.local().is_some() { "triton" } else { "wlp-gateway" };
        wire::ServerMetadataResponse {
            name: name.into(),
            version: env!("CARGO_PKG_VERSION").into(),
            extensions: extensions.into_iter().map(str::to_owned).collect(),
        }
    }

    pub(super) fn metadata(
        &self,
        request: &wire::ModelMetadataRequest,
    ) -> Result<wire::ModelMetadataResponse, Error> {
        let (endpoint, target) = self.of(&request.name, &request.version)?;
        let versions = endpoint.targets.iter().map(|target| target.backend.number.clone()).collect();
        Ok(metadata(&endpoint.name, versions, target.backend.signature()))
    }

    pub(super) fn model_stated(
        &self,
        request: &wire::ModelConfigRequest,
    ) -> Result<wire::ModelConfigResponse, Error> {
        let (endpoint, target) = self.of(&request.name, &request.version)?;
        let backend = &target.backend;
        let provider = backend.session.provider();
        let mut facts = vec![("provider", provider.as_str())];
        let mut config = match &backend.serving.stated {
            Some(stated) => stated.config.clone(),
            None => {
                facts.push(("version", &backend.version));
                facts.push(("artifact_digest", &backend.artifact_digest));
                config(&endpoint.name, backend.signature(), provider)
            }
        };
        for (name, value) in facts {
            let parameter = wire::ModelParameter { string_value: value.to_owned() };
            config.parameters.insert(name.to_owned(), parameter);
        }
        Ok(wire::ModelConfigResponse { config: Some(config) })
    }

    pub(super) fn statistics(
        &self,
        request: &wire::ModelStatisticsRequest,
    ) -> Result<wire::ModelStatisticsResponse, Error> {
        let mut model_stats = Vec::new();
        if request.name.is_empty() {
            for endpoint in self.live().endpoints.values() {
                model_stats.extend(endpoint.targets.iter().map(|target| stats(endpoint, target)));
            }
        } else if request.version.is_empty() {
            let (endpoint, _) = self.of(&request.name, "")?;
            model_stats.extend(endpoint.targets.iter().map(|target| stats(&endpoint, target)));
        } else {
            let (endpoint, target) = self.of(&request.name, &request.version)?;
            model_stats.push(stats(&endpoint, &target));
        }
        Ok(wire::ModelStatisticsResponse { model_stats })
    }

    /// An endpoint and the version asked for, or the one that speaks for it.
    fn of(&self, name: &str, version: &str) -> Result<(Arc<Endpoint>, Target), Error> {
        let live = self.live();
        if !live.known {
            return Err(Error::NoRoutes);
        }
        let endpoint = live.endpoints.get(name).ok_or_else(|| Error::UnknownEndpoint(shown(name)))?;
        let target = if version.is_empty() {
            endpoint.spokesman().ok_or_else(|| Error::NoBackend(endpoint.name.clone()))?
        } else {
            let unknown =
                || Error::UnknownVersion { endpoint: endpoint.name.clone(), version: shown(version) };
            endpoint.find(version).ok_or_else(unknown)?.1
        };
        Ok((endpoint.clone(), target.clone()))
    }
}

fn stats(endpoint: &Endpoint, target: &Target) -> wire::ModelStatistics {
    let runs = target.backend.session.counts().runs;
    target.backend.stats.wire(&endpoint.name, &target.backend.number, runs)
}
