//! Ethics review (§7.4): five assessed items, then the board; expires when the model or its use becomes another.

use std::{collections::BTreeSet, time::SystemTime};

use serde::{Deserialize, Serialize};

use crate::{
    approval::Approval,
    kinds::kinds,
    policy::Ethics,
    rejection::{Finding, Findings, Rejection},
    version::Bump,
};

kinds! {
    /// The five assessed items of §7.4; the sixth, the board's approval, is [`EthicsReview::votes`].
    EthicsItem {
        /// Bias assessment completed.
        BiasAssessment = "bias-assessment",
        /// Privacy impact assessment completed.
        PrivacyImpact = "privacy-impact",
        /// Use case risk assessment completed.
        UseCaseRisk = "use-case-risk",
        /// Stakeholder impact analysis completed.
        StakeholderImpact = "stakeholder-impact",
        /// Mitigation measures documented.
        Mitigation = "mitigation",
    }
}

/// One completed item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemRecord {
    /// Which.
    pub item: EthicsItem,
    /// `sha256:` digest of the attached assessment.
    pub evidence_digest: String,
    /// Who assessed.
    pub assessor: Approval,
}

/// The review of one model version for one use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EthicsReview {
    /// `sha256:` digest of the artifact that is reviewed.
    pub artifact_digest: String,
    /// The use it is reviewed for.
    pub intended_use: String,
    /// Author and everyone who contributed; none of them assesses or votes.
    pub contributors: Vec<String>,
    /// Items so far.
    pub items: Vec<ItemRecord>,
    /// Approving votes of the board so far.
    pub votes: Vec<Approval>,
    /// True once rejected by a member of the board; final.
    pub rejected: bool,
}

/// Decides whether `record` may be added.
///
/// # Errors
/// `ETHICS_ITEM_REFUSED`: wrong role, a contributor, no digest, the item twice, or the board has begun to vote.
pub fn record_item(review: &EthicsReview, record: &ItemRecord, policy: &Ethics) -> Result<(), Rejection> {
    let mut found = Findings::new();
    let clause = clause_of(record.item, policy);
    let subject = format!("ethics item {}", record.item);
    found.require(!review.rejected, &clause, "ethics review", "open", "rejected");
    found.require(review.votes.is_empty(), &clause, &subject, "recorded before the board votes", "later");
    let again = review.items.iter().any(|seen| seen.item == record.item);
    found.require(!again, &clause, &subject, "recorded once", "recorded before");
    check_item(record, review, policy, &mut found);
    found.into_result("ETHICS_ITEM_REFUSED", subject)
}

/// Decides whether a member of the board may vote: only after the five items, never a contributor, once each.
///
/// # Errors
/// `ETHICS_VOTE_REFUSED` with every missing item.
pub fn vote(review: &EthicsReview, vote: &Approval, policy: &Ethics) -> Result<(), Rejection> {
    let mut found = Findings::new();
    let clause = policy.board.clause.as_str();
    found.require(!review.rejected, clause, "ethics review", "open", "rejected");
    found.extend(missing_items(review, policy));
    check_vote(vote, review, policy, &mut found);
    let again = review.votes.iter().any(|seen| seen.principal == vote.principal);
    found.require(
        !again,
        clause,
        "ethics board vote",
        "one for each member",
        format!("{} voted before", vote.principal),
    );
    found.into_result("ETHICS_VOTE_REFUSED", "ethics board approval")
}

/// What keeps the review from being approved: items, their order before the board, the quorum, self-approval.
pub fn missing(review: &EthicsReview, policy: &Ethics) -> Vec<Finding> {
    let mut found = Findings::new();
    let clause = policy.board.clause.as_str();
    found.require(!review.rejected, clause, "ethics review", "approved", "rejected");
    found.need_text(clause, "intended use", &review.intended_use);
    found.extend(missing_items(review, policy));
    for ballot in &review.votes {
        check_vote(ballot, review, policy, &mut found);
    }
    let voters: BTreeSet<&str> = review.votes.iter().map(|ballot| ballot.principal.as_str()).collect();
    found.require(
        voters.len() >= policy.quorum.value,
        &policy.quorum.clause,
        "ethics board approval",
        format!("{} members", policy.quorum.value),
        voters.len().to_string(),
    );
    found.into_vec()
}

/// Decides whether the review is approved.
///
/// # Errors
/// `ETHICS_REVIEW_INCOMPLETE` with everything that is missing.
pub fn approved(review: &EthicsReview, policy: &Ethics) -> Result<(), Rejection> {
    let mut found = Findings::new();
    found.extend(missing(review, policy));
    found.into_result("ETHICS_REVIEW_INCOMPLETE", "ethics review")
}

/// What happened between the reviewed version and the one that wants to rely on the review.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Since {
    /// Largest bump between the two; `None` for the same version.
    pub bump: Option<Bump>,
    /// True when the training data changed.
    pub data_changed: bool,
    /// True when inputs or outputs changed.
    pub signature_changed: bool,
    /// The use of the version that wants to rely on the review.
    pub intended_use: String,
}

/// Why an approved review does not hold for a later version: a minor or major step, other data, another signature,
/// another use (§7.4, reading 8). Empty when it carries over.
pub fn expired(review: &EthicsReview, since: &Since, policy: &Ethics) -> Vec<Finding> {
    let mut found = Findings::new();
    let clause = policy.board.clause.as_str();
    let subject = "ethics approval";
    let bump = since.bump.filter(|bump| *bump != Bump::Patch);
    if let Some(bump) = bump {
        found.add(
            clause,
            subject,
            "a review of this version",
            format!("of a version before a {bump} change"),
        );
    }
    found.require(!since.data_changed, clause, subject, "the same data", "other data");
    found.require(!since.signature_changed, clause, subject, "the same signature", "another signature");
    found.require(
        since.intended_use == review.intended_use,
        clause,
        subject,
        format!("for the use {:?}", since.intended_use),
        format!("for {:?}", review.intended_use),
    );
    found.into_vec()
}

fn missing_items(review: &EthicsReview, policy: &Ethics) -> Vec<Finding> {
    let mut found = Findings::new();
    for row in &policy.items {
        match review.items.iter().find(|record| record.item == row.item) {
            None => found.missing(row.clause.clone(), row.title.clone()),
            Some(record) => check_item(record, review, policy, &mut found),
        }
    }
    found.into_vec()
}

fn check_item(record: &ItemRecord, review: &EthicsReview, policy: &Ethics, found: &mut Findings) {
    let Some(row) = policy.items.iter().find(|row| row.item == record.item) else {
        found.missing("§7.4", format!("ethics item {}", record.item));
        return;
    };
    found.need_digest(&row.clause, &format!("{} evidence", row.title), &record.evidence_digest);
    record.assessor.check(found, &row.clause, &row.title, &row.assessors, &review.contributors);
}

fn check_vote(ballot: &Approval, review: &EthicsReview, policy: &Ethics, found: &mut Findings) {
    let clause = policy.board.clause.as_str();
    ballot.check(found, clause, "ethics board", &[policy.board.value], &review.contributors);
    let last = review.items.iter().map(|record| record.assessor.time).max().unwrap_or(SystemTime::UNIX_EPOCH);
    found.require(
        ballot.time >= last,
        clause,
        "ethics board vote",
        "after the five items",
        "before the last item",
    );
}

fn clause_of(item: EthicsItem, policy: &Ethics) -> String {
    policy
        .items
        .iter()
        .find(|row| row.item == item)
        .map_or_else(|| "§7.4".to_owned(), |row| row.clause.clone())
}
