//! §9.3: collect, analyse, decide, act.

use contracts::monitor::v1::feedback::Kind;
use contracts::monitor::v1::feedback_finding::Decision;
use contracts::monitor::v1::{
    CloseFindingRequest, CreateFindingRequest, DecideFindingRequest, Feedback, FeedbackFinding,
    SubmitFeedbackRequest,
};
use contracts::registry::v1::{AdvancePhaseRequest, IterationDecision, ModelVersion, Phase};

use super::{Story, names};

/// The finding that the next version rests on.
pub(super) const FINDING: &str = "findings/inverted-pictures";

/// Feedback and the drift alert become a finding; the ML lead decides to train again, nobody else may.
///
/// # Errors
/// The first step that was not accepted.
pub async fn collect_feedback(story: &Story, version: &ModelVersion, alert: &str) -> anyhow::Result<()> {
    let who = &story.actors;
    let items = story
        .step("feedback of users collected", "§9.3", async {
            let mut items = vec![alert.to_owned()];
            for (kind, text) in [
                (Kind::UserFeedback, "digits from the new scanner are read as eights"),
                (Kind::Annotation, "the pictures of the new scanner are negatives"),
            ] {
                let feedback = Feedback {
                    deployment: names::DEPLOYMENT.into(),
                    version: version.name.clone(),
                    kind: kind.into(),
                    text: text.into(),
                    satisfaction: Some(0.2),
                    ..Default::default()
                };
                let request = SubmitFeedbackRequest { feedback: Some(feedback), ..Default::default() };
                items.push(who.feedback("client")?.submit_feedback(request).await?.into_inner().name);
            }
            let said = items.join(", ");
            Ok((items, said))
        })
        .await?;
    story
        .step("finding from feedback and drift alert", "§9.3", async {
            let finding = FeedbackFinding {
                subject: names::DEPLOYMENT.into(),
                items,
                pattern: "wrong answers came with pictures of one new scanner".into(),
                root_cause: "that scanner gives negatives; the model never saw one".into(),
                trend: "from none to all of that scanner's pictures within a day".into(),
                comparison: "pictures of the other scanners are read as before".into(),
                ..Default::default()
            };
            let request = CreateFindingRequest {
                finding_id: "inverted-pictures".into(),
                finding: Some(finding),
                ..Default::default()
            };
            let finding = who.feedback("ml-engineer")?.create_finding(request).await?.into_inner();
            Ok(((), format!("{} {}", finding.name, finding.state().as_str_name())))
        })
        .await?;
    let decide = |role: &str| DecideFindingRequest {
        name: FINDING.into(),
        decision: Decision::Retrain.into(),
        role: role.into(),
        reason: "a version with other regularisation, and the scanner is set to positives".into(),
        ..Default::default()
    };
    story
        .refused("retraining decided by the ML engineer", "§9.3", &["ROLE_REQUIRED"], async {
            Ok(who.feedback("ml-engineer")?.decide_finding(decide("ml-engineer")).await?)
        })
        .await;
    story
        .step("the ML lead decides: retrain", "§9.3", async {
            let finding = who.feedback("ml-lead")?.decide_finding(decide("ml-lead")).await?.into_inner();
            Ok(((), format!("{} by {}", finding.decision().as_str_name(), finding.decided_by)))
        })
        .await
}

/// The line leaves production for the next version on the decided finding; without one it does not.
///
/// # Errors
/// The first step that was not accepted.
pub async fn iterate(story: &Story) -> anyhow::Result<()> {
    let leave = async |iteration: Option<IterationDecision>| {
        let request = AdvancePhaseRequest {
            name: names::PROJECT.into(),
            phase: Phase::Iterate.into(),
            reason: "the finding on inverted pictures was decided: retrain".into(),
            iteration,
            ..Default::default()
        };
        anyhow::Ok(story.actors.projects("ml-lead")?.advance_phase(request).await?.into_inner())
    };
    story
        .refused("a next version without a decided finding", "§9.3", &["RECORDS_MISSING"], async {
            leave(None).await
        })
        .await;
    story
        .step("the line goes to ITERATE on the decided finding", "§3, §9.3", async {
            let decision = IterationDecision {
                finding: FINDING.into(),
                decision: "retrain".into(),
                ..Default::default()
            };
            let project = leave(Some(decision)).await?;
            let rests = project.iteration.clone().unwrap_or_default();
            Ok(((), format!("{}: {} ({})", project.phase().as_str_name(), rests.decision, rests.finding)))
        })
        .await
}

/// The action was taken: the finding is closed with the new version and its card.
///
/// # Errors
/// The refusal of the monitor.
pub async fn close_feedback(story: &Story, version: &ModelVersion, document: &str) -> anyhow::Result<()> {
    story
        .step("finding closed with the new version and its record", "§9.3", async {
            let request = CloseFindingRequest {
                name: FINDING.into(),
                action: format!("trained again and released as {}", version.model_id),
                action_resource: version.name.clone(),
                document: document.into(),
                ..Default::default()
            };
            let finding = story.actors.feedback("ml-engineer")?.close_finding(request).await?.into_inner();
            Ok(((), format!("{}: {}", finding.state().as_str_name(), finding.action)))
        })
        .await
}
