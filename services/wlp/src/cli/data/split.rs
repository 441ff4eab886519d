//! `wlp data split`: a table in its splits, with their audit.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, ValueEnum};
use contracts::pipeline::v1::splits::Method as WireMethod;
use contracts::pipeline::v1::{BuildPlan, DataFormat, Splits};
use contracts::time::duration_to_wire;
use data_pipeline::local;
use features::leakage::Verdict;
use serde_json::json;

use super::{open, print, shown};

/// How rows are dealt out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Method {
    /// By a hash of what they are, in exact shares.
    Random,
    /// Each value of --stratify in the asked shares.
    Stratified,
    /// Rows of a --group stay together.
    Group,
    /// Earlier rows, by --time, come before later ones.
    Time,
    /// Whole groups, dealt out so that every split has its share of each value of --stratify.
    StratifiedGroup,
    /// By a hash of --entity: no row moves when rows are added.
    Entity,
}

/// The form of the files that are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    Parquet,
    Csv,
    Jsonl,
}

/// Cuts a table into train, validation and test, writes each as a file, and audits what one part knows of another: keys,
/// equal rows and near-duplicates in several parts, overlap in time, whether a model can tell the parts apart, label shares.
///
/// The same rows, method and seed give the same splits everywhere. Exits with 2 if the audit found a leak.
#[derive(Debug, Args)]
pub struct Split {
    /// The file.
    file: PathBuf,
    /// How rows are dealt out.
    #[arg(long, value_enum, default_value = "random")]
    method: Method,
    /// Folder for the files; it must not have files of these names.
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
    /// Share of the training split.
    #[arg(long, default_value_t = 0.7)]
    train: f64,
    /// Share of the validation split.
    #[arg(long, default_value_t = 0.1)]
    validation: f64,
    /// Share of the test split.
    #[arg(long, default_value_t = 0.2)]
    test: f64,
    /// Fixes what is left to chance.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Column whose values every split gets its share of.
    #[arg(long, value_name = "COLUMN", default_value = "", hide_default_value = true)]
    stratify: String,
    /// Column whose equal values stay together.
    #[arg(long, value_name = "COLUMN", default_value = "", hide_default_value = true)]
    group: String,
    /// Column of the event's time.
    #[arg(long, value_name = "COLUMN", default_value = "", hide_default_value = true)]
    time: String,
    /// Rows less than this before the next split begins are left out, as 7d, 12h, 30m, 45s.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    embargo: Option<Duration>,
    /// Column that names an entity; several times for a name of several columns.
    #[arg(long, value_name = "COLUMN")]
    entity: Vec<String>,
    /// Column that names a row: it tells rows apart and says nothing of them.
    #[arg(long, value_name = "COLUMN")]
    key: Vec<String>,
    /// Column of the label, for the audit.
    #[arg(long, value_name = "COLUMN", default_value = "", hide_default_value = true)]
    label: String,
    /// Near-duplicates, of Jaccard index 0.8 or more, stay together as well.
    #[arg(long)]
    near_duplicates: bool,
    /// Column that near-duplicates are compared by; without it, texts where there are any, else all values.
    #[arg(long, value_name = "COLUMN", requires = "near_duplicates")]
    near_column: Vec<String>,
    /// Form of the files; without it, that of the input, and Parquet for Arrow.
    #[arg(long, value_enum)]
    format: Option<Form>,
    /// Prints the outcome as JSON in place of the table.
    #[arg(long)]
    json: bool,
    /// Memory for the table, in MiB.
    #[arg(long, value_name = "MIB", default_value_t = 2048)]
    max_memory: usize,
    /// Bytes that a compressed or columnar file may unfold to; without it, as many as are believed of a file of its size.
    #[arg(long, value_name = "BYTES")]
    max_unfolded: Option<u64>,
}

