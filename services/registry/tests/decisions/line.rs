//! A version on its way: each step by the role that may.

use super::desk::*;
use contracts::common::v1::{Measurement, Verdict};
use contracts::registry::v1::{
    deployment_service_client::DeploymentServiceClient, document_service_client::DocumentServiceClient,
    evaluation_service_client::EvaluationServiceClient, gate_service_client::GateServiceClient,
    incident_service_client::IncidentServiceClient, retirement_service_client::RetirementServiceClient,
    review_service_client::ReviewServiceClient, rollout_service_client::RolloutServiceClient,
    route_service_client::RouteServiceClient, *,
};
use prost::Message as _;
use runtime::Peer;
use std::ops::Deref;
use std::time::Duration;
use storage::Digest;
use tonic::Status;

pub const ROLLOUT: &str = "deployments/screen/rollouts/first";
pub const JUNIT: &str = "<testsuite tests='1'><testcase classname='t' name='a'/></testsuite>";

pub struct Line(Desk);

impl Deref for Line {
    type Target = Desk;
    fn deref(&self) -> &Desk {
        &self.0
    }
}

macro_rules! clients {
    ($($name:ident $client:ident,)+) => {$(
        pub fn $name(&self, who: &str) -> $client<Peer> {
            $client::new(self.peer(who))
        }
    )+};
}

impl Line {
    clients! {
        evaluations EvaluationServiceClient,
        reviews ReviewServiceClient,
        gates GateServiceClient,
        deployments DeploymentServiceClient,
        rollouts RolloutServiceClient,
        routes RouteServiceClient,
        incidents IncidentServiceClient,
        documents DocumentServiceClient,
        retirements RetirementServiceClient,
    }

    /// Fit data, a model and a completed run.
    pub async fn start() -> Self {
        Self::on(Desk::start().await).await
    }

    pub async fn on(desk: Desk) -> Self {
        Self::over(desk, &[], measured_by("accuracy", MetricDirection::Unspecified)).await
    }

    /// As [`Line::start`], with a sensitive column and a split to learn on.
    pub async fn with_groups() -> Self {
        let model = measured_by("accuracy", MetricDirection::Unspecified);
        Self::over(Desk::start().await, &["sex"], model).await
    }

    /// As [`Line::start`], with a model whose versions are compared by another metric than accuracy.
    pub async fn compared_by(metric: &str, direction: MetricDirection) -> Self {
        Self::over(Desk::start().await, &[], measured_by(metric, direction)).await
    }

    async fn over(desk: Desk, sensitive: &[&str], model: Model) -> Self {
        desk.project().await;
        desk.source().await;
        let notes = Dataset {
            project: "projects/line".into(),
            description: "samples".into(),
            update_frequency: "yearly".into(),
            privacy_note: "no names".into(),
            collection_note: "by a hospital".into(),
            ..Dataset::default()
        };
        let create =
            CreateDatasetRequest { dataset_id: "rows".into(), dataset: Some(notes), ..Default::default() };
        desk.datasets("data-engineer").create_dataset(create).await.expect("a dataset");
        let data = fit_data(sensitive);
        let draft = desk.draft_data("1.0.0", data).await.expect("data");
        desk.release(&draft.name, 0).await;
        desk.open_model(model).await.expect("a model");
        desk.run("first").await;
        Self(desk)
    }

    /// Data as the line's own.
    #[allow(clippy::unused_self)] // reads like its neighbours
    pub fn fit_data(&self) -> DatasetVersion {
        fit_data(&[])
    }

    /// Registers and submits a version; another seed is another file.
    pub async fn submitted(&self, number: &str, seed: i64) -> ModelVersion {
        let file = onnx(4, seed);
        self.upload(&file).await.expect("an upload");
        let artifact = Digest::of(&file).to_string();
        let made = self.version(number, &artifact, "first").await.expect("a version");
        let submit = SubmitModelVersionRequest { name: made.name, ..Default::default() };
        self.models("ml-engineer").submit_model_version(submit).await.expect("submitted").into_inner()
    }

