//! §10.2, §10.3: the old version is retired in seven steps.

use std::time::Duration;

use contracts::monitor::v1::{ListCallersRequest, ListCallersResponse, VersionCaller};
use contracts::registry::v1::{
    AdvanceRetirementRequest, DocumentTemplate, ModelVersion, Retirement, RetirementCriterion,
    StartRetirementRequest,
};
use contracts::time::to_wire;

use super::{Shape, Story, documents, names};

/// The notice of §10.3, and a little more.
const NOTICE: Duration = Duration::from_mins(30 * 24 * 60 + 1);

/// Announces the retirement of `old`, is refused to hurry it, waits the notice, does the seven steps.
///
/// # Errors
/// The first step that was not accepted.
pub async fn retire(story: &Story, old: &ModelVersion, successor: &ModelVersion) -> anyhow::Result<()> {
    let begun = begin(story, old, successor).await?;
    let steps = |step: &str, note: &str| AdvanceRetirementRequest {
        name: begun.name.clone(),
        step: step.into(),
        note: note.into(),
        retention_class: if step == "retain-records" { "standard".into() } else { String::new() },
        ..Default::default()
    };
    let advance = async |request: AdvanceRetirementRequest| {
        anyhow::Ok(
            story.actors.retirements("ml-ops-engineer")?.advance_retirement(request).await?.into_inner(),
        )
    };
    story
        .refused("archive before the users are gone", "§10.3", &["STEP_OUT_OF_ORDER"], async {
            advance(steps("archive", "in a hurry")).await
        })
        .await;
    story
        .step("users migrated: the monitor sees no caller of the old version", "§10.3", async {
            story.pace.hurry(true).await?;
            let seen = callers(story, old, successor).await;
            story.pace.hurry(false).await?;
            let (remaining, note) = seen?;
            let retirement = advance(AdvanceRetirementRequest {
                remaining_callers: remaining,
                ..steps("migrate-users", &note)
            })
            .await?;
            Ok(((), format!("{note}; step {} comes next", retirement.next_step)))
        })
        .await?;
    story
        .refused("traffic to zero before the notice has run out", "§10.3", &["NOTICE_NOT_ELAPSED"], async {
            advance(steps("traffic-to-zero", "in a hurry")).await
        })
        .await;
    story
        .step("thirty days of notice", "§10.3", async {
            story.pace.leap(NOTICE).await?;
            Ok(((), "the clock leapt".to_owned()))
        })
        .await?;
    for (step, note, title) in [
        ("traffic-to-zero", "no route names the version", "traffic to zero"),
        ("archive", "sealed bundle", "archive sealed, restored on an empty database"),
        ("update-documentation", "the model card says that it is retired", "documents updated"),
        ("delete-deployment", "nothing serves it", "production deployment deleted"),
        ("retain-records", "kept by class", "records retained"),
    ] {
        story
            .step(&format!("{title} ({})", old.model_id), "§10.3", async {
                if step == "update-documentation" {
                    documents::document(story, DocumentTemplate::ModelCard, &old.name, "ml-engineer").await?;
                }
                let retirement = advance(steps(step, note)).await?;
                let done = retirement.steps.iter().find(|one| one.item == step).cloned().unwrap_or_default();
                let proof = if done.evidence_digest.is_empty() { done.note } else { done.evidence_digest };
                Ok(((), proof))
            })
            .await?;
    }
    Ok(())
}

/// Who called the old version since the retirement was announced, under load: not before the successor's own calls were
/// seen, so that silence is not taken for absence.
async fn callers(
    story: &Story,
    old: &ModelVersion,
    successor: &ModelVersion,
) -> anyhow::Result<(Vec<String>, String)> {
    let since = Some(to_wire(story.pace.now()));
    let of = async |version: &ModelVersion| {
        let request = ListCallersRequest {
            version: version.name.clone(),
            deployment: names::DEPLOYMENT.into(),
            after_time: since,
        };
        let mut observations = story.actors.observations("ml-ops-engineer")?;
        anyhow::Ok(observations.list_callers(request).await?.into_inner())
    };
    let new = story
        .until("calls of the successor are seen", Shape::Clean, async || {
            let seen = of(successor).await?;
            Ok((!seen.callers.is_empty()).then_some(seen))
        })
        .await?;
    let told = |all: &ListCallersResponse| {
        let one = |one: &VersionCaller| format!("{} {} requests", one.principal, one.requests);
        all.callers.iter().map(one).collect::<Vec<_>>().join(", ")
    };
    let left = of(old).await?;
    let remaining: Vec<String> = left.callers.iter().map(|one| one.principal.clone()).collect();
    let left = if remaining.is_empty() { "nobody".to_owned() } else { told(&left) };
    Ok((remaining, format!("callers of {}: {left}; of {}: {}", old.model_id, successor.model_id, told(&new))))
}

async fn begin(story: &Story, old: &ModelVersion, successor: &ModelVersion) -> anyhow::Result<Retirement> {
    let start = || StartRetirementRequest {
        parent: old.name.clone(),
        criterion: RetirementCriterion::Business.into(),
        facts: "the product line of the old forms is discontinued".into(),
        successor: successor.name.clone(),
        ..Default::default()
    };
    story
        .refused(
            "a business decision declared by operations",
            "§10.2",
            &["ROLE_REQUIRED", "ROLE_MAY_NOT"],
            async { Ok(story.actors.retirements("ml-ops-engineer")?.start_retirement(start()).await?) },
        )
        .await;
    story
        .step(
            &format!("retirement of {} announced by the business owner", old.model_id),
            "§10.2, §10.3",
            async {
                let begun =
                    story.actors.retirements("business-owner")?.start_retirement(start()).await?.into_inner();
                let said = format!("{}: {}", begun.criterion().as_str_name(), begun.facts);
                Ok((begun, said))
            },
        )
        .await
}
