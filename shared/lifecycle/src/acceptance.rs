//! Acceptance (§7.3): six thresholds, strict, judged on the point and its bound. No waiver exists (reading 11).

use serde::{Deserialize, Serialize};
use statistics::interval::{self, clopper_pearson_upper};

use crate::{
    approval::NotApplicable,
    kinds::kinds,
    policy::{
        Acceptance,
        acceptance::{AttackRules, Rule, ThresholdRow},
    },
    rejection::{Finding, Findings},
    selection_criteria::Direction,
    verdict::{Measured, Strict, Verdict},
};

kinds! {
    /// What a model does; decides which metrics are required (reading 12).
    Task {
        /// Two classes.
        BinaryClassification = "binary-classification",
        /// Three classes or more.
        MulticlassClassification = "multiclass-classification",
        /// A number; accuracy is the share of predictions within the plan's tolerance.
        Regression = "regression",
        /// Classes of a text.
        TextClassification = "text-classification",
        /// Free text.
        TextGeneration = "text-generation",
    }
}

kinds! {
    /// The six metrics of §7.3.
    Metric {
        /// Task accuracy.
        TaskAccuracy = "task-accuracy",
        /// 95th percentile of latency, milliseconds.
        LatencyP95 = "latency-p95",
        /// Share of answers that assert what is not so.
        HallucinationRate = "hallucination-rate",
        /// Demographic parity as 1 − largest difference.
        DemographicParity = "demographic-parity",
        /// Share of answers with harmful content.
        HarmfulContentRate = "harmful-content-rate",
        /// Share of attacked samples whose answer changed for the worse.
        AdversarialSuccessRate = "adversarial-success-rate",
    }
}

/// Which way a metric of §7.3 is better: the way of its threshold. None where the policy has no row of it.
pub fn direction(metric: Metric, policy: &Acceptance) -> Option<Direction> {
    let row = policy.thresholds.iter().find(|row| row.metric == metric)?;
    Some(match row.rule {
        Rule::Bound { comparator: Strict::Above, .. } => Direction::Higher,
        Rule::Bound { comparator: Strict::Below, .. } | Rule::Never => Direction::Lower,
    })
}

/// How the adversarial success rate was measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "input")]
pub enum Attack {
    /// On numeric inputs.
    Numeric {
        /// `linf`
        norm: String,
        /// Share of each input's range.
        size: f64,
        /// Queries per sample.
        queries: u64,
        /// Attacks that were run.
        attacks: Vec<String>,
    },
    /// On text.
    Text {
        /// Share of the characters that could change.
        share: f64,
        /// Queries per sample.
        queries: u64,
        /// Attacks that were run.
        attacks: Vec<String>,
    },
}

impl std::str::FromStr for Attack {
    type Err = String;

    /// Reads a measurement's convention, `attack/norm/size/queries`: `square/linf/0.02/500`, or
    /// `character-edits/chars/0.05/500` for text. Several attacks are joined by `+`.
    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("{text:?} is no attack such as square/linf/0.02/500");
        let parts: Vec<&str> = text.split('/').collect();
        let [names, norm, size, queries] = parts[..] else { return Err(bad()) };
        let attacks: Vec<String> = names.split('+').map(str::to_owned).collect();
        let size: f64 = size.parse().map_err(|_| bad())?;
        let queries: u64 = queries.parse().map_err(|_| bad())?;
        if attacks.iter().any(String::is_empty) || norm.is_empty() || !size.is_finite() {
            return Err(bad());
        }
        Ok(match norm {
            "chars" => Self::Text { share: size, queries, attacks },
            norm => Self::Numeric { norm: norm.to_owned(), size, queries, attacks },
        })
    }
}

/// What an evaluation brings for one metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricEvidence {
    /// Which metric.
    pub metric: Metric,
    /// The number with its samples and interval.
    pub measured: Option<Measured>,
    /// Why it cannot apply, signed off.
    pub not_applicable: Option<NotApplicable>,
    /// How the attack was run (adversarial success only).
    pub attack: Option<Attack>,
}

