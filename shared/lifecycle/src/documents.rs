//! §11 the six documents: when, by whom, with which parts; stale when a record changed after they were made.

use std::collections::BTreeMap;
use std::time::SystemTime;

use crate::approval::Approval;
use crate::kinds::kinds;
use crate::policy::upkeep::DocumentRow;
use crate::refuse;
use crate::rejection::{Findings, Rejection};

kinds! {
    /// The six documents of §11.
    Document {
        /// TPL-MODEL
        ModelCard = "model-card",
        /// TPL-DATA
        DataCard = "data-card",
        /// TPL-TRAIN
        TrainingReport = "training-report",
        /// TPL-EVAL
        EvaluationReport = "evaluation-report",
        /// TPL-DEPLOY
        DeploymentRecord = "deployment-record",
        /// TPL-INC
        IncidentReport = "incident-report",
    }
}

kinds! {
    /// What a document is made for, one each.
    Occasion {
        /// Per model.
        Model = "model",
        /// Per dataset.
        Dataset = "dataset",
        /// Per training.
        Training = "training",
        /// Per evaluation.
        Evaluation = "evaluation",
        /// Per deployment.
        Deployment = "deployment",
        /// Per incident.
        Incident = "incident",
    }
}

/// A document as it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// Which.
    pub document: Document,
    /// Text of each part by its name.
    pub parts: BTreeMap<String, String>,
    /// `sha256:` digest of its bytes.
    pub digest: String,
    /// When it was made.
    pub when: SystemTime,
    /// When the newest record changed that it is made from.
    pub newest_record: SystemTime,
}

impl Made {
    /// Whether a record changed after the document was made.
    pub fn is_stale(&self) -> bool {
        self.newest_record > self.when
    }

    /// Whether every part of the template is there (§11; for the data card §5.4).
    /// # Errors
    /// `DOCUMENT_INCOMPLETE` with one finding per empty part.
    pub fn complete(&self, rows: &[DocumentRow]) -> Result<(), Rejection> {
        let row = row(self.document, rows)?;
        let mut found = Findings::new();
        for part in &row.parts {
            let text = self.parts.get(part).map_or("", String::as_str);
            found.need_text(&row.clause, &format!("{} part {part}", row.template), text);
        }
        found.need_digest(&row.clause, &format!("{} digest", row.template), &self.digest);
        found.into_result("DOCUMENT_INCOMPLETE", self.document.as_str())
    }

    /// Signs a document off: complete, current, by its owner's role.
    /// # Errors
    /// `DOCUMENT_INCOMPLETE`, `DOCUMENT_STALE`, or `ROLE_MAY_NOT_SIGN`.
    pub fn sign(&self, by: &Approval, rows: &[DocumentRow]) -> Result<(), Rejection> {
        self.complete(rows)?;
        let row = row(self.document, rows)?;
        if self.is_stale() {
            let required = "newer than its records";
            return refuse::one(
                "DOCUMENT_STALE",
                "sign-off",
                &row.clause,
                self.document.as_str(),
                required,
                "stale",
            );
        }
        let mut found = Findings::new();
        by.check(&mut found, &row.clause, self.document.as_str(), &[row.owner], &[]);
        found.require(by.time >= self.when, &row.clause, "sign-off", "after the document was made", "before");
        found.into_result("ROLE_MAY_NOT_SIGN", "sign-off")
    }
}

/// The row of a document.
/// # Errors
/// `DOCUMENT_UNKNOWN` if the policy lacks it.
pub fn row(document: Document, rows: &[DocumentRow]) -> Result<&DocumentRow, Rejection> {
    match rows.iter().find(|row| row.document == document) {
        Some(row) => Ok(row),
        None => refuse::one(
            "DOCUMENT_UNKNOWN",
            "document",
            "§11",
            document.as_str(),
            "a row of the policy",
            "missing",
        ),
    }
}

/// Whether the data card of a dataset version has all its sections (§5.4): `missing` are those that lack their facts.
/// # Errors
/// `DATA_CARD_INCOMPLETE` with one finding per section.
pub fn card_complete(version: &str, missing: &[String], rows: &[DocumentRow]) -> Result<(), Rejection> {
    let row = row(Document::DataCard, rows)?;
    let mut found = Findings::new();
    for part in missing {
        found.missing(row.clause.clone(), format!("{} part {part}", row.template));
    }
    found.into_result("DATA_CARD_INCOMPLETE", version)
}

/// Documents that an occasion asks for and that are not among `made`.
/// # Errors
/// `DOCUMENTS_MISSING` with one finding per document.
pub fn require(occasion: Occasion, made: &[Document], rows: &[DocumentRow]) -> Result<(), Rejection> {
    let mut found = Findings::new();
    for row in rows.iter().filter(|row| row.per == occasion && !made.contains(&row.document)) {
        found.missing(row.clause.clone(), format!("{} ({})", row.document, row.template));
    }
    found.into_result("DOCUMENTS_MISSING", occasion.as_str())
}
