//! Everything that the files of a model say of it, before it is loaded.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use contracts::inference::ModelConfig;
use contracts::inference::model_version_policy::PolicyChoice;
use engine::FieldError;

use super::folder::{self, CONFIG, Place};
use super::plan::{Plan, plan};
use super::{text, unsupported};
use crate::config::Config;
use crate::wire::shown;

/// Name of a model's file where its configuration gives none.
pub const MODEL_FILE: &str = "model.onnx";
/// Bytes of a configuration at most.
const MOST_CONFIG: u64 = 1 << 20;
/// Bytes of a file of labels at most.
const MOST_LABELS: u64 = 16 << 20;

/// A model as its files describe it.
#[derive(Debug, Clone)]
pub struct Sheet {
    /// As the file or folder is called.
    pub name: String,
    /// The model's folder; `None` for a file of its own.
    pub folder: Option<PathBuf>,
    /// Its configuration, as far as it has one.
    pub config: ModelConfig,
    /// What the configuration makes of the engine's options.
    pub plan: Plan,
    /// Names of classes by output.
    pub labels: BTreeMap<String, Vec<String>>,
    /// The versions to load, upwards, with their files.
    pub versions: Vec<(i64, PathBuf)>,
}

/// Reads a model's files, all but the model itself; a configuration that is given stands in place of the folder's. Blocks.
///
/// What a configuration asks for and is only passed over is logged, one line each.
///
/// # Errors
/// What is wrong, with the file and the line or the field; everything that could be found.
pub fn read(name: &str, place: &Place, server: &Config, given: Option<ModelConfig>) -> Result<Sheet, String> {
    let (folder, mut config) = match place {
        Place::File(_) => (None, given.unwrap_or_default()),
        Place::Folder(folder) => (Some(folder), given.map_or_else(|| config(folder), Ok)?),
        Place::Twice(one, other) => {
            return Err(format!("{} and {} have the same name", one.display(), other.display()));
        }
    };
    let mut bad = unsupported::refused(&config);
    for one in &bad {
        tracing::error!(model = %shown(name), field = %one.field, why = %one.description, "not supported");
    }
    if !config.name.is_empty() && config.name != name {
        let description = format!("{:?}, the folder is called {:?}", shown(&config.name), shown(name));
        bad.push(FieldError { field: "name".into(), description });
    }
    name.clone_into(&mut config.name);
    let planned = plan(&config, server).map_err(|wrong| bad.extend(wrong)).ok();
    let labels = labels(&config, folder.map(PathBuf::as_path)).map_err(|wrong| bad.extend(wrong)).ok();
    let versions = versions(&config, place).map_err(|wrong| bad.push(wrong)).ok();
    let (Some(plan), Some(labels), Some(versions), true) = (planned, labels, versions, bad.is_empty()) else {
        return Err(of_config(&bad));
    };
    for one in unsupported::ignored(&config) {
        tracing::warn!(model = %shown(name), field = %one.field, "not supported, passed over");
    }
    if let (Place::File(path), true) = (place, config.default_model_filename.is_empty()) {
        let file = path.file_name().unwrap_or_default();
        config.default_model_filename = file.to_string_lossy().into_owned();
    }
    Ok(Sheet { name: name.to_owned(), folder: folder.cloned(), config, plan, labels, versions })
}

/// What is wrong with fields of a configuration.
pub fn of_config(bad: &[FieldError]) -> String {
    let all: Vec<_> = bad.iter().map(ToString::to_string).collect();
    format!("{CONFIG}: {}", all.join("; "))
}

/// The configuration in a folder; an empty one where there is none.
fn config(folder: &Path) -> Result<ModelConfig, String> {
    let path = folder.join(CONFIG);
    if !path.exists() {
        return Ok(ModelConfig::default());
    }
    let bytes = folder::read(&path, MOST_CONFIG)?;
    let text = String::from_utf8(bytes).map_err(|_| format!("{CONFIG}: is not UTF-8"))?;
    text::parse(&text).map_err(|why| format!("{CONFIG}: {why}"))
}

/// The labels of every output that names a file of them: one a line.
fn labels(
    config: &ModelConfig,
    folder: Option<&Path>,
) -> Result<BTreeMap<String, Vec<String>>, Vec<FieldError>> {
    let (mut labels, mut bad) = (BTreeMap::new(), Vec::new());
    for output in config.output.iter().filter(|output| !output.label_filename.is_empty()) {
        let read = folder
            .ok_or_else(|| "there is no folder".to_owned())
            .and_then(|folder| folder::inside(folder, &output.label_filename))
            .and_then(|path| folder::read(&path, MOST_LABELS))
            .and_then(|bytes| String::from_utf8(bytes).map_err(|_| "is not UTF-8".to_owned()));
        match read {
            Ok(text) => _ = labels.insert(output.name.clone(), text.lines().map(str::to_owned).collect()),
            Err(description) => {
                let field = format!("output[{}].label_filename", shown(&output.name));
                bad.push(FieldError { field, description });
            }
        }
    }
    if bad.is_empty() { Ok(labels) } else { Err(bad) }
}