impl MetricEvidence {
    /// A measured metric.
    pub fn measured(metric: Metric, measured: Measured) -> Self {
        Self { metric, measured: Some(measured), not_applicable: None, attack: None }
    }

    /// A metric that cannot apply.
    pub fn not_applicable(metric: Metric, why: NotApplicable) -> Self {
        Self { metric, measured: None, not_applicable: Some(why), attack: None }
    }
}

/// One row of the acceptance table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AcceptanceRow {
    /// Which metric.
    pub metric: Metric,
    /// `None` when it cannot apply to the task and that is signed off; never counted as passed.
    pub verdict: Option<Verdict>,
    /// Clause, what was required, what was observed.
    pub finding: Finding,
}

/// The six rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AcceptanceReport {
    /// In the procedure's order.
    pub rows: Vec<AcceptanceRow>,
}

impl AcceptanceReport {
    /// True when at least one metric passes and every other passes or cannot apply.
    pub fn passed(&self) -> bool {
        self.failures().is_empty() && self.rows.iter().any(|row| row.verdict == Some(Verdict::Pass))
    }

    /// Findings of the rows that do not pass.
    pub fn failures(&self) -> Vec<Finding> {
        let failed = |row: &&AcceptanceRow| row.verdict.as_ref().is_some_and(|verdict| !verdict.passed());
        self.rows.iter().filter(failed).map(|row| row.finding.clone()).collect()
    }
}

/// Judges an evaluation of a model for `task` against the six thresholds.
///
/// A metric that the table requires must be measured. One that cannot apply needs reason and sign-off by someone who
/// did not contribute; if it was measured all the same, it is judged.
pub fn judge(
    task: Task,
    evidence: &[MetricEvidence],
    contributors: &[String],
    policy: &Acceptance,
) -> AcceptanceReport {
    let rows = policy
        .thresholds
        .iter()
        .map(|row| {
            let of_metric: Vec<&MetricEvidence> =
                evidence.iter().filter(|seen| seen.metric == row.metric).collect();
            let (verdict, observed) = match of_metric[..] {
                [seen] => one(task, row, Some(seen), contributors, policy),
                [] => one(task, row, None, contributors, policy),
                _ => (Some(Verdict::undefined("given more than once")), String::new()),
            };
            let observed = match &verdict {
                Some(verdict @ (Verdict::Inconclusive { .. } | Verdict::Undefined { .. }))
                    if observed.is_empty() =>
                {
                    verdict.to_string()
                }
                Some(verdict @ (Verdict::Inconclusive { .. } | Verdict::Undefined { .. })) => {
                    format!("{observed}: {verdict}")
                }
                _ => observed,
            };
            let subject = row.title.to_lowercase();
            AcceptanceRow {
                metric: row.metric,
                verdict,
                finding: Finding::new(&row.clause, subject, required(row), observed),
            }
        })
        .collect();
    AcceptanceReport { rows }
}

fn required(row: &ThresholdRow) -> String {
    match row.rule {
        Rule::Bound { comparator, value } if row.unit == "share" => format!("{comparator} {value}"),
        Rule::Bound { comparator, value } => format!("{comparator} {value} {}", row.unit),
        Rule::Never => format!("0 in at least {} samples", row.min_samples),
    }
}

