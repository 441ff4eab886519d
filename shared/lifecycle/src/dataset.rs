//! Dataset versions (§5.3): states, and the seven recorded steps that make one.

use serde::{Deserialize, Serialize};

use crate::{
    kinds::kinds,
    policy::{Quality, quality::StepRow},
    quality::Judgement,
    rejection::{Finding, Findings, Rejection},
    version::Bump,
};

kinds! {
    /// State of a dataset version. READY and UNFIT are final: another content is another version.
    State {
        /// Being built and audited.
        Draft = "draft",
        /// Every target met: evidence for gates.
        Ready = "ready",
        /// A target missed: readable, comparable, never evidence for a gate (reading 13).
        Unfit = "unfit",
    }
}

kinds! {
    /// The seven steps of §5.3, in order.
    Step {
        /// Pull data from sources.
        Extraction = "extraction",
        /// Check schema, types, ranges.
        Validation = "validation",
        /// Handle missing values, outliers.
        Cleaning = "cleaning",
        /// Normalize, encode, tokenize.
        Transformation = "transformation",
        /// Generate additional examples (if applicable).
        Augmentation = "augmentation",
        /// Train/validation/test splits.
        Splitting = "splitting",
        /// Tag dataset version.
        Versioning = "versioning",
    }
}

kinds! {
    /// The eight quality dimensions of §5.2.
    Dimension {
        /// Correct values?
        Accuracy = "accuracy",
        /// Missing values?
        Completeness = "completeness",
        /// Same across sources?
        Consistency = "consistency",
        /// Up to date?
        Timeliness = "timeliness",
        /// Duplicates?
        Uniqueness = "uniqueness",
        /// Follows schema?
        Validity = "validity",
        /// Appropriate for task?
        Relevance = "relevance",
        /// Balanced demographics?
        Fairness = "fairness",
    }
}

/// What one step did. Digests are `sha256:`; parameters are JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepRecord {
    /// Which step.
    pub step: Step,
    /// Digest of what went in.
    pub input_digest: String,
    /// Digest of the code that ran.
    pub code_digest: String,
    /// Its parameters as JSON text.
    pub parameters: String,
    /// Seed of its randomness; fixed even where the step uses none.
    pub seed: u64,
    /// Digest of what came out.
    pub output_digest: String,
    /// Rows in.
    pub rows_in: u64,
    /// Rows out.
    pub rows_out: u64,
    /// Rows thrown away.
    pub rejects: u64,
    /// Why the step does not apply; empty where it ran.
    pub not_applicable: String,
}

/// What is wrong with the record of steps: a missing, repeated, misplaced or incomplete step, a broken chain of digests
/// or row counts.
pub fn missing_steps(records: &[StepRecord], policy: &Quality) -> Vec<Finding> {
    let mut found = Findings::new();
    let order: Vec<Step> = records.iter().map(|record| record.step).collect();
    let wanted: Vec<Step> = policy.steps.iter().map(|row| row.step).collect();
    for row in &policy.steps {
        let count = order.iter().filter(|step| **step == row.step).count();
        let subject = format!("step {}", row.step);
        found.require(count == 1, &row.clause, &subject, "recorded once", format!("recorded {count} times"));
    }
    if order != wanted && found.is_empty() {
        let (want, saw) = (crate::approval::join(&wanted), crate::approval::join(&order));
        found.add("§5.3", "order of steps", want, saw);
    }
    let mut before: Option<&StepRecord> = None;
    for record in records {
        let Some(row) = policy.steps.iter().find(|row| row.step == record.step) else { continue };
        if record.not_applicable.trim().is_empty() {
            check_step(record, row, before, &mut found);
            before = Some(record);
        } else {
            let subject = format!("step {}", row.step);
            found.require(row.optional, &row.clause, &subject, "carried out", "not applicable");
        }
    }
    found.into_vec()
}

fn check_step(record: &StepRecord, row: &StepRow, before: Option<&StepRecord>, found: &mut Findings) {
    let step = record.step;
    let clause = row.clause.as_str();
    found.need_digest(clause, &format!("{step} input digest"), &record.input_digest);
    found.need_digest(clause, &format!("{step} code digest"), &record.code_digest);
    found.need_digest(clause, &format!("{step} output digest"), &record.output_digest);
    found.need_text(clause, &format!("{step} parameters"), &record.parameters);
    found.require(
        record.rejects <= record.rows_in,
        clause,
        &format!("{step} rejects"),
        format!("at most the {} rows that went in", record.rows_in),
        record.rejects.to_string(),
    );
    if let Some(before) = before {
        found.require(
            record.input_digest == before.output_digest,
            clause,
            &format!("{step} input digest"),
            format!("the output digest of {}", before.step),
            record.input_digest.clone(),
        );
        found.require(
            record.rows_in == before.rows_out,
            clause,
            &format!("{step} rows in"),
            format!("the {} rows that {} gave", before.rows_out, before.step),
            record.rows_in.to_string(),
        );
    }
}

/// Ends the draft of a dataset version: READY when every dimension passes, UNFIT otherwise.
///
/// `leaked_rows` are rows that stand in more than one split; `None` where nobody looked.
///
/// # Errors
/// `DATASET_NOT_DRAFT` when it was released already; `DATASET_STEPS_INCOMPLETE` when the steps or the leakage check are
/// not complete, because then nobody knows what was measured.
pub fn release(
    state: State,
    steps: &[StepRecord],
    leaked_rows: Option<u64>,
    judgement: &Judgement,
    policy: &Quality,
) -> Result<State, Rejection> {
    let subject = "dataset release";
    if state != State::Draft {
        let finding = Finding::new("§5.3", "dataset version", "draft", state.to_string());
        return Err(Rejection::one("DATASET_NOT_DRAFT", subject, finding));
    }
    let mut found = Findings::new();
    found.extend(missing_steps(steps, policy));
    let splitting = policy.steps.iter().find(|row| row.step == Step::Splitting);
    let clause = splitting.map_or("§5.3", |row| row.clause.as_str());
    match leaked_rows {
        None => found.missing(clause, "split leakage check"),
        Some(leaked) => {
            found.require(leaked == 0, clause, "rows in more than one split", "0", leaked.to_string());
        }
    }
    found.into_result("DATASET_STEPS_INCOMPLETE", subject)?;
    Ok(if judgement.passed() { State::Ready } else { State::Unfit })
}

/// Which component of a version's number grows over the version that it follows: other columns make it major, other rows
/// minor, anything else a patch. `None` where nothing differs.
pub fn bump(schema: bool, rows: bool, metadata: bool) -> Option<Bump> {
    match (schema, rows, metadata) {
        (true, _, _) => Some(Bump::Major),
        (false, true, _) => Some(Bump::Minor),
        (false, false, true) => Some(Bump::Patch),
        (false, false, false) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_difference_decides_how_a_number_grows() {
        assert_eq!(bump(false, false, false), None);
        assert_eq!(bump(false, false, true), Some(Bump::Patch));
        assert_eq!(bump(false, true, true), Some(Bump::Minor));
        assert_eq!(bump(true, false, false), Some(Bump::Major));
    }
}
