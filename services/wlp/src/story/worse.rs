//! A version that is worse than it may be is refused at G2 (§7.3).

use contracts::registry::v1::{Gate, GetModelVersionRequest, model_version::State};

use super::makers::Variant;
use super::{Story, evaluation, failures, ladder};

/// Trains, registers and evaluates the worse variant; G2 refuses it.
///
/// # Errors
/// The first step that was not accepted.
pub async fn worse(story: &Story, number: &str) -> anyhow::Result<()> {
    let (version, trained) = ladder::register(story, Variant::Worse, number).await?;
    evaluation::import_tests(story, &version, Variant::Worse, &trained).await?;
    evaluation::gate(story, &version, Gate::G1TestsPass, "G1 (tests pass)").await?;
    evaluation::evaluate(story, &version).await?;
    story
        .step(&format!("G2 (benchmarks met) refuses {}", version.model_id), "§7.3", async {
            let decision = evaluation::decide(story, &version.name, Gate::G2BenchmarksMet).await?;
            anyhow::ensure!(!decision.passed, "G2 let a worse version pass");
            let request = GetModelVersionRequest { name: version.name.clone() };
            let version = story.actors.models("auditor")?.get_model_version(request).await?.into_inner();
            anyhow::ensure!(
                version.state() == State::Rejected,
                "the version is {}",
                version.state().as_str_name()
            );
            Ok(((), format!("G2 refused: {}", failures(&decision.findings))))
        })
        .await?;
    story
        .refused(&format!("rollout of {}", version.model_id), "§8.2", &["VERSION_STATE"], async {
            super::deployment::open_rollout(story, &version).await
        })
        .await;
    Ok(())
}
