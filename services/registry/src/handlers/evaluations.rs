//! Evaluations (§7) and imported test reports (§7.2).

use async_trait::async_trait;
use contracts::common::v1::{Measurement, Verdict as WireVerdict};
use contracts::registry::v1::{evaluation_service_server::EvaluationService, *};
use lifecycle::acceptance::{self, Metric};
use lifecycle::evaluation::{Slot, TestCategory};
use lifecycle::separation::Action;
use lifecycle::version_state::State;
use lifecycle::{Finding, Rejection};
use std::collections::BTreeSet;
use storage::Digest;
use tonic::{Request, Response, Status};

use crate::convert::{self, evaluation as domain, model};
use crate::junit;
use crate::store::{Resource, Stored};
use crate::work::{Verb, Work};
use crate::{Error, Registry, parse::Fields};

#[tonic::async_trait]
impl EvaluationService for Registry {
    async fn create_evaluation(
        &self,
        request: Request<CreateEvaluationRequest>,
    ) -> Result<Response<Evaluation>, Status> {
        self.carry_out(request).await
    }

    async fn get_evaluation(
        &self,
        request: Request<GetEvaluationRequest>,
    ) -> Result<Response<Evaluation>, Status> {
        self.get(&request.into_inner().name).await
    }

    async fn list_evaluations(
        &self,
        request: Request<ListEvaluationsRequest>,
    ) -> Result<Response<ListEvaluationsResponse>, Status> {
        let ListEvaluationsRequest { parent, page_size, page_token } = request.into_inner();
        let (evaluations, next_page_token) =
            self.page_below((&parent, ModelVersion::FORM), page_size, &page_token).await?;
        Ok(Response::new(ListEvaluationsResponse { evaluations, next_page_token }))
    }

    async fn sign_off_evaluation(
        &self,
        request: Request<SignOffEvaluationRequest>,
    ) -> Result<Response<Evaluation>, Status> {
        self.carry_out(request).await
    }

    async fn import_test_report(
        &self,
        request: Request<ImportTestReportRequest>,
    ) -> Result<Response<TestReport>, Status> {
        self.carry_out(request).await
    }

    async fn list_test_reports(
        &self,
        request: Request<ListTestReportsRequest>,
    ) -> Result<Response<ListTestReportsResponse>, Status> {
        let ListTestReportsRequest { parent, page_size, page_token } = request.into_inner();
        let (test_reports, next_page_token) =
            self.page_below((&parent, ModelVersion::FORM), page_size, &page_token).await?;
        Ok(Response::new(ListTestReportsResponse { test_reports, next_page_token }))
    }
}

#[async_trait]
impl Verb for CreateEvaluationRequest {
    type Answer = Evaluation;

    fn check(&self, fields: &mut Fields) {
        fields.name("parent", &self.parent, ModelVersion::FORM);
        fields.id("evaluation_id", &self.evaluation_id);
        fields.message("evaluation", self.evaluation.as_ref(), check_evaluation);
    }

    async fn decide(self, work: &mut Work) -> Result<Evaluation, Error> {
        let version = work.read::<ModelVersion>(&self.parent).await?;
        work.authorize(Action::RunEvaluation, &[])?;
        model::state(&version).require(State::may_be_measured, &version.name)?;
        let given = self.evaluation.unwrap_or_default();
        let data = work.read::<DatasetVersion>(&given.dataset_version).await?;
        same_things(&given, &version, &data)?;
        let mut evaluation = Evaluation {
            name: format!("{}/evaluations/{}", version.name, self.evaluation_id),
            sign_off_by: String::new(),
            sign_off_role: String::new(),
            sign_off_time: None,
            ..given
        };
        evaluation.digest = domain::digest(&evaluation);
        judge(work, &version, &data, &mut evaluation).await?;
        if data.state() == dataset_version::State::Ready {
            let whole = evaluation.measurements.iter().filter(|one| one.slice.is_empty());
            let next = ModelVersion { metrics: whole.cloned().collect(), ..(*version).clone() };
            work.save(&version, next, "evaluated").await?;
        }
        work.insert(evaluation, "create").await
    }
}

/// The artifact and the data of a report are those that are registered, and the data is not a draft (§5.2, §7).
fn same_things(
    given: &Evaluation,
    version: &Stored<ModelVersion>,
    data: &Stored<DatasetVersion>,
) -> Result<(), Error> {
    let mut found = lifecycle::Findings::new();
    let same = |one: &str, other: &str| one == other;
    found.require(
        same(&given.artifact_digest, &version.artifact_digest),
        "§7",
        "evaluated artifact",
        version.artifact_digest.clone(),
        given.artifact_digest.clone(),
    );
    found.require(
        same(&given.dataset_digest, &data.manifest_digest),
        "§7",
        &format!("digest of {}", data.name),
        data.manifest_digest.clone(),
        given.dataset_digest.clone(),
    );
    let known: Vec<&str> = data.splits.iter().map(|split| split.split.as_str()).collect();
    found.require(
        known.contains(&given.split.as_str()),
        "§5.3",
        "split",
        known.join(" or "),
        given.split.clone(),
    );
    let released = data.state() != dataset_version::State::Draft;
    found.require(released, "§5.2, reading 13", &data.name, "READY, or UNFIT to compare", "DRAFT");
    Ok(found.into_result("EVALUATION_EVIDENCE_MISMATCH", "evaluation")?)
}

