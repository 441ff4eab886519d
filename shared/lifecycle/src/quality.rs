//! Data quality (§5.2): eight dimensions, each judged strictly from what was measured.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use statistics::interval::{self, clopper_pearson_lower, clopper_pearson_upper};
use statistics::sample_size::share_sample_size;

use crate::{
    approval::{Approval, NotApplicable},
    dataset::Dimension,
    policy::{Quality, quality::Limit},
    rejection::{Finding, Findings},
    share::Share,
    verdict::Verdict,
};

/// An audit: a sample of rows checked against the source of record (reading 13).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audit {
    /// Rows checked.
    pub rows: u64,
    /// Rows with at least one wrong value.
    pub wrong_rows: u64,
    /// What the rows were checked against, and how.
    pub method: String,
    /// Who checked.
    pub auditor: String,
    /// `sha256:` digest of the list of sampled rows.
    pub sample_digest: String,
}

/// How recent the data is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Currency {
    /// The newest event time in the data.
    NewestEvent(SystemTime),
    /// No event time: the data owner confirmed that the data was current at this time.
    Confirmed(Approval),
    /// Neither.
    Unknown,
}

impl Currency {
    /// How current data without event times is, by the confirmations of its sources (reading 13): as its oldest source. A source
    /// that nobody confirmed leaves it unknown, and one that was confirmed by somebody else than the policy names is what is told.
    pub fn confirmed(confirmations: &[Option<Approval>], policy: &Quality) -> Self {
        let all: Option<Vec<&Approval>> = confirmations.iter().map(Option::as_ref).collect();
        let all = all.unwrap_or_default();
        let stranger = all.iter().find(|one| !policy.currency_confirmers.value.contains(&one.role));
        let told = stranger.or_else(|| all.iter().min_by_key(|one| one.time));
        told.map_or(Self::Unknown, |one| Self::Confirmed((*one).clone()))
    }
}

/// A count of bad among all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// Bad ones.
    pub bad: u64,
    /// All that were looked at.
    pub all: u64,
}

/// A measurement, or why there cannot be one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Applicable<T> {
    /// It was measured.
    Measured(T),
    /// It cannot apply (reading 10).
    NotApplicable(NotApplicable),
    /// Nobody measured it.
    Absent,
}

/// How well the data fits the task: measured and signed off.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Relevance {
    /// Signal about the label, 0..=1.
    pub signal: f64,
    /// Who signed it off.
    pub sign_off: Option<Approval>,
}

/// Share of one group and what it should be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupShare {
    /// `sex=Female`
    pub group: String,
    /// Observed, 0..=1.
    pub share: f64,
    /// Declared reference, 0..=1.
    pub reference: f64,
}

/// What was measured of a dataset version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QualityEvidence {
    /// Accuracy.
    pub audit: Option<Audit>,
    /// Completeness: missing cells of all cells.
    pub missing_cells: Count,
    /// Consistency: keys that differ between sources.
    pub inconsistent_rows: Applicable<Count>,
    /// Timeliness.
    pub currency: Currency,
    /// Uniqueness: duplicate rows of all rows.
    pub duplicate_rows: Count,
    /// Validity: rows that break the schema of all rows.
    pub invalid_rows: Count,
    /// Relevance.
    pub relevance: Option<Relevance>,
    /// Fairness.
    pub groups: Applicable<Vec<GroupShare>>,
    /// Who built the version; never signs it off.
    pub contributors: Vec<String>,
}

/// One dimension's verdict.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DimensionVerdict {
    /// Which.
    pub dimension: Dimension,
    /// `None` when it does not apply (reason and sign-off in order).
    pub verdict: Option<Verdict>,
    /// Clause, what was required, what was observed.
    pub finding: Finding,
}

/// Eight verdicts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// In the procedure's order.
    pub dimensions: Vec<DimensionVerdict>,
}

impl Judgement {
    /// True when every dimension passes or does not apply.
    pub fn passed(&self) -> bool {
        !self.dimensions.is_empty() && self.failures().next().is_none()
    }

