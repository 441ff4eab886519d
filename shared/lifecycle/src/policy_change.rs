//! The approval block: the procedure is itself a versioned record with three signatures.

use crate::approval::Approval;
use crate::kinds::kinds;
use crate::policy::people::People;
use crate::refuse;
use crate::rejection::{Findings, Rejection, is_digest};

const CLAUSE: &str = "approval block";

kinds! {
    /// As what somebody signs.
    Signature {
        /// ML Lead.
        Owner = "owner",
        /// QA Lead.
        Reviewer = "reviewer",
        /// Chief AI Officer.
        Approver = "approver",
    }
}

kinds! {
    /// States of a policy version, in their only order.
    State {
        /// May be signed.
        Draft = "DRAFT",
        /// Has three signatures.
        Approved = "APPROVED",
        /// Decides.
        Active = "ACTIVE",
        /// Decided until another took its place; kept for replay.
        Superseded = "SUPERSEDED",
    }
}

/// One version of the policy. Its number is `major.minor` or longer, compared number by number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyVersion {
    /// `1.0`
    pub version: String,
    /// Digest of its canonical content.
    pub digest: String,
    /// Where it stands.
    pub state: State,
    /// Who signed as what.
    pub signatures: Vec<(Signature, Approval)>,
}

/// The numbers of a version; `None` if it is not dotted numbers.
pub fn numbers(version: &str) -> Option<Vec<u64>> {
    let mut numbers: Vec<u64> = version.split('.').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    while numbers.len() > 1 && numbers.last() == Some(&0) {
        numbers.pop(); // 1.0 and 1.0.0 are one version
    }
    Some(numbers)
}

impl PolicyVersion {
    /// A draft.
    /// # Errors
    /// `VERSION_NOT_GREATER` unless its number is strictly above the active one's; `DIGEST_MISSING`.
    pub fn draft(version: &str, digest: &str, active: Option<&Self>) -> Result<Self, Rejection> {
        let own = numbers(version);
        let before = active.and_then(|active| numbers(&active.version));
        if own.is_none() || (active.is_some() && own <= before) {
            let required =
                active.map_or("dotted numbers".to_owned(), |active| format!("> {}", active.version));
            return refuse::one("VERSION_NOT_GREATER", "policy draft", CLAUSE, "version", required, version);
        }
        if !is_digest(digest) {
            return refuse::one(
                "DIGEST_MISSING",
                "policy draft",
                CLAUSE,
                "digest",
                "sha256:<64 hex digits>",
                digest,
            );
        }
        Ok(Self {
            version: version.into(),
            digest: digest.into(),
            state: State::Draft,
            signatures: Vec::new(),
        })
    }

    /// Adds a signature over `digest`; the third one approves.
    /// # Errors
    /// `NOT_A_DRAFT`, `WRONG_DIGEST`, `SIGNED_BEFORE` (the signature, or by the person), `ROLE_MAY_NOT_SIGN`.
    pub fn sign(
        mut self,
        signature: Signature,
        digest: &str,
        by: Approval,
        policy: &People,
    ) -> Result<Self, Rejection> {
        let subject = "policy signature";
        if self.state != State::Draft {
            return refuse::one(
                "NOT_A_DRAFT",
                subject,
                CLAUSE,
                "policy version",
                "DRAFT",
                self.state.as_str(),
            );
        }
        if digest != self.digest {
            return refuse::one("WRONG_DIGEST", subject, CLAUSE, "signed digest", &*self.digest, digest);
        }
        let twice =
            |(earlier, who): &(Signature, Approval)| *earlier == signature || who.principal == by.principal;
        if self.signatures.iter().any(twice) {
            let required = "three distinct persons, one signature each";
            return refuse::one("SIGNED_BEFORE", subject, CLAUSE, signature.as_str(), required, by.principal);
        }
        let roles: Vec<_> =
            policy.signatures.iter().filter(|row| row.signature == signature).map(|row| row.role).collect();
        let mut found = Findings::new();
        by.check(&mut found, CLAUSE, signature.as_str(), &roles, &[]);
        found.into_result("ROLE_MAY_NOT_SIGN", subject)?;
        self.signatures.push((signature, by));
        let signed = |row: &crate::policy::people::SignatureRow| {
            self.signatures.iter().any(|(s, _)| *s == row.signature)
        };
        if policy.signatures.iter().all(signed) {
            self.state = State::Approved;
        }
        Ok(self)
    }

    /// Puts an approved version in force; the active one is superseded. Returns the new one and the old one.
    /// # Errors
    /// `NOT_APPROVED` or `VERSION_NOT_GREATER`, for another one may have become active since the draft.
    pub fn activate(mut self, active: Option<Self>) -> Result<(Self, Option<Self>), Rejection> {
        let subject = "policy activation";
        if self.state != State::Approved {
            return refuse::one(
                "NOT_APPROVED",
                subject,
                CLAUSE,
                "policy version",
                "APPROVED",
                self.state.as_str(),
            );
        }
        if let Some(old) = &active
            && numbers(&self.version) <= numbers(&old.version)
        {
            let required = format!("> {}", old.version);
            return refuse::one("VERSION_NOT_GREATER", subject, CLAUSE, "version", required, self.version);
        }
        self.state = State::Active;
        let old = active.map(|mut old| {
            old.state = State::Superseded;
            old
        });
        Ok((self, old))
    }
}
