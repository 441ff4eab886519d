//! `wlp.gateway.v1.ServingService`, and the same rows for the registry and for metrics.

use contracts::gateway::v1::serving_service_server::ServingService;
use contracts::gateway::v1::{
    ListBackendsRequest, ListBackendsResponse, ListExperimentsRequest, ListExperimentsResponse,
    ListShadowsRequest, ListShadowsResponse, ServedBackend,
};
use contracts::time::to_wire;
use tonic::{Request, Response, Status};

use crate::backends::{Backend, State};
use crate::gateway::Gateway;
use crate::routing::{Endpoint, Target};

#[tonic::async_trait]
impl ServingService for Gateway {
    async fn list_backends(
        &self,
        request: Request<ListBackendsRequest>,
    ) -> Result<Response<ListBackendsResponse>, Status> {
        let wanted = request.into_inner().endpoint;
        let mut backends = self.served();
        backends.retain(|backend| wanted.is_empty() || backend.endpoint == wanted);
        let live = self.live();
        Ok(Response::new(ListBackendsResponse {
            backends,
            route_sequence: live.sequence,
            registry_reachable: self.registry_reachable(),
            route_time: live.time.map(to_wire),
        }))
    }

    async fn list_shadows(
        &self,
        request: Request<ListShadowsRequest>,
    ) -> Result<Response<ListShadowsResponse>, Status> {
        let shadows = self.shadow_comparisons(&request.into_inner().endpoint);
        Ok(Response::new(ListShadowsResponse { shadows, gateway: self.id().to_owned() }))
    }

    async fn list_experiments(
        &self,
        request: Request<ListExperimentsRequest>,
    ) -> Result<Response<ListExperimentsResponse>, Status> {
        let experiments = self.experiment_results(&request.into_inner().endpoint);
        Ok(Response::new(ListExperimentsResponse { experiments, gateway: self.id().to_owned() }))
    }
}

impl Gateway {
    /// Every backend: those that take requests, those of the newest table that cannot yet, those that drain.
    pub(crate) fn served(&self) -> Vec<ServedBackend> {
        let live = self.live();
        let mut rows = Vec::new();
        for endpoint in live.endpoints.values() {
            let effective = endpoint.effective();
            rows.extend(
                endpoint
                    .targets
                    .iter()
                    .zip(effective)
                    .map(|(target, takes)| of_target(endpoint, target, takes)),
            );
        }
        for row in self.board().rows().iter() {
            let known =
                |served: &ServedBackend| served.endpoint == row.endpoint && served.version == row.version;
            let (state, error) = match &row.state {
                State::Ready => continue,
                State::Loading => ("loading", String::new()),
                State::Failed(why) => ("failed", why.clone()),
            };
            if rows.iter().any(known) {
                continue;
            }
            rows.push(ServedBackend {
                endpoint: row.endpoint.clone(),
                version: row.version.clone(),
                canary: row.canary,
                state: state.into(),
                artifact_digest: row.artifact_digest.clone(),
                error,
                ..ServedBackend::default()
            });
        }
        for backend in self.board().draining() {
            rows.push(ServedBackend { state: "draining".into(), ..of_backend(&backend) });
        }
        rows
    }
}

fn of_target(endpoint: &Endpoint, target: &Target, takes: u32) -> ServedBackend {
    let judged = endpoint.breaker.as_ref().filter(|_| target.canary);
    let (evidence, limit) = judged.map(|breaker| breaker.evidence()).unwrap_or_default();
    let off = target.canary && endpoint.tripped();
    ServedBackend {
        canary: target.canary,
        traffic_percent: takes,
        state: if off { "tripped" } else { "ready" }.into(),
        breaker_evidence: if judged.is_some() { evidence.exp() } else { 0.0 },
        breaker_limit: if judged.is_some() { limit.exp() } else { 0.0 },
        ..of_backend(&target.backend)
    }
}

fn of_backend(backend: &Backend) -> ServedBackend {
    ServedBackend {
        endpoint: backend.endpoint.clone(),
        version: backend.version.clone(),
        provider: backend.session.provider().as_str().to_owned(),
        artifact_digest: backend.artifact_digest.clone(),
        requests: backend.stats.requests(),
        model_faults: backend.stats.model_faults(),
        ..ServedBackend::default()
    }
}