    #[allow(clippy::unused_self)]
    pub fn report(&self, version: &ModelVersion, accuracy: f64) -> Evaluation {
        let share = |metric: &str, value: f64, convention: &str| Measurement {
            metric: metric.into(),
            value,
            sample_size: 400,
            lower: Some((value - 0.02).max(0.0)),
            upper: Some((value + 0.02).min(1.0)),
            confidence: 0.9,
            convention: convention.into(),
            ..Measurement::default()
        };
        let latency = Measurement {
            lower: Some(1.0),
            upper: Some(3.0),
            unit: "ms".into(),
            ..share("latency_p95_ms", 2.0, "")
        };
        let slot = |dimension: &str, slot: &str, metric: &str| EvaluationSlot {
            dimension: dimension.into(),
            slot: slot.into(),
            measured: !metric.is_empty(),
            reason: if metric.is_empty() { "no such part".into() } else { String::new() },
            metrics: if metric.is_empty() { Vec::new() } else { vec![metric.into()] },
        };
        let refused =
            |metric: &str| NotApplicable { metric: metric.into(), reason: "it writes no text".into() };
        Evaluation {
            dataset_version: "datasets/rows/versions/1.0.0".into(),
            dataset_digest: digest("manifest"),
            artifact_digest: version.artifact_digest.clone(),
            split: "test".into(),
            rows: 400,
            measurements: vec![
                share("accuracy", accuracy, "wilson"),
                latency,
                share("demographic_parity", 0.96, ""),
                share("adversarial_success", 0.01, "square/linf/0.02/500"),
            ],
            not_applicable: vec![refused("hallucination"), refused("harmful_content")],
            slots: vec![
                slot("performance", "task-metrics", "accuracy"),
                slot("performance", "latency", "latency_p95_ms"),
                slot("performance", "throughput", ""),
                slot("fairness", "demographic-parity", "demographic_parity"),
                slot("fairness", "equal-opportunity", ""),
                slot("fairness", "calibration", ""),
                slot("robustness", "adversarial", "adversarial_success"),
                slot("robustness", "edge-cases", ""),
                slot("robustness", "out-of-distribution", ""),
                slot("safety", "harmful-content", ""),
                slot("safety", "hallucination", ""),
                slot("safety", "information-leakage", ""),
                slot("explainability", "feature-attribution", ""),
                slot("explainability", "decision-explanation", ""),
                slot("explainability", "uncertainty", ""),
            ],
            evaluator_version: "1".into(),
            engine: "fake".into(),
            ..Evaluation::default()
        }
    }

    pub async fn evaluate(&self, version: &ModelVersion, report: Evaluation) -> Result<Evaluation, Status> {
        let create = CreateEvaluationRequest {
            parent: version.name.clone(),
            evaluation_id: "one".into(),
            evaluation: Some(report),
            ..Default::default()
        };
        Ok(self.evaluations("evaluator").create_evaluation(create).await?.into_inner())
    }

    pub async fn sign_off(&self, version: &ModelVersion) -> Evaluation {
        let sign = SignOffEvaluationRequest {
            name: format!("{}/evaluations/one", version.name),
            ..Default::default()
        };
        self.evaluations("qa-engineer").sign_off_evaluation(sign).await.expect("signed").into_inner()
    }

    pub async fn import(
        &self,
        version: &ModelVersion,
        category: &str,
        xml: &str,
    ) -> Result<TestReport, Status> {
        let import = ImportTestReportRequest {
            parent: version.name.clone(),
            test_report_id: category.into(),
            category: category.into(),
            tool: "pytest".into(),
            format: "junit-xml".into(),
            content: xml.as_bytes().to_vec(),
            ..Default::default()
        };
        Ok(self.evaluations("qa-engineer").import_test_report(import).await?.into_inner())
    }

    pub async fn decide(&self, version: &ModelVersion, gate: Gate) -> GateDecision {
        let decide =
            DecideGateRequest { parent: version.name.clone(), gate: gate.into(), ..Default::default() };
        self.gates("qa-engineer").decide_gate(decide).await.expect("a decision").into_inner()
    }

    pub async fn review(&self, version: &ModelVersion, id: &str, kind: ReviewKind) -> Review {
        let create = CreateReviewRequest {
            parent: version.name.clone(),
            review_id: id.into(),
            kind: kind.into(),
            ..Default::default()
        };
        self.reviews("qa-engineer").create_review(create).await.expect("a review").into_inner()
    }

    pub async fn approve(&self, review: &Review, who: &str, role: &str) -> Result<Review, Status> {
        let approve =
            ApproveReviewRequest { name: review.name.clone(), role: role.into(), ..Default::default() };
        Ok(self.reviews(who).approve_review(approve).await?.into_inner())
    }

    pub async fn assess(&self, review: &Review, item: &str) -> Result<Review, Status> {
        let record = RecordReviewItemRequest {
            name: review.name.clone(),
            item: item.into(),
            evidence_digest: digest(item),
            ..Default::default()
        };
        Ok(self.reviews("ethics-reviewer").record_review_item(record).await?.into_inner())
    }