/// Writes findings and verdict of §7.3 under the policy in force. Data that is not fit is never evidence (reading 13).
async fn judge(
    work: &Work,
    version: &Stored<ModelVersion>,
    data: &Stored<DatasetVersion>,
    evaluation: &mut Evaluation,
) -> Result<(), Error> {
    let policy = work.policy();
    let model = work.read::<Model>(version.parent()).await?;
    let task = model::task(model.task()).ok_or_else(|| Error::Damaged(format!("task of {}", model.name)))?;
    let contributors = work.contributors(&version.name).await?;
    let report = acceptance::judge(task, &domain::evidence(evaluation), &contributors, &policy.acceptance);
    let rows = report.rows.iter();
    evaluation.findings =
        rows.map(|row| convert::finding(&row.finding, convert::verdict(row.verdict.as_ref()))).collect();
    evaluation.verdict = domain::overall(&report).into();
    if data.state() != dataset_version::State::Ready {
        let unfit = Finding::new(
            "§5.2, reading 13",
            "state of the dataset version",
            "ready",
            Resource::state(&**data),
        );
        evaluation.findings.push(convert::finding(&unfit, WireVerdict::Fail));
        evaluation.verdict = WireVerdict::Fail.into();
    }
    policy.digest().clone_into(&mut evaluation.policy_digest);
    Ok(())
}

fn check_evaluation(fields: &mut Fields, evaluation: &Evaluation) {
    fields.name("evaluation.dataset_version", &evaluation.dataset_version, DatasetVersion::FORM);
    fields.digest("evaluation.dataset_digest", &evaluation.dataset_digest);
    fields.digest("evaluation.artifact_digest", &evaluation.artifact_digest);
    fields.optional_digest("evaluation.plan_digest", &evaluation.plan_digest);
    fields.text("evaluation.split", &evaluation.split);
    fields.non_negative("evaluation.tolerance", evaluation.tolerance);
    fields.require(0 < evaluation.rows, "evaluation.rows", "must be above 0");
    fields.text("evaluation.evaluator_version", &evaluation.evaluator_version);
    fields.optional_text("evaluation.engine", &evaluation.engine);
    fields.optional_text("evaluation.provider", &evaluation.provider);
    fields.optional_text("evaluation.requested_by", &evaluation.requested_by);
    fields.texts("evaluation.group_columns", &evaluation.group_columns);
    fields.texts("evaluation.favourable_labels", &evaluation.favourable_labels);
    let mut seen = BTreeSet::new();
    fields.each("evaluation.measurements", &evaluation.measurements, |fields, at, one| {
        check_measurement(fields, at, one);
        let fresh = seen.insert((one.metric.clone(), one.slice.clone()));
        fields.require(fresh, &format!("{at}.metric"), "is given more than once for this slice");
    });
    let mut excused = BTreeSet::new();
    fields.each("evaluation.not_applicable", &evaluation.not_applicable, |fields, at, claim| {
        fields.text(&format!("{at}.reason"), &claim.reason);
        let known = domain::metric(&claim.metric);
        fields.require(known.is_some(), &format!("{at}.metric"), "is none of the six metrics of §7.3");
        fields.require(excused.insert(known), &format!("{at}.metric"), "is given more than once");
        let measured = seen.contains(&(claim.metric.clone(), String::new()));
        fields.require(!measured, &format!("{at}.metric"), "is measured, so it applies");
    });
    let mut filled = BTreeSet::new();
    fields.each("evaluation.slots", &evaluation.slots, |fields, at, slot| {
        let known = slot.slot.parse::<Slot>();
        fields.require(known.is_ok(), &format!("{at}.slot"), "is none of the fifteen slots");
        fields.require(filled.insert(known.ok()), &format!("{at}.slot"), "is given more than once");
        fields.optional_text(&format!("{at}.reason"), &slot.reason);
        fields.texts(&format!("{at}.metrics"), &slot.metrics);
    });
}

