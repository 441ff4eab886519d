//! Who approved what, in which role, and what is signed off as not applicable.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::{rejection::Findings, role::Role};

/// One recorded approval or sign-off. The recorder has checked that the principal holds the role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// Who.
    pub principal: String,
    /// In which role.
    pub role: Role,
    /// When.
    pub time: SystemTime,
}

impl Approval {
    /// An approval by `principal` acting as `role`.
    pub fn new(principal: impl Into<String>, role: Role, time: SystemTime) -> Self {
        Self { principal: principal.into(), role, time }
    }

    /// Adds a finding when the approver acts in none of `roles`, or is one of `barred` (author, contributors).
    pub fn check(
        &self,
        found: &mut Findings,
        clause: &str,
        subject: &str,
        roles: &[Role],
        barred: &[String],
    ) {
        found.require(
            roles.contains(&self.role),
            clause,
            &format!("{subject} approver"),
            join(roles),
            self.role.to_string(),
        );
        found.require(
            !self.principal.trim().is_empty(),
            clause,
            &format!("{subject} approver"),
            "named",
            "missing",
        );
        found.require(
            !barred.contains(&self.principal),
            clause,
            &format!("{subject} approver"),
            "someone who did not contribute",
            self.principal.clone(),
        );
    }
}

/// A list of roles or kinds in words: `legal, procurement`.
pub fn join<T: std::fmt::Display>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Something that cannot apply: recorded with its reason and signed off, never counted as passed (reading 10).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotApplicable {
    /// Why it cannot apply.
    pub reason: String,
    /// Who signed it off; absent until someone did.
    pub sign_off: Option<Approval>,
}

impl NotApplicable {
    /// Adds findings for a missing reason or sign-off, or a sign-off by someone who may not.
    pub fn check(
        &self,
        found: &mut Findings,
        clause: &str,
        subject: &str,
        signers: &[Role],
        barred: &[String],
    ) {
        found.need_text(clause, &format!("{subject} not applicable: reason"), &self.reason);
        match &self.sign_off {
            Some(approval) => {
                approval.check(found, clause, &format!("{subject} not applicable"), signers, barred);
            }
            None => found.missing(clause, format!("{subject} not applicable: sign-off")),
        }
    }
}
