//! Data sources (§5.1): whose approval each type needs, and when a source may feed a dataset.

use std::{collections::BTreeMap, time::SystemTime};

use serde::{Deserialize, Serialize};

use crate::{
    approval::Approval,
    kinds::kinds,
    policy::{Sources, sources::SourceRow},
    rejection::{Finding, Findings, Rejection},
    role::Role,
};

kinds! {
    /// The four source types of §5.1.
    SourceKind {
        /// Access rights, quality: data owner.
        Internal = "internal",
        /// License, bias: legal review.
        Public = "public",
        /// Representativeness: ML lead.
        Synthetic = "synthetic",
        /// Contract, privacy: legal and procurement.
        ThirdParty = "third-party",
    }
}

/// A data source as far as the rules look at it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Its name, for refusals.
    pub name: String,
    /// Its type.
    pub kind: SourceKind,
    /// Who registered it; never an approver.
    pub registered_by: String,
    /// SPDX license expression; empty when there is none.
    pub license: String,
    /// Reference of the contract; empty when there is none.
    pub contract: String,
    /// When the contract ends.
    pub contract_expires: Option<SystemTime>,
    /// What was considered: consideration (kebab-case or snake_case) to note.
    pub considerations: BTreeMap<String, String>,
    /// Approvals so far.
    pub approvals: Vec<Approval>,
    /// True once withdrawn.
    pub revoked: bool,
}

/// Decides whether `approval` may be added to `source`.
///
/// # Errors
/// `SOURCE_APPROVAL_REFUSED`: a role that the type does not ask for, the registrant, a role or person twice.
pub fn approve_source(source: &Source, approval: &Approval, policy: &Sources) -> Result<(), Rejection> {
    let mut found = Findings::new();
    let Some(row) = row(source, policy, &mut found) else {
        return found.into_result("SOURCE_APPROVAL_REFUSED", subject(source));
    };
    let registrant = std::slice::from_ref(&source.registered_by);
    approval.check(&mut found, &row.clause, &format!("{} source", source.kind), &row.approvals, registrant);
    for earlier in &source.approvals {
        found.require(
            earlier.principal != approval.principal && earlier.role != approval.role,
            &row.clause,
            "approval",
            "one for each role, by different people",
            format!("{} already approved as {}", earlier.principal, earlier.role),
        );
    }
    found.into_result("SOURCE_APPROVAL_REFUSED", subject(source))
}

/// Decides whether a dataset version may be built from `source` at `now`: every approval that its type asks for,
/// every consideration noted, license and contract where needed, the contract not ended, not revoked.
///
/// # Errors
/// `SOURCE_NOT_APPROVED` with everything that is missing.
pub fn source_usable(source: &Source, now: SystemTime, policy: &Sources) -> Result<(), Rejection> {
    let findings = missing_for_use(source, now, policy);
    if findings.is_empty() {
        Ok(())
    } else {
        Err(Rejection::new("SOURCE_NOT_APPROVED", subject(source), findings))
    }
}

/// True when every role that the type asks for has approved.
pub fn fully_approved(source: &Source, policy: &Sources) -> bool {
    policy.types.iter().any(|row| row.kind == source.kind && missing_approvals(source, row).next().is_none())
}

/// What keeps `source` from being used at `now`.
pub fn missing_for_use(source: &Source, now: SystemTime, policy: &Sources) -> Vec<Finding> {
    let mut found = Findings::new();
    let Some(row) = row(source, policy, &mut found) else { return found.into_vec() };
    found.require(!source.revoked, &row.clause, "source", "in force", "revoked");
    for role in missing_approvals(source, row) {
        found.add(
            row.clause.clone(),
            format!("{} source", source.kind),
            format!("approval by {role}"),
            "missing",
        );
    }
    for wanted in &row.considerations {
        let noted = source
            .considerations
            .iter()
            .any(|(name, note)| name.replace('_', "-") == *wanted && !note.trim().is_empty());
        found.require(noted, &row.clause, &format!("consideration {wanted}"), "noted", "missing");
    }
    if policy.license_needed.value.contains(&source.kind) {
        let clause = &policy.license_needed.clause;
        found.require(
            is_spdx(&source.license),
            clause,
            "license",
            "an SPDX expression",
            quoted(&source.license),
        );
    }
    if policy.contract_needed.value.contains(&source.kind) {
        let clause = &policy.contract_needed.clause;
        found.need_text(clause, "contract reference", &source.contract);
        if source.contract_expires.is_none() {
            found.missing(clause.clone(), "contract end");
        }
    }
    // a contract that was given binds, whatever the type
    if source.contract_expires.is_some_and(|end| end <= now) {
        found.add(policy.contract_needed.clause.clone(), "contract", "in force", "expired");
    }
    found.into_vec()
}

fn missing_approvals<'a>(source: &'a Source, row: &'a SourceRow) -> impl Iterator<Item = Role> + 'a {
    let counted = move |role: &Role| {
        source.approvals.iter().any(|approval| {
            let others =
                source.approvals.iter().filter(|other| other.principal == approval.principal).count();
            approval.role == *role && approval.principal != source.registered_by && others == 1
        })
    };
    row.approvals.iter().copied().filter(move |role| !counted(role))
}

fn row<'a>(source: &Source, policy: &'a Sources, found: &mut Findings) -> Option<&'a SourceRow> {
    let row = policy.types.iter().find(|row| row.kind == source.kind);
    if row.is_none() {
        found.add("§5.1", "source type", "one of the policy", source.kind.to_string());
    }
    row
}

fn subject(source: &Source) -> String {
    format!("data source {}", source.name)
}

fn quoted(text: &str) -> String {
    if text.is_empty() { "missing".to_owned() } else { format!("{text:?}") }
}

/// The form of an SPDX license expression: identifiers joined by `AND`, `OR`, `WITH`, with parentheses.
fn is_spdx(text: &str) -> bool {
    let spaced = text.replace(['(', ')'], " ");
    let mut words = spaced.split_whitespace().peekable();
    if words.peek().is_none() || text.matches('(').count() != text.matches(')').count() {
        return false;
    }
    let mut want_id = true;
    for word in words {
        let joins = matches!(word, "AND" | "OR" | "WITH");
        let legal = word.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'+' | b':'));
        if joins == want_id || !legal {
            return false;
        }
        want_id = joins;
    }
    !want_id
}
