//! Columns that came, went, moved or changed their type.

use std::collections::HashMap;

use arrow::datatypes::Schema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::schema::Kind;

/// One change of the columns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "lowercase")]
pub enum ColumnChange {
    /// Only the second table has it.
    Added {
        /// Its name.
        column: String,
        /// Its type.
        kind: Kind,
    },
    /// Only the first table has it.
    Removed {
        /// Its name.
        column: String,
        /// Its type.
        kind: Kind,
    },
    /// Both have it, with different types.
    Retyped {
        /// Its name.
        column: String,
        /// Its type in the first table.
        before: Kind,
        /// Its type in the second.
        after: Kind,
    },
    /// The columns that both have stand in another order.
    Reordered {
        /// Their order in the second table.
        columns: Vec<String>,
    },
}

/// A column that both have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Common {
    pub(super) name: String,
    pub(super) before: Kind,
    pub(super) after: Kind,
}

impl Common {
    pub(super) fn retyped(&self) -> bool {
        self.before != self.after
    }
}

/// The changes, and the columns that both have in the first table's order.
pub(super) fn compare(before: &Schema, after: &Schema) -> Result<(Vec<ColumnChange>, Vec<Common>)> {
    let (before, after) = (columns(before)?, columns(after)?);
    let map = |columns: &[(String, Kind)]| columns.iter().cloned().collect::<HashMap<String, Kind>>();
    let (in_before, in_after) = (map(&before), map(&after));
    let (mut changes, mut common) = (Vec::new(), Vec::new());
    for (name, kind) in &before {
        match in_after.get(name).copied() {
            None => changes.push(ColumnChange::Removed { column: name.clone(), kind: *kind }),
            Some(other) => {
                if other != *kind {
                    changes.push(ColumnChange::Retyped { column: name.clone(), before: *kind, after: other });
                }
                common.push(Common { name: name.clone(), before: *kind, after: other });
            }
        }
    }
    for (name, kind) in &after {
        if !in_before.contains_key(name) {
            changes.push(ColumnChange::Added { column: name.clone(), kind: *kind });
        }
    }
    let order: Vec<&String> =
        after.iter().map(|(name, _)| name).filter(|name| in_before.contains_key(*name)).collect();
    if order.iter().zip(&common).any(|(name, common)| **name != common.name) {
        changes.push(ColumnChange::Reordered { columns: order.into_iter().cloned().collect() });
    }
    Ok((changes, common))
}

/// Names and kinds; a name may stand once.
fn columns(schema: &Schema) -> Result<Vec<(String, Kind)>> {
    let mut out: Vec<(String, Kind)> = Vec::new();
    for field in schema.fields() {
        let kind = Kind::of(field.data_type()).ok_or_else(|| Error::Type {
            column: field.name().clone(),
            actual: field.data_type().to_string(),
            required: "float64, int64, utf8, bool or timestamp",
        })?;
        out.push((field.name().clone(), kind));
    }
    let mut names: Vec<&String> = out.iter().map(|(name, _)| name).collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(twice) => Err(Error::Twice(twice[0].clone())),
        None => Ok(out),
    }
}
