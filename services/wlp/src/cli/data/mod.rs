//! `wlp data`: work on files of data, without a mesh, and on the dataset versions of one.

mod compare;
mod diff;
mod published;
mod split;

use std::path::Path;
use std::process::ExitCode;

use clap::Subcommand;
use tabular::Limits;
use tabular::stream::Stream;

/// Work on files of data, without a mesh, and on the dataset versions of one. CSV, TSV, JSON lines, Parquet and Arrow are
/// recognised by their content, each also compressed with gzip or zstd.
#[derive(Debug, Subcommand)]
pub enum Data {
    /// Tells how two versions of a table differ: columns, rows by key, drift, missing values, splits.
    Diff(diff::Diff),
    /// Tells how two dataset versions of a mesh differ.
    Compare(compare::Compare),
    /// Prints the data card of a dataset version of a mesh, or writes it as a page.
    Card(published::Card),
    /// Describes a dataset version of a mesh in Croissant 1.1, with its files.
    Croissant(published::Croissant),
    /// Cuts a table into train, validation and test, and tells what one part knows of another.
    Split(split::Split),
}

impl Data {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Diff(diff) => diff.run(),
            Self::Compare(compare) => compare.run().await,
            Self::Card(card) => card.run().await,
            Self::Croissant(croissant) => croissant.run().await,
            Self::Split(split) => split.run(),
        }
    }
}

/// Prints; who reads no further is no error.
fn print(text: &str) -> anyhow::Result<()> {
    use std::io::Write;
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Text of a file on one line, without what a terminal would obey.
fn shown(text: &str) -> String {
    let plain: String = text.chars().map(|c| if c.is_control() { '\u{FFFD}' } else { c }).take(60).collect();
    if plain.is_empty() { "(none)".into() } else { plain }
}

/// Recognises a file; `max_unfolded` is what the user believes that it may unfold to.
fn open(path: &Path, max_unfolded: Option<u64>) -> anyhow::Result<Stream> {
    let mut limits = Limits::default();
    if let Some(bytes) = max_unfolded {
        (limits.unfolded_bytes, limits.unfolding) = (bytes, u64::MAX);
    }
    Ok(Stream::open(path, limits)?)
}
