//! What a gate judges, gathered from the records.

use contracts::registry::v1::{
    self as wire, CanaryHealth, DatasetVersion, Evaluation, EvidenceRef, GateDecision, Model, ModelVersion,
    Project, Review, ReviewKind, TestReport, review,
};
use lifecycle::evaluation::TestCategory;
use lifecycle::gate::{Candidate, Carried, Conditions, Evidence, Gate};
use lifecycle::{Bump, dataset};
use std::collections::BTreeMap;

use crate::Error;
use crate::convert::{
    dataset as data_domain, evaluation, gate as domain, gate::Judged, model, project, review as review_domain,
};
use crate::handlers::reviews::newest_evaluation;
use crate::store::{Read, Resource, Stored};
use crate::work::Work;

/// Evidence with the records that it came from.
pub struct Gathered {
    /// What is judged.
    pub judged: Judged,
    /// Records and their digests.
    pub sources: Vec<EvidenceRef>,
    /// Whether everything that the gate asks for is there: what is missing may still come.
    pub complete: bool,
}

/// Gathers what G1, G2 or G3 judges of a version; G4 brings its health.
///
/// # Errors
/// Of the records.
pub async fn gather(
    work: &Work,
    version: &Stored<ModelVersion>,
    gate: Gate,
    health: Option<(&str, &CanaryHealth)>,
) -> Result<Gathered, Error> {
    let candidate = candidate(work, version).await?;
    let (evidence, sources, complete) = match gate {
        Gate::G1 => tests(work, version).await?,
        Gate::G2 => benchmarks(work, version).await?,
        Gate::G3 => qa(work, version).await?,
        Gate::G4 => {
            let (rollout, health) = health.ok_or_else(|| Error::field("canary_health", "required for G4"))?;
            let source = EvidenceRef { resource: rollout.to_owned(), digest: String::new() };
            (Evidence::Canary { health: domain::health(health) }, vec![source], true)
        }
    };
    Ok(Gathered { judged: Judged { gate, candidate, evidence }, sources, complete })
}

/// The version as gates and rollouts look at it, with every decision so far, oldest first.
pub async fn candidate(work: &Work, version: &Stored<ModelVersion>) -> Result<Candidate, Error> {
    let parent = work.read::<Model>(version.parent()).await?;
    let task =
        model::task(parent.task()).ok_or_else(|| Error::Damaged(format!("task of {}", parent.name)))?;
    let decided = decisions(work, &version.name).await?;
    Ok(Candidate {
        name: version.name.clone(),
        artifact_digest: version.artifact_digest.clone(),
        task,
        contributors: work.contributors(&version.name).await?,
        decided: decided.iter().filter_map(|one| domain::earlier(one)).collect(),
    })
}

/// Every gate decision of a version, oldest first.
pub async fn decisions(work: &Work, version: &str) -> Result<Vec<Stored<GateDecision>>, Error> {
    let mut all = work.children::<GateDecision>(version).await?;
    all.sort_by_key(|one| (one.record().create_time, place(&one.name)));
    Ok(all)
}

/// `12` of `.../gateDecisions/g1-12`: two decisions of one moment keep their order.
fn place(name: &str) -> u64 {
    name.rsplit('-').next().and_then(|number| number.parse().ok()).unwrap_or_default()
}

type Found = (Evidence, Vec<EvidenceRef>, bool);

async fn tests(work: &Work, version: &Stored<ModelVersion>) -> Result<Found, Error> {
    let mut newest: BTreeMap<TestCategory, Stored<TestReport>> = BTreeMap::new();
    let mut all = work.children::<TestReport>(&version.name).await?;
    all.sort_by_key(|report| (report.record().create_time, report.name.clone()));
    for report in all {
        newest.insert(report.category.parse().map_err(Error::Damaged)?, report);
    }
    let wanted = &work.policy().gates.g1_categories.value;
    let complete = wanted.iter().all(|category| newest.contains_key(category));
    let sources = newest.values().map(|report| reference(&report.name, &report.digest)).collect();
    let reports: Result<_, Error> = newest.values().map(|report| evaluation::test_report(report)).collect();
    Ok((Evidence::Tests { reports: reports? }, sources, complete))
}

