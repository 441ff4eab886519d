//! Who may import whom, over `cargo metadata`: the walls of the house.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, MetadataCommand, Package};

const SERVICES: [&str; 5] = ["registry", "data-pipeline", "evaluator", "gateway", "monitor"];

/// What each crate may import of ours. Services take any shared crate; `wlp` and `tests` take everything.
fn allowed(package: &str) -> Option<BTreeSet<&'static str>> {
    let shared = [
        "lifecycle",
        "statistics",
        "features",
        "tabular",
        "aggregates",
        "contracts",
        "runtime",
        "storage",
        "engine",
    ];
    Some(match package {
        "statistics" | "contracts" | "runtime" | "storage" | "engine" => BTreeSet::new(),
        "lifecycle" | "features" | "aggregates" => ["statistics"].into(),
        "tabular" => ["statistics", "features"].into(),
        service if SERVICES.contains(&service) => shared.into(),
        _ => return None,
    })
}

/// Crates that do I/O, know the wire, or wait: none of them is reachable from a pure crate's own dependencies.
const IMPURE: [&str; 12] = [
    "tokio",
    "tonic",
    "prost",
    "sea-orm",
    "redis",
    "ort",
    "object_store",
    "datafusion",
    "hyper",
    "tracing",
    "axum",
    "config",
];

fn members() -> Vec<Package> {
    let metadata = MetadataCommand::new().no_deps().exec().expect("cargo metadata");
    metadata.packages
}

fn normal_dependencies(package: &Package) -> BTreeSet<String> {
    package
        .dependencies
        .iter()
        .filter(|dependency| matches!(dependency.kind, DependencyKind::Normal | DependencyKind::Build))
        .map(|dependency| dependency.name.clone())
        .collect()
}

#[test]
fn crates_import_only_what_they_may() {
    let packages = members();
    let ours: BTreeSet<String> = packages.iter().map(|package| package.name.to_string()).collect();
    for package in &packages {
        let Some(allowed) = allowed(&package.name) else { continue };
        let imported: BTreeSet<String> = normal_dependencies(package).intersection(&ours).cloned().collect();
        let forbidden: Vec<_> = imported.iter().filter(|name| !allowed.contains(name.as_str())).collect();
        assert!(forbidden.is_empty(), "{} imports {forbidden:?}", package.name);
    }
}

#[test]
fn rules_know_no_io() {
    for package in members() {
        if !["lifecycle", "statistics", "features"].contains(&package.name.as_str()) {
            continue;
        }
        let dependencies = normal_dependencies(&package);
        let impure: Vec<_> = IMPURE.iter().filter(|name| dependencies.contains(**name)).collect();
        assert!(impure.is_empty(), "{} imports {impure:?}", package.name);
    }
}

/// Words that a pure crate's source does not contain: it reads no clock, no file, no environment, no randomness of the host.
#[test]
fn rules_read_no_clock_and_no_file() {
    let forbidden =
        ["SystemTime::now", "Instant::now", "std::fs", "std::env", "std::net", "getrandom", "async fn"];
    for name in ["lifecycle", "statistics", "features"] {
        for (path, text) in sources(&format!("../shared/{name}/src")) {
            for word in forbidden {
                assert!(!text.contains(word), "{path} says {word}");
            }
        }
    }
}

#[test]
fn only_the_engine_knows_onnx_runtime_and_only_tasks_spawn() {
    let packages = members();
    for package in &packages {
        let name = package.name.as_str();
        // The bench holds the engine against ONNX Runtime without it.
        let may = ["engine", "serving-bench"].contains(&name);
        assert!(may || !normal_dependencies(package).contains("ort"), "{name} imports ort");
    }
    for service in SERVICES {
        for (path, text) in sources(&format!("../services/{service}/src")) {
            assert!(!text.contains("tokio::spawn"), "{path} spawns by itself: tasks have names");
        }
    }
}

#[test]
fn mains_are_short() {
    for service in SERVICES {
        let path = format!("{}/../services/{service}/src/main.rs", env!("CARGO_MANIFEST_DIR"));
        let lines = std::fs::read_to_string(&path).expect("a main").lines().count();
        assert!(lines < 30, "{path} has {lines} lines");
    }
}

/// Their packages build no test of them (`test = false`): one would be skipped unseen.
#[test]
fn mains_hold_no_tests() {
    for package in SERVICES.into_iter().chain(["wlp"]) {
        let path = format!("{}/../services/{package}/src/main.rs", env!("CARGO_MANIFEST_DIR"));
        let main = std::fs::read_to_string(&path).expect("a main");
        assert!(
            !main.contains("test]") && !main.contains("cfg(test)"),
            "{path} holds tests that nothing runs"
        );
    }
}

fn sources(folder: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder of sources") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                found.insert(path.display().to_string(), std::fs::read_to_string(&path).expect("a source"));
            }
        }
    }
    found
}
