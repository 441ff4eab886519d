//! §12: roles and responsibilities, and the roles that act elsewhere in the procedure.

use serde::{Deserialize, Serialize};

use super::problem::Problems;
use crate::role::Role;

/// The roles of the procedure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Roles {
    /// The table of §12.
    pub listed: Vec<ListedRole>,
    /// Where the procedure uses roles, one row per use (reading 9).
    pub used: Vec<UsedRole>,
}

/// A row of §12.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListedRole {
    /// The role.
    pub role: Role,
    /// As the procedure writes it.
    pub title: String,
    /// As the procedure writes them.
    pub responsibilities: Vec<String>,
    /// `§12`
    pub clause: String,
}

/// One use of a role outside §12.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UsedRole {
    /// The role.
    pub role: Role,
    /// What it does there.
    pub used_for: String,
    /// Where it is used.
    pub clause: String,
}

impl Roles {
    pub(super) fn check(&self, bad: &mut Problems) {
        for (at, row) in self.listed.iter().enumerate() {
            bad.text(format!("roles.listed[{at}].title"), &row.title);
            bad.require(
                !row.responsibilities.is_empty(),
                format!("roles.listed[{at}].responsibilities"),
                "must not be empty",
            );
            bad.require(
                self.listed.iter().filter(|other| other.role == row.role).count() == 1,
                format!("roles.listed[{at}].role"),
                format!("names {} twice", row.role),
            );
        }
        bad.require(!self.listed.is_empty(), "roles.listed", "must not be empty");
    }
}
