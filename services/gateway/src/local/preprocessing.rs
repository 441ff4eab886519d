//! A preprocessing beside a served model: `<name>.preprocessing.json` or else `preprocessing.json` beside a file of its own;
//! in a model's folder, `preprocessing.json` of the version or else of the model. Callers then send raw columns.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::ModelSignature;
use features::Preprocessing;
use features::preprocessing::{ARTIFACT_BYTES, FILE_NAME};

use super::folder;
use super::load::blocking;
use crate::preprocess::Preprocessor;

/// Where a model's preprocessing may lie, the nearest first. `file` is the model's own file, `folder` the model's folder.
pub fn places(file: &Path, folder: Option<&Path>) -> Vec<PathBuf> {
    let mut places = Vec::new();
    if let Some(stem) = file.file_stem().filter(|_| folder.is_none()) {
        places.push(file.with_file_name(format!("{}.{FILE_NAME}", stem.to_string_lossy())));
    }
    places.push(file.with_file_name(FILE_NAME));
    places.extend(folder.map(|folder| folder.join(FILE_NAME)));
    places
}

/// The nearest preprocessing that there is, before a model of that signature.
///
/// # Errors
/// With the file's name: it cannot be read, is none, or does not fit the model.
pub async fn load(
    file: &Path,
    folder: Option<&Path>,
    model: ModelSignature,
) -> Result<Option<Arc<Preprocessor>>, String> {
    let places = places(file, folder);
    blocking(move || {
        let Some(path) = places.into_iter().find(|path| path.exists()) else { return Ok(None) };
        let bytes = folder::read(&path, ARTIFACT_BYTES as u64)?;
        let artifact = Preprocessing::read(&bytes).map_err(|error| error.to_string());
        let made = artifact.and_then(|artifact| Preprocessor::new(&artifact, &model, None));
        made.map(|made| Some(Arc::new(made))).map_err(|why| format!("{}: {why}", path.display()))
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_file_counts() {
        let own = places(Path::new("/models/net.onnx"), None);
        assert_eq!(own, ["/models/net.preprocessing.json", "/models/preprocessing.json"].map(PathBuf::from));
        let inner = places(Path::new("/models/net/3/model.onnx"), Some(Path::new("/models/net")));
        let there = ["/models/net/3/preprocessing.json", "/models/net/preprocessing.json"];
        assert_eq!(inner, there.map(PathBuf::from));
    }
}
