//! Separation of duties: who contributed never approves, one person is one approval, admin approves nothing.

use std::collections::BTreeSet;

use crate::approval::{Approval, join};
use crate::kinds::kinds;
use crate::policy::people::{ActionRow, People};
use crate::refuse;
use crate::rejection::{Findings, Rejection};
use crate::role::Role;

const CLAUSE: &str = "§12";

kinds! {
    /// Actions of the procedure that only some roles may do.
    Action {
        /// Dataset version and its card.
        RegisterDatasetVersion = "register-dataset-version",
        /// Model version and its card.
        RegisterModelVersion = "register-model-version",
        /// Evaluation of a version.
        RunEvaluation = "run-evaluation",
        /// G1 and G2, which only a machine decides.
        DecideMachineGate = "decide-machine-gate",
        /// G3.
        ApproveQuality = "approve-quality",
        /// §7.4, items.
        AssessEthics = "assess-ethics",
        /// §7.4, board.
        ApproveEthics = "approve-ethics",
        /// Another policy version.
        ChangePolicy = "change-policy",
        /// Staging, canary and steps upward.
        RollOut = "roll-out",
        /// Taken back by a person.
        RollBack = "roll-back",
        /// Taken back for security.
        RollBackForSecurity = "roll-back-for-security",
        /// Retirement is decided.
        ApproveRetirement = "approve-retirement",
        /// Retirement is carried out.
        RunRetirement = "run-retirement",
        /// Principals and roles.
        GrantRoles = "grant-roles",
        /// Emergency access.
        BreakGlass = "break-glass",
    }
}

fn row(action: Action, policy: &People) -> Result<&ActionRow, Rejection> {
    match policy.matrix.iter().find(|row| row.action == action) {
        Some(row) => Ok(row),
        None => {
            refuse::one("ROLE_MAY_NOT", "action", CLAUSE, action.as_str(), "a row of the policy", "missing")
        }
    }
}

/// Whether one person may do `action` on something that `contributors` worked on.
/// # Errors
/// `ROLE_MAY_NOT` or `CONTRIBUTOR_MAY_NOT`.
pub fn authorize(
    action: Action,
    by: &Approval,
    contributors: &[String],
    policy: &People,
) -> Result<(), Rejection> {
    let row = row(action, policy)?;
    let name = action.as_str();
    if by.principal.trim().is_empty() {
        return refuse::one("ROLE_MAY_NOT", name, &row.clause, "principal", "named", "missing");
    }
    if !row.roles.contains(&by.role) && !row.each_of.contains(&by.role) {
        return refuse::one("ROLE_MAY_NOT", name, &row.clause, "role", join(&row.roles), by.role.as_str());
    }
    if row.bars_contributors && contributors.contains(&by.principal) {
        let required = "someone who did not contribute";
        return refuse::one("CONTRIBUTOR_MAY_NOT", name, &row.clause, "principal", required, &*by.principal);
    }
    Ok(())
}

/// Adds an approval: one person, one approval, in whatever role.
/// # Errors
/// As [`authorize`], or `APPROVED_BEFORE`.
pub fn approve(
    action: Action,
    mut given: Vec<Approval>,
    new: Approval,
    contributors: &[String],
    policy: &People,
) -> Result<Vec<Approval>, Rejection> {
    authorize(action, &new, contributors, policy)?;
    if given.iter().any(|earlier| earlier.principal == new.principal) {
        let required = "another person";
        return refuse::one("APPROVED_BEFORE", action.as_str(), CLAUSE, "principal", required, new.principal);
    }
    given.push(new);
    Ok(given)
}

/// Whether the approvals are enough. Each is judged again: a stored list proves nothing by being stored.
/// # Errors
/// `QUORUM_MISSING` with what is lacking, or as [`authorize`].
pub fn quorum(
    action: Action,
    given: &[Approval],
    contributors: &[String],
    policy: &People,
) -> Result<(), Rejection> {
    let row = row(action, policy)?;
    for approval in given {
        authorize(action, approval, contributors, policy)?;
    }
    let persons: BTreeSet<&str> = given.iter().map(|approval| approval.principal.as_str()).collect();
    let mut found = Findings::new();
    let (needed, seen) = (row.persons, persons.len());
    found.require(
        seen >= needed,
        &row.clause,
        "approving persons",
        format!("at least {needed}"),
        seen.to_string(),
    );
    for role in &row.each_of {
        let there = given.iter().any(|approval| approval.role == *role);
        found.require(there, &row.clause, &format!("approval as {role}"), "present", "missing");
    }
    found.into_result("QUORUM_MISSING", action.as_str())
}

/// Whether one principal may hold these roles together, granted by `by`.
/// # Errors
/// `ROLES_CONFLICT` for admin beside an approving role; `SELF_GRANT` for roles that one gives oneself.
pub fn may_hold(principal: &str, roles: &[Role], by: &str, policy: &People) -> Result<(), Rejection> {
    let rule = &policy.never_with_admin;
    let barred: Vec<Role> = roles.iter().copied().filter(|role| rule.value.contains(role)).collect();
    if roles.contains(&Role::Admin) && !barred.is_empty() {
        let observed = join(&barred);
        return refuse::one(
            "ROLES_CONFLICT",
            "grant",
            &rule.clause,
            "roles beside admin",
            "none that approves",
            observed,
        );
    }
    if principal == by {
        return refuse::one("SELF_GRANT", "grant", &rule.clause, "granted by", "another person", by);
    }
    Ok(())
}

/// Emergency access: quorum, at most the policy's time, at most its models, and an incident.
/// # Errors
/// As [`quorum`], or `BREAK_GLASS_TOO_WIDE` with everything that is beyond the policy.
pub fn break_glass(
    given: &[Approval],
    lasts: std::time::Duration,
    models: u32,
    incident: &str,
    policy: &People,
) -> Result<(), Rejection> {
    quorum(Action::BreakGlass, given, &[], policy)?;
    let (within, most) = (&policy.break_glass_within, &policy.break_glass_models);
    let mut found = Findings::new();
    let observed = crate::policy::Span(lasts).to_string();
    found.require(
        lasts <= within.value.get(),
        &within.clause,
        "duration",
        format!("at most {}", within.value),
        observed,
    );
    let required = format!("at most {}", most.value);
    found.require(models <= most.value, &most.clause, "models", required, models.to_string());
    found.need_text(&within.clause, "incident", incident);
    found.into_result("BREAK_GLASS_TOO_WIDE", "break-glass")
}
