//! Data as §5 asks for it: evidence that meets all eight dimensions, and the seven steps of the pipeline.

use lifecycle::dataset::{Step, StepRecord};
use lifecycle::quality::{Applicable, Audit, Count, Currency, GroupShare, QualityEvidence, Relevance};
use lifecycle::{NotApplicable, Role};

use super::{DAY, at, by, digest};

/// When the data is judged.
pub const NOW: u64 = 100 * DAY;

/// Every dimension is measured.
pub fn measured_data() -> QualityEvidence {
    QualityEvidence {
        audit: Some(audit(500, 0)),
        missing_cells: Count { bad: 0, all: 100 },
        inconsistent_rows: Applicable::Measured(Count { bad: 0, all: 100 }),
        currency: Currency::NewestEvent(at(NOW)),
        duplicate_rows: Count { bad: 0, all: 100 },
        invalid_rows: Count { bad: 0, all: 100 },
        relevance: Some(Relevance { signal: 0.5, sign_off: Some(by(Role::MlLead, 1)) }),
        groups: Applicable::Measured(groups(0.5)),
        contributors: vec!["data-engineer".into()],
    }
}

/// Two dimensions do not apply, and the data owner confirms that the data is current.
pub fn excused_data() -> QualityEvidence {
    let excuse = |reason: &str, role| NotApplicable { reason: reason.into(), sign_off: Some(by(role, 1)) };
    QualityEvidence {
        audit: Some(audit(300, 0)),
        missing_cells: Count { bad: 4, all: 100 },
        inconsistent_rows: Applicable::NotApplicable(excuse("one source", Role::MlLead)),
        currency: Currency::Confirmed(by(Role::DataOwner, NOW - DAY)),
        relevance: Some(Relevance { signal: 0.4, sign_off: Some(by(Role::MlLead, 1)) }),
        groups: Applicable::NotApplicable(excuse("no people in the data", Role::EthicsReviewer)),
        ..measured_data()
    }
}

pub fn audit(rows: u64, wrong_rows: u64) -> Audit {
    Audit {
        rows,
        wrong_rows,
        method: "against the source's arrays".into(),
        auditor: "qa-engineer".into(),
        sample_digest: digest('a'),
    }
}

/// Two groups of which one should be a half.
pub fn groups(share: f64) -> Vec<GroupShare> {
    let one = |group: &str, share| GroupShare { group: group.into(), share, reference: 0.5 };
    vec![one("sex=a", share), one("sex=b", 1.0 - share)]
}

/// Seven steps, each on what the one before left.
pub fn steps() -> Vec<StepRecord> {
    let link = |place: usize| format!("sha256:{place:064x}");
    let one = |(place, step): (usize, &Step)| StepRecord {
        step: *step,
        input_digest: link(place),
        code_digest: digest('c'),
        parameters: "{}".into(),
        seed: 7,
        output_digest: link(place + 1),
        rows_in: 10,
        rows_out: 10,
        rejects: 0,
        not_applicable: String::new(),
    };
    Step::ALL.iter().enumerate().map(one).collect()
}
