//! Quality gates G1 to G4 (§8.1): a pure function of evidence and policy, so that an old decision can be replayed.

use serde::{Deserialize, Serialize};

use crate::{
    acceptance::{self, MetricEvidence, Task},
    approval::Approval,
    dataset,
    evaluation::{SlotRecord, TestReport, missing_slots, report_flaws},
    health::{CanaryHealth, least_requests},
    kinds::kinds,
    policy::{Gates, Policy, Span},
    rejection::{Finding, Findings, Rejection},
    version::Bump,
};

kinds! {
    /// The four gates.
    Gate {
        /// Tests pass.
        G1 = "g1",
        /// Benchmarks met.
        G2 = "g2",
        /// QA approved.
        G3 = "g3",
        /// Canary stable.
        G4 = "g4",
    }
}

/// The version that stands before a gate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// `models/{model}/versions/1.2.0`
    pub name: String,
    /// `sha256:` digest of its artifact.
    pub artifact_digest: String,
    /// What it does.
    pub task: Task,
    /// Author and everyone who contributed to it; none of them approves.
    pub contributors: Vec<String>,
    /// Earlier decisions about this version.
    pub decided: Vec<EarlierDecision>,
}

/// An earlier decision, as far as a later gate looks at it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EarlierDecision {
    /// Which gate.
    pub gate: Gate,
    /// Whether it passed.
    pub passed: bool,
    /// `sha256:` digest of the artifact that was judged.
    pub artifact_digest: String,
}

/// What a gate judges.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Evidence {
    /// G1.
    Tests {
        /// Imported reports; the newest of each category.
        reports: Vec<TestReport>,
    },
    /// G2.
    Benchmarks {
        /// `sha256:` digest of the evaluation report.
        evaluation_digest: String,
        /// `sha256:` digest of the artifact that was evaluated.
        artifact_digest: String,
        /// Version of the evaluator.
        evaluator_version: String,
        /// State of the dataset version it was evaluated on.
        dataset_state: dataset::State,
        /// `sha256:` digest of that dataset version.
        dataset_digest: String,
        /// The six metrics.
        metrics: Vec<MetricEvidence>,
        /// The fifteen slots.
        slots: Vec<SlotRecord>,
        /// What it was measured on and by.
        conditions: Conditions,
    },
    /// G3.
    Qa {
        /// The approval; `None` when there is none, or when it is carried over.
        approval: Option<Approval>,
        /// `sha256:` digest of the artifact that was approved.
        artifact_digest: String,
        /// What a patch carries over.
        carried: Option<Carried>,
    },
    /// G4.
    Canary {
        /// What the monitor observed.
        health: CanaryHealth,
    },
}

/// Under which conditions an evaluation measured, beside those that data and plan ask for: whoever asks for an evaluation
/// does not choose what it is judged on (§7.3).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Conditions {
    /// Split of the dataset version.
    pub split: String,
    /// Columns whose values were the groups of parity.
    pub groups: Vec<String>,
    /// Sensitive columns of the dataset version: each of them is a group.
    pub sensitive: Vec<String>,
    /// Regression: how far off a prediction counted as right.
    pub tolerance: f64,
    /// Regression: how far off the plan lets it be; `None` if the plan says nothing.
    pub planned_tolerance: Option<f64>,
}

impl Conditions {
    fn check(&self, task: Task, policy: &Policy, found: &mut Findings) {
        let split = &policy.evaluation.split;
        found.require(
            self.split == split.value,
            &split.clause,
            "evaluated split",
            &*split.value,
            &*self.split,
        );
        let left: Vec<&str> =
            self.sensitive.iter().filter(|one| !self.groups.contains(one)).map(String::as_str).collect();
        let required = "every sensitive column of the data";
        found.require(
            left.is_empty(),
            "§7.3",
            "groups of parity",
            required,
            format!("without {}", left.join(", ")),
        );
        if task != Task::Regression {
            return;
        }
        let subject = "tolerance of a right prediction";
        match self.planned_tolerance {
            None => found.add("§4.1", subject, "a success criterion of the plan", "missing"),
            Some(planned) => {
                let same = planned.is_finite() && planned > 0.0 && planned == self.tolerance;
                found.require(same, "§4.1, §7.3", subject, planned.to_string(), self.tolerance.to_string());
            }
        }
    }
}

/// The G3 decision of the version that a patch patches (reading 8).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Carried {
    /// Name of the patched version.
    pub from: String,
    /// Whether its G3 passed.
    pub passed: bool,
    /// What kind of step leads from it.
    pub bump: Bump,
    /// True when the training data changed.
    pub data_changed: bool,
    /// True when inputs or outputs changed.
    pub signature_changed: bool,
    /// True when the intended use changed.
    pub use_changed: bool,
}