    /// Evaluated, tested, reviewed: APPROVED.
    pub async fn approved(&self, number: &str, seed: i64) -> ModelVersion {
        let version = self.submitted(number, seed).await;
        let report = self.evaluate(&version, self.report(&version, 0.97)).await.expect("an evaluation");
        assert_eq!(report.verdict(), Verdict::Undefined, "not signed off yet: {:?}", report.findings);
        assert_eq!(self.sign_off(&version).await.verdict(), Verdict::Pass);
        for category in ["unit", "integration"] {
            self.import(&version, category, JUNIT).await.expect("a report");
        }
        for gate in [Gate::G1TestsPass, Gate::G2BenchmarksMet] {
            let decision = self.decide(&version, gate).await;
            assert!(decision.passed, "{:?}", decision.findings);
        }
        let ethics = self.review(&version, "ethics", ReviewKind::Ethics).await;
        for item in ethics.items.iter().map(|item| item.item.clone()) {
            self.assess(&ethics, &item).await.expect("assessed");
        }
        assert_eq!(
            self.approve(&ethics, "ethics-board", "ethics-board").await.expect("one").state(),
            review::State::Open
        );
        let both = self.approve(&ethics, "ethics-board-deputy", "ethics-board").await.expect("two");
        assert_eq!(both.state(), review::State::Approved);
        let qa = self.review(&version, "qa", ReviewKind::Qa).await;
        self.approve(&qa, "qa-engineer", "qa-engineer").await.expect("approved");
        assert!(self.decide(&version, Gate::G3QaApproved).await.passed);
        let version = self.get_version(&version.name).await;
        assert_eq!(version.state(), model_version::State::Approved);
        version
    }

    pub async fn get_version(&self, name: &str) -> ModelVersion {
        let get = GetModelVersionRequest { name: name.into() };
        self.models("auditor").get_model_version(get).await.expect("a version").into_inner()
    }

    pub async fn deployment(&self) -> Deployment {
        let deployment = Deployment { model: "models/screen".into(), ..Default::default() };
        let create = CreateDeploymentRequest {
            deployment_id: "screen".into(),
            deployment: Some(deployment),
            ..Default::default()
        };
        self.deployments("ml-ops-engineer")
            .create_deployment(create)
            .await
            .expect("a deployment")
            .into_inner()
    }

    pub async fn get_deployment(&self) -> Deployment {
        let get = GetDeploymentRequest { name: "deployments/screen".into() };
        self.deployments("auditor").get_deployment(get).await.expect("there").into_inner()
    }

    pub async fn open_rollout(&self, id: &str, version: &ModelVersion) -> Result<Rollout, Status> {
        let create = CreateRolloutRequest {
            parent: "deployments/screen".into(),
            rollout_id: id.into(),
            version: version.name.clone(),
            ..Default::default()
        };
        Ok(self.rollouts("ml-ops-engineer").create_rollout(create).await?.into_inner())
    }

    pub async fn item(&self, rollout: &str, who: &str, item: &str) -> Result<Rollout, Status> {
        let record = RecordRolloutItemRequest {
            name: rollout.into(),
            item: item.into(),
            evidence_digest: digest(item),
            ..Default::default()
        };
        Ok(self.rollouts(who).record_rollout_item(record).await?.into_inner())
    }

    pub async fn begin(&self, rollout: &str) -> Result<Rollout, Status> {
        let start = StartRolloutRequest { name: rollout.into(), ..Default::default() };
        Ok(self.rollouts("ml-ops-engineer").start_rollout(start).await?.into_inner())
    }

    pub async fn stage(&self, rollout: &str) -> Result<Rollout, Status> {
        let stage = StageRolloutRequest { name: rollout.into(), ..Default::default() };
        Ok(self.rollouts("ml-ops-engineer").stage_rollout(stage).await?.into_inner())
    }

    pub async fn rehearse(&self, rollout: &str) -> Result<Rollout, Status> {
        let rehearse = RehearseRollbackRequest { name: rollout.into(), ..Default::default() };
        Ok(self.rollouts("ml-ops-engineer").rehearse_rollback(rehearse).await?.into_inner())
    }

