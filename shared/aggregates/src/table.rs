//! A file or folder as a table of a context: in a process and on a cluster alike.

use std::path::Path;

use datafusion::common::{Result, plan_err};
use datafusion::prelude::{DataFrame, ParquetReadOptions, SessionContext};

/// Opens a Parquet file, or a folder of such files, by its ending. Files are cut between row groups, and a folder between its
/// files. Other formats are what `tabular` reads.
///
/// On a cluster every machine must see it under the same path.
///
/// # Errors
/// Where there is no such file, or it is no table.
pub async fn open(context: &SessionContext, path: &Path) -> Result<DataFrame> {
    let path = match path.canonicalize() {
        Ok(path) => path,
        Err(error) => return plan_err!("{} cannot be opened: {error}", path.display()),
    };
    let Some(text) = path.to_str() else {
        return plan_err!("{} is not UTF-8", path.display());
    };
    match ending(&path)?.as_str() {
        "parquet" => context.read_parquet(text, ParquetReadOptions::new()).await,
        other => plan_err!("{text} ends in {other:?}, required parquet"),
    }
}

/// How a file, or the first file of a folder, ends.
fn ending(path: &Path) -> Result<String> {
    let of = |path: &Path| {
        path.extension().map_or(String::new(), |end| end.to_string_lossy().to_ascii_lowercase())
    };
    if path.is_file() {
        return Ok(of(path));
    }
    let mut ends: Vec<String> = path
        .read_dir()?
        .filter_map(|entry| Some(of(&entry.ok()?.path())))
        .filter(|end| !end.is_empty())
        .collect();
    ends.sort_unstable();
    ends.dedup();
    match ends.as_slice() {
        [one] => Ok(one.clone()),
        [] => plan_err!("{} holds no files", path.display()),
        _ => plan_err!("{} holds files of several kinds: {}", path.display(), ends.join(", ")),
    }
}