async fn benchmarks(work: &Work, version: &Stored<ModelVersion>) -> Result<Found, Error> {
    let Some(newest) = newest_evaluation(work, version).await? else {
        let nothing = Evidence::Benchmarks {
            evaluation_digest: String::new(),
            artifact_digest: String::new(),
            evaluator_version: String::new(),
            dataset_state: dataset::State::Draft,
            dataset_digest: String::new(),
            metrics: Vec::new(),
            slots: Vec::new(),
            conditions: Conditions::default(),
        };
        return Ok((nothing, Vec::new(), false));
    };
    let data = work.read::<DatasetVersion>(&newest.dataset_version).await?;
    let sources = vec![reference(&newest.name, &newest.digest), reference(&data.name, &data.manifest_digest)];
    // a claim that nobody signed may still be signed
    let whole = newest.not_applicable.is_empty() && newest.slots.iter().all(|slot| slot.measured);
    let complete = whole || !newest.sign_off_by.is_empty();
    let evidence = Evidence::Benchmarks {
        evaluation_digest: newest.digest.clone(),
        artifact_digest: newest.artifact_digest.clone(),
        evaluator_version: newest.evaluator_version.clone(),
        dataset_state: data_domain::state(&data),
        dataset_digest: data.manifest_digest.clone(),
        metrics: evaluation::evidence(&newest),
        slots: evaluation::slots(&newest)?,
        conditions: conditions(work, version, &newest, &data).await?,
    };
    Ok((evidence, sources, complete))
}

/// What the evaluation measured on and by, and what its data and the plan ask for.
async fn conditions(
    work: &Work,
    version: &Stored<ModelVersion>,
    evaluation: &Evaluation,
    data: &DatasetVersion,
) -> Result<Conditions, Error> {
    let parent = work.read::<Model>(version.parent()).await?;
    let plan = work.read::<Project>(&parent.project).await?;
    Ok(Conditions {
        split: evaluation.split.clone(),
        groups: evaluation.group_columns.clone(),
        sensitive: data.columns.iter().filter(|one| one.sensitive).map(|one| one.name.clone()).collect(),
        tolerance: evaluation.tolerance,
        planned_tolerance: project::tolerance(&plan),
    })
}

async fn qa(work: &Work, version: &Stored<ModelVersion>) -> Result<Found, Error> {
    let mut reviews = work.children::<Review>(&version.name).await?;
    reviews.retain(|review| review.kind() == ReviewKind::Qa);
    let newest = reviews.into_iter().max_by_key(|review| (review.record().create_time, review.name.clone()));
    let Some(review) = newest else {
        let carried = carried(work, version).await?;
        let sources = carried.iter().map(|carried| reference(&carried.from, "")).collect();
        let evidence = Evidence::Qa { approval: None, artifact_digest: String::new(), carried };
        return Ok((evidence, sources, false));
    };
    let approved = review.state() == review::State::Approved;
    let approval = review_domain::approvals(&review)?.pop().filter(|_| approved);
    let digest = storage::Digest::of(&crate::store::body(&*review)).to_string();
    let evidence = Evidence::Qa { approval, artifact_digest: review.artifact_digest.clone(), carried: None };
    Ok((evidence, vec![reference(&review.name, &digest)], approved))
}

/// What a patch carries over from the version it patches (reading 8).
async fn carried(work: &Work, version: &Stored<ModelVersion>) -> Result<Option<Carried>, Error> {
    if version.predecessor.is_empty() {
        return Ok(None);
    }
    let before = work.read::<ModelVersion>(&version.predecessor).await?;
    let patched = candidate(work, &before).await?;
    let Some(bump) = bump(version.bump()) else { return Ok(None) };
    Ok(Some(Carried {
        from: before.name.clone(),
        passed: model::state(&before).lends_approvals() && lifecycle::gate::all_passed(&patched, &[Gate::G3]),
        bump,
        data_changed: version.training_data_version != before.training_data_version,
        signature_changed: version.signature_digest != before.signature_digest,
        use_changed: version.intended_use != before.intended_use,
    }))
}

/// The bump of a version; none for the first of its line.
pub fn bump(bump: wire::Bump) -> Option<Bump> {
    match bump {
        wire::Bump::Unspecified | wire::Bump::First => None,
        wire::Bump::Patch => Some(Bump::Patch),
        wire::Bump::Minor => Some(Bump::Minor),
        wire::Bump::Major => Some(Bump::Major),
    }
}

fn reference(resource: &str, digest: &str) -> EvidenceRef {
    EvidenceRef { resource: resource.to_owned(), digest: digest.to_owned() }
}
