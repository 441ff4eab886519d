//! What a model line has to show: the records of every service of the registry that belong to a project.

use contracts::registry::v1::*;

use crate::Error;
use crate::store::{Read, Stored};

/// The version in work is the newest of the project's models; evidence of older versions is not here.
#[derive(Debug, Default)]
pub struct Evidence {
    pub sources: Vec<Stored<DataSource>>,
    pub dataset_versions: Vec<Stored<DatasetVersion>>,
    pub runs: Vec<Stored<TrainingRun>>,
    pub version: Option<Stored<ModelVersion>>,
    pub evaluations: Vec<Stored<Evaluation>>,
    pub test_reports: Vec<Stored<TestReport>>,
    pub reviews: Vec<Stored<Review>>,
    pub gates: Vec<Stored<GateDecision>>,
    pub rollouts: Vec<Stored<Rollout>>,
    /// A version was retired, or is being, and none is left that serves and is not.
    pub retired: bool,
    pub documents: Vec<Stored<Document>>,
}

/// Gathers the evidence of a project.
///
/// # Errors
/// Of the database.
pub async fn gather<T: Read>(from: &T, project: &str) -> Result<Evidence, Error> {
    let mut it = Evidence { documents: from.children("").await?, ..Evidence::default() };
    for dataset in from.children::<Dataset>("").await?.iter().filter(|one| one.project == project) {
        it.dataset_versions.extend(from.children(&dataset.name).await?);
    }
    let used = |source: &Stored<DataSource>| {
        it.dataset_versions.iter().any(|version| version.data_sources.contains(&source.name))
    };
    it.sources = from.children::<DataSource>("").await?.into_iter().filter(used).collect();
    it.runs = from.children::<TrainingRun>("").await?;
    it.runs.retain(|run| run.project == project);
    let mut versions = Vec::new();
    for model in from.children::<Model>("").await?.iter().filter(|one| one.project == project) {
        versions.extend(from.children::<ModelVersion>(&model.name).await?);
    }
    it.retired = retired(from, &versions).await?;
    it.version = versions.into_iter().max_by_key(|version| version.record().create_time);
    if let Some(version) = &it.version {
        it.evaluations = from.children(&version.name).await?;
        it.test_reports = from.children(&version.name).await?;
        it.reviews = from.children(&version.name).await?;
        it.gates = from.children(&version.name).await?;
        it.rollouts = from.children("").await?;
        it.rollouts.retain(|rollout| rollout.version == version.name);
    }
    Ok(it)
}

async fn retired<T: Read>(from: &T, versions: &[Stored<ModelVersion>]) -> Result<bool, Error> {
    use model_version::State;
    let mut announced = false;
    for version in versions {
        let retirements: Vec<Stored<Retirement>> = from.children(&version.name).await?;
        announced |= !retirements.is_empty();
        if matches!(version.state(), State::Canary | State::Production) {
            return Ok(false);
        }
    }
    Ok(announced)
}

impl Evidence {
    /// The newest decision of a gate.
    pub fn gate(&self, gate: Gate) -> Option<&Stored<GateDecision>> {
        self.gates.iter().filter(|one| one.gate() == gate).max_by_key(|one| one.record().create_time)
    }

    /// The newest evaluation.
    pub fn evaluation(&self) -> Option<&Stored<Evaluation>> {
        self.evaluations.iter().max_by_key(|one| one.record().create_time)
    }

    /// The newest dataset version that is fit.
    pub fn fit_data(&self) -> Option<&Stored<DatasetVersion>> {
        let ready = |one: &&Stored<DatasetVersion>| one.state() == dataset_version::State::Ready;
        self.dataset_versions.iter().filter(ready).max_by_key(|one| one.record().create_time)
    }
}
