//! Whether a criterion of §10.2 holds: on the registry's own records where it has them, else as the right role declares.

use contracts::registry::v1::*;
use lifecycle::acceptance::Metric;
use lifecycle::approval::Approval;
use lifecycle::retirement::{Comparison, Criterion, declare, is_degraded};
use lifecycle::separation::{Action, authorize};
use lifecycle::{Finding, Rejection};

use crate::Error;
use crate::convert::evaluation::metric;
use crate::handlers::rollouts::roles_of;
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
    let by = work.approval(&roles_of(work, Action::ApproveRetirement))?;
    authorize(Action::ApproveRetirement, &by, &[], &policy.people)?;
    let refuse = |subject: &str, required: String, observed: String| {
        let finding = Finding::new("§10.2", subject, required, observed);
        Err(Rejection::one("CRITERION_NOT_MET", "retirement", finding).into())
    };
    if criterion == Criterion::PerformanceDegradation {
        let days = vec![Some(true); (request.days_below_acceptable as usize).min(100_000)];
        let observed = format!("{} days", request.days_below_acceptable);
        if is_degraded(&days, retirement) {
            return Ok((by, observed));
        }
        return refuse(
            "days in a row below acceptable",
            format!("at least {}", retirement.degraded_days.value),
            observed,
        );
    }
    if request.successor.is_empty() {
        return Err(Error::field("successor", "required: the version that supersedes"));
    }
    let required = format!("at least {}", retirement.improvement.value);
    match measured(work, version, &request.successor).await? {
        Some(comparison) => {
            let relative =
                comparison.relative().map_or_else(|| "undefined".to_owned(), |gain| gain.to_string());
            let observed = format!(
                "{relative}, {} against {} ± {}",
                comparison.new, comparison.old, comparison.uncertainty
            );
            match comparison.supersedes(retirement) {
                true => Ok((by, observed)),
                false => refuse(
                    "relative improvement of the successor",
                    format!("{required} and above its uncertainty"),
                    observed,
                ),
            }
        }
        None if retirement.improvement.value <= request.relative_improvement => {
            Ok((by, format!("declared improvement {}", request.relative_improvement)))
        }
        None => refuse("declared relative improvement", required, request.relative_improvement.to_string()),
    }
}

/// Both versions on the primary metric of their model, on the same data; none where they were never compared.
async fn measured(
    work: &Work,
    version: &Stored<ModelVersion>,
    successor: &str,
) -> Result<Option<Comparison>, Error> {
    let model = work.read::<Model>(version.parent()).await?;
    let same = |name: &str| {
        name == model.primary_metric
            || (metric(name).is_some() && metric(name) == metric(&model.primary_metric))
    };
    let mut olds = work.children::<Evaluation>(&version.name).await?;
    let mut news = work.children::<Evaluation>(successor).await?;
    for all in [&mut olds, &mut news] {
        all.sort_by_key(|one| std::cmp::Reverse((one.record().create_time, one.name.clone())));
    }
    for new in &news {
        for old in
            olds.iter().filter(|old| old.dataset_digest == new.dataset_digest && old.split == new.split)
        {
            let value = |evaluation: &Evaluation| {
                evaluation.measurements.iter().find(|one| one.slice.is_empty() && same(&one.metric)).cloned()
            };
            let (Some(before), Some(after)) = (value(old), value(new)) else { continue };
            let half = |one: &contracts::common::v1::Measurement| {
                one.upper.zip(one.lower).map_or(f64::INFINITY, |(upper, lower)| (upper - lower) / 2.0)
            };
            return Ok(Some(Comparison {
                old: before.value,
                new: after.value,
                // of a difference of two that were measured apart: the root of the sum of squares
                uncertainty: half(&before).hypot(half(&after)),
                higher_is_better: higher_is_better(&before.metric),
                old_dataset: old.dataset_digest.clone(),
                new_dataset: new.dataset_digest.clone(),
            }));
        }
    }
    Ok(None)
}

fn higher_is_better(name: &str) -> bool {
    match metric(name) {
        Some(Metric::TaskAccuracy | Metric::DemographicParity) => true,
        Some(_) => false,
        None => {
            !["latency", "error", "loss", "rmse", "mae", "perplexity"].iter().any(|low| name.contains(low))
        }
    }
}
