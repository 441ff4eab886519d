//! Deployment and rollout (§8.2): checklists, staging, rehearsal, the ladder.

use contracts::registry::v1::*;

use super::Line;
use crate::made::digest_of;
use crate::refusal::Answered;

/// The health of a canary that soaked `minutes` at `percent` without anything to complain of.
pub fn healthy(percent: u32, minutes: i64) -> CanaryHealth {
    CanaryHealth {
        requests: 2000,
        model_faults: 0,
        error_rate: 0.0,
        latency_p95_ms: 12.0,
        soaked: Some(prost_types::Duration { seconds: minutes * 60, nanos: 0 }),
        windows: u32::try_from(minutes).unwrap_or(u32::MAX),
        traffic_percent: percent,
        ..CanaryHealth::default()
    }
}

impl Line {
    /// The deployment.
    pub async fn deploy(&self) -> Deployment {
        let deployment = Deployment { model: self.model(), ..Deployment::default() };
        let request = CreateDeploymentRequest {
            deployment_id: self.id.clone(),
            deployment: Some(deployment),
            request_id: String::new(),
        };
        self.by("ml-ops-engineer").deployments().create_deployment(request).await.told()
    }

    /// A rollout in state PREPARING.
    pub async fn open_rollout(&self, rollout: &str, number: &str) -> Rollout {
        let request = CreateRolloutRequest {
            parent: self.deployment(),
            rollout_id: rollout.into(),
            version: self.version(number),
            request_id: String::new(),
        };
        self.by("ml-ops-engineer").rollouts().create_rollout(request).await.told()
    }

    /// Records an item of a rollout's lists.
    pub async fn item(&self, rollout: &str, item: &str, who: &str) -> Rollout {
        let request = RecordRolloutItemRequest {
            name: self.rollout(rollout),
            item: item.into(),
            evidence_digest: digest_of(item),
            note: "done".into(),
            ..RecordRolloutItemRequest::default()
        };
        self.by(who).rollouts().record_rollout_item(request).await.told()
    }

    /// Acknowledges the present route table as a gateway that serves all of it.
    pub async fn acknowledge(&self) -> Routes {
        use prost::Message;
        let by = self.by("gateway");
        let table = by.routes().get_route_table(GetRouteTableRequest {}).await.told();
        let routes = Routes::decode(table.body.as_slice()).expect("a route table");
        let backends = routes
            .routes
            .iter()
            .flat_map(|route| route.backends.iter().map(move |backend| (route, backend)))
            .map(|(route, backend)| ServingBackend {
                endpoint: route.endpoint.clone(),
                version: backend.version.clone(),
                artifact_digest: backend.artifact_digest.clone(),
                traffic_percent: backend.traffic_percent,
                state: "ready".into(),
                error: String::new(),
            })
            .collect();
        let request = ReportServingRequest { gateway: "gateway".into(), sequence: routes.sequence, backends };
        by.routes().report_serving(request).await.told();
        routes
    }

    /// A rollout as it stands.
    pub async fn rollout_now(&self, rollout: &str) -> Rollout {
        let request = GetRolloutRequest { name: self.rollout(rollout) };
        self.by("auditor").rollouts().get_rollout(request).await.told()
    }
}