/// What a gate decided. The same evidence under the same policy gives the same decision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GateDecision {
    /// Which gate.
    pub gate: Gate,
    /// True when nothing was found.
    pub passed: bool,
    /// Everything that does not hold.
    pub findings: Vec<Finding>,
    /// Everything that was judged, with what was observed.
    pub judged: Vec<Finding>,
    /// Digest of the policy.
    pub policy_digest: String,
    /// Digests of what was judged.
    pub evidence_digests: Vec<String>,
    /// Version whose G3 was carried over.
    pub carried_from: Option<String>,
}

impl GateDecision {
    /// `Ok` when the gate passed.
    ///
    /// # Errors
    /// `GATE_REFUSED` with every finding: `G2 refused: §7.3 demographic parity 0.83, required > 0.9`.
    pub fn into_result(self) -> Result<(), Rejection> {
        if self.passed {
            Ok(())
        } else {
            Err(Rejection::new("GATE_REFUSED", self.gate.as_str().to_uppercase(), self.findings))
        }
    }
}

struct Judged {
    found: Findings,
    rows: Vec<Finding>,
    digests: Vec<String>,
    carried_from: Option<String>,
}

/// Decides `gate` for `candidate` on `evidence`.
pub fn decide(gate: Gate, candidate: &Candidate, evidence: &Evidence, policy: &Policy) -> GateDecision {
    let mut out = Judged {
        found: Findings::new(),
        rows: Vec::new(),
        digests: vec![candidate.artifact_digest.clone()],
        carried_from: None,
    };
    let clause =
        policy.gates.gates.iter().find(|row| row.gate == gate).map_or("§8.1", |row| row.clause.as_str());
    out.found.need_digest(clause, "artifact digest", &candidate.artifact_digest);
    check_order(gate, candidate, &policy.gates, &mut out.found);
    match (gate, evidence) {
        (Gate::G1, Evidence::Tests { reports }) => tests(candidate, reports, policy, &mut out),
        (Gate::G2, Evidence::Benchmarks { .. }) => benchmarks(candidate, evidence, clause, policy, &mut out),
        (Gate::G3, Evidence::Qa { approval, artifact_digest, carried }) => {
            let approval = approval.as_ref().map(|approval| (approval, artifact_digest.as_str()));
            qa(candidate, approval, carried.as_ref(), &policy.gates, &mut out);
        }
        (Gate::G4, Evidence::Canary { health }) => canary(health, clause, policy, &mut out),
        (Gate::G1 | Gate::G2 | Gate::G3 | Gate::G4, _) => {
            out.found.missing(clause, format!("evidence for {gate}"));
        }
    }
    let findings = out.found.into_vec();
    GateDecision {
        gate,
        passed: findings.is_empty(),
        findings,
        judged: out.rows,
        policy_digest: policy.digest().to_owned(),
        evidence_digests: out.digests,
        carried_from: out.carried_from,
    }
}

/// The gates that a version must have passed before it takes traffic (§8.1): those that the policy puts before G4, which the
/// canary's traffic decides.
pub fn before_traffic(policy: &Gates) -> &[Gate] {
    // without a row of G4 nothing opens: no canary has passed all four
    policy.gates.iter().find(|row| row.gate == Gate::G4).map_or(Gate::ALL, |row| &row.after)
}

/// True when every gate in `gates` has passed for the artifact of `candidate`, judged by its last decision of each.
pub fn all_passed(candidate: &Candidate, gates: &[Gate]) -> bool {
    gates.iter().all(|gate| passed(candidate, *gate))
}

fn passed(candidate: &Candidate, gate: Gate) -> bool {
    candidate
        .decided
        .iter()
        .rfind(|earlier| earlier.gate == gate)
        .is_some_and(|earlier| earlier.passed && earlier.artifact_digest == candidate.artifact_digest)
}

fn check_order(gate: Gate, candidate: &Candidate, policy: &Gates, found: &mut Findings) {
    let Some(row) = policy.gates.iter().find(|row| row.gate == gate) else {
        found.missing("§8.1", format!("gate {gate}"));
        return;
    };
    for before in &row.after {
        let subject = format!("gate {before}");
        found.require(
            passed(candidate, *before),
            &row.clause,
            &subject,
            "passed for this artifact",
            "not passed",
        );
    }
}

fn tests(candidate: &Candidate, reports: &[TestReport], policy: &Policy, out: &mut Judged) {
    let wanted = &policy.gates.g1_categories;
    for category in &wanted.value {
        if !reports.iter().any(|report| report.category == *category) {
            out.found.missing(wanted.clause.clone(), format!("{category} test report"));
        }
    }
    for report in reports {
        out.found.extend(report_flaws(report, &candidate.artifact_digest, &policy.evaluation));
        out.digests.push(report.digest.clone());
        let observed =
            format!("{} passed, {} failed, {} skipped", report.passed, report.failed, report.skipped);
        out.rows.push(Finding::new(
            &wanted.clause,
            format!("{} tests", report.category),
            "all pass",
            observed,
        ));
    }
}