impl Split {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let mut file = open(&self.file, self.max_unfolded)?;
        let rows = file.whole(self.max_memory.saturating_mul(1 << 20))?;
        let made = local::split(rows, &self.plan())?;
        let form = self.format.unwrap_or(match file.table.format {
            tabular::Format::Csv | tabular::Format::Tsv => Form::Csv,
            tabular::Format::Jsonl => Form::Jsonl,
            _ => Form::Parquet,
        });
        let written = self.write(&made, form)?;
        let leaks = made.audit.iter().any(|one| one.verdict == Verdict::Fail);
        let unread = file.unread();
        let left = made.left_out;
        if self.json {
            let parts: Vec<_> = made
                .parts
                .iter()
                .zip(&written)
                .map(|((name, rows), path)| json!({ "split": name, "rows": rows.num_rows(), "file": path }))
                .collect();
            let left =
                json!({ "without_time": left.without_time, "torn": left.torn, "embargoed": left.embargoed });
            let told =
                json!({ "splits": parts, "left_out": left, "unread_rows": unread, "audit": made.audit });
            print(&format!("{}\n", serde_json::to_string_pretty(&told)?))?;
        } else {
            print(&table(&made, &written, unread))?;
        }
        Ok(if leaks { ExitCode::from(2) } else { ExitCode::SUCCESS })
    }

    /// The options as the plan of a build.
    fn plan(&self) -> BuildPlan {
        let method = match self.method {
            Method::Random => WireMethod::Random,
            Method::Stratified => WireMethod::Stratified,
            Method::Group => WireMethod::Group,
            Method::Time => WireMethod::Time,
            Method::StratifiedGroup => WireMethod::StratifiedGroup,
            Method::Entity => WireMethod::Entity,
        };
        BuildPlan {
            key_columns: self.key.clone(),
            label_column: self.label.clone(),
            event_time_column: self.time.clone(),
            seed: self.seed,
            splits: Some(Splits {
                train: self.train,
                validation: self.validation,
                test: self.test,
                stratify_column: self.stratify.clone(),
                group_column: self.group.clone(),
                method: method.into(),
                embargo: self.embargo.map(duration_to_wire),
                entity_columns: self.entity.clone(),
                near_duplicates: self.near_duplicates,
                near_duplicate_columns: self.near_column.clone(),
            }),
            ..BuildPlan::default()
        }
    }

    /// Writes all files or none, and none over another.
    fn write(&self, made: &local::Splits, form: Form) -> anyhow::Result<Vec<PathBuf>> {
        let (format, extension) = match form {
            Form::Parquet => (DataFormat::Parquet, "parquet"),
            Form::Csv => (DataFormat::Csv, "csv"),
            Form::Jsonl => (DataFormat::Jsonl, "jsonl"),
        };
        std::fs::create_dir_all(&self.out)
            .with_context(|| format!("{} cannot be made", self.out.display()))?;
        let path = |name: &str| self.out.join(format!("{name}.{extension}"));
        for (name, _) in &made.parts {
            anyhow::ensure!(!path(name).exists(), "{} exists", path(name).display());
        }
        let mut ready = Vec::new();
        for (name, rows) in &made.parts {
            let mut file = tempfile::NamedTempFile::new_in(&self.out)?;
            file.write_all(&local::file(rows, format)?)?;
            ready.push((file, path(name)));
        }
        let mut written: Vec<PathBuf> = Vec::new();
        for (file, path) in ready {
            if let Err(error) = file.persist_noclobber(&path) {
                written.iter().for_each(|path| drop(std::fs::remove_file(path)));
                return Err(error.error).with_context(|| format!("{} cannot be written", path.display()));
            }
            written.push(path);
        }
        Ok(written)
    }
}

fn table(made: &local::Splits, written: &[PathBuf], unread: u64) -> String {
    let mut out = String::new();
    let total: usize = made.parts.iter().map(|(_, rows)| rows.num_rows()).sum();
    for ((name, rows), path) in made.parts.iter().zip(written) {
        let share = 100.0 * rows.num_rows() as f64 / total.max(1) as f64;
        let _ =
            writeln!(out, "{name:<11} {:>10} rows {share:>5.1} %  {}", rows.num_rows(), Path::display(path));
    }
    let left = made.left_out;
    for (count, why) in [
        (left.without_time, "have no time"),
        (left.torn, "are earlier than the split of their group"),
        (left.embargoed, "are in the embargo"),
        (unread, "cannot be read"),
    ] {
        if count > 0 {
            let _ = writeln!(out, "left out    {count:>10} rows that {why}");
        }
    }
    if !made.audit.is_empty() {
        out.push_str("\naudit\n");
    }
    for one in &made.audit {
        let verdict = match one.verdict {
            Verdict::Pass => "ok",
            Verdict::Fail => "LEAK",
            Verdict::Inconclusive => "unclear",
        };
        let interval =
            one.interval.map_or(String::new(), |it| format!(" ({:.3} to {:.3})", it.lower, it.upper));
        let value = match (one.value.is_nan(), one.interval) {
            (true, _) => "-".to_owned(),
            (false, None) => format!("{:.0}", one.value),
            (false, Some(_)) => format!("{:.3}", one.value),
        };
        let what: String = one.what.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let _ = writeln!(out, "  {verdict:<8} {value}{interval}  {what}");
        if !one.sample.is_empty() && one.verdict == Verdict::Fail {
            let rows: Vec<String> = one.sample.iter().take(10).map(|row| (row + 1).to_string()).collect();
            let _ = writeln!(out, "           rows {}", shown(&rows.join(", ")));
        }
    }
    out
}

/// `7d`, `12h`, `30m`, `45s`.
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no duration: give 7d, 12h, 30m or 45s");
    let unit = text.chars().last().ok_or_else(wrong)?;
    let seconds = match unit {
        'd' => 86_400,
        'h' => 3_600,
        'm' => 60,
        's' => 1,
        _ => return Err(wrong()),
    };
    let count: u64 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    count.checked_mul(seconds).map(Duration::from_secs).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::duration;
    use std::time::Duration;

    #[test]
    fn durations_have_a_unit() {
        assert_eq!(duration("7d"), Ok(Duration::from_secs(604_800)));
        assert_eq!(duration("30m"), Ok(Duration::from_secs(1_800)));
        for bad in ["", "7", "d", "-1s", "1é", "99999999999999999d"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
