//! Model selection (§6.1): five ordered steps from a baseline to a justified choice.

use std::{collections::BTreeSet, time::SystemTime};

use serde::{Deserialize, Serialize};

use crate::{
    kinds::kinds,
    policy::Selection,
    rejection::{Findings, Rejection},
};

kinds! {
    /// The five steps of §6.1, in order.
    SelectionStep {
        /// Define baseline: baseline performance metrics.
        Baseline = "baseline",
        /// Literature review: candidate model list.
        LiteratureReview = "literature-review",
        /// Quick evaluation: shortlisted models.
        QuickEvaluation = "quick-evaluation",
        /// Detailed evaluation: performance comparison.
        DetailedEvaluation = "detailed-evaluation",
        /// Selection: selected model with justification.
        Selection = "selection",
    }
}

/// One recorded step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SelectionRecord {
    /// Which step.
    pub step: SelectionStep,
    /// Output in words; for the last step, the justification.
    pub summary: String,
    /// Models: the candidate list, the shortlist, the compared ones, or the single choice.
    pub candidates: Vec<String>,
    /// Dataset version of the detailed comparison, the same for every model.
    pub dataset_version: String,
    /// Seed of the detailed comparison.
    pub seed: Option<u64>,
    /// Names of the metrics that were measured (baseline, detailed evaluation).
    pub metrics: Vec<String>,
    /// Who recorded it.
    pub principal: String,
    /// When.
    pub time: SystemTime,
}

/// Decides whether `next` may follow the `recorded` steps. `decided` is the winner of the weighted decision (§4.2);
/// the last step must choose it.
///
/// # Errors
/// `SELECTION_STEP_REFUSED`: out of order, shortlist size, models that were not in the step before, a comparison
/// without one dataset version and seed, a choice without decision record or justification.
pub fn record_step(
    recorded: &[SelectionRecord],
    next: &SelectionRecord,
    decided: Option<&str>,
    policy: &Selection,
) -> Result<(), Rejection> {
    let mut found = Findings::new();
    let expected = policy.steps.get(recorded.len());
    let in_order = expected.is_some_and(|row| row.step == next.step);
    let Some(row) = policy.steps.iter().find(|row| row.step == next.step) else {
        found.add("§6.1", "selection step", "one of the policy", next.step.to_string());
        return found.into_result("SELECTION_STEP_REFUSED", format!("selection step {}", next.step));
    };
    let clause = row.clause.as_str();
    let wanted = expected.map_or("no further step", |row| row.step.as_str());
    found.require(in_order, clause, "next selection step", wanted, next.step.as_str());
    found.need_text(clause, &row.output, &next.summary);
    if let Some(last) = recorded.last() {
        found.require(
            last.time <= next.time,
            clause,
            "time of the step",
            "not before the step before it",
            "earlier",
        );
    }
    let unique: BTreeSet<&str> = next.candidates.iter().map(String::as_str).collect();
    found.require(unique.len() == next.candidates.len(), clause, "models", "each once", "repeated");
    match next.step {
        SelectionStep::Baseline => need_metrics(next, clause, &mut found),
        SelectionStep::LiteratureReview => {
            found.require(!unique.is_empty(), clause, "candidate model list", "at least one", "empty");
        }
        SelectionStep::QuickEvaluation => {
            let (min, max) = (policy.shortlist_min.value, policy.shortlist_max.value);
            let shortlist_clause = &policy.shortlist_min.clause;
            let size = unique.len();
            found.require(
                (min..=max).contains(&size),
                shortlist_clause,
                "shortlisted models",
                format!("{min}-{max}"),
                size.to_string(),
            );
            need_subset(recorded, next, SelectionStep::LiteratureReview, clause, &mut found);
        }
        SelectionStep::DetailedEvaluation => {
            need_metrics(next, clause, &mut found);
            found.need_text(clause, "dataset version of the comparison", &next.dataset_version);
            found.require(next.seed.is_some(), clause, "seed of the comparison", "present", "missing");
            need_subset(recorded, next, SelectionStep::QuickEvaluation, clause, &mut found);
            let shortlisted = candidates_of(recorded, SelectionStep::QuickEvaluation).len();
            found.require(
                unique.len() == shortlisted,
                clause,
                "compared models",
                format!("all {shortlisted} shortlisted"),
                unique.len().to_string(),
            );
        }
        SelectionStep::Selection => {
            found.require(
                unique.len() == 1,
                clause,
                "selected model",
                "exactly one",
                unique.len().to_string(),
            );
            need_subset(recorded, next, SelectionStep::DetailedEvaluation, clause, &mut found);
            match decided {
                None => found.missing("§4.2", "weighted decision record"),
                Some(winner) => found.require(
                    unique.contains(winner),
                    "§4.2",
                    "selected model",
                    format!("{winner}, the winner of the weighted decision"),
                    next.candidates.join(", "),
                ),
            }
        }
    }
    found.into_result("SELECTION_STEP_REFUSED", format!("selection step {}", next.step))
}

/// Decides whether all steps are recorded.
///
/// # Errors
/// `SELECTION_INCOMPLETE` with the missing steps.
pub fn selection_complete(recorded: &[SelectionRecord], policy: &Selection) -> Result<(), Rejection> {
    let mut found = Findings::new();
    for row in &policy.steps {
        if !recorded.iter().any(|record| record.step == row.step) {
            found.missing(row.clause.clone(), format!("selection step {} ({})", row.step, row.output));
        }
    }
    found.into_result("SELECTION_INCOMPLETE", "model selection")
}

fn need_metrics(record: &SelectionRecord, clause: &str, found: &mut Findings) {
    found.require(
        !record.metrics.is_empty(),
        clause,
        &format!("{} metrics", record.step),
        "at least one",
        "none",
    );
}

fn candidates_of(recorded: &[SelectionRecord], step: SelectionStep) -> &[String] {
    recorded.iter().find(|record| record.step == step).map_or(&[], |record| &record.candidates)
}

fn need_subset(
    recorded: &[SelectionRecord],
    next: &SelectionRecord,
    of: SelectionStep,
    clause: &str,
    found: &mut Findings,
) {
    let known = candidates_of(recorded, of);
    for stranger in next.candidates.iter().filter(|name| !known.contains(name)) {
        found.add(clause, format!("model {stranger:?}"), format!("one of {of}"), "not there");
    }
}