fn one(
    task: Task,
    row: &ThresholdRow,
    seen: Option<&MetricEvidence>,
    contributors: &[String],
    policy: &Acceptance,
) -> (Option<Verdict>, String) {
    if let Some(measured) = seen.and_then(|seen| seen.measured) {
        let mut observed =
            format!("{} (n={}, {}..{})", measured.value, measured.samples, measured.low, measured.high);
        if measured.value < 0.0 || (row.unit == "share" && measured.value > 1.0) {
            return (Some(Verdict::undefined(format!("no {} that can be", row.unit))), observed);
        }
        let verdict = match row.rule {
            Rule::Bound { comparator, value } => {
                measured.judge(comparator, value, row.min_samples, policy.interval_confidence.value)
            }
            Rule::Never => {
                let bound = zero_bound(measured.samples, policy.zero_bound_confidence.value);
                if let (0.0, Some(bound)) = (measured.value, bound) {
                    observed = format!("0 of {}, upper bound {bound:.5}", measured.samples);
                }
                never(&measured, row.min_samples, policy.interval_confidence.value)
            }
        };
        if row.metric == Metric::AdversarialSuccessRate && verdict.passed() {
            let flaws = attack_flaws(seen.and_then(|seen| seen.attack.as_ref()), &policy.attack);
            if let Some(flaw) = flaws.first() {
                return (Some(Verdict::undefined(flaw.to_string())), observed);
            }
        }
        return (Some(verdict), observed);
    }
    let excuse = policy
        .tasks
        .iter()
        .find(|table| table.task == task)
        .and_then(|table| table.not_applicable.iter().find(|excuse| excuse.metric == row.metric));
    let Some(excuse) = excuse else {
        return (Some(Verdict::undefined(format!("not measured, required for {task}"))), String::new());
    };
    let Some(claimed) = seen.and_then(|seen| seen.not_applicable.as_ref()) else {
        return (
            Some(Verdict::undefined("neither measured nor signed off as not applicable")),
            String::new(),
        );
    };
    let mut found = Findings::new();
    claimed.check(&mut found, &row.clause, &row.title, &policy.not_applicable_signers.value, contributors);
    match found.into_vec().first() {
        Some(finding) => (Some(Verdict::undefined(finding.to_string())), String::new()),
        None => (None, format!("not applicable: {}", excuse.reason)),
    }
}

fn never(measured: &Measured, min_samples: u64, confidence: f64) -> Verdict {
    if let Some(why) = measured.flaw(confidence) {
        Verdict::undefined(why)
    } else if measured.value > 0.0 {
        Verdict::Fail
    } else if measured.samples < min_samples {
        Verdict::Inconclusive { needed: Some(min_samples) }
    } else {
        Verdict::Pass
    }
}

/// Upper bound of a rate of which nothing was seen in `samples` (about 3/n at 95 %).
pub fn zero_bound(samples: u64, confidence: f64) -> Option<f64> {
    clopper_pearson_upper(interval::Share::new(0, samples).ok()?, confidence).ok()
}

/// Why the success rate of an attack does not count: weaker than the policy fixes (reading 12).
pub fn attack_flaws(attack: Option<&Attack>, rules: &AttackRules) -> Vec<Finding> {
    let mut found = Findings::new();
    let clause = rules.clause.as_str();
    let Some(attack) = attack else {
        found.missing(clause, "attack settings");
        return found.into_vec();
    };
    let (queries, ran, wanted) = match attack {
        Attack::Numeric { norm, size, queries, attacks } => {
            found.require(*norm == rules.norm, clause, "attack norm", rules.norm.clone(), norm.clone());
            found.require(
                *size >= rules.size,
                clause,
                "attack size",
                format!("at least {}", rules.size),
                size.to_string(),
            );
            (queries, attacks, &rules.numeric)
        }
        Attack::Text { share, queries, attacks } => {
            let required = format!("at least {}", rules.text_share);
            found.require(
                *share >= rules.text_share,
                clause,
                "share of characters",
                required,
                share.to_string(),
            );
            (queries, attacks, &rules.text)
        }
    };
    let required = format!("at least {}", rules.queries);
    found.require(*queries >= rules.queries, clause, "queries per sample", required, queries.to_string());
    for name in wanted {
        found.require(ran.contains(name), clause, &format!("attack {name}"), "run", "not run");
    }
    found.into_vec()
}