    /// The dimensions that missed their target.
    pub fn failures(&self) -> impl Iterator<Item = &DimensionVerdict> {
        self.dimensions.iter().filter(|row| row.verdict.as_ref().is_some_and(|verdict| !verdict.passed()))
    }
}

type Row = (Option<Verdict>, String, String, String);

/// Judges the eight dimensions at `now`. Nothing measured is undefined, and undefined never passes.
pub fn judge(evidence: &QualityEvidence, now: SystemTime, policy: &Quality) -> Judgement {
    let one = |dimension| match dimension {
        Dimension::Accuracy => accuracy(evidence, policy),
        Dimension::Completeness => counted(evidence.missing_cells, &policy.missing),
        Dimension::Consistency => applicable(
            &evidence.inconsistent_rows,
            (Dimension::Consistency, evidence, policy),
            &policy.inconsistent,
            |count| counted(*count, &policy.inconsistent),
        ),
        Dimension::Timeliness => timeliness(&evidence.currency, now, policy),
        Dimension::Uniqueness => counted(evidence.duplicate_rows, &policy.duplicates),
        Dimension::Validity => counted(evidence.invalid_rows, &policy.invalid),
        Dimension::Relevance => relevance(evidence, policy),
        Dimension::Fairness => applicable(
            &evidence.groups,
            (Dimension::Fairness, evidence, policy),
            &policy.imbalance,
            |groups| imbalance(groups, &policy.imbalance),
        ),
    };
    let dimensions = policy
        .dimensions
        .iter()
        .map(|row| {
            let (verdict, clause, required, observed) = one(row.dimension);
            let finding = Finding::new(clause, row.dimension.as_str(), required, observed);
            DimensionVerdict { dimension: row.dimension, verdict, finding }
        })
        .collect();
    Judgement { dimensions }
}

fn accuracy(evidence: &QualityEvidence, policy: &Quality) -> Row {
    let target = &policy.accuracy;
    let required =
        format!("{} {} on an audit of {} rows or more", target.comparator, target.value, target.min_sample);
    let row = |verdict, observed: String| (Some(verdict), target.clause.clone(), required.clone(), observed);
    let Some(audit) = &evidence.audit else { return row(Verdict::undefined("no audit"), "no audit".into()) };
    if audit.auditor.trim().is_empty() || audit.method.trim().is_empty() {
        return row(Verdict::undefined("auditor or method missing"), "auditor or method missing".into());
    }
    let right = audit.rows.checked_sub(audit.wrong_rows);
    let counts = right.and_then(|right| interval::Share::new(right, audit.rows).ok());
    let bounds = counts.and_then(|share| {
        let low = clopper_pearson_lower(share, target.confidence).ok()?;
        Some((share.value(), low, clopper_pearson_upper(share, target.confidence).ok()?))
    });
    let Some((value, low, high)) = bounds else {
        return row(Verdict::undefined("counts of the audit make no share"), "no share".into());
    };
    let threshold = target.value.get();
    let observed = format!("{value} ({} rows, lower bound {low:.5})", audit.rows);
    let holds = |number| target.comparator.holds(number, threshold);
    let verdict = if audit.rows < target.min_sample {
        Verdict::Inconclusive { needed: Some(target.min_sample) }
    } else if holds(value) && holds(low) {
        Verdict::Pass
    } else if !holds(value) && !holds(high) {
        Verdict::Fail
    } else {
        Verdict::Inconclusive {
            needed: share_sample_size(value, threshold, target.confidence).ok().flatten(),
        }
    };
    row(verdict, observed)
}

fn counted(count: Count, limit: &Limit) -> Row {
    let Some(share) = Share::of(count.bad, count.all) else {
        return undefined(limit, "nothing counted");
    };
    compared(share.get(), format!("{share} ({} of {})", count.bad, count.all), limit)
}

fn compared(value: f64, observed: String, limit: &Limit) -> Row {
    let verdict = if value.is_nan() {
        Verdict::undefined("not a number")
    } else if limit.comparator.holds(value, limit.value) {
        Verdict::Pass
    } else {
        Verdict::Fail
    };
    (Some(verdict), limit.clause.clone(), required(limit), observed)
}

fn required(limit: &Limit) -> String {
    format!("{} {}", limit.comparator, limit.value)
}

