//! `wlp data diff`: how two versions of a table differ.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use features::diff::{ColumnChange, Difference, Extent, Options, compare};
use lifecycle::dataset;
use serde_json::json;

use super::{open, print, shown};

/// Columns that are listed in the table; `--json` has all of them.
const LISTED: usize = 60;

/// Tells how two versions of a table differ: columns that came, went or changed their type; rows added, removed and changed
/// by key, and which columns changed in them; drift and missing values of each column; movement between splits.
///
/// Exits with 0, with 1 if a file cannot be read; with `--exit-code` also with 2 if the tables differ.
#[derive(Debug, Args)]
pub struct Diff {
    /// The earlier version.
    before: PathBuf,
    /// The later version.
    after: PathBuf,
    /// Column that names a row; several times for a key of several columns. Without it, a row that differs in any column is
    /// one removed and one added.
    #[arg(long, value_name = "COLUMN")]
    key: Vec<String>,
    /// Column that says which split a row is in.
    #[arg(long, value_name = "COLUMN")]
    split: Option<String>,
    /// Column that is not compared row by row, as a time of export.
    #[arg(long, value_name = "COLUMN")]
    ignore: Vec<String>,
    /// Prints the difference as JSON in place of the table.
    #[arg(long)]
    json: bool,
    /// Exits with 2 if the tables differ.
    #[arg(long)]
    exit_code: bool,
    /// Memory for the hashes of rows, in MiB; the files are read in several passes where it does not suffice.
    #[arg(long, value_name = "MIB", default_value_t = 512)]
    max_memory: usize,
    /// Bytes that a compressed or columnar file may unfold to; without it, as many as are believed of a file of its size.
    #[arg(long, value_name = "BYTES")]
    max_unfolded: Option<u64>,
}

impl Diff {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let mut before = open(&self.before, self.max_unfolded)?;
        let mut after = open(&self.after, self.max_unfolded)?;
        let options = Options {
            key: self.key.clone(),
            split: self.split.clone(),
            ignore: self.ignore.clone(),
            seed: getrandom::u64().context("no randomness")?,
            memory: self.max_memory.saturating_mul(1 << 20),
            ..Options::default()
        };
        let found = loop {
            match compare(&before, &after, &options) {
                Ok(found) => break found,
                Err(error) => {
                    let again = before.recover()? | after.recover()?;
                    if !again {
                        return Err(error.into());
                    }
                }
            }
        };
        let unread = [before.unread(), after.unread()];
        if self.json {
            let bump = bump(&found).map(|bump| bump.to_string());
            let told = json!({ "difference": found, "bump": bump, "unread_rows": unread });
            print(&format!("{}\n", serde_json::to_string_pretty(&told)?))?;
        } else {
            print(&self.table(&found, unread))?;
        }
        let differs = self.exit_code && found.extent != Extent::Nothing;
        Ok(if differs { ExitCode::from(2) } else { ExitCode::SUCCESS })
    }

    fn table(&self, found: &Difference, unread: [u64; 2]) -> String {
        let mut out = String::new();
        let rows = found.rows;
        let _ = writeln!(out, "{} → {}\n", self.before.display(), self.after.display());
        let _ = writeln!(out, "rows      {:>12} → {}", rows.before, rows.after);
        for (what, count) in
            [("same", rows.same), ("changed", rows.changed), ("added", rows.added), ("removed", rows.removed)]
        {
            let _ = writeln!(out, "{what:<9} {count:>12}");
        }
        if self.key.is_empty() {
            out.push_str("          without --key no row can be called changed\n");
        } else if rows.repeated_before + rows.repeated_after > 0 {
            let (before, after) = (rows.repeated_before, rows.repeated_after);
            let _ = writeln!(out, "          rows that repeat a key: {before} → {after}");
        }
        for (path, count) in
            [&self.before, &self.after].into_iter().zip(unread).filter(|(_, count)| *count > 0)
        {
            let _ = writeln!(
                out,
                "          {count} rows of {} cannot be read and were left out",
                path.display()
            );
        }
        self.examples(found, &mut out);
        if !found.schema.is_empty() {
            out.push_str("\ncolumns\n");
            found.schema.iter().for_each(|change| out.push_str(&changed(change)));
        }
        if !found.moved.is_empty() {
            out.push_str("\nmoved between splits\n");
        }
        for one in &found.moved {
            let _ = writeln!(out, "  {} → {}  {}", shown(&one.from), shown(&one.to), one.rows);
        }
        values(found, &mut out);
        let _ = match bump(found) {
            Some(bump) => writeln!(out, "\nnext version: {bump}"),
            None => writeln!(out, "\nnothing differs"),
        };
        out
    }

    fn examples(&self, found: &Difference, out: &mut String) {
        let line = |what: &str, places: Vec<String>, out: &mut String| {
            if !places.is_empty() {
                let _ = writeln!(out, "          first rows {what}: {}", places.join(", "));
            }
        };
        let one = |places: &[u64]| places.iter().map(|place| (place + 1).to_string()).collect();
        let both = found.examples.changed.iter();
        let both =
            both.map(|(a, b)| if a == b { (a + 1).to_string() } else { format!("{}→{}", a + 1, b + 1) });
        line("changed", both.collect(), out);
        line("added", one(&found.examples.added), out);
        line("removed", one(&found.examples.removed), out);
    }
}

fn changed(change: &ColumnChange) -> String {
    match change {
        ColumnChange::Added { column, kind } => format!("  + {} {}\n", shown(column), kind.as_str()),
        ColumnChange::Removed { column, kind } => format!("  - {} {}\n", shown(column), kind.as_str()),
        ColumnChange::Retyped { column, before, after } => {
            format!("  ~ {} {} → {}\n", shown(column), before.as_str(), after.as_str())
        }
        ColumnChange::Reordered { .. } => "  ~ other order\n".into(),
    }
}

/// A line for each column in which something moved.
fn values(found: &Difference, out: &mut String) {
    let moved = |one: &&features::diff::ColumnDifference| {
        one.changed > 0
            || one.missing_before != one.missing_after
            || one.drift.is_some_and(|drift| drift.drifted)
    };
    let lines: Vec<_> = found.columns.iter().filter(moved).collect();
    if lines.is_empty() {
        return;
    }
    let head = ["column", "changed", "missing", "PSI", "p", ""];
    let [column, count, missing, psi, p, drift] = head;
    let _ = writeln!(out, "\n{column:<28} {count:>10} {missing:>21} {psi:>8} {p:>8} {drift}");
    for one in lines.iter().take(LISTED) {
        let missing = format!("{} → {}", one.missing_before, one.missing_after);
        let psi = one.drift.map_or(String::new(), |drift| format!("{:.3}", drift.distances.psi));
        let p = one.drift.and_then(|drift| drift.p_value).map_or(String::new(), |p| format!("{p:.4}"));
        let drift = if one.drift.is_some_and(|drift| drift.drifted) { "drifted" } else { "" };
        let name: String = shown(&one.column).chars().take(28).collect();
        let _ = writeln!(out, "{name:<28} {:>10} {missing:>21} {psi:>8} {p:>8} {drift}", one.changed);
    }
    if LISTED < lines.len() {
        let _ = writeln!(out, "and {} more columns", lines.len() - LISTED);
    }
}

/// How the version's number grows.
fn bump(found: &Difference) -> Option<lifecycle::version::Bump> {
    dataset::bump(found.extent == Extent::Schema, found.extent == Extent::Rows, false)
}
