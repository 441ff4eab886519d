//! The feedback loop of §9.3: `lifecycle` knows an item's way, the contract a finding with all that was said.

use contracts::monitor::v1::{FeedbackFinding, feedback_finding};
use lifecycle::approval::Approval;
use lifecycle::feedback::{ActionKind, Analysis, Decision, FindingKind, Item};

use super::time;
use crate::Error;

/// Where a finding stands.
///
/// # Errors
/// [`Error::Damaged`] if the stored decision or role is none.
pub fn item(wire: &FeedbackFinding) -> Result<Item, Error> {
    let damaged = |what: &str| Error::Damaged(format!("{}: {what}", wire.name));
    match wire.state() {
        feedback_finding::State::Decided => {
            let decision = decision(wire.decision()).ok_or_else(|| damaged("no decision"))?;
            let role = wire.decided_role.parse().map_err(|_| damaged("no role"))?;
            let by = Approval::new(wire.decided_by.clone(), role, time(wire.decide_time.as_ref()));
            Ok(Item::Decided { decision, by })
        }
        feedback_finding::State::Closed => Ok(Item::Closed { at: time(wire.close_time.as_ref()) }),
        feedback_finding::State::Analysed | feedback_finding::State::Unspecified => {
            let finding = analyses(wire).into_iter().next().ok_or_else(|| damaged("no analysis"))?;
            Ok(Item::Analyzed { at: time(wire.create_time.as_ref()), finding })
        }
    }
}

/// What was analysed, of the four kinds, as far as there is text.
pub fn analyses(wire: &FeedbackFinding) -> Vec<Analysis> {
    [
        (FindingKind::Patterns, &wire.pattern),
        (FindingKind::RootCause, &wire.root_cause),
        (FindingKind::Trends, &wire.trend),
        (FindingKind::Comparison, &wire.comparison),
    ]
    .into_iter()
    .filter(|(_, text)| !text.trim().is_empty())
    .map(|(kind, text)| Analysis { kind, text: text.clone() })
    .collect()
}

/// A decision from the wire; `None` for none.
pub fn decision(wire: feedback_finding::Decision) -> Option<Decision> {
    use feedback_finding::Decision as W;
    match wire {
        W::Unspecified => None,
        W::Retrain => Some(Decision::Retrain),
        W::Adjust => Some(Decision::Adjust),
        W::Maintain => Some(Decision::Maintain),
        W::Retire => Some(Decision::Retire),
    }
}

/// What kind of action was taken: the procedure's word if `action` is one, otherwise by what came out of it.
pub fn action(decision: Option<Decision>, action: &str, resource: &str) -> ActionKind {
    if let Ok(kind) = action.trim().parse() {
        return kind;
    }
    if matches!(decision, Some(Decision::Maintain | Decision::Retire)) || resource.is_empty() {
        return ActionKind::Document;
    }
    match resource.split('/').next() {
        Some("models") => ActionKind::UpdateModel,
        Some("datasets") => ActionKind::UpdateData,
        _ => ActionKind::UpdateConfig,
    }
}
