//! Who makes what the story needs: data, trained models, test reports.

use async_trait::async_trait;

use super::Comparison;

/// The data and a dirty copy of it, as CSV files.
#[derive(Debug, Clone, Default)]
pub struct Data {
    /// `pixel_0` to `pixel_63` and `digit`, a header line.
    pub clean: Vec<u8>,
    /// The same with missing, impossible and repeated cells and rows.
    pub dirty: Vec<u8>,
}

/// Which model is made: all have the same graph and differ in weights alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Variant {
    /// As it should be.
    Good,
    /// Too many wrong labels in training: misses accuracy.
    Worse,
    /// Good on every row of the data, fails inside its graph on inputs that the data does not have.
    Fragile,
    /// Trained again.
    Retrained,
}

impl Variant {
    /// `good`, `worse`, `fragile`, `retrained`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Worse => "worse",
            Self::Fragile => "fragile",
            Self::Retrained => "retrained",
        }
    }
}

/// Which tests are run (§7.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suite {
    /// The model file by itself.
    Unit,
    /// The model file with the services around it.
    Integration,
}

impl Suite {
    /// The category of §7.2.
    pub fn category(self) -> &'static str {
        match self {
            Self::Unit => "unit",
            Self::Integration => "integration",
        }
    }
}

/// A model that was trained and uploaded.
#[derive(Debug, Clone)]
pub struct Trained {
    /// `trainingRuns/{r}`
    pub run: String,
    /// Of the uploaded artifact.
    pub artifact_digest: String,
    /// Accuracy on the validation split, as the trainer saw it.
    pub validation_accuracy: f64,
    /// What was searched and found, in words.
    pub search: String,
}

/// Candidates to be compared on the splits of a dataset version.
#[derive(Debug, Clone, Copy)]
pub struct Shortlist<'a> {
    /// `datasets/{d}/versions/{v}`
    pub dataset_version: &'a str,
    /// Names of the candidates.
    pub candidates: &'a [String],
}

/// Makes data, models and reports, with whatever tools.
#[async_trait]
pub trait Makers: Send + Sync {
    /// The data and its dirty copy.
    async fn export_data(&self) -> anyhow::Result<Data>;

    /// Audits `rows` rows of a dataset version against the source of record, as the QA engineer, and records it. Gives a
    /// line about it.
    async fn audit(&self, dataset_version: &str, rows: u32) -> anyhow::Result<String>;

    /// Fits and measures candidates: all of them on the source itself, or some on the splits of a dataset version.
    async fn compare(&self, seed: u64, on: Option<Shortlist<'_>>) -> anyhow::Result<Comparison>;

    /// The candidate that [`Makers::train`] makes.
    fn candidate(&self) -> &'static str;

    /// Trains on a dataset version as one of those who develop: opens a run, logs, completes it, uploads the artifact.
    async fn train(&self, variant: Variant, dataset_version: &str, project: &str) -> anyhow::Result<Trained>;

    /// Tests a trained model; JUnit XML.
    async fn test(
        &self,
        variant: Variant,
        suite: Suite,
        trained: &Trained,
        dataset_version: &str,
    ) -> anyhow::Result<Vec<u8>>;

    /// Name and version of the test tool.
    fn test_tool(&self) -> (String, String);
}
