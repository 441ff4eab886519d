//! Rows that are not taken, or that break what was declared: each with its reason, counted, never silently away.

use std::collections::BTreeMap;

use serde::Serialize;

/// Why a row is in quarantine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// It has another number of cells than there are columns.
    Ragged,
    /// A quote is opened and never closed.
    UnclosedQuote,
    /// Text stands between a closing quote and the next cell.
    TextAfterQuote,
    /// Its bytes are not the file's encoding.
    NotText,
    /// A cell holds the character NUL.
    Nul,
    /// A cell is longer than the limit.
    TooLong,
    /// The line is no JSON object.
    NotJson,
    /// A value is not of the declared type.
    Type,
    /// A required value is missing.
    Missing,
    /// A number or time is outside the declared range.
    Range,
    /// A value is not in the declared set.
    Set,
    /// A text does not match the declared pattern.
    Pattern,
    /// A declared rule between two columns does not hold.
    Rule,
}

impl Reason {
    /// In words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ragged => "another number of cells than columns",
            Self::UnclosedQuote => "a quote is never closed",
            Self::TextAfterQuote => "text after a closing quote",
            Self::NotText => "not the file's encoding",
            Self::Nul => "holds NUL",
            Self::TooLong => "a cell is too long",
            Self::NotJson => "not a JSON object",
            Self::Type => "not of the declared type",
            Self::Missing => "a required value is missing",
            Self::Range => "outside the declared range",
            Self::Set => "not in the declared set",
            Self::Pattern => "does not match the declared pattern",
            Self::Rule => "a rule between columns does not hold",
        }
    }

    /// Whether such a row cannot be represented, and so is in no figure but this count.
    pub fn leaves_the_table(self) -> bool {
        !matches!(self, Self::Missing | Self::Range | Self::Set | Self::Pattern | Self::Rule)
    }
}

/// A row and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reject {
    /// Row of the data, from 1; a header is none.
    pub row: u64,
    /// Line of a text file, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// The column at which it shows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// What kind of wrong.
    pub reason: Reason,
    /// What stands there, shortened.
    pub what: String,
}

/// Examples that are kept of each reason in each column.
const EXAMPLES: usize = 20;
/// Letters of a value that an example shows.
const SHOWN: usize = 80;

/// What stands in a cell, for an example.
pub fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    format!("{shown:?}")
}

/// Counts by reason and column, and the first examples of each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Quarantine {
    /// Rows that left the table.
    pub left: u64,
    /// Rows that stay in the table and break what was declared.
    pub broken: u64,
    counts: BTreeMap<(Reason, Option<String>), u64>,
    examples: BTreeMap<(Reason, Option<String>), Vec<Reject>>,
}

impl Quarantine {
    /// Counts a reject. Whether its row is a new one is counted by the caller.
    pub fn add(&mut self, reject: Reject) {
        let key = (reject.reason, reject.column.clone());
        *self.counts.entry(key.clone()).or_default() += 1;
        let examples = self.examples.entry(key).or_default();
        if examples.len() < EXAMPLES {
            examples.push(reject);
        }
    }

    /// Counts several rejects of a kind of which no example is needed any more.
    pub fn add_more(&mut self, reason: Reason, column: &str, count: u64) {
        if count > 0 {
            *self.counts.entry((reason, Some(column.to_owned()))).or_default() += count;
        }
    }

    /// Whether an example of this kind would still be kept.
    pub fn wants(&self, reason: Reason, column: &str) -> bool {
        self.examples.get(&(reason, Some(column.to_owned()))).is_none_or(|kept| kept.len() < EXAMPLES)
    }

    /// Adds what came after.
    pub fn merge(&mut self, later: Self) {
        self.left += later.left;
        self.broken += later.broken;
        for (key, count) in later.counts {
            *self.counts.entry(key).or_default() += count;
        }
        for (key, more) in later.examples {
            let kept = self.examples.entry(key).or_default();
            kept.extend(more.into_iter().take(EXAMPLES - kept.len().min(EXAMPLES)));
        }
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// Counts by reason and column.
    pub fn counts(&self) -> impl Iterator<Item = (Reason, Option<&str>, u64)> {
        self.counts.iter().map(|((reason, column), count)| (*reason, column.as_deref(), *count))
    }

    /// The first examples of each kind.
    pub fn examples(&self) -> impl Iterator<Item = &Reject> {
        self.examples.values().flatten()
    }
}
