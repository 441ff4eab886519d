//! Whether a criterion of §10.2 holds: on the registry's own records where it has them, else as the right role declares.

use contracts::common::v1::Measurement;
use contracts::registry::v1::*;
use lifecycle::approval::Approval;
use lifecycle::retirement::{Comparison, Criterion, declare, degraded_days, is_degraded};
use lifecycle::selection_criteria::Direction;
use lifecycle::separation::Action;
use lifecycle::version_state::State;
use lifecycle::{Finding, Findings, Rejection};

use super::service_days;
use crate::Error;
use crate::convert::{evaluation::same_metric, model as model_domain};
use crate::store::{Read, Resource, Stored};
use crate::work::Work;

/// The criterion of a request or record.
pub fn of(criterion: RetirementCriterion) -> Option<Criterion> {
    Some(match criterion {
        RetirementCriterion::Unspecified => return None,
        RetirementCriterion::Degraded => Criterion::PerformanceDegradation,
        RetirementCriterion::Superseded => Criterion::Superseded,
        RetirementCriterion::Security => Criterion::SecurityVulnerability,
        RetirementCriterion::Compliance => Criterion::ComplianceIssue,
        RetirementCriterion::Business => Criterion::BusinessDecision,
    })
}

/// Whether callers may be sent to `successor`: another version of the same model that has passed its gates and is in use.
///
/// # Errors
/// `SUCCESSOR_UNFIT`, NOT_FOUND.
pub async fn may_succeed(work: &Work, version: &Stored<ModelVersion>, successor: &str) -> Result<(), Error> {
    if successor.is_empty() {
        return Ok(());
    }
    let next = work.read::<ModelVersion>(successor).await?;
    let mut found = Findings::new();
    let same = next.parent() == version.parent();
    found.require(same, "§10.2", "model of the successor", version.parent(), next.parent());
    let (state, required) = (model_domain::state(&next), State::named(State::succeeds));
    found.require(state.succeeds(), "§10.2", "state of the successor", required, state.as_str());
    Ok(found.into_result("SUCCESSOR_UNFIT", "retirement")?)
}

/// Who announces, and what was observed.
///
/// # Errors
/// `CRITERION_NOT_MET`, `ROLE_MAY_NOT`.
pub async fn holds(
    work: &Work,
    version: &Stored<ModelVersion>,
    criterion: Criterion,
    request: &StartRetirementRequest,
) -> Result<(Approval, String), Error> {
    let policy = work.policy();
    let retirement = &policy.retirement;
    if let Some(row) = retirement.declared_by.iter().find(|row| row.criterion == criterion) {
        let by = work.approval(&row.roles)?;
        declare(criterion, &by, retirement)?;
        return Ok((by, String::new()));
    }
    let by = work.authorize(Action::ApproveRetirement, &[])?;
    let (subject, required, observed, holds) = if criterion == Criterion::PerformanceDegradation {
        let days = service_days::recent(work, version).await?;
        let observed = format!("{} days", degraded_days(&days));
        let required = format!("at least {}", retirement.degraded_days.value);
        ("days in a row below acceptable", required, observed, is_degraded(&days, retirement))
    } else if request.successor.is_empty() {
        return Err(Error::field("successor", "required: the version that supersedes"));
    } else {
        let required = format!("at least {} and above its uncertainty", retirement.improvement.value);
        let (observed, holds) = match measured(work, version, &request.successor).await? {
            None => ("never compared on the same dataset version".to_owned(), false),
            Some(comparison) => (told(&comparison), comparison.supersedes(retirement)),
        };
        ("relative improvement of the successor", required, observed, holds)
    };
    if holds {
        return Ok((by, observed));
    }
    let finding = Finding::new("§10.2", subject, required, observed);
    Err(Rejection::one("CRITERION_NOT_MET", "retirement", finding).into())
}

fn told(comparison: &Comparison) -> String {
    let relative = comparison.relative().map_or_else(|| "undefined".to_owned(), |gain| gain.to_string());
    format!("{relative}, {} against {} ± {}", comparison.new, comparison.old, comparison.uncertainty)
}

/// Both versions on the primary metric of their model, on the same data; none where they were never compared.
async fn measured(
    work: &Work,
    version: &Stored<ModelVersion>,
    successor: &str,
) -> Result<Option<Comparison>, Error> {
    let model = work.read::<Model>(version.parent()).await?;
    let policy = work.policy();
    let split = &policy.evaluation.split.value; // what G2 judges on
    let direction = model_domain::primary_direction(&model, &policy.acceptance)?;
    let mut olds = work.children::<Evaluation>(&version.name).await?;
    let mut news = work.children::<Evaluation>(successor).await?;
    for all in [&mut olds, &mut news] {
        all.sort_by_key(|one| std::cmp::Reverse((one.record().create_time, one.name.clone())));
    }
    for new in &news {
        for old in olds
            .iter()
            .filter(|old| old.dataset_digest == new.dataset_digest && [&old.split, &new.split] == [split; 2])
        {
            let value = |evaluation: &Evaluation| {
                let own = |one: &&Measurement| {
                    one.slice.is_empty() && same_metric(&one.metric, &model.primary_metric)
                };
                evaluation.measurements.iter().find(own).cloned()
            };
            let (Some(before), Some(after)) = (value(old), value(new)) else { continue };
            let half = |one: &Measurement| {
                one.upper.zip(one.lower).map_or(f64::INFINITY, |(upper, lower)| (upper - lower) / 2.0)
            };
            return Ok(Some(Comparison {
                old: before.value,
                new: after.value,
                // of a difference of two that were measured apart: the root of the sum of squares
                uncertainty: half(&before).hypot(half(&after)),
                higher_is_better: direction == Direction::Higher,
                old_dataset: old.dataset_digest.clone(),
                new_dataset: new.dataset_digest.clone(),
            }));
        }
    }
    Ok(None)
}
