//! §6.1 selection steps, §6.2 training records, §6.3 techniques, §6.4 versions.

use serde::{Deserialize, Serialize};

use super::{Cited, Span, problem::Problems};
use crate::{
    selection::SelectionStep,
    training::{Block, MonitoringItem, Technique},
    version::{Bump, Version},
};

/// The tables of §6.1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Selection {
    /// Five ordered steps.
    pub steps: Vec<SelectionRow>,
    /// Fewest shortlisted models.
    pub shortlist_min: Cited<usize>,
    /// Most shortlisted models.
    pub shortlist_max: Cited<usize>,
}

/// One selection step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SelectionRow {
    /// Which.
    pub step: SelectionStep,
    /// Activity as the procedure writes it.
    pub activity: String,
    /// Output as the procedure writes it.
    pub output: String,
    /// Its clause.
    pub clause: String,
}

/// The tables of §6.2 and §6.3.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Training {
    /// Five mandatory blocks.
    pub blocks: Vec<BlockRow>,
    /// Five monitoring items.
    pub monitoring: Vec<MonitoringRow>,
    /// Techniques with their required fields.
    pub techniques: Vec<TechniqueRow>,
    /// A running run without a sign of life for this long is failed by the reaper.
    pub reap_after: Cited<Span>,
    /// A checkpoint is overdue after this many declared intervals.
    pub checkpoint_grace: Cited<f64>,
}

/// One mandatory block.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlockRow {
    /// Which.
    pub block: Block,
    /// What must be documented, as the procedure writes it.
    pub documentation: String,
    /// Its clause.
    pub clause: String,
}

/// One monitoring item.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MonitoringRow {
    /// Which.
    pub item: MonitoringItem,
    /// As the procedure writes it.
    pub title: String,
    /// Prefix of the metric series that proves it; empty where another record does.
    pub series: String,
    /// Its clause.
    pub clause: String,
}

/// One technique.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TechniqueRow {
    /// Which.
    pub technique: Technique,
    /// Use case as the procedure writes it.
    pub use_case: String,
    /// Considerations as the procedure writes them.
    pub considerations: String,
    /// Fields that the run must document.
    pub required_fields: Vec<String>,
    /// Bump that the technique asks for at least.
    pub default_bump: Bump,
    /// Its clause.
    pub clause: String,
}

/// The table of §6.4.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Versioning {
    /// When each component grows.
    pub bumps: Vec<BumpRow>,
    /// Format of the id.
    pub format: Cited<String>,
    /// First version of a model line.
    pub first_version: Cited<Version>,
}

/// One version component.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BumpRow {
    /// Which.
    pub bump: Bump,
    /// When to increment, as the procedure writes it.
    pub when: String,
    /// Its clause.
    pub clause: String,
}

impl Selection {
    pub(super) fn check(&self, bad: &mut Problems) {
        bad.exactly("selection.steps", self.steps.iter().map(|row| row.step), SelectionStep::ALL);
        bad.require(
            (1..=self.shortlist_max.value).contains(&self.shortlist_min.value),
            "selection.shortlist_min",
            "must be at least 1 and at most shortlist_max",
        );
    }
}

impl Training {
    pub(super) fn check(&self, bad: &mut Problems) {
        bad.exactly("training.blocks", self.blocks.iter().map(|row| row.block), Block::ALL);
        bad.exactly("training.monitoring", self.monitoring.iter().map(|row| row.item), MonitoringItem::ALL);
        bad.exactly("training.techniques", self.techniques.iter().map(|row| row.technique), Technique::ALL);
        bad.require(!self.reap_after.value.get().is_zero(), "training.reap_after", "must be above 0");
        bad.require(self.checkpoint_grace.value >= 1.0, "training.checkpoint_grace", "must be at least 1");
    }
}

impl Versioning {
    pub(super) fn check(&self, bad: &mut Problems) {
        bad.exactly("versioning.bumps", self.bumps.iter().map(|row| row.bump), &Bump::ALL);
        bad.text("versioning.format", &self.format.value);
    }
}