fn benchmarks(candidate: &Candidate, evidence: &Evidence, clause: &str, policy: &Policy, out: &mut Judged) {
    let Evidence::Benchmarks {
        evaluation_digest,
        artifact_digest,
        evaluator_version,
        dataset_state,
        dataset_digest,
        metrics,
        slots,
        conditions,
    } = evidence
    else {
        return;
    };
    let found = &mut out.found;
    found.need_digest(clause, "evaluation digest", evaluation_digest);
    found.need_digest(clause, "dataset digest", dataset_digest);
    found.need_text(clause, "evaluator version", evaluator_version);
    let same = *artifact_digest == candidate.artifact_digest;
    found.require(same, clause, "evaluated artifact", &candidate.artifact_digest, artifact_digest.clone());
    let ready = *dataset_state == dataset::State::Ready;
    found.require(ready, "§5.2", "state of the dataset version", "ready", dataset_state.to_string());
    conditions.check(candidate.task, policy, found);
    let signers = &policy.acceptance.not_applicable_signers;
    found.extend(missing_slots(slots, &candidate.contributors, signers, &policy.evaluation));
    let report = acceptance::judge(candidate.task, metrics, &candidate.contributors, &policy.acceptance);
    found.extend(report.failures());
    if !report.passed() && found.is_empty() {
        found.add(clause, "acceptance", "at least one metric measured and passed", "none");
    }
    out.rows.extend(report.rows.into_iter().map(|row| row.finding));
    out.digests.extend([evaluation_digest.clone(), dataset_digest.clone()]);
}

fn qa(
    candidate: &Candidate,
    approval: Option<(&Approval, &str)>,
    carried: Option<&Carried>,
    policy: &Gates,
    out: &mut Judged,
) {
    let roles = &policy.g3_approvers;
    match (approval, carried) {
        (Some((approval, artifact_digest)), _) => {
            approval.check(&mut out.found, &roles.clause, "QA", &roles.value, &candidate.contributors);
            let same = artifact_digest == candidate.artifact_digest;
            out.found.require(
                same,
                &roles.clause,
                "approved artifact",
                &candidate.artifact_digest,
                artifact_digest,
            );
            let observed = format!("approved by {}", approval.principal);
            out.rows.push(Finding::new(
                &roles.clause,
                "QA approval",
                crate::approval::join(&roles.value),
                observed,
            ));
        }
        (None, Some(carried)) => {
            let flaws = carry_flaws(carried, policy);
            if flaws.is_empty() {
                out.carried_from = Some(carried.from.clone());
                let observed = format!("carried over from {}", carried.from);
                out.rows.push(Finding::new(
                    &policy.patch_carries.clause,
                    "QA approval",
                    "of the patched version",
                    observed,
                ));
            }
            out.found.extend(flaws);
        }
        (None, None) => out.found.missing(roles.clause.clone(), "QA approval"),
    }
}

/// Why G3 of the patched version does not carry over: no patch, or data, signature or use changed (reading 8).
pub fn carry_flaws(carried: &Carried, policy: &Gates) -> Vec<Finding> {
    let mut found = Findings::new();
    let clause = policy.patch_carries.clause.as_str();
    let subject = "QA approval carried over";
    let allowed = policy.patch_carries.value.contains(&Gate::G3);
    found.require(
        allowed && carried.bump == Bump::Patch,
        clause,
        subject,
        "a patch",
        format!("a {} change", carried.bump),
    );
    found.require(carried.passed, clause, subject, "G3 of the patched version", "not passed");
    found.require(!carried.data_changed, clause, subject, "the same data", "other data");
    found.require(!carried.signature_changed, clause, subject, "the same signature", "another signature");
    found.require(!carried.use_changed, clause, subject, "the same use", "another use");
    found.into_vec()
}

fn canary(health: &CanaryHealth, clause: &str, policy: &Policy, out: &mut Judged) {
    let (found, gates) = (&mut out.found, &policy.gates);
    let window = &gates.g4_window;
    let soaked = Span(health.soaked).to_string();
    found.require(
        health.soaked >= window.value.get(),
        &window.clause,
        "canary watched for",
        window.value.to_string(),
        &soaked,
    );
    let least = least_requests(gates.g4_min_requests.value, policy);
    found.require(
        health.requests >= least,
        &gates.g4_min_requests.clause,
        "canary requests",
        format!("at least {least}"),
        health.requests.to_string(),
    );
    let traffic = &gates.g4_traffic_percent;
    let observed = format!("{} %", health.traffic_percent);
    found.require(
        health.traffic_percent == traffic.value,
        &traffic.clause,
        "canary traffic",
        format!("{} %", traffic.value),
        observed,
    );
    found.require(health.windows > 0, clause, "judged windows", "at least 1", "0");
    found.extend(health.flaws(policy));
    let rate = health.error_rate().map_or_else(|| "undefined".to_owned(), |rate| rate.to_string());
    let p95 = health.latency_p95_ms.map_or_else(|| "undefined".to_owned(), |p95| format!("{p95} ms"));
    let observed = format!("{} requests, error rate {rate}, P95 {p95}, {soaked}", health.requests);
    out.rows.push(Finding::new(clause, "canary", "no trigger and no alert", observed));
}
