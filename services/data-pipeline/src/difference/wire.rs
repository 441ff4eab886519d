//! What `features::diff` found, on the wire.

use contracts::pipeline::v1 as wire;
use contracts::pipeline::v1::column_change::Kind;
use features::diff::{ColumnChange, ColumnDifference, Drift, Movement, RowCounts};

/// A change of the columns.
pub fn change(change: &ColumnChange) -> wire::ColumnChange {
    let made = |kind: Kind, column: &str, before: &str, after: &str| wire::ColumnChange {
        kind: kind.into(),
        column: column.to_owned(),
        before: before.to_owned(),
        after: after.to_owned(),
        order: Vec::new(),
    };
    match change {
        ColumnChange::Added { column, kind } => made(Kind::Added, column, "", kind.as_str()),
        ColumnChange::Removed { column, kind } => made(Kind::Removed, column, kind.as_str(), ""),
        ColumnChange::Retyped { column, before, after } => {
            made(Kind::Retyped, column, before.as_str(), after.as_str())
        }
        ColumnChange::Reordered { columns } => wire::ColumnChange {
            kind: Kind::Reordered.into(),
            order: columns.clone(),
            ..wire::ColumnChange::default()
        },
    }
}

/// Counts of rows.
pub fn counts(rows: &RowCounts) -> wire::RowCounts {
    wire::RowCounts {
        before: rows.before,
        after: rows.after,
        same: rows.same,
        changed: rows.changed,
        added: rows.added,
        removed: rows.removed,
        repeated_before: rows.repeated_before,
        repeated_after: rows.repeated_after,
    }
}

/// A column that both have.
pub fn column(column: &ColumnDifference) -> wire::ColumnDifference {
    wire::ColumnDifference {
        column: column.column.clone(),
        changed: column.changed,
        missing_before: column.missing_before,
        missing_after: column.missing_after,
        missing_shift_lower: column.missing_shift.map(|shift| shift.lower),
        missing_shift_upper: column.missing_shift.map(|shift| shift.upper),
        drift: column.drift.as_ref().map(drift),
    }
}

fn drift(drift: &Drift) -> wire::ColumnDrift {
    wire::ColumnDrift {
        psi: drift.distances.psi,
        jensen_shannon: drift.distances.jensen_shannon,
        ks: drift.ks.map(|ks| ks.statistic),
        p_value: drift.p_value,
        novel_lower: drift.novel.map(|novel| novel.lower),
        novel_upper: drift.novel.map(|novel| novel.upper),
        sample_before: drift.sample_before,
        sample_after: drift.sample_after,
        drifted: drift.drifted,
    }
}

/// Rows that went from one split to another.
pub fn movement(movement: &Movement) -> wire::SplitMovement {
    wire::SplitMovement { from: movement.from.clone(), to: movement.to.clone(), rows: movement.rows }
}
