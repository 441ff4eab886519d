//! Reviews by people (§7.4, G3).

use contracts::common::v1::ChecklistItem;
use lifecycle::approval::Approval;
use lifecycle::ethics::{EthicsReview, ItemRecord};

use super::time;
use crate::Error;
use crate::wire::{Review, ReviewApproval, review::State};

/// The ethics review as the rules look at it. `contributors` are those of the version.
///
/// # Errors
/// [`Error::Damaged`] for a stored role or item that does not exist.
pub fn ethics(review: &Review, contributors: Vec<String>) -> Result<EthicsReview, Error> {
    let items: Result<Vec<ItemRecord>, Error> =
        review.items.iter().filter(|item| item.done).map(item).collect();
    Ok(EthicsReview {
        artifact_digest: review.artifact_digest.clone(),
        intended_use: review.intended_use.clone(),
        contributors,
        items: items?,
        votes: approvals(review)?,
        rejected: review.state() == State::Rejected,
    })
}

/// The approvals so far.
///
/// # Errors
/// [`Error::Damaged`].
pub fn approvals(review: &Review) -> Result<Vec<Approval>, Error> {
    let one = |vote: &ReviewApproval| {
        let role = vote.role.parse().map_err(|_| Error::Damaged(format!("role {:?}", vote.role)))?;
        Ok(Approval::new(vote.principal.clone(), role, time(vote.time.as_ref())))
    };
    review.approvals.iter().map(one).collect()
}

fn item(item: &ChecklistItem) -> Result<ItemRecord, Error> {
    let role = item.role.parse().map_err(|_| Error::Damaged(format!("role {:?}", item.role)))?;
    Ok(ItemRecord {
        item: item.item.parse().map_err(Error::Damaged)?,
        evidence_digest: item.evidence_digest.clone(),
        assessor: Approval::new(item.principal.clone(), role, time(item.time.as_ref())),
    })
}