fn undefined(limit: &Limit, why: &str) -> Row {
    (Some(Verdict::undefined(why)), limit.clause.clone(), required(limit), why.to_owned())
}

fn applicable<T>(
    what: &Applicable<T>,
    (dimension, evidence, policy): (Dimension, &QualityEvidence, &Quality),
    limit: &Limit,
    judge: impl Fn(&T) -> Row,
) -> Row {
    match what {
        Applicable::Measured(measured) => judge(measured),
        Applicable::Absent => undefined(limit, "not measured"),
        Applicable::NotApplicable(why) => {
            let mut found = Findings::new();
            let allowed = policy.may_not_apply.value.contains(&dimension);
            found.require(
                allowed,
                &policy.may_not_apply.clause,
                dimension.as_str(),
                "measured",
                "not applicable",
            );
            why.check(
                &mut found,
                &limit.clause,
                dimension.as_str(),
                &policy.signers.value,
                &evidence.contributors,
            );
            match found.into_vec().first() {
                None => {
                    (None, limit.clause.clone(), required(limit), format!("not applicable: {}", why.reason))
                }
                Some(finding) => undefined(limit, &finding.to_string()),
            }
        }
    }
}

fn timeliness(currency: &Currency, now: SystemTime, policy: &Quality) -> Row {
    let limit = &policy.age;
    let required = format!("age < {}", limit.below);
    let row = |verdict, observed: String| (Some(verdict), limit.clause.clone(), required.clone(), observed);
    let (time, what) = match currency {
        Currency::NewestEvent(time) => (*time, "newest event"),
        Currency::Confirmed(by) if policy.currency_confirmers.value.contains(&by.role) => {
            (by.time, "data owner's confirmation")
        }
        Currency::Confirmed(by) => {
            let why = format!(
                "confirmed by {}, not by {}",
                by.role,
                crate::approval::join(&policy.currency_confirmers.value)
            );
            return row(Verdict::undefined(why.clone()), why);
        }
        Currency::Unknown => {
            let why = "no event time and no confirmation by the data owner";
            return row(Verdict::undefined(why), why.into());
        }
    };
    let Ok(age) = now.duration_since(time) else {
        return row(Verdict::undefined(format!("{what} lies in the future")), "in the future".into());
    };
    let verdict = if age < limit.below.get() { Verdict::Pass } else { Verdict::Fail };
    row(verdict, format!("{what} {:.1} days old", age.as_secs_f64() / 86_400.0))
}

fn relevance(evidence: &QualityEvidence, policy: &Quality) -> Row {
    let limit = &policy.relevance;
    let Some(relevance) = &evidence.relevance else { return undefined(limit, "not measured") };
    let Some(sign_off) = &relevance.sign_off else { return undefined(limit, "not signed off") };
    let mut found = Findings::new();
    sign_off.check(&mut found, &limit.clause, "relevance", &policy.signers.value, &evidence.contributors);
    if let Some(finding) = found.into_vec().first() {
        return undefined(limit, &finding.to_string());
    }
    if !(0.0..=1.0).contains(&relevance.signal) {
        return undefined(limit, "a signal that is no share");
    }
    let observed = format!("signal {}, signed off by {}", relevance.signal, sign_off.principal);
    compared(relevance.signal, observed, limit)
}

fn imbalance(groups: &[GroupShare], limit: &Limit) -> Row {
    let numbers_hold = groups
        .iter()
        .all(|group| (0.0..=1.0).contains(&group.share) && (0.0..=1.0).contains(&group.reference));
    if groups.len() < 2 || !numbers_hold {
        return undefined(limit, "fewer than two groups, or a share that is none");
    }
    // 0.7 − 0.5 is 0.2 and no less: the last bits of two decimals decide nothing
    let gap = |group: &&GroupShare| ((group.share - group.reference).abs() * 1e12).round() / 1e12;
    let Some(worst) = groups.iter().max_by(|left, right| gap(left).total_cmp(&gap(right))) else {
        return undefined(limit, "no groups");
    };
    compared(gap(&worst), format!("{} at {} instead of {}", worst.group, worst.share, worst.reference), limit)
}
