//! One version from its training run to production, or to where it is stopped.

use contracts::registry::v1::{Gate, ModelVersion, SubmitModelVersionRequest};

use super::makers::{Trained, Variant};
use super::training::create_version;
use super::{Story, canary, deployment, evaluation, names, reviews, training};

/// A version that passed its gates.
#[derive(Debug, Clone)]
pub struct Release {
    /// The version.
    pub version: ModelVersion,
    /// Its evaluation.
    pub evaluation: String,
}

/// Trains a variant and registers it under a number.
///
/// # Errors
/// The first step that was not accepted.
pub async fn register(
    story: &Story,
    variant: Variant,
    number: &str,
) -> anyhow::Result<(ModelVersion, Trained)> {
    let trained = training::train(story, variant).await?;
    let version = submitted(story, &trained, number).await?;
    Ok((version, trained))
}

/// Registers what was trained and hands it in for evaluation.
///
/// # Errors
/// The first step that was not accepted.
pub async fn submitted(story: &Story, trained: &Trained, number: &str) -> anyhow::Result<ModelVersion> {
    story
        .step(&format!("version {number} registered and submitted"), "§6.4", async {
            let version = create_version(story, number, trained).await?;
            let request = SubmitModelVersionRequest { name: version.name, ..Default::default() };
            let version =
                story.actors.models(names::AUTHOR)?.submit_model_version(request).await?.into_inner();
            let said = format!(
                "{}: {} change, {}",
                version.model_id,
                version.bump().as_str_name(),
                version.state().as_str_name()
            );
            Ok((version, said))
        })
        .await
}

/// Tests and evaluation, G1 and G2, ethics, quality and G3.
///
/// # Errors
/// The first step that was not accepted.
pub async fn release(
    story: &Story,
    version: ModelVersion,
    variant: Variant,
    trained: &Trained,
) -> anyhow::Result<Release> {
    evaluation::import_tests(story, &version, variant, trained).await?;
    evaluation::gate(story, &version, Gate::G1TestsPass, "G1 (tests pass)").await?;
    let evaluated = evaluation::evaluate(story, &version).await?;
    evaluation::gate(story, &version, Gate::G2BenchmarksMet, "G2 (benchmarks met)").await?;
    reviews::ethics(story, &version).await?;
    reviews::quality(story, &version).await?;
    Ok(Release { version, evaluation: evaluated.name })
}

/// Staging, canary, production, record closed.
///
/// # Errors
/// The first step that was not accepted.
pub async fn to_production(story: &Story, release: &Release) -> anyhow::Result<String> {
    let rollout = deployment::prepare(story, &release.version, &release.evaluation).await?;
    canary::climb(story, &release.version, &rollout).await?;
    canary::close(story, &rollout).await?;
    Ok(rollout)
}
