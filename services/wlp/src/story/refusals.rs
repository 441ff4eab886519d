//! Refusals as a story judges them: whether it is the wanted one, whether it says enough, whether it passes by itself.

use tonic::{Code, Status};

/// Whether a refusal is the one that is wanted.
pub(super) fn meets(status: &Status, wanted: &str) -> bool {
    let (reason, words) = wanted.split_once('/').unwrap_or((wanted, ""));
    match runtime::status::reason(status) {
        Some(told) => told == reason && status.message().contains(words),
        // An operation keeps code and message of its failure: there the clause has to do.
        None => status.message().starts_with(wanted),
    }
}

/// Whether a refusal names its clause and what was required (what was observed stands between the two).
pub(super) fn complete(status: &Status) -> bool {
    status.message().contains('§') && status.message().contains("required")
}

/// The refusal in a chain of causes.
pub fn status_of(error: &anyhow::Error) -> Option<&Status> {
    error.chain().find_map(|cause| cause.downcast_ref())
}

/// A service that is away, for the moment.
pub(super) fn passing(error: &anyhow::Error) -> bool {
    let codes = [Code::Unavailable, Code::DeadlineExceeded, Code::Aborted, Code::Unknown];
    status_of(error).is_some_and(|status| codes.contains(&status.code()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(message: &str) -> Status {
        runtime::status(Code::FailedPrecondition, "PLAN_INCOMPLETE", message, [])
    }

    #[test]
    fn a_refusal_is_known_by_reason_and_words() {
        let separated = refusal("§4.3 plan approver a, required someone who did not contribute");
        assert!(meets(&separated, "PLAN_INCOMPLETE"));
        assert!(meets(&separated, "PLAN_INCOMPLETE/someone who did not contribute"));
        assert!(!meets(&separated, "PLAN_INCOMPLETE/six inputs"));
        assert!(!meets(&separated, "ROLE_REQUIRED"));
        assert!(meets(&Status::failed_precondition("§5.1 source: required approved"), "§5.1"));
    }

    #[test]
    fn a_refusal_without_clause_or_requirement_is_not_complete() {
        assert!(complete(&refusal("§4.3 plan approver a, required someone else")));
        assert!(!complete(&refusal("a may not do that")));
    }
}
