//! A declared schema: what a file should hold, as YAML or JSON.

use std::collections::BTreeMap;
use std::path::Path;

use features::Kind;
use serde::{Deserialize, Serialize};

use crate::error::{Cause, Error, Result};

/// Bytes of a schema file at most.
const BYTES: u64 = 4 << 20;
/// Bytes that a compiled pattern may take.
const PATTERN_BYTES: usize = 1 << 20;

/// What is declared of a file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Declared {
    /// The columns by name. A column of the file that is not here is profiled and not checked.
    #[serde(default)]
    pub columns: BTreeMap<String, Column>,
    /// Values that mean "missing" in every column, such as `?` or -999.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sentinels: Vec<Scalar>,
    /// Columns that together name a row: no two rows have the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub key: Vec<String>,
    /// The column that says when it happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_time: Option<String>,
    /// The column that a model is to predict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Rules between two columns of a row.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
    /// Shares of the population that each group of a sensitive column should have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub population: BTreeMap<String, BTreeMap<String, f64>>,
    /// Rows that were compared with the source of record, and how many of them were wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit: Option<Audit>,
    /// Whether a column that is not declared breaks the contract.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub closed: bool,
}

/// What is declared of a column.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// `int64`, `float64`, `utf8`, `bool` or `timestamp`; without it the values decide.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<Kind>,
    /// Whether every row must have a value.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub required: bool,
    /// Smallest number or earliest time that is allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<Scalar>,
    /// Largest number or latest time that is allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<Scalar>,
    /// The values that are allowed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<Scalar>,
    /// A regular expression that the whole text must match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// What a value is counted in; shown, not checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// Further values that mean "missing" in this column.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sentinels: Vec<Scalar>,
    /// Whether it says something of people that must not decide: a group column.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sensitive: bool,
    /// What it is; shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// A value as a person writes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Scalar {
    /// True or false.
    Truth(bool),
    /// A whole number.
    Whole(i64),
    /// A number.
    Number(f64),
    /// A text.
    Text(String),
}

impl Scalar {
    /// As text.
    pub fn text(&self) -> String {
        match self {
            Self::Truth(truth) => truth.to_string(),
            Self::Whole(whole) => whole.to_string(),
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text.clone(),
        }
    }

    /// As a number, a time in microseconds since 1970.
    pub fn number(&self, kind: Kind) -> Option<f64> {
        match (self, kind) {
            (Self::Text(text), Kind::Timestamp) => crate::typing::time(text.trim()).map(|it| it as f64),
            (_, Kind::Timestamp) => None,
            (Self::Whole(whole), _) => Some(*whole as f64),
            (Self::Number(number), _) => Some(*number),
            (Self::Text(text), _) => crate::typing::number(text.trim()),
            (Self::Truth(_), _) => None,
        }
    }
}

/// A rule between two columns of a row; it holds where one of them is missing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// A column of numbers or times.
    pub left: String,
    /// `<`, `<=`, `==`, `>=` or `>`.
    pub is: Comparator,
    /// A column of the same kind.
    pub right: String,
    /// By how much the rule may be missed.
    #[serde(default)]
    pub tolerance: f64,
}

/// How two values compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Comparator {
    /// Less.
    #[serde(rename = "<")]
    Less,
    /// Less or equal.
    #[serde(rename = "<=")]
    AtMost,
    /// Equal.
    #[serde(rename = "==")]
    Equal,
    /// Greater or equal.
    #[serde(rename = ">=")]
    AtLeast,
    /// Greater.
    #[serde(rename = ">")]
    Greater,
}

impl Comparator {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Less => "<",
            Self::AtMost => "<=",
            Self::Equal => "==",
            Self::AtLeast => ">=",
            Self::Greater => ">",
        }
    }

    /// Whether two values compare so, or miss it by no more than `tolerance`.
    pub fn holds(self, left: f64, right: f64, tolerance: f64) -> bool {
        match self {
            Self::Less => left < right + tolerance,
            Self::AtMost => left <= right + tolerance,
            Self::Equal => (left - right).abs() <= tolerance,
            Self::AtLeast => right <= left + tolerance,
            Self::Greater => right < left + tolerance,
        }
    }
}

/// Outcome of an audit against the source of record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Audit {
    /// Rows that were compared.
    pub checked: u64,
    /// Rows of them that were wrong.
    pub wrong: u64,
}

impl Declared {
    /// Reads a schema file.
    ///
    /// # Errors
    /// What is wrong, with the place.
    pub fn read(path: &Path) -> Result<Self> {
        let io = |error: std::io::Error| Error::io(path, &error);
        if std::fs::metadata(path).map_err(io)?.len() > BYTES {
            return Err(Error::new(Cause::Schema, path, format!("is larger than {BYTES} bytes")));
        }
        let text = std::fs::read_to_string(path).map_err(io)?;
        Self::parse(&text).map_err(|what| Error::new(Cause::Schema, path, what))
    }

