//! Raw inputs as text columns. What a file holds is checked while it is read: encoding, shape, sizes; an error names the
//! input, the line and the cause.

mod csv;
mod frame;
mod jsonl;

use std::panic::AssertUnwindSafe;
use std::path::PathBuf;

use arrow::array::RecordBatch;
use contracts::pipeline::v1::DataFormat;
use futures::FutureExt;

use crate::table::{SOURCE_ROW, SPLIT};
use crate::{Error, Limits, blocking};

/// Why a file cannot be read, without its name.
pub type Bad = String;

/// Bytes of a column's name at most.
const NAME_BYTES: usize = 256;

/// Reads a file of at most `limits` as nullable text columns. `input` names it in errors; what stands in a column of
/// `dropped` does not matter.
///
/// # Errors
/// [`Error::BadData`].
pub async fn read(
    input: &str,
    path: PathBuf,
    format: DataFormat,
    dropped: &[String],
    limits: Limits,
) -> Result<RecordBatch, Error> {
    let bad = |what: Bad| Error::BadData { input: input.to_owned(), what };
    match format {
        DataFormat::Csv => {
            let file = path.clone();
            let header = blocking::run(input, move || Ok(csv::scan(&file, &limits))).await?.map_err(bad)?;
            guarded(frame::csv(&path, &header, &limits)).await.map_err(bad)
        }
        DataFormat::Jsonl => {
            blocking::run(input, move || Ok(jsonl::read(&path, &limits))).await?.map_err(bad)
        }
        DataFormat::Parquet => guarded(frame::parquet(&path, dropped, &limits)).await.map_err(bad),
        DataFormat::Unspecified => Err(bad("has no format".into())),
    }
}

/// A panic inside a reader (a hostile file) is an error.
async fn guarded<T>(work: impl Future<Output = Result<T, Bad>>) -> Result<T, Bad> {
    AssertUnwindSafe(work)
        .catch_unwind()
        .await
        .unwrap_or_else(|_| Err("is damaged: its reader broke off".into()))
}

/// Whether a column is the row index that pandas writes beside the data.
fn is_index(name: &str) -> bool {
    name.strip_prefix("__index_level_")
        .and_then(|rest| rest.strip_suffix("__"))
        .is_some_and(|level| !level.is_empty() && level.bytes().all(|byte| byte.is_ascii_digit()))
}

/// A column without a name, such as the index that a program writes first, is called by its place.
fn named(name: &str, at: usize) -> String {
    if name.trim().is_empty() { format!("column_{}", at + 1) } else { name.to_owned() }
}

/// Checks the names of columns: not long, different, none of those that we add.
fn check_names(names: &[String], limits: &Limits) -> Result<(), Bad> {
    if names.is_empty() {
        return Err("has no columns".into());
    }
    if limits.columns < names.len() {
        return Err(format!("has {} columns, at most {} are taken", names.len(), limits.columns));
    }
    let mut seen = std::collections::HashSet::new();
    for (at, name) in names.iter().enumerate() {
        let shown: String = name.chars().take(40).collect();
        if NAME_BYTES < name.len() || name.chars().any(char::is_control) {
            return Err(format!(
                "column {} has a name that is too long or has control characters: {shown:?}",
                at + 1
            ));
        }
        if [SOURCE_ROW, SPLIT].contains(&name.as_str()) {
            return Err(format!("column {shown:?}: the name is one of our own, required another"));
        }
        if !seen.insert(name) {
            return Err(format!("column {shown:?} stands twice"));
        }
    }
    Ok(())
}
