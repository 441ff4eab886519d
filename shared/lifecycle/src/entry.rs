//! The model registry entry (§6.4): the procedure's YAML, typed, read and written without loss.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    share::Share,
    version::{ModelVersionId, Version},
};

/// A registry entry, exactly the fields of the procedure's sample.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegistryEntry {
    /// `{model_name}-v{major}.{minor}.{patch}`
    pub model_id: ModelVersionId,
    /// Base model; empty when trained from scratch.
    pub base_model: String,
    /// Quantization scheme; `none` without.
    pub quantization: String,
    /// `ds-v2.1.0`
    pub training_data_version: DatasetTag,
    /// Main hyperparameters.
    pub training_config: TrainingConfig,
    /// Main numbers.
    pub metrics: EntryMetrics,
    /// RFC 3339, UTC.
    pub created_at: Timestamp,
    /// Who made it.
    pub created_by: String,
    /// State of the version, lower case.
    pub status: String,
}

/// Main hyperparameters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingConfig {
    /// Passes over the data.
    pub epochs: u32,
    /// Step size, in the spelling it was given: `2e-5`.
    pub learning_rate: Spelled,
    /// Rows per step.
    pub batch_size: u32,
}

/// Main numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EntryMetrics {
    /// Task accuracy, 0..=1.
    pub accuracy: Share,
    /// Median latency with its unit.
    pub latency_p50: Latency,
    /// Demographic parity, 0..=1.
    pub fairness_score: Share,
}

/// A version tag of a dataset, `ds-v2.1.0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DatasetTag(pub Version);

impl TryFrom<String> for DatasetTag {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let version = text.strip_prefix("ds-v").and_then(|version| version.parse().ok());
        version.map(Self).ok_or_else(|| format!("{text:?} is no dataset version such as ds-v2.1.0"))
    }
}

impl From<DatasetTag> for String {
    fn from(tag: DatasetTag) -> Self {
        format!("ds-v{}", tag.0)
    }
}

impl fmt::Display for DatasetTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ds-v{}", self.0)
    }
}

/// A latency in milliseconds, written with its unit: `450ms`, `1.5s`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Latency {
    /// Milliseconds, at least 0.
    pub milliseconds: f64,
}

impl TryFrom<String> for Latency {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let (number, factor) =
            match (text.strip_suffix("ms"), text.strip_suffix("us"), text.strip_suffix('s')) {
                (Some(number), _, _) => (number, 1.0),
                (_, Some(number), _) => (number, 1e-3),
                (_, _, Some(number)) => (number, 1e3),
                _ => ("", 1.0),
            };
        let plain = number.starts_with(|first: char| first.is_ascii_digit());
        match number.trim().parse::<f64>() {
            Ok(value) if plain && value.is_finite() => Ok(Self { milliseconds: value * factor }),
            _ => Err(format!("{text:?} is no latency such as 450ms")),
        }
    }
}

impl From<Latency> for String {
    fn from(latency: Latency) -> Self {
        format!("{}ms", latency.milliseconds)
    }
}

/// A positive number that keeps its spelling, because `2e-5` and `0.00002` are the same number but not the same file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Spelled(String);

impl TryFrom<String> for Spelled {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Self::new(text)
    }
}

impl From<Spelled> for String {
    fn from(number: Spelled) -> Self {
        number.0
    }
}

impl Spelled {
    /// A number from its spelling.
    ///
    /// # Errors
    /// When it is no finite number above zero.
    pub fn new(text: impl Into<String>) -> Result<Self, String> {
        let text = text.into();
        match text.parse::<f64>() {
            Ok(value) if value.is_finite() && value > 0.0 => Ok(Self(text)),
            _ => Err(format!("{text:?} is no number above zero")),
        }
    }

    /// The number.
    pub fn value(&self) -> f64 {
        self.0.parse().unwrap_or(f64::NAN)
    }
}

/// An RFC 3339 time in UTC to the second, `2026-01-21T10:00:00Z`, kept as written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Timestamp(String);

impl TryFrom<String> for Timestamp {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let shape = text.bytes().zip(*b"dddd-dd-ddTdd:dd:ddZ").all(|(byte, shape)| match shape {
            b'd' => byte.is_ascii_digit(),
            exact => byte == exact,
        });
        let part =
            |range: std::ops::Range<usize>| text.get(range).and_then(|digits| digits.parse::<u32>().ok());
        let inside = |range: std::ops::Range<usize>, low: u32, high: u32| {
            part(range).is_some_and(|value| (low..=high).contains(&value))
        };
        let valid = text.len() == 20
            && shape
            && inside(5..7, 1, 12)
            && inside(8..10, 1, days_in_month(part(0..4), part(5..7)))
            && inside(11..13, 0, 23)
            && inside(14..16, 0, 59)
            && inside(17..19, 0, 59);
        if valid { Ok(Self(text)) } else { Err(format!("{text:?} is no time such as 2026-01-21T10:00:00Z")) }
    }
}

fn days_in_month(year: Option<u32>, month: Option<u32>) -> u32 {
    let year = year.unwrap_or(1);
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        Some(2) if leap => 29,
        Some(2) => 28,
        Some(4 | 6 | 9 | 11) => 30,
        _ => 31,
    }
}

impl From<Timestamp> for String {
    fn from(time: Timestamp) -> Self {
        time.0
    }
}

impl RegistryEntry {
    /// Reads an entry.
    ///
    /// # Errors
    /// What is wrong and where: an unknown, missing or malformed field.
    pub fn from_yaml(text: &str) -> Result<Self, String> {
        serde_norway::from_str(text).map_err(|error| error.to_string())
    }

    /// Writes the entry in the procedure's form and order of fields.
    pub fn to_yaml(&self) -> String {
        let Self { training_config: config, metrics, .. } = self;
        format!(
            "model_id: {}\nbase_model: {}\nquantization: {}\ntraining_data_version: {}\ntraining_config:\n  \
             epochs: {}\n  learning_rate: {}\n  batch_size: {}\nmetrics:\n  accuracy: {}\n  latency_p50: {}\n  \
             fairness_score: {}\ncreated_at: {}\ncreated_by: {}\nstatus: {}\n",
            self.model_id,
            scalar(&self.base_model),
            scalar(&self.quantization),
            self.training_data_version,
            config.epochs,
            config.learning_rate.0,
            config.batch_size,
            metrics.accuracy,
            String::from(metrics.latency_p50),
            metrics.fairness_score,
            self.created_at.0,
            scalar(&self.created_by),
            scalar(&self.status),
        )
    }
}

/// A text as a YAML scalar, quoted only where it must be.
fn scalar(text: &str) -> String {
    serde_norway::to_string(text).map_or_else(|_| format!("{text:?}"), |line| line.trim_end().to_owned())
}
