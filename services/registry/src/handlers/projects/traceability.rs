//! Requirement -> evidence (§4.1): every requirement resolves to passing evidence, or is listed as open.

use contracts::common::v1::Measurement;
use contracts::registry::v1::*;
use lifecycle::evaluation::report_flaws;
use lifecycle::traceability::{self as domain, trace};
use lifecycle::{Policy, Verdict};

use super::evidence::{Evidence, gather};
use super::phases::passes;
use crate::convert::evaluation::{measured, same_metric, test_report};
use crate::convert::project::target;
use crate::store::Stored;
use crate::{Error, Registry};

impl Registry {
    /// The matrix of a project as it stands.
    ///
    /// # Errors
    /// Of the database.
    pub(super) async fn traceability(&self, project: &Project) -> Result<Traceability, Error> {
        let found = gather(self, &project.name).await?;
        let policy = self.policies().active().await?;
        let requirements: Vec<_> = project.requirements.iter().map(requirement).collect();
        let all = project.requirements.iter().map(|one| evidence(one, &found, &policy));
        let evidence: Vec<_> = all.collect::<Result<Vec<_>, Error>>()?.concat();
        let matrix = trace(&requirements, &evidence);
        let rows = matrix.rows.iter().zip(&project.requirements).map(|(row, one)| TraceabilityRow {
            requirement_id: one.requirement_id.clone(),
            r#type: one.r#type,
            statement: one.statement.clone(),
            evidence: shown(row),
            satisfied: !row.is_open(),
        });
        Ok(Traceability {
            project: project.name.clone(),
            rows: rows.collect(),
            open: matrix.open().count() as u32,
        })
    }
}

fn requirement(one: &Requirement) -> domain::Requirement {
    domain::Requirement { id: one.requirement_id.clone(), text: one.statement.clone() }
}

/// Passing evidence by name, and what speaks against the requirement with its verdict.
fn shown(row: &domain::Row) -> Vec<String> {
    let other = row.other.iter().map(|(name, verdict)| format!("{name}: {verdict}"));
    row.passing.iter().cloned().chain(other).collect()
}

/// What was measured by the criterion's metric, what the type of the requirement asks for, and what was named by hand.
fn evidence(one: &Requirement, found: &Evidence, policy: &Policy) -> Result<Vec<domain::Evidence>, Error> {
    let mut all = Vec::new();
    let mut add = |name: String, verdict: Verdict| {
        all.push(domain::Evidence { requirement: one.requirement_id.clone(), name, verdict });
    };
    if let (Some(criterion), Some(evaluation)) = (&one.criterion, found.evaluation()) {
        let own = |it: &&Measurement| it.slice.is_empty() && same_metric(&it.metric, &criterion.metric);
        for measured in evaluation.measurements.iter().filter(own) {
            add(
                format!("{} {} = {}", evaluation.name, measured.metric, measured.value),
                judged(criterion, measured, policy),
            );
        }
    } else if one.criterion.is_none() {
        for (name, passed) in by_type(one.r#type(), found) {
            add(name, verdict(passed));
        }
    }
    for name in &one.evidence {
        add(name.clone(), named(name, found, policy)?);
    }
    Ok(all)
}

/// By the rule of the plan's own targets; what is undefined says why.
fn judged(criterion: &Criterion, one: &Measurement, policy: &Policy) -> Verdict {
    let Some(target) = target(criterion) else { return Verdict::undefined("no comparator") };
    if one.value.is_nan() {
        return Verdict::undefined(one.undefined_reason.clone());
    }
    target.judge(&measured(one), &policy.acceptance)
}

fn by_type(kind: RequirementType, found: &Evidence) -> Vec<(String, bool)> {
    let gate = |gate| found.gate(gate).map(|one| (one.name.clone(), one.passed)).into_iter().collect();
    match kind {
        RequirementType::Functional => gate(Gate::G1TestsPass),
        RequirementType::Data => found.fit_data().map(|one| (one.name.clone(), true)).into_iter().collect(),
        RequirementType::Ethical => reviews(found, ReviewKind::Ethics),
        // a number or a document by name: nothing else shows these
        RequirementType::NonFunctional | RequirementType::Compliance | RequirementType::Unspecified => {
            Vec::new()
        }
    }
}

fn reviews(found: &Evidence, kind: ReviewKind) -> Vec<(String, bool)> {
    let one = |review: &Stored<Review>| (review.name.clone(), review.state() == review::State::Approved);
    found.reviews.iter().filter(|review| review.kind() == kind).map(one).collect()
}

/// What a resource that was named by hand says; one that is not evidence of this line says nothing.
fn named(name: &str, found: &Evidence, policy: &Policy) -> Result<Verdict, Error> {
    if let Some(report) = found.test_reports.iter().find(|one| one.name == name) {
        return Ok(verdict(report_passes(report, found, policy)?));
    }
    let said = found
        .evaluations
        .iter()
        .map(|one| (&one.name, passes(one)))
        .chain(found.reviews.iter().map(|one| (&one.name, one.state() == review::State::Approved)))
        .chain(found.gates.iter().map(|one| (&one.name, one.passed)))
        .chain(
            found
                .documents
                .iter()
                .map(|one| (&one.name, one.missing_parts.is_empty() && !one.signed_by.is_empty())),
        )
        .chain(
            found
                .dataset_versions
                .iter()
                .map(|one| (&one.name, one.state() == dataset_version::State::Ready)),
        )
        .find(|(known, _)| known.as_str() == name);
    Ok(said.map_or_else(|| Verdict::undefined("no evidence of this line"), |(_, passed)| verdict(passed)))
}

fn verdict(passed: bool) -> Verdict {
    if passed { Verdict::Pass } else { Verdict::Fail }
}

/// Whether a report shows that tests pass, as G1 looks at it: of the bytes of the version in work (§7.2).
fn report_passes(report: &TestReport, found: &Evidence, policy: &Policy) -> Result<bool, Error> {
    let Some(version) = &found.version else { return Ok(false) };
    let counted = test_report(report)?;
    Ok(report_flaws(&counted, &version.artifact_digest, &policy.evaluation).is_empty())
}
