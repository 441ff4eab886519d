//! How two versions differ: their rows by `features::diff`, their columns and quality by what is recorded of them.
//!
//! Rows are compared as they were stored after cleaning and before transformation. What is fitted on the training rows is
//! another function where these are others, so of the transformed rows every one would seem to have changed.

mod declared;
mod rows;
mod wire;

use std::path::PathBuf;

use contracts::pipeline::v1::{DatasetDifference, RowExample};
use contracts::registry::v1::DatasetVersion;
use features::diff::{Difference, Options, Source, compare};

use crate::Error;
use crate::table::SPLIT;
use rows::Stored;

/// A version, and where its clean rows lie.
pub struct Side {
    /// As it was registered.
    pub version: DatasetVersion,
    /// Parquet.
    pub clean: PathBuf,
}

/// What is asked of the comparison.
pub struct Asked {
    /// What names a row.
    pub key: Vec<String>,
    /// Not compared row by row.
    pub ignore: Vec<String>,
    /// Rows of each kind that are named.
    pub examples: usize,
    /// Bytes of hashes held at a time.
    pub memory: usize,
}

/// Compares two versions.
///
/// # Errors
/// [`Error::BadRequest`] for columns that a version does not have; [`Error::Features`] where rows cannot be told apart within
/// the memory; [`Error::Damaged`].
pub fn between(before: &Side, after: &Side, asked: Asked) -> Result<DatasetDifference, Error> {
    let (first, second) = (Stored::open(&before.clean)?, Stored::open(&after.clean)?);
    known(&asked, &[(&before.version.name, &first), (&after.version.name, &second)])?;
    let split = |one: &Stored| one.schema().column_with_name(SPLIT).is_some();
    let options = Options {
        key: asked.key,
        ignore: asked.ignore,
        split: (split(&first) && split(&second)).then(|| SPLIT.to_owned()),
        seed: getrandom::u64().map_err(|error| Error::Internal(error.to_string()))?,
        memory: asked.memory,
        examples: asked.examples,
        ..Options::default()
    };
    let found = compare(&first, &second, &options)?;
    Ok(DatasetDifference {
        before: before.version.name.clone(),
        after: after.version.name.clone(),
        key_columns: options.key,
        schema: declared::columns(&before.version.columns, &after.version.columns),
        clean_schema: found.schema.iter().map(wire::change).collect(),
        rows: Some(wire::counts(&found.rows)),
        columns: found.columns.iter().filter(|one| one.column != SPLIT).map(wire::column).collect(),
        moved: found.moved.iter().map(wire::movement).collect(),
        quality: declared::quality(&before.version.quality, &after.version.quality),
        examples: examples(&found, &first, &second)?,
        bump: declared::bump(&before.version, &after.version)
            .map_or_else(String::new, |bump| bump.to_string()),
    })
}

/// The columns that the request names are columns of both versions.
fn known(asked: &Asked, sides: &[(&String, &Stored)]) -> Result<(), Error> {
    let mut fields = crate::parse::Fields::default();
    for (field, columns) in [("key_columns", &asked.key), ("ignore_columns", &asked.ignore)] {
        for (at, column) in columns.iter().enumerate() {
            for (name, _) in sides.iter().filter(|(_, one)| one.schema().column_with_name(column).is_none()) {
                fields.bad(&format!("{field}[{at}]"), format!("{name} has no column {column:?}"));
            }
        }
    }
    fields.done()
}

/// Rows that changed, were added and were removed, by their place in the inputs.
fn examples(found: &Difference, before: &Stored, after: &Stored) -> Result<Vec<RowExample>, Error> {
    let named = &found.examples;
    let firsts: Vec<u64> =
        named.changed.iter().map(|(first, _)| *first).chain(named.removed.clone()).collect();
    let seconds: Vec<u64> =
        named.changed.iter().map(|(_, second)| *second).chain(named.added.clone()).collect();
    let (firsts, seconds) = (before.source_rows(&firsts)?, after.source_rows(&seconds)?);
    let changed = named.changed.len();
    let both = firsts.iter().zip(&seconds).take(changed).map(|(a, b)| (Some(*a), Some(*b)));
    let added = seconds.iter().skip(changed).map(|row| (None, Some(*row)));
    let removed = firsts.iter().skip(changed).map(|row| (Some(*row), None));
    let example = |(source_row_before, source_row_after)| RowExample { source_row_before, source_row_after };
    Ok(both.chain(added).chain(removed).map(example).collect())
}
