//! What a path holds: models by name, their versions, and whether anything of them has changed.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

use super::preprocessing;

/// Name of a model's configuration inside its folder.
pub const CONFIG: &str = "config.pbtxt";
/// Ending of a model that is a file of its own.
const ENDING: &str = "onnx";
/// Files of one model that are looked at for changes; beyond, changes are not seen.
const MOST_FILES: usize = 10_000;
/// Folders inside each other in a model's folder.
const DEEPEST: u32 = 4;

/// Where a model is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// An ONNX file.
    File(PathBuf),
    /// A folder with versions, and perhaps a configuration.
    Folder(PathBuf),
    /// Two places of one name.
    Twice(PathBuf, PathBuf),
}

/// Size and time of each file of a model: equal stamps, equal files.
pub type Stamp = Vec<(PathBuf, u64, Option<SystemTime>)>;

/// The models of a path by name: an ONNX file is one, a folder has ONNX files and folders of models.
///
/// # Errors
/// If the path cannot be read, or is a file of another kind.
pub fn find(path: &Path) -> io::Result<BTreeMap<String, Place>> {
    let mut found = BTreeMap::new();
    if std::fs::metadata(path)?.is_file() {
        let name = name_of_file(path).ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidInput, format!("{} is no .onnx file", path.display()))
        })?;
        found.insert(name, Place::File(path.to_owned()));
        return Ok(found);
    }
    for entry in std::fs::read_dir(path)? {
        let path = entry?.path();
        let Some((name, place)) = model(&path) else { continue };
        match found.remove(&name) {
            Some(Place::File(other) | Place::Folder(other)) => {
                // The order of a folder is nobody's choice.
                let (one, other) = if other < path { (other, path) } else { (path, other) };
                found.insert(name, Place::Twice(one, other));
            }
            Some(twice @ Place::Twice(..)) => _ = found.insert(name, twice),
            None => _ = found.insert(name, place),
        }
    }
    Ok(found)
}

/// What a path is, if it is a model; hidden ones are none.
fn model(path: &Path) -> Option<(String, Place)> {
    let file_name = path.file_name()?.to_string_lossy();
    if file_name.starts_with('.') {
        return None;
    }
    let kind = std::fs::metadata(path).ok()?;
    if kind.is_file() {
        return Some((name_of_file(path)?, Place::File(path.to_owned())));
    }
    let is_model =
        kind.is_dir() && (path.join(CONFIG).exists() || versions(path).is_ok_and(|all| !all.is_empty()));
    is_model.then(|| (file_name.into_owned(), Place::Folder(path.to_owned())))
}

fn name_of_file(path: &Path) -> Option<String> {
    let ends = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case(ENDING));
    ends.then(|| path.file_stem().map(|stem| stem.to_string_lossy().into_owned())).flatten()
}

/// The versions in a model's folder, upwards: folders whose names are whole numbers from 1, without leading zeros.
///
/// # Errors
/// If the folder cannot be read.
pub fn versions(folder: &Path) -> io::Result<Vec<i64>> {
    let mut versions = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let number =
            name.to_str().and_then(|name| name.parse::<i64>().ok().filter(|n| n.to_string() == name));
        if let Some(number) = number.filter(|number| *number > 0 && entry.path().is_dir()) {
            versions.push(number);
        }
    }
    versions.sort_unstable();
    Ok(versions)
}

/// A path below a folder, of a name that a configuration gives.
///
/// # Errors
/// If the name leads out of the folder, or nowhere.
pub fn inside(folder: &Path, name: &str) -> Result<PathBuf, String> {
    let plain = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
    if name.is_empty() || name.contains('\0') || !plain {
        return Err(format!("{:?} is no file below the model's folder", crate::wire::shown(name)));
    }
    Ok(folder.join(name))
}