    /// Reads a schema.
    ///
    /// # Errors
    /// Everything that is wrong, one line each.
    pub fn parse(text: &str) -> std::result::Result<Self, String> {
        let declared: Self = serde_norway::from_str(text).map_err(|error| error.to_string())?;
        let bad = declared.wrong();
        if bad.is_empty() { Ok(declared) } else { Err(bad.join("\n  ")) }
    }

    /// What does not fit together.
    fn wrong(&self) -> Vec<String> {
        let mut bad = Vec::new();
        for (name, column) in &self.columns {
            let kind = column.kind.unwrap_or(Kind::Float64);
            for (bound, value) in [("min", &column.min), ("max", &column.max)] {
                if value.as_ref().is_some_and(|value| value.number(kind).is_none_or(f64::is_nan)) {
                    bad.push(format!("columns.{name}.{bound}: is no {}", kind.as_str()));
                }
                if value.is_some() && matches!(kind, Kind::Utf8 | Kind::Bool) {
                    bad.push(format!("columns.{name}.{bound}: a {} has no range", kind.as_str()));
                }
            }
            let ends = [&column.min, &column.max].map(|end| end.as_ref().and_then(|end| end.number(kind)));
            if let [Some(min), Some(max)] = ends
                && max < min
            {
                bad.push(format!("columns.{name}.max: is below min"));
            }
            if let Some(pattern) = &column.pattern
                && let Err(error) = compiled(pattern)
            {
                bad.push(format!("columns.{name}.pattern: {error}"));
            }
        }
        for (at, rule) in self.rules.iter().enumerate() {
            if !(rule.tolerance.is_finite() && 0.0 <= rule.tolerance) {
                bad.push(format!("rules[{at}].tolerance: must be a finite number, zero or more"));
            }
        }
        for (name, shares) in &self.population {
            let fits = shares.values().all(|share| (0.0..=1.0).contains(share));
            if !fits || (shares.values().sum::<f64>() - 1.0).abs() > 1e-6 {
                bad.push(format!("population.{name}: must be shares between 0 and 1 that sum to 1"));
            }
        }
        if self.audit.is_some_and(|audit| audit.checked < audit.wrong || audit.checked == 0) {
            bad.push("audit: wrong must not be above checked, and checked above 0".into());
        }
        bad
    }

    /// Columns that something is said of and that `names` does not have.
    pub fn absent(&self, names: &[&str]) -> Vec<String> {
        let rules = self.rules.iter().flat_map(|rule| [&rule.left, &rule.right]);
        let mut absent: Vec<String> = (self.columns.keys())
            .chain(&self.key)
            .chain(&self.event_time)
            .chain(&self.label)
            .chain(self.population.keys())
            .chain(rules)
            .filter(|name| !names.contains(&name.as_str()))
            .cloned()
            .collect();
        absent.sort();
        absent.dedup();
        absent
    }

    /// Texts that mean "missing" in a column, as they are declared.
    pub fn sentinels(&self, column: &str) -> Vec<String> {
        let own = self.columns.get(column).map_or(&[][..], |column| &column.sentinels);
        self.sentinels.iter().chain(own).map(|scalar| scalar.text().trim().to_owned()).collect()
    }
}

/// A pattern that must match the whole text.
///
/// # Errors
/// Of the expression, in one line.
pub fn compiled(pattern: &str) -> std::result::Result<regex::Regex, String> {
    regex::RegexBuilder::new(&format!("^(?:{pattern})$"))
        .size_limit(PATTERN_BYTES)
        .build()
        .map_err(|error| error.to_string().lines().last().unwrap_or_default().trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_is_read_from_yaml_and_json() {
        let yaml = "
columns:
  age: {type: int64, min: 0, max: 120, unit: years, required: true}
  sex: {values: [Male, Female], sensitive: true}
  seen: {type: timestamp, min: 2020-01-01}
sentinels: ['?', -999]
label: income
";
        let declared = Declared::parse(yaml).unwrap();
        assert_eq!(declared.sentinels("age"), ["?", "-999"]);
        assert_eq!(declared.columns["age"].kind, Some(Kind::Int64));
        assert_eq!(declared.absent(&["age", "sex", "seen"]), ["income"]);
        let json = serde_json::to_string(&declared).unwrap();
        assert_eq!(Declared::parse(&json).unwrap(), declared);
    }

    #[test]
    fn every_bad_field_is_named() {
        let bad =
            Declared::parse("columns: {a: {min: 3, max: 1}, b: {pattern: '('}, c: {type: bool, min: 1}}");
        let bad = bad.unwrap_err();
        for field in ["columns.a.max", "columns.b.pattern", "columns.c.min"] {
            assert!(bad.contains(field), "{bad}");
        }
        assert!(Declared::parse("colums: {}").unwrap_err().contains("colums"));
        assert!(Declared::parse("columns: {a: {type: int}}").is_err());
    }
}
