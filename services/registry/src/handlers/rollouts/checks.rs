//! What the records say about the pipeline and the pre-deployment list (§8.1, §8.2).

use contracts::registry::v1::*;
use lifecycle::Policy;
use lifecycle::checklist::{Acknowledgement, PreFacts, PreItem, Rehearsal as Rehearsed};
use lifecycle::deployment::{Activity, Done};
use lifecycle::ethics::{self, Since};
use lifecycle::evaluation::{TestCategory, report_flaws};
use lifecycle::gate::Gate as Rule;
use std::time::{Duration, SystemTime};

use crate::Error;
use crate::convert::{
    evaluation, gate as gate_domain, model, review as review_domain, rollout as domain, time,
};
use crate::handlers::documents::{Draft, subjects_of};
use crate::handlers::gates::evidence::{bump, decisions};
use crate::handlers::reviews::newest_evaluation;
use crate::store::{Read, Stored};
use crate::work::Work;

/// Ticks every activity that the records prove and whose stage is open.
///
/// # Errors
/// Of the records.
pub async fn fill_activities(
    work: &Work,
    version: &Stored<ModelVersion>,
    next: &mut Rollout,
) -> Result<(), Error> {
    let policy = work.policy();
    let all: Vec<Activity> =
        policy.deployment.stages.iter().flat_map(|stage| stage.activities.clone()).collect();
    for activity in all {
        if domain::pipeline(next)?.passed(activity) {
            continue;
        }
        let Some(done) = proof(work, version, activity, &policy).await? else { continue };
        let entry = domain::item(activity.as_str(), &done, "registry");
        match domain::tick_activity(next, activity, entry, work.now(), &policy.deployment) {
            Ok(()) => {}
            // its stage is not open yet: filled by a later call
            Err(Error::Rejected(why)) if why.reason() == "STAGE_NOT_OPEN" => {}
            Err(other) => return Err(other),
        }
    }
    Ok(())
}

async fn proof(
    work: &Work,
    version: &Stored<ModelVersion>,
    activity: Activity,
    policy: &Policy,
) -> Result<Option<Done>, Error> {
    let registered = |evidence: &str| Done {
        evidence: evidence.to_owned(),
        who: version.created_by.clone(),
        when: version.record().create_time,
    };
    Ok(match activity {
        Activity::Package => Some(registered(&version.artifact_digest)),
        Activity::Version => Some(registered(&version.name)),
        // a file with hostile parts, or one that does not load, is refused at registration
        Activity::Scan => Some(registered(&version.topology_digest)),
        Activity::UnitTests => tested(work, version, TestCategory::Unit, policy).await?,
        Activity::Integration => tested(work, version, TestCategory::Integration, policy).await?,
        Activity::Benchmark => passed(work, version, Rule::G2).await?,
        _ => None,
    })
}

async fn tested(
    work: &Work,
    version: &Stored<ModelVersion>,
    category: TestCategory,
    policy: &Policy,
) -> Result<Option<Done>, Error> {
    let mut all = work.children::<TestReport>(&version.name).await?;
    all.retain(|report| report.category == category.as_str());
    let Some(newest) = all.into_iter().max_by_key(|one| (one.record().create_time, one.name.clone())) else {
        return Ok(None);
    };
    let report = evaluation::test_report(&newest)?;
    let good = report_flaws(&report, &version.artifact_digest, &policy.evaluation).is_empty();
    Ok(good.then(|| Done {
        evidence: newest.digest.clone(),
        who: newest.imported_by.clone(),
        when: newest.record().create_time,
    }))
}

/// The last decision of a gate, if it passed for this artifact.
async fn passed(work: &Work, version: &Stored<ModelVersion>, gate: Rule) -> Result<Option<Done>, Error> {
    let all = decisions(work, &version.name).await?;
    let last = all.into_iter().rfind(|one| gate_domain::gate(one.gate()) == Some(gate));
    Ok(last.filter(|one| one.passed && one.artifact_digest == version.artifact_digest).map(|one| Done {
        evidence: one.name.clone(),
        who: one.decided_by.clone(),
        when: one.record().create_time,
    }))
}

/// What the records say about the seven items.
///
/// # Errors
/// Of the records.
pub async fn pre_facts(
    work: &Work,
    version: &Stored<ModelVersion>,
    rollout: &Rollout,
) -> Result<PreFacts, Error> {
    let attested = |item: PreItem| {
        let found = rollout.pre_deployment.iter().find(|one| one.done && one.item == item.as_str());
        found.map(domain::done)
    };
    let (documents, newest_record) = documents(work, version).await?;
    Ok(PreFacts {
        tests: passed(work, version, Rule::G1).await?,
        benchmarks: passed(work, version, Rule::G2).await?,
        ethics: ethics_approval(work, version).await?,
        scan: attested(PreItem::SecurityScanCompleted),
        open_scan_findings: open_scan_findings(work, version, rollout),
        documents,
        newest_record,
        rollback_plan: rollout.rehearsal.as_ref().and_then(rehearsed),
        on_call: Some(Acknowledgement {
            notified: time(rollout.create_time.as_ref()),
            acknowledged: attested(PreItem::OnCallNotified),
        }),
    })
}