/// The bytes of a file that has at most `most`.
///
/// # Errors
/// With the file's name: it cannot be read, is none, or has more.
pub fn read(path: &Path, most: u64) -> Result<Vec<u8>, String> {
    let named = |why: String| format!("{}: {why}", path.display());
    let kind = std::fs::metadata(path).map_err(|error| named(error.to_string()))?;
    if !kind.is_file() {
        return Err(named("is no file".into()));
    }
    let too_large = |bytes: u64| named(format!("has {bytes} bytes, at most {most} are taken"));
    if kind.len() > most {
        return Err(too_large(kind.len()));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(kind.len()).unwrap_or_default());
    let file = std::fs::File::open(path).map_err(|error| named(error.to_string()))?;
    file.take(most.saturating_add(1)).read_to_end(&mut bytes).map_err(|error| named(error.to_string()))?;
    // It may have grown since.
    if bytes.len() as u64 > most { Err(too_large(bytes.len() as u64)) } else { Ok(bytes) }
}

/// The stamp of a model as it is now; what cannot be read is left out.
pub fn stamp(place: &Place) -> Stamp {
    let mut stamp = Stamp::new();
    match place {
        Place::File(path) => {
            note(path, 0, &mut stamp);
            preprocessing::places(path, None).iter().for_each(|path| note(path, 0, &mut stamp));
        }
        Place::Folder(folder) => note(folder, DEEPEST, &mut stamp),
        Place::Twice(one, other) => {
            note(one, 0, &mut stamp);
            note(other, 0, &mut stamp);
        }
    }
    stamp.sort();
    stamp
}

fn note(path: &Path, deeper: u32, stamp: &mut Stamp) {
    let Ok(kind) = std::fs::metadata(path) else { return };
    if stamp.len() >= MOST_FILES {
        return;
    }
    if !kind.is_dir() {
        stamp.push((path.to_owned(), kind.len(), kind.modified().ok()));
        return;
    }
    // A folder counts by what is in it, not by its own time.
    stamp.push((path.to_owned(), 0, None));
    if deeper > 0 {
        for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
            note(&entry.path(), deeper - 1, stamp);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn put(root: &Path, names: &[&str]) {
        for name in names {
            let path = root.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, b"x").unwrap();
        }
    }

    #[test]
    fn files_and_folders_are_models_under_their_own_names() {
        let root = tempfile::tempdir().unwrap();
        put(
            root.path(),
            &["A_b.onnx", "notes.txt", ".hidden.onnx", "unrelated/readme.md", "empty/config.pbtxt"],
        );
        put(
            root.path(),
            &["net/1/model.onnx", "net/10/model.onnx", "net/9/x", "net/01/x", "net/v2/x", "net/7"],
        );
        put(root.path(), &["twin.onnx", "twin/1/model.onnx"]);
        let found = find(root.path()).unwrap();
        assert_eq!(found.keys().collect::<Vec<_>>(), ["A_b", "empty", "net", "twin"]);
        assert_eq!(found["A_b"], Place::File(root.path().join("A_b.onnx")));
        assert_eq!(found["net"], Place::Folder(root.path().join("net")));
        assert!(matches!(found["twin"], Place::Twice(..)));
        assert_eq!(versions(&root.path().join("net")).unwrap(), [1, 9, 10]);
        assert_eq!(find(&root.path().join("A_b.onnx")).unwrap().keys().collect::<Vec<_>>(), ["A_b"]);
        assert!(find(&root.path().join("notes.txt")).unwrap_err().to_string().contains("no .onnx file"));
        assert!(find(&root.path().join("none")).is_err());
    }

    #[test]
    fn no_name_leads_out_of_the_folder() {
        let folder = Path::new("/models/net");
        assert_eq!(inside(folder, "sub/labels.txt").unwrap(), folder.join("sub/labels.txt"));
        for name in ["", "..", "../x", "/etc/passwd", "a/../../x", "./x", "a\0b"] {
            assert!(inside(folder, name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn a_stamp_is_of_what_is_in_the_files() {
        let root = tempfile::tempdir().unwrap();
        put(root.path(), &["net/config.pbtxt", "net/1/model.onnx"]);
        let place = Place::Folder(root.path().join("net"));
        let before = stamp(&place);
        assert_eq!(before, stamp(&place));
        fs::write(root.path().join("net/1/model.onnx"), b"xy").unwrap();
        assert_ne!(before, stamp(&place));
        assert!(read(&root.path().join("net/1/model.onnx"), 1).unwrap_err().contains("has 2 bytes"));
        assert!(read(&root.path().join("net/1"), 1).unwrap_err().contains("is no file"));
        assert_eq!(read(&root.path().join("net/1/model.onnx"), 2).unwrap(), b"xy");
    }
}