/// A number is finite, or NaN with the reason; a share lies in 0..=1; bounds hold the value.
fn check_measurement(fields: &mut Fields, at: &str, one: &Measurement) {
    fields.text(&format!("{at}.metric"), &one.metric);
    fields.optional_text(&format!("{at}.slice"), &one.slice);
    fields.optional_text(&format!("{at}.unit"), &one.unit);
    fields.optional_text(&format!("{at}.convention"), &one.convention);
    fields.optional_text(&format!("{at}.undefined_reason"), &one.undefined_reason);
    if one.value.is_nan() && !one.undefined_reason.trim().is_empty() {
        return; // undefined, and says why: it passes nothing
    }
    let value = format!("{at}.value");
    let gated = domain::metric(&one.metric);
    match gated {
        Some(Metric::LatencyP95) => fields.non_negative(&value, one.value),
        Some(_) => fields.share(&value, one.value),
        None => fields.number(&value, one.value),
    }
    fields.require(gated.is_none() || 0 < one.sample_size, &format!("{at}.sample_size"), "must be above 0");
    for (field, bound, holds) in [
        ("lower", one.lower, one.lower.is_none_or(|lower| lower <= one.value)),
        ("upper", one.upper, one.upper.is_none_or(|upper| one.value <= upper)),
    ] {
        let finite = bound.is_none_or(f64::is_finite);
        fields.require(finite && holds, &format!("{at}.{field}"), "must be finite and hold the value");
    }
    let bounded = one.lower.is_some() || one.upper.is_some();
    let sure =
        if bounded { 0.0 < one.confidence && one.confidence < 1.0 } else { one.confidence.is_finite() };
    fields.require(sure, &format!("{at}.confidence"), "must lie between 0 and 1");
}

#[async_trait]
impl Verb for SignOffEvaluationRequest {
    type Answer = Evaluation;

    fn check(&self, fields: &mut Fields) {
        fields.name("name", &self.name, Evaluation::FORM);
        fields.optional_text("note", &self.note);
    }

    async fn decide(self, work: &mut Work) -> Result<Evaluation, Error> {
        let seen = work.open::<Evaluation>(&self.name, &self.etag).await?;
        if !seen.sign_off_by.is_empty() {
            let finding = Finding::new("reading 10", "sign-off", "not yet given", seen.sign_off_by.clone());
            return Err(Rejection::one("ALREADY_SIGNED", self.name, finding).into());
        }
        let version_name = contracts::name::parent(&seen.name).to_owned();
        let policy = work.policy();
        let approval = work.approval(&policy.acceptance.not_applicable_signers.value)?;
        let barred = work.contributors(&version_name).await?;
        let mut found = lifecycle::Findings::new();
        let signers = &policy.acceptance.not_applicable_signers;
        approval.check(&mut found, &signers.clause, "evaluation", &signers.value, &barred);
        found.into_result("SIGN_OFF_REFUSED", self.name.clone())?;
        work.approves(&version_name, &format!("evaluation/{}", contracts::name::last(&self.name)), &approval)
            .await?;
        let version = work.read::<ModelVersion>(&version_name).await?;
        let data = work.read::<DatasetVersion>(&seen.dataset_version).await?;
        let mut next = Evaluation {
            sign_off_by: approval.principal.clone(),
            sign_off_role: approval.role.to_string(),
            sign_off_time: work.wire_now(),
            ..(*seen).clone()
        };
        judge(work, &version, &data, &mut next).await?;
        work.save(&seen, next, "sign-off").await
    }

    fn reason(&self) -> &str {
        &self.note
    }
}

#[async_trait]
impl Verb for ImportTestReportRequest {
    type Answer = TestReport;

    fn check(&self, fields: &mut Fields) {
        fields.name("parent", &self.parent, ModelVersion::FORM);
        fields.id("test_report_id", &self.test_report_id);
        let known = self.category.parse::<TestCategory>().is_ok();
        fields.require(
            known,
            "category",
            "is none of unit, integration, benchmark, adversarial, fairness, ab",
        );
        fields.text("tool", &self.tool);
        fields.optional_text("tool_version", &self.tool_version);
        fields.require(self.format == "junit-xml", "format", "must be junit-xml");
        if let Err(why) = junit::read(&self.content) {
            fields.bad("content", why);
        }
    }

    async fn decide(self, work: &mut Work) -> Result<TestReport, Error> {
        let version = work.read::<ModelVersion>(&self.parent).await?;
        let counts = junit::read(&self.content).map_err(|why| Error::field("content", why))?;
        let report = TestReport {
            name: format!("{}/testReports/{}", version.name, self.test_report_id),
            category: self.category,
            tool: self.tool,
            tool_version: self.tool_version,
            format: self.format,
            digest: Digest::of(&self.content).to_string(),
            passed: counts.passed,
            failed: counts.failed,
            skipped: counts.skipped,
            failures: counts.failures,
            artifact_digest: version.artifact_digest.clone(),
            imported_by: work.principal(),
            create_time: None,
        };
        work.insert(report, "import").await
    }
}
