//! What is wrong with a policy file: every field at once.

use std::collections::BTreeSet;
use std::fmt::{Debug, Display};

/// A policy that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// The text is not the YAML of a policy: syntax, an unknown, missing or mistyped field.
    #[error("policy cannot be read: {0}")]
    Unreadable(String),
    /// The fields are readable, but their values contradict the procedure's form.
    #[error("policy is invalid: {}", list(.0))]
    Invalid(Vec<BadField>),
}

fn list(bad: &[BadField]) -> String {
    bad.iter().map(|field| format!("{} {}", field.path, field.problem)).collect::<Vec<_>>().join("; ")
}

/// One bad field of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadField {
    /// Dotted path, `acceptance.thresholds[2].value`.
    pub path: String,
    /// What is wrong, `must be between 0 and 1`.
    pub problem: String,
}

/// Collects the bad fields while the sections check themselves.
#[derive(Debug, Default)]
pub struct Problems(pub(crate) Vec<BadField>);

impl Problems {
    /// Adds a bad field unless `holds`.
    pub fn require(&mut self, holds: bool, path: impl Into<String>, problem: impl Into<String>) {
        if !holds {
            self.0.push(BadField { path: path.into(), problem: problem.into() });
        }
    }

    /// Requires a share strictly between 0 and 1.
    pub fn inner_share(&mut self, path: &str, value: f64) {
        self.require(value > 0.0 && value < 1.0, path, format!("must lie between 0 and 1, is {value}"));
    }

    /// Requires a finite number above zero.
    pub fn positive(&mut self, path: &str, value: f64) {
        self.require(value.is_finite() && value > 0.0, path, format!("must be above 0, is {value}"));
    }

    /// Requires a text that is not blank.
    pub fn text(&mut self, path: impl Into<String>, text: &str) {
        self.require(!text.trim().is_empty(), path, "must not be empty");
    }

    /// Requires that the keys contain each of `all` exactly once.
    pub fn exactly<K: Ord + Debug + Display + Copy>(
        &mut self,
        path: &str,
        keys: impl Iterator<Item = K>,
        all: &[K],
    ) {
        let mut seen = BTreeSet::new();
        for key in keys {
            self.require(seen.insert(key), path, format!("names {key} twice"));
            self.require(all.contains(&key), path, format!("names {key}, which does not belong there"));
        }
        for key in all {
            self.require(seen.contains(key), path, format!("lacks {key}"));
        }
    }
}
