//! §7.4, §12: five items, then the board; whoever contributed never approves.

use contracts::registry::v1::*;
use tests::line::{Line, Numbers};
use tests::made::digest_of;
use tests::mesh::Alone;
use tests::refusal::Answered;
use tonic::Code;

async fn evaluated(mesh: &Alone, id: &str) -> Line {
    let line = mesh.line(id);
    line.to_version().await;
    line.submit("1.0.0").await;
    line.evaluate("1.0.0", Numbers::good()).await;
    line
}

fn approval(name: &str, role: &str) -> ApproveReviewRequest {
    ApproveReviewRequest { name: name.into(), role: role.into(), ..ApproveReviewRequest::default() }
}

#[tokio::test]
async fn the_board_speaks_after_the_five_items_and_with_its_quorum() {
    let mesh = Alone::start().await;
    let line = evaluated(&mesh, "board").await;
    let review = line.open_review("1.0.0", "ethics", ReviewKind::Ethics).await;
    assert_eq!(review.items.len(), 5);
    let early =
        line.by("ethics-board").reviews().approve_review(approval(&review.name, "ethics-board")).await;
    early.refused(Code::FailedPrecondition, "ETHICS_VOTE_REFUSED").names(&["§7.4"]);
    for item in ["bias-assessment", "privacy-impact", "use-case-risk", "stakeholder-impact", "mitigation"] {
        let request = RecordReviewItemRequest {
            name: review.name.clone(),
            item: item.into(),
            evidence_digest: digest_of(item),
            ..RecordReviewItemRequest::default()
        };
        line.by("ethics-reviewer").reviews().record_review_item(request).await.told();
    }
    let first = line.approve_review(&review.name, "ethics-board", "ethics-board").await;
    assert_eq!(first.state(), review::State::Open, "one of two");
    let twice =
        line.by("ethics-board").reviews().approve_review(approval(&review.name, "ethics-board")).await;
    assert!(twice.is_err(), "nobody approves twice");
    let second = line.approve_review(&review.name, "ethics-board-2", "ethics-board").await;
    assert_eq!(second.state(), review::State::Approved);
}

#[tokio::test]
async fn who_contributed_never_approves() {
    // A second key of one principal who is both the author and a QA engineer.
    let mesh = Alone::start().await;
    let line = evaluated(&mesh, "author").await;
    let review = line.open_review("1.0.0", "qa", ReviewKind::Qa).await;
    let by_author =
        line.by("ml-engineer").reviews().approve_review(approval(&review.name, "qa-engineer")).await;
    by_author.refused(Code::PermissionDenied, "ROLE_REQUIRED");
    let both = line.by("engineer-of-both");
    both.reviews().approve_review(approval(&review.name, "qa-engineer")).await.told();

    let line = mesh.line("own-work");
    line.plan().await;
    line.data_ready().await;
    line.train("first").await;
    line.create_model().await;
    let digest = line.upload(&tests::made::model(1)).await;
    let request = line.version_request("1.0.0", "first", &digest);
    both.models().create_model_version(request).await.told();
    line.submit("1.0.0").await;
    line.evaluate("1.0.0", Numbers::good()).await;
    let review = line.open_review("1.0.0", "qa", ReviewKind::Qa).await;
    let own =
        both.reviews().approve_review(approval(&review.name, "qa-engineer")).await.expect_err("refused");
    assert_eq!(own.code(), Code::FailedPrecondition, "{own:?}");
    assert!(own.message().contains("§12") || own.message().contains("contribut"), "{}", own.message());
}
