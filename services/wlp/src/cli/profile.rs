//! `wlp profile`: what is in a file, without a mesh.

use std::io::{IsTerminal, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use lifecycle::Policy;
use tabular::profile::{self, Options, Report, Targets};
use tabular::show::{self, Look};
use tabular::{Declared, Limits, Table};

/// Threads that are used unless a number is given.
const THREADS: usize = 8;
/// Letters in a line where nobody says how wide the terminal is.
const WIDTH: usize = 118;

/// Looks through a file and tells what is in it: types, missing values, ranges, frequent values, duplicates, the eight
/// dimensions of data quality, and what is worth a look.
///
/// CSV, TSV, JSON lines, Parquet and Arrow are recognised by their content, each also compressed with gzip or zstd. Exits with
/// 0 if all is well, with 1 if the file cannot be read, with 2 if it breaks the schema that was given.
#[derive(Debug, Args)]
pub struct Profile {
    /// The file.
    file: PathBuf,
    /// What the file should hold, as YAML or JSON: types, ranges, sets, patterns, units, sentinels, sensitive columns, key,
    /// event time, label. `--write-schema` makes one to begin with.
    #[arg(long, value_name = "FILE")]
    schema: Option<PathBuf>,
    /// Writes the profile as one HTML page.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Prints the profile as JSON in place of the table.
    #[arg(long)]
    json: bool,
    /// Writes a schema that this file meets.
    #[arg(long, value_name = "FILE")]
    write_schema: Option<PathBuf>,
    /// Threads; the outcome does not depend on their number.
    #[arg(long)]
    threads: Option<NonZeroUsize>,
    /// Bytes that a compressed or columnar file may unfold to; without it, as many as are believed of a file of its size.
    #[arg(long, value_name = "BYTES")]
    max_unfolded: Option<u64>,
}

impl Profile {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        self.keep_inputs()?;
        let declared = self.schema.as_deref().map(Declared::read).transpose()?;
        let mut limits = Limits::default();
        if let Some(bytes) = self.max_unfolded {
            (limits.unfolded_bytes, limits.unfolding) = (bytes, u64::MAX);
        }
        let mut table = Table::open(&self.file, limits, declared.as_ref())?;
        let bar = Bar::of(&table);
        let targets = targets(Policy::builtin());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let threads = self.threads.unwrap_or_else(|| {
            let cores = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
            cores.min(NonZeroUsize::new(THREADS).unwrap_or(cores))
        });
        let options = Options {
            declared: declared.as_ref(),
            targets: Some(&targets),
            now: now.as_micros() as f64,
            threads,
        };
        let report = profile::run(&mut table, options);
        drop(bar);
        let report = report?;
        self.tell(&report)?;
        Ok(if report.declared && !report.holds() { ExitCode::from(2) } else { ExitCode::SUCCESS })
    }

    /// What is written must not be what is read.
    fn keep_inputs(&self) -> anyhow::Result<()> {
        let same =
            |a: &Path, b: &Path| a.canonicalize().is_ok_and(|a| b.canonicalize().is_ok_and(|b| a == b));
        for output in self.html.iter().chain(&self.write_schema) {
            let input = std::iter::once(&self.file).chain(&self.schema).any(|input| same(input, output));
            anyhow::ensure!(!input, "{} is read, and would be written over", output.display());
        }
        Ok(())
    }

    fn tell(&self, report: &Report) -> anyhow::Result<()> {
        if let Some(path) = &self.html {
            write(path, &show::page(report))?;
        }
        if let Some(path) = &self.write_schema {
            write(path, &serde_norway::to_string(&report.suggested)?)?;
        }
        if self.json {
            return print(&format!("{}\n", serde_json::to_string_pretty(report)?));
        }
        let terminal = console::Term::stdout();
        let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        let width = terminal.size_checked().map_or(WIDTH, |(_, width)| usize::from(width));
        let mut text = show::table(report, Look { colour, width });
        for path in self.html.iter().chain(&self.write_schema) {
            text = format!("{text}\nwritten: {}\n", path.display());
        }
        print(&text)
    }
}

/// Prints; who reads no further is no error.
fn print(text: &str) -> anyhow::Result<()> {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Writes a file as a whole or not at all.
fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let put = || -> std::io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(text.as_bytes())?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    };
    put().with_context(|| format!("{} cannot be written", path.display()))
}

/// What the procedure asks of data (§5.2).
fn targets(policy: &Policy) -> Targets {
    let quality = &policy.quality;
    Targets {
        confidence: quality.accuracy.confidence,
        accuracy: quality.accuracy.value.get(),
        audited: quality.accuracy.min_sample,
        missing: quality.missing.value,
        age: quality.age.below.get().as_secs_f64() / 86_400.0,
        duplicates: quality.duplicates.value,
        inconsistent: quality.inconsistent.value,
        invalid: quality.invalid.value,
        imbalance: quality.imbalance.value,
    }
}

/// A bar on standard error while the file is read; nothing where that is no terminal.
struct Bar {
    bar: ProgressBar,
    stop: std::sync::mpsc::Sender<()>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Bar {
    fn of(table: &Table) -> Self {
        let bar = if std::io::stderr().is_terminal() {
            ProgressBar::new(table.source.size)
        } else {
            ProgressBar::hidden()
        };
        if let Ok(style) = ProgressStyle::with_template("{wide_bar} {bytes}/{total_bytes} {eta}") {
            bar.set_style(style);
        }
        let (stop, stopped) = std::sync::mpsc::channel();
        let (read, shown) = (std::sync::Arc::clone(&table.source.read), bar.clone());
        let thread = std::thread::spawn(move || {
            let wait = Duration::from_millis(100);
            while matches!(stopped.recv_timeout(wait), Err(std::sync::mpsc::RecvTimeoutError::Timeout)) {
                shown.set_position(read.load(Ordering::Relaxed));
            }
        });
        Self { bar, stop, thread: Some(thread) }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        let _ = self.stop.send(());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        self.bar.finish_and_clear();
    }
}
