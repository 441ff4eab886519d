//! The data card (§5.4): eight sections from the records, as Markdown and as a page. The same records give the same bytes.
//!
//! [`Facts`] become a [`Card`](section::Card), which is plain data and knows nothing of a format; each format is a file.

mod balance;
mod content;
mod html;
mod markdown;
mod origin;
mod process;
mod section;
mod targets;
#[cfg(test)]
mod tests;

pub use targets::{Target, targets};

use std::collections::BTreeMap;

use contracts::registry::v1::{DataSource, Dataset, DatasetVersion};
use features::leakage::Finding;
use section::{Card, Section};

/// What the card is made from.
pub struct Facts<'a> {
    /// The dataset, with the notes of its owner.
    pub dataset: &'a Dataset,
    /// Where the data comes from.
    pub sources: &'a [DataSource],
    /// The version.
    pub version: &'a DatasetVersion,
    /// The data as it came.
    pub raw: Raw<'a>,
    /// What the audit of the splits found.
    pub audit: &'a [Finding],
    /// What the policy in force asks.
    pub targets: &'a [Target],
}

/// What was found in the data as it came, before cleaning.
#[derive(Debug, Clone, Copy)]
pub struct Raw<'a> {
    /// Rows.
    pub rows: u64,
    /// Rows that came and could not be read: they are in no other figure here.
    pub left: u64,
    /// Missing cells, by column.
    pub missing: &'a BTreeMap<String, u64>,
    /// Rows that break the schema.
    pub invalid_rows: u64,
    /// Violations by `column: rule`.
    pub violations: &'a BTreeMap<String, u64>,
    /// Rows that equal an earlier one.
    pub duplicates: u64,
}

/// A card.
pub struct Made {
    /// As Markdown.
    pub markdown: String,
    /// As a page for the browser: one file, without scripts and outside resources.
    pub html: String,
    /// Sections that lack their facts; with one of these the version is not publishable.
    pub missing: Vec<String>,
}

/// Makes the card.
pub fn make(facts: &Facts<'_>) -> Made {
    let card = card(facts);
    let missing = card.sections.iter().filter(|section| section.blocks.is_empty());
    Made {
        missing: missing.map(|section| section.part.to_owned()).collect(),
        markdown: markdown::write(&card),
        html: html::write(&card),
    }
}

fn card(facts: &Facts<'_>) -> Card {
    let version = facts.version;
    let called = [&facts.dataset.display_name, &facts.dataset.name];
    let section = |part, heading, blocks| Section { part, heading, blocks };
    Card {
        title: called.into_iter().find(|name| !name.trim().is_empty()).cloned().unwrap_or_default(),
        tag: version.tag.clone(),
        name: version.name.clone(),
        figures: origin::figures(version),
        sections: vec![
            section("overview", "Overview", origin::overview(facts)),
            section("composition", "Composition", content::composition(facts)),
            section("collection", "Collection", origin::collection(facts)),
            section("preprocessing", "Preprocessing", process::preprocessing(facts)),
            section("distribution", "Distribution", content::distribution(version)),
            section("bias-analysis", "Bias analysis", balance::bias(facts)),
            section("ethical-review", "Ethical review", origin::ethics(facts)),
            section("maintenance", "Maintenance", origin::maintenance(facts)),
        ],
    }
}
