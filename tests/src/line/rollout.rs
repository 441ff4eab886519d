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
        longest_silence: Some(prost_types::Duration::default()),
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

    /// Builds, tests and stages; the gateway is asked to serve the staging endpoint.
    pub async fn stage(&self, rollout: &str) -> Rollout {
        self.item(rollout, "containerize", "ml-ops-engineer").await;
        self.item(rollout, "security", "security").await;
        let request = StageRolloutRequest { name: self.rollout(rollout), ..StageRolloutRequest::default() };
        self.by("ml-ops-engineer").rollouts().stage_rollout(request).await.told()
    }

    /// Everything between the rehearsal and the canary: items that people attest, and the four documents.
    pub async fn finish_checks(&self, rollout: &str, number: &str) {
        for (item, who) in [
            ("smoke-tests", "ml-ops-engineer"),
            ("verify-metrics", "ml-ops-engineer"),
            ("load-tests", "ml-ops-engineer"),
            ("manual-qa", "qa-engineer"),
            ("on-call-notified", "on-call"),
        ] {
            self.item(rollout, item, who).await;
        }
        self.version_documents(number).await;
    }

    /// The four documents of a version, generated and signed by their owners.
    pub async fn version_documents(&self, number: &str) {
        let version = self.get(number).await;
        let request =
            ListEvaluationsRequest { parent: version.name.clone(), ..ListEvaluationsRequest::default() };
        let evaluations = self.by("auditor").evaluations().list_evaluations(request).await.told().evaluations;
        let evaluation = evaluations.last().map(|one| one.name.clone()).unwrap_or_default();
        use DocumentTemplate as Template;
        for (template, subject, owner) in [
            (Template::DataCard, version.training_data_version.clone(), "data-engineer"),
            (Template::TrainingReport, version.training_run.clone(), "ml-engineer"),
            (Template::EvaluationReport, evaluation, "qa-engineer"),
            (Template::ModelCard, version.name.clone(), "ml-engineer"),
        ] {
            self.document(template, &subject, owner).await;
        }
    }

    /// A document, generated and signed by its owner.
    pub async fn document(&self, template: DocumentTemplate, subject: &str, owner: &str) -> Document {
        let request = GenerateDocumentRequest {
            template: template.into(),
            subject: subject.into(),
            request_id: String::new(),
        };
        let document = self.by(owner).documents().generate_document(request).await.told();
        if !document.signed_by.is_empty() {
            return document;
        }
        let request = SignDocumentRequest { name: document.name.clone(), ..SignDocumentRequest::default() };
        self.by(owner).documents().sign_document(request).await.told()
    }

    /// Starts the canary.
    pub async fn start(&self, name: &str) -> Rollout {
        let request = StartRolloutRequest { name: name.into(), ..StartRolloutRequest::default() };
        self.by("ml-ops-engineer").rollouts().start_rollout(request).await.told()
    }

    /// A rollout whose preparation is complete, with this test in the gateway's place; `pass` lets time pass.
    pub async fn prepared(&self, rollout: &str, number: &str, pass: impl Fn()) {
        self.open_rollout(rollout, number).await;
        self.stage(rollout).await;
        self.acknowledge().await;
        let request =
            RehearseRollbackRequest { name: self.rollout(rollout), ..RehearseRollbackRequest::default() };
        self.by("ml-ops-engineer").rollouts().rehearse_rollback(request).await.told();
        for _ in 0..2 {
            pass();
            self.acknowledge().await;
        }
        self.finish_checks(rollout, number).await;
    }

    /// Advances a running rollout with that health, as the monitor does.
    pub async fn advance_with(&self, rollout: &str, health: CanaryHealth) -> Result<Rollout, tonic::Status> {
        let request = AdvanceRolloutRequest {
            name: self.rollout(rollout),
            canary_health: Some(health),
            ..AdvanceRolloutRequest::default()
        };
        self.by("monitor").rollouts().advance_rollout(request).await.map(tonic::Response::into_inner)
    }

    /// A rollout as it stands.
    pub async fn rollout_now(&self, rollout: &str) -> Rollout {
        let request = GetRolloutRequest { name: self.rollout(rollout) };
        self.by("auditor").rollouts().get_rollout(request).await.told()
    }
}
