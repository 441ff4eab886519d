//! §7.4 and G3: the ethics review and the approval of quality, by others than those who contributed.

use contracts::registry::v1::{
    ApproveReviewRequest, CreateReviewRequest, Gate, ModelVersion, RecordReviewItemRequest, Review,
    ReviewKind,
};

use super::{Story, evaluation, names};

/// The five assessed items of §7.4 and who assesses.
const ITEMS: [(&str, &str); 5] = [
    ("bias-assessment", "the two batches of writers are read alike; parity is in the evaluation"),
    ("privacy-impact", "pictures of single digits name nobody; the gateway keeps none"),
    ("use-case-risk", "a misread digit is caught by the check sum of the form"),
    ("stakeholder-impact", "typists are moved to the forms that the model does not read"),
    ("mitigation", "low scores go to a person"),
];

/// Five items, then the votes of the board; a vote before the items is refused.
///
/// # Errors
/// The first step that was not accepted.
pub async fn ethics(story: &Story, version: &ModelVersion) -> anyhow::Result<()> {
    let who = &story.actors;
    let name = open(story, version, "ethics", ReviewKind::Ethics, "ethics-reviewer").await?;
    story
        .refused("vote of the board before the assessment", "§7.4", &["ETHICS_VOTE_REFUSED"], async {
            approve(story, &name, "ethics-board", "ethics-board").await
        })
        .await;
    story
        .step("five items assessed by the ethics reviewer", "§7.4", async {
            for (item, text) in ITEMS {
                let request = RecordReviewItemRequest {
                    name: name.clone(),
                    item: item.into(),
                    evidence_digest: story.evidence(&format!("{}-{item}", version.model_id), text)?,
                    note: text.into(),
                    ..Default::default()
                };
                who.reviews("ethics-reviewer")?.record_review_item(request).await?;
            }
            Ok(((), ITEMS.map(|(item, _)| item).join(", ")))
        })
        .await?;
    story
        .step("two votes of the ethics board", "§7.4", async {
            approve(story, &name, "ethics-board", "ethics-board").await?;
            let review = approve(story, &name, "ethics-board-2", "ethics-board").await?;
            Ok(((), format!("{} by {} votes", review.state().as_str_name(), review.approvals.len())))
        })
        .await
}

/// Approval of quality: the author, who holds the role too, is refused, the QA engineer approves, G3 passes.
///
/// # Errors
/// The first step that was not accepted.
pub async fn quality(story: &Story, version: &ModelVersion) -> anyhow::Result<()> {
    let name = open(story, version, "qa", ReviewKind::Qa, "qa-engineer").await?;
    story
        .refused(
            "the author approves their own model",
            "§8.1 G3",
            &["QA_APPROVAL_REFUSED/someone who did not contribute"],
            async { approve(story, &name, names::AUTHOR, "qa-engineer").await },
        )
        .await;
    story
        .step("quality approved by the QA engineer", "§8.1 G3", async {
            let review = approve(story, &name, "qa-engineer", "qa-engineer").await?;
            Ok(((), format!("{} by {}", review.state().as_str_name(), review.approvals[0].principal)))
        })
        .await?;
    evaluation::gate(story, version, Gate::G3QaApproved, "G3 (QA approved)").await
}

async fn open(
    story: &Story,
    version: &ModelVersion,
    id: &str,
    kind: ReviewKind,
    by: &str,
) -> anyhow::Result<String> {
    let request = CreateReviewRequest {
        parent: version.name.clone(),
        review_id: id.into(),
        kind: kind.into(),
        ..Default::default()
    };
    Ok(story.actors.reviews(by)?.create_review(request).await?.into_inner().name)
}

async fn approve(story: &Story, name: &str, who: &str, role: &str) -> anyhow::Result<Review> {
    let request = ApproveReviewRequest { name: name.into(), role: role.into(), ..Default::default() };
    Ok(story.actors.reviews(who)?.approve_review(request).await?.into_inner())
}