/// What the scans left open: every reason that the registry's own has against the file (one if it never scanned these bytes),
/// and what the security role recorded of its own.
fn open_scan_findings(work: &Work, version: &ModelVersion, rollout: &Rollout) -> usize {
    let own = work.registry().inspections().scanned(&version.artifact_digest).unwrap_or(1);
    own.saturating_add(usize::try_from(rollout.open_scan_findings).unwrap_or(usize::MAX))
}

/// Ticks the list as the facts were when it was found complete.
pub fn tick_pre(next: &mut Rollout, facts: &PreFacts) {
    let rehearsal = facts.rollback_plan.as_ref().map(|plan| plan.done.clone());
    for (item, done) in [
        (PreItem::TestsPassing, facts.tests.clone()),
        (PreItem::BenchmarksMeetingThresholds, facts.benchmarks.clone()),
        (PreItem::EthicsReviewApproved, facts.ethics.clone()),
        (PreItem::DocumentationUpdated, facts.documents.clone()),
        (PreItem::RollbackPlanVerified, rehearsal),
    ] {
        if let Some(done) = done {
            domain::put(&mut next.pre_deployment, domain::item(item.as_str(), &done, "registry"));
        }
    }
}

fn rehearsed(rehearsal: &Rehearsal) -> Option<Rehearsed> {
    rehearsal.rolled_back_time?;
    let restored = rehearsal.restored_time.is_some();
    let took = rehearsal.rollback_duration.as_ref().and_then(contracts::time::duration_from_wire);
    Some(Rehearsed {
        done: Done {
            evidence: format!(
                "route table {} and {}",
                rehearsal.rollback_sequence, rehearsal.restore_sequence
            ),
            who: rehearsal.principal.clone(),
            when: time(rehearsal.restored_time.or(rehearsal.rolled_back_time).as_ref()),
        },
        took: took.unwrap_or_default(),
        restored,
    })
}

/// The board's approval of this version, or of the one it patches where that carries over (§7.4, reading 8).
///
/// # Errors
/// Of the records.
pub async fn ethics_approval(work: &Work, version: &Stored<ModelVersion>) -> Result<Option<Done>, Error> {
    let policy = work.policy();
    let mut since = Since {
        bump: None,
        data_changed: false,
        signature_changed: false,
        intended_use: version.intended_use.clone(),
    };
    let mut at = version.clone();
    loop {
        let mut reviews = work.children::<Review>(&at.name).await?;
        reviews.retain(|review| {
            review.kind() == ReviewKind::Ethics && review.artifact_digest == at.artifact_digest
        });
        // the newest counts: a rejection after an approval closes it again
        if let Some(review) =
            reviews.into_iter().max_by_key(|one| (one.record().create_time, one.name.clone()))
        {
            let domain = review_domain::ethics(&review, work.contributors(&at.name).await?)?;
            let holds = review.state() == review::State::Approved
                && ethics::missing(&domain, &policy.ethics).is_empty()
                && ethics::expired(&domain, &since, &policy.ethics).is_empty();
            let who: Vec<&str> = review.approvals.iter().map(|vote| vote.principal.as_str()).collect();
            let (evidence, who, when) = (review.name.clone(), who.join(", "), review.record().update_time);
            return Ok(holds.then_some(Done { evidence, who, when }));
        }
        if at.predecessor.is_empty() {
            return Ok(None);
        }
        let before = work.read::<ModelVersion>(&at.predecessor).await?;
        if !model::state(&before).lends_approvals() {
            return Ok(None);
        }
        since.bump = since.bump.max(bump(at.bump()));
        since.data_changed |= at.training_data_version != before.training_data_version;
        since.signature_changed |= at.signature_digest != before.signature_digest;
        at = before;
    }
}

/// The four documents of a version (§11): the oldest of them, and that a record changed since where one is stale.
async fn documents(
    work: &Work,
    version: &Stored<ModelVersion>,
) -> Result<(Option<Done>, Option<SystemTime>), Error> {
    let evaluation = newest_evaluation(work, version).await?;
    let mut oldest: Option<Done> = None;
    let mut stale = false;
    for (template, subject) in subjects_of(version, evaluation.as_deref()) {
        let draft = Draft::make(work, template, &subject).await?;
        let Some(made) = work.find::<Document>(&draft.name()).await? else { return Ok((None, None)) };
        stale |= draft.sources != made.sources;
        let when = made.record().update_time;
        if oldest.as_ref().is_none_or(|oldest| when < oldest.when) {
            let who =
                if made.signed_by.is_empty() { made.owner_role.clone() } else { made.signed_by.clone() };
            oldest = Some(Done { evidence: made.digest.clone(), who, when });
        }
    }
    // sources are compared, not times: two changes may share a tick of the clock
    let newest = oldest.as_ref().map(|done| if stale { done.when + TICK } else { done.when });
    Ok((oldest, newest))
}

const TICK: Duration = Duration::from_micros(1);
