//! The whole story in order.

use contracts::registry::v1::{DocumentTemplate, Phase};

use super::makers::Variant;
use super::plan::advance;
use super::{
    Story, dataset, deployment, documents, drift, feedback, fragile, ladder, plan, proofs, retirement,
    source, training, worse,
};

/// Tells everything.
///
/// # Errors
/// The first step without which the story cannot go on; it is among the outcomes.
pub async fn tell(story: &Story) -> anyhow::Result<()> {
    plan_and_data(story).await?;
    let first = first_release(story).await?;

    story.chapter("a worse version, a fragile version");
    worse::worse(story, "1.1.0").await?;
    fragile::fragile(story, "1.2.0").await?;

    story.chapter("drift, feedback, a new version");
    let alert = drift::drift(story, &first.version.name).await?;
    feedback::collect_feedback(story, &first.version, &alert.name).await?;
    feedback::iterate(story).await?;
    advance(story, Phase::Model, "the finding on inverted pictures was decided: retrain").await?;
    training::choose_model(story).await?;
    let (version, trained) = ladder::register(story, Variant::Retrained, "1.3.0").await?;
    advance(story, Phase::Eval, "").await?;
    let second = ladder::release(story, version, Variant::Retrained, &trained).await?;
    advance(story, Phase::Deploy, "").await?;
    ladder::to_production(story, &second).await?;
    advance(story, Phase::Monitor, "").await?;
    let card =
        documents::document(story, DocumentTemplate::ModelCard, &second.version.name, "ml-engineer").await?;
    feedback::close_feedback(story, &second.version, &card.name).await?;

    story.chapter("retirement, proofs");
    retirement::retire(story, &first.version, &second.version).await?;
    proofs::proofs(story).await
}

/// Plan, source, the fit dataset version and its dirty copy.
///
/// # Errors
/// As [`tell`].
pub async fn plan_and_data(story: &Story) -> anyhow::Result<()> {
    story.chapter("plan and data");
    plan::plan(story).await?;
    let data = story
        .step("digits and a dirty copy exported", "§5.3", async {
            let data = story.makers.export_data().await?;
            story.load.take(&data.clean)?;
            let said = format!("{} and {} bytes of CSV", data.clean.len(), data.dirty.len());
            Ok((data, said))
        })
        .await?;
    source::source(story, &data.clean).await?;
    dataset::dataset(story, &data.clean).await?;
    dataset::build_dirty(story, &data.dirty).await
}

/// The model and its first version, from training to production.
///
/// # Errors
/// As [`tell`].
pub async fn first_release(story: &Story) -> anyhow::Result<ladder::Release> {
    story.chapter("the first version, to production");
    training::open_models(story).await?;
    training::choose_model(story).await?;
    training::create_model(story).await?;
    let trained = training::train(story, Variant::Good).await?;
    story
        .refused("version 2.0.0 as the first one", "§6.4", &["VERSION_NOT_SUCCESSOR"], async {
            training::create_version(story, "2.0.0", &trained).await
        })
        .await;
    let version = ladder::submitted(story, &trained, "1.0.0").await?;
    advance(story, Phase::Eval, "").await?;
    let first = ladder::release(story, version, Variant::Good, &trained).await?;
    advance(story, Phase::Deploy, "").await?;
    deployment::deploy(story).await?;
    ladder::to_production(story, &first).await?;
    advance(story, Phase::Monitor, "").await?;
    Ok(first)
}