    /// A gateway that serves exactly what the route table says, and tells so.
    pub async fn serve(&self) -> u64 {
        let routes = self.table().await;
        let backends = routes.routes.iter().flat_map(|route| {
            route.backends.iter().map(|backend| ServingBackend {
                endpoint: route.endpoint.clone(),
                version: backend.version.clone(),
                artifact_digest: backend.artifact_digest.clone(),
                traffic_percent: backend.traffic_percent,
                state: "ready".into(),
                error: String::new(),
            })
        });
        let report = ReportServingRequest {
            gateway: "one".into(),
            sequence: routes.sequence,
            backends: backends.collect(),
        };
        self.routes("gateway").report_serving(report).await.expect("reported").into_inner().sequence
    }

    pub async fn table(&self) -> Routes {
        let table = self
            .routes("gateway")
            .get_route_table(GetRouteTableRequest {})
            .await
            .expect("a table")
            .into_inner();
        Routes::decode(table.body.as_slice()).expect("routes")
    }

    pub async fn document(&self, template: DocumentTemplate, subject: &str) -> Document {
        let make = GenerateDocumentRequest {
            template: template.into(),
            subject: subject.into(),
            ..Default::default()
        };
        self.documents("ml-lead").generate_document(make).await.expect("a document").into_inner()
    }

    pub async fn documented(&self, version: &ModelVersion) {
        self.document(DocumentTemplate::ModelCard, &version.name).await;
        self.document(DocumentTemplate::DataCard, &version.training_data_version).await;
        self.document(DocumentTemplate::TrainingReport, &version.training_run).await;
        self.document(DocumentTemplate::EvaluationReport, &format!("{}/evaluations/one", version.name)).await;
    }

    /// Everything before the canary.
    pub async fn prepared(&self, id: &str, version: &ModelVersion) -> String {
        let name = self.open_rollout(id, version).await.expect("a rollout").name;
        for (who, item) in [("ml-ops-engineer", "containerize"), ("security", "security")] {
            self.item(&name, who, item).await.expect(item);
        }
        self.stage(&name).await.expect("staged");
        self.serve().await;
        for (who, item) in [
            ("qa-engineer", "smoke-tests"),
            ("qa-engineer", "load-tests"),
            ("qa-engineer", "manual-qa"),
            ("ml-ops-engineer", "verify-metrics"),
        ] {
            self.item(&name, who, item).await.expect(item);
        }
        self.rehearse(&name).await.expect("begun");
        self.serve().await;
        self.serve().await;
        self.item(&name, "on-call", "on-call-notified").await.expect("acknowledged");
        self.documented(version).await;
        name
    }

    #[allow(clippy::unused_self)]
    pub fn health(&self, percent: u32, soaked: Duration) -> CanaryHealth {
        CanaryHealth {
            requests: 500,
            latency_p95_ms: 12.0,
            soaked: Some(contracts::time::duration_to_wire(soaked)),
            windows: 60,
            traffic_percent: percent,
            longest_silence: Some(contracts::time::duration_to_wire(Duration::ZERO)),
            ..CanaryHealth::default()
        }
    }

    pub async fn advance(&self, rollout: &str, health: CanaryHealth) -> Result<Rollout, Status> {
        let advance =
            AdvanceRolloutRequest { name: rollout.into(), canary_health: Some(health), ..Default::default() };
        Ok(self.rollouts("monitor").advance_rollout(advance).await?.into_inner())
    }

    /// Prepared, started and taken up the ladder.
    pub async fn in_production(&self, id: &str, version: &ModelVersion) -> Rollout {
        let name = self.prepared(id, version).await;
        self.begin(&name).await.expect("started");
        let mut rollout = None;
        for (percent, minutes) in [(5, 60), (25, 15), (50, 15), (100, 1)] {
            let dwell = Duration::from_secs(60 * minutes);
            self.clock.advance(dwell);
            rollout = Some(self.advance(&name, self.health(percent, dwell)).await.expect("a step"));
        }
        rollout.expect("four steps")
    }
}

fn fit_data(sensitive: &[&str]) -> DatasetVersion {
    let split =
        |name: &str| DatasetSplit { split: name.into(), rows: 400, digest: digest(name), size_bytes: 1 };
    let column = DatasetColumn { name: "mean_radius".into(), r#type: "float64".into(), ..Default::default() };
    let group = |name: &&str| DatasetColumn {
        name: (*name).into(),
        r#type: "string".into(),
        sensitive: true,
        ..Default::default()
    };
    let columns = std::iter::once(column).chain(sensitive.iter().map(group)).collect();
    let splits = vec![split("train"), split("test")];
    DatasetVersion { splits, columns, ..clean_data() }
}
