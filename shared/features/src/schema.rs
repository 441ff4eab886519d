//! Columns of a dataset: name, type, whether missing values are allowed, sensitive and label flags.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema as ArrowSchema, SchemaRef, TimeUnit};
use serde::{Deserialize, Serialize};

use crate::digest::sha256;

/// The zone of every timestamp column. An offset, because a zone's name would need a table of zones.
pub const UTC: &str = "+00:00";

/// The five types of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// IEEE double.
    Float64,
    /// Signed 64 bits.
    Int64,
    /// Text.
    Utf8,
    /// True or false.
    Bool,
    /// Microseconds since 1970, UTC.
    Timestamp,
}

impl Kind {
    /// As the contracts write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Float64 => "float64",
            Self::Int64 => "int64",
            Self::Utf8 => "utf8",
            Self::Bool => "bool",
            Self::Timestamp => "timestamp",
        }
    }

    /// The kind of that name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Float64, Self::Int64, Self::Utf8, Self::Bool, Self::Timestamp]
            .into_iter()
            .find(|kind| kind.as_str() == text)
    }

    /// The Arrow type.
    pub fn arrow(self) -> DataType {
        match self {
            Self::Float64 => DataType::Float64,
            Self::Int64 => DataType::Int64,
            Self::Utf8 => DataType::Utf8,
            Self::Bool => DataType::Boolean,
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into())),
        }
    }

    /// The kind of an Arrow type, if it is one of the five.
    pub fn of(data_type: &DataType) -> Option<Self> {
        match data_type {
            DataType::Float64 => Some(Self::Float64),
            DataType::Int64 => Some(Self::Int64),
            DataType::Utf8 => Some(Self::Utf8),
            DataType::Boolean => Some(Self::Bool),
            DataType::Timestamp(TimeUnit::Microsecond, _) => Some(Self::Timestamp),
            _ => None,
        }
    }

    /// Whether it counts or measures.
    pub fn is_number(self) -> bool {
        matches!(self, Self::Float64 | Self::Int64)
    }
}

/// One column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// Whether a value may be missing.
    pub nullable: bool,
    /// A group column: kept for fairness, never a feature by itself.
    pub sensitive: bool,
    /// What a model is to predict.
    pub label: bool,
}

impl Column {
    /// Whether its profile counts values instead of cutting a range: text, truth values, labels and groups.
    pub fn is_categorical(&self) -> bool {
        match self.kind {
            Kind::Utf8 | Kind::Bool => true,
            Kind::Int64 => self.label || self.sensitive,
            Kind::Float64 | Kind::Timestamp => false,
        }
    }
}

/// The columns of a dataset version in order.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Schema {
    /// In the order of the file.
    pub columns: Vec<Column>,
}

impl Schema {
    /// The column of that name.
    pub fn find(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// The Arrow schema. Every field is nullable: what is missing is judged by quality, not refused by a type.
    pub fn arrow(&self) -> SchemaRef {
        let field = |column: &Column| Field::new(&column.name, column.kind.arrow(), true);
        Arc::new(ArrowSchema::new(self.columns.iter().map(field).collect::<Vec<_>>()))
    }

    /// Canonical JSON: one line, fields in a fixed order.
    pub fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default() // texts and flags only: cannot fail
    }

    /// `sha256:` of [`Schema::json`].
    pub fn digest(&self) -> String {
        sha256(self.json().as_bytes())
    }
}