/// The versions that a configuration wants of those that are there.
fn versions(config: &ModelConfig, place: &Place) -> Result<Vec<(i64, PathBuf)>, FieldError> {
    let wrong = |field: &str, description: String| FieldError { field: field.into(), description };
    let folder = match place {
        Place::File(path) => return Ok(vec![(1, path.clone())]),
        Place::Folder(folder) | Place::Twice(folder, _) => folder,
    };
    let file = Some(config.default_model_filename.as_str()).filter(|name| !name.is_empty());
    let file = file.unwrap_or(MODEL_FILE);
    let there = folder::versions(folder).map_err(|error| wrong("version_policy", error.to_string()))?;
    let policy = config.version_policy.as_ref().and_then(|policy| policy.policy_choice.as_ref());
    let chosen = match policy {
        None => there.into_iter().rev().take(1).collect(),
        Some(PolicyChoice::All(_)) => there,
        Some(PolicyChoice::Latest(latest)) => {
            if latest.num_versions == 0 {
                return Err(wrong("version_policy.latest.num_versions", "0, required 1 or more".into()));
            }
            let mut newest: Vec<_> = there.into_iter().rev().take(latest.num_versions as usize).collect();
            newest.reverse();
            newest
        }
        Some(PolicyChoice::Specific(specific)) => {
            let (field, mut chosen) = ("version_policy.specific.versions", specific.versions.clone());
            if let Some(missing) = chosen.iter().find(|version| !there.contains(version)) {
                return Err(wrong(field, format!("{missing}: there is no folder of that version")));
            }
            if chosen.is_empty() {
                return Err(wrong(field, "is empty".into()));
            }
            chosen.sort_unstable();
            chosen.dedup();
            chosen
        }
    };
    if chosen.is_empty() {
        return Err(wrong("version_policy", format!("there is no version, required 1/{file}")));
    }
    let path =
        |version: i64| folder::inside(&folder.join(version.to_string()), file).map(|path| (version, path));
    let paths: Result<_, _> = chosen.into_iter().map(path).collect();
    paths.map_err(|why| wrong("default_model_filename", why))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// A repository with one model `net` of three versions and that configuration.
    fn repository(text: &str) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for version in ["1", "2", "10"] {
            fs::create_dir_all(root.path().join("net").join(version)).unwrap();
        }
        if !text.is_empty() {
            fs::write(root.path().join("net").join(CONFIG), text).unwrap();
        }
        fs::write(root.path().join("net/labels.txt"), "cat\ndog\n").unwrap();
        root
    }

    fn sheet(text: &str) -> Result<Sheet, String> {
        let root = repository(text);
        read("net", &Place::Folder(root.path().join("net")), &Config::default(), None)
    }

    fn numbers(text: &str) -> Vec<i64> {
        sheet(text).unwrap().versions.into_iter().map(|(version, _)| version).collect()
    }

    #[test]
    fn the_policy_chooses_among_the_versions_that_are_there() {
        assert_eq!(numbers(""), [10]);
        assert_eq!(numbers("version_policy { latest { num_versions: 2 } }"), [2, 10]);
        assert_eq!(numbers("version_policy { all { } }"), [1, 2, 10]);
        assert_eq!(numbers("version_policy { specific { versions: [ 10, 1, 1 ] } }"), [1, 10]);
        let other = sheet("default_model_filename: \"net.onnx\"").unwrap();
        assert!(other.versions[0].1.ends_with("net/10/net.onnx"));
    }

    #[test]
    fn labels_are_kept_by_output() {
        let text = "output [ { name: \"y\" label_filename: \"labels.txt\" }, { name: \"z\" } ]";
        let labels = sheet(text).unwrap().labels;
        assert_eq!(labels.keys().collect::<Vec<_>>(), ["y"]);
        assert_eq!(labels["y"], ["cat", "dog"]);
    }

    #[test]
    fn everything_that_is_wrong_is_named_with_its_field() {
        let text = "name: \"other\" platform: \"pytorch_libtorch\" max_batch_size: -1
            version_policy { specific { versions: [ 7 ] } }
            output [ { name: \"y\" label_filename: \"../labels.txt\" } ]";
        let why = sheet(text).unwrap_err();
        for part in [
            "config.pbtxt: platform: ",
            "name: \"other\", the folder is called \"net\"",
            "max_batch_size: -1, required 0 or more",
            "output[y].label_filename: ",
            "version_policy.specific.versions: 7: there is no folder of that version",
        ] {
            assert!(why.contains(part), "{part} in {why}");
        }
        let line = sheet("name: \"net\"\nmax_batch: 1").unwrap_err();
        assert!(line.starts_with("config.pbtxt: line 2: field 'max_batch' not found"), "{line}");
        let none = sheet("version_policy { latest { num_versions: 0 } }").unwrap_err();
        assert!(none.contains("version_policy.latest.num_versions: 0"), "{none}");
        let out = sheet("default_model_filename: \"../model.onnx\"").unwrap_err();
        assert!(out.contains("default_model_filename: "), "{out}");
        let empty = tempfile::tempdir().unwrap();
        let why = read("net", &Place::Folder(empty.path().into()), &Config::default(), None).unwrap_err();
        assert!(why.contains("there is no version, required 1/model.onnx"), "{why}");
        let twice = Place::Twice("a".into(), "b".into());
        assert!(
            read("net", &twice, &Config::default(), None).unwrap_err().contains("a and b have the same name")
        );
    }
}
