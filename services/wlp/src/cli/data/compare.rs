//! `wlp data compare`: how two dataset versions of a mesh differ.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Args;
use contracts::pipeline::v1::column_change::Kind;
use contracts::pipeline::v1::dataset_read_service_client::DatasetReadServiceClient;
use contracts::pipeline::v1::{
    ColumnChange, ColumnDifference, DatasetDifference, DiffDatasetVersionsRequest, QualityDifference,
};
use prost::Message as _;

use super::{print, shown};
use crate::cli::Caller;
use crate::reach::To;
use crate::wire_json;

/// Columns that are listed in the table; `--json` has all of them.
const LISTED: usize = 60;

/// Tells how two dataset versions differ, as the data-pipeline has them stored: columns, rows by key, drift and missing values
/// of each column, movement between splits, quality. Rows are compared as they stand before transformation.
#[derive(Debug, Args)]
pub struct Compare {
    /// The earlier version, datasets/{dataset}/versions/{version}.
    before: String,
    /// The later version.
    after: String,
    /// Column that names a row; several times for a key of several columns. Without it, the key of the later version's plan.
    #[arg(long, value_name = "COLUMN")]
    by: Vec<String>,
    /// Column that is not compared row by row.
    #[arg(long, value_name = "COLUMN")]
    ignore: Vec<String>,
    /// Prints the difference as JSON in place of the table.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    caller: Caller,
}

impl Compare {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let peer = self.caller.peer(To::DataPipeline, "data-engineer")?;
        let request = DiffDatasetVersionsRequest {
            before: self.before,
            after: self.after,
            key_columns: self.by,
            ignore_columns: self.ignore,
            examples: 0,
        };
        let told = DatasetReadServiceClient::new(peer).diff_dataset_versions(request).await?.into_inner();
        if self.json {
            let kind = wire_json::message_type("wlp.pipeline.v1.DatasetDifference")?;
            let json = wire_json::to_json(kind, &told.encode_to_vec())?;
            print(&format!("{}\n", serde_json::to_string_pretty(&json)?))?;
        } else {
            print(&table(&told))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn table(told: &DatasetDifference) -> String {
    let mut out = String::new();
    let rows = told.rows.unwrap_or_default();
    let _ = writeln!(out, "{} → {}\n", told.before, told.after);
    let _ = writeln!(out, "rows      {:>12} → {}", rows.before, rows.after);
    for (what, count) in
        [("same", rows.same), ("changed", rows.changed), ("added", rows.added), ("removed", rows.removed)]
    {
        let _ = writeln!(out, "{what:<9} {count:>12}");
    }
    if told.key_columns.is_empty() {
        out.push_str("          without a key no row can be called changed\n");
    } else {
        let _ = writeln!(out, "          matched by {}", shown(&told.key_columns.join(", ")));
    }
    for (title, changes) in [("columns", &told.schema), ("columns before transformation", &told.clean_schema)]
    {
        if !changes.is_empty() {
            let _ = writeln!(out, "\n{title}");
            changes.iter().for_each(|change| out.push_str(&changed(change)));
        }
    }
    if !told.moved.is_empty() {
        out.push_str("\nmoved between splits\n");
    }
    for one in &told.moved {
        let _ = writeln!(out, "  {} → {}  {}", shown(&one.from), shown(&one.to), one.rows);
    }
    values(&told.columns, &mut out);
    qualities(&told.quality, &mut out);
    let _ = match told.bump.as_str() {
        "" => writeln!(out, "\nnothing differs"),
        bump => writeln!(out, "\na {bump} change"),
    };
    out
}

fn changed(change: &ColumnChange) -> String {
    let (column, before, after) = (shown(&change.column), shown(&change.before), shown(&change.after));
    match change.kind() {
        Kind::Added => format!("  + {column} {after}\n"),
        Kind::Removed => format!("  - {column} {before}\n"),
        Kind::Reordered => "  ~ other order\n".into(),
        Kind::Retyped | Kind::Redeclared | Kind::Unspecified => format!("  ~ {column} {before} → {after}\n"),
    }
}

/// A line for each column in which something moved.
fn values(columns: &[ColumnDifference], out: &mut String) {
    let moved = |one: &&ColumnDifference| {
        one.changed > 0
            || one.missing_before != one.missing_after
            || one.drift.is_some_and(|drift| drift.drifted)
    };
    let lines: Vec<_> = columns.iter().filter(moved).collect();
    if lines.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n{:<28} {:>10} {:>21} {:>8} {:>8}", "column", "changed", "missing", "PSI", "p");
    for one in lines.iter().take(LISTED) {
        let missing = format!("{} → {}", one.missing_before, one.missing_after);
        let psi = one.drift.map_or(String::new(), |drift| format!("{:.3}", drift.psi));
        let p = one.drift.and_then(|drift| drift.p_value).map_or(String::new(), |p| format!("{p:.4}"));
        let drift = if one.drift.is_some_and(|drift| drift.drifted) { " drifted" } else { "" };
        let name: String = shown(&one.column).chars().take(28).collect();
        let _ = writeln!(out, "{name:<28} {:>10} {missing:>21} {psi:>8} {p:>8}{drift}", one.changed);
    }
    if LISTED < lines.len() {
        let _ = writeln!(out, "and {} more columns", lines.len() - LISTED);
    }
}

/// A line for each dimension that was measured of both and differs.
fn qualities(quality: &[QualityDifference], out: &mut String) {
    let value =
        |value: Option<f64>| value.map_or_else(|| "not measured".into(), |value| format!("{value:.5}"));
    let lines: Vec<_> = quality.iter().filter(|one| value(one.before) != value(one.after)).collect();
    if !lines.is_empty() {
        out.push_str("\nquality\n");
    }
    for one in lines {
        let _ = writeln!(out, "  {:<14} {} → {}", one.dimension, value(one.before), value(one.after));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contracts::pipeline::v1::{ColumnDrift, RowCounts, SplitMovement};

    #[test]
    fn the_table_names_what_moved_and_nothing_else() {
        let column = |name: &str, changed, drifted| ColumnDifference {
            column: name.into(),
            changed,
            drift: Some(ColumnDrift { psi: 0.25, p_value: Some(0.0001), drifted, ..ColumnDrift::default() }),
            ..ColumnDifference::default()
        };
        let told = DatasetDifference {
            before: "datasets/d/versions/1.0.0".into(),
            after: "datasets/d/versions/1.1.0".into(),
            key_columns: vec!["id".into()],
            rows: Some(RowCounts {
                before: 10,
                after: 12,
                same: 9,
                changed: 1,
                added: 2,
                ..RowCounts::default()
            }),
            columns: vec![column("still", 0, false), column("moved", 1, true)],
            moved: vec![SplitMovement { from: "train".into(), to: "test".into(), rows: 3 }],
            quality: vec![QualityDifference {
                dimension: "validity".into(),
                before: Some(0.5),
                ..QualityDifference::default()
            }],
            bump: "minor".into(),
            ..DatasetDifference::default()
        };
        let table = table(&told);
        for line in [
            "rows                10 → 12",
            "added                2",
            "matched by id",
            "train → test  3",
            "0.250   0.0001 drifted",
            "validity       0.50000 → not measured",
            "a minor change",
        ] {
            assert!(table.contains(line), "{line:?} in\n{table}");
        }
        assert!(!table.contains("still") && !table.contains("\ncolumns"), "{table}");
        let same = DatasetDifference { bump: String::new(), columns: vec![], ..told };
        assert!(super::table(&same).contains("nothing differs"));
    }
}
