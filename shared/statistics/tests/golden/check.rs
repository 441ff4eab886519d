//! Reads the cases, compares numbers, and says at the end what was not covered.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;
use statistics::error::{Error, Result};

pub struct Check {
    root: PathBuf,
    all: BTreeMap<String, BTreeSet<String>>,
    covered: BTreeSet<String>,
    left: BTreeMap<String, BTreeSet<String>>,
    compared: usize,
    failures: Vec<String>,
}

pub struct Case {
    pub id: String,
    pub input: Value,
    pub expected: Value,
    pub tolerance: f64,
}

impl Check {
    pub fn open() -> Option<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/golden");
        root.is_dir().then(|| Self {
            root,
            all: BTreeMap::new(),
            covered: BTreeSet::new(),
            left: BTreeMap::new(),
            compared: 0,
            failures: Vec::new(),
        })
    }

    pub fn json(&self, path: &str) -> Value {
        let text = std::fs::read_to_string(self.root.join(path)).expect(path);
        serde_json::from_str(&text).expect(path)
    }

    pub fn cases(&mut self, file: &str) -> Vec<Case> {
        let json = self.json(&format!("evaluation/{file}.json"));
        let usual = json["default_abs_tol"].as_f64().unwrap_or(1e-9);
        let cases: Vec<Case> = json["cases"]
            .as_array()
            .expect("cases")
            .iter()
            .map(|c| Case {
                id: format!("{file}/{}", c["id"].as_str().expect("id")),
                input: c["input"].clone(),
                expected: c["expected"].clone(),
                tolerance: c["abs_tol"].as_f64().unwrap_or(usual),
            })
            .collect();
        self.all.insert(file.to_owned(), cases.iter().map(|c| c.id.clone()).collect());
        cases
    }

    /// A finite expected value must be met; any other (NaN, infinity, an exception) must be an error.
    pub fn value(&mut self, case: &Case, key: &str, got: &Result<f64>) {
        let expected = &case.expected[key];
        self.number(&case.id, key, expected, got, case.tolerance);
    }

    pub fn number(&mut self, id: &str, key: &str, expected: &Value, got: &Result<f64>, tolerance: f64) {
        self.compared += 1;
        self.covered.insert(id.to_owned());
        let fits = match (expected.as_f64(), got) {
            (Some(want), Ok(got)) => (want - got).abs() <= tolerance * want.abs().max(1.0),
            (None, Err(_)) => !expected.is_null(),
            _ => false,
        };
        if !fits {
            self.failures.push(format!("{id} {key}: expected {expected}, got {got:?}"));
        }
    }

    pub fn truth(&mut self, id: &str, what: &str, holds: bool) {
        self.compared += 1;
        self.covered.insert(id.to_owned());
        if !holds {
            self.failures.push(format!("{id} {what}"));
        }
    }

    /// A value of a covered case that this crate has no function for.
    pub fn leave(&mut self, id: &str, key: &str) {
        self.left.entry(id.to_owned()).or_default().insert(key.to_owned());
    }

    pub fn finish(self) {
        let missing: Vec<&String> =
            self.all.values().flatten().filter(|id| !self.covered.contains(*id)).collect();
        println!("golden: {} values of {} cases compared", self.compared, self.covered.len());
        println!("golden: cases not covered: {missing:?}");
        for (id, keys) in &self.left {
            println!("golden: values left out of {id}: {keys:?}");
        }
        assert!(self.failures.is_empty(), "{} differ:\n{}", self.failures.len(), self.failures.join("\n"));
    }
}

pub fn floats(value: &Value) -> Vec<f64> {
    let one = |v: &Value| match v.as_str() {
        Some("Infinity") => f64::INFINITY,
        Some("-Infinity") => f64::NEG_INFINITY,
        Some(_) => f64::NAN,
        None => v.as_f64().expect("a number"),
    };
    value.as_array().map(|a| a.iter().map(one).collect()).unwrap_or_default()
}

pub fn optional_floats(value: &Value) -> Option<Vec<f64>> {
    value.is_array().then(|| floats(value))
}

pub fn bools(value: &Value) -> Vec<bool> {
    floats(value).into_iter().map(|v| v > 0.5).collect()
}

pub fn indices(value: &Value) -> Vec<usize> {
    floats(value).into_iter().map(|v| v as usize).collect()
}

pub fn rows(value: &Value) -> Vec<Vec<f64>> {
    value.as_array().map(|a| a.iter().map(floats).collect()).unwrap_or_default()
}

pub fn undefined() -> Error {
    Error::Undefined { what: "value", why: "not computed" }
}
