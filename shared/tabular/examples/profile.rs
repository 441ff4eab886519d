//! Profiles a file. `cargo run --release -p tabular --example profile -- FILE [THREADS] [bench | json | table | html]
//! [SCHEMA]`: what a bench asks for (rows, missing values of `num_norm_0`, e-mails that are none, duplicate rows), or all.

use std::io::Write;
use std::num::NonZeroUsize;
use std::path::Path;
use std::process::ExitCode;

use tabular::profile::{self, Options, Report};
use tabular::show::{self, Look};
use tabular::{Declared, Limits, Result, Table};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let argument = |at: usize| arguments.get(at).map(String::as_str);
    let Some(file) = argument(0) else {
        eprintln!("usage: profile FILE [THREADS] [bench | json | table | html] [SCHEMA]");
        return ExitCode::FAILURE;
    };
    let threads = argument(1).and_then(|text| text.parse().ok()).unwrap_or(NonZeroUsize::MIN);
    match made(Path::new(file), threads, argument(3).map(Path::new)) {
        Ok(report) => {
            let text = match argument(2) {
                Some("json") => serde_json::to_string(&report).unwrap_or_default(),
                Some("table") => show::table(&report, Look { colour: false, width: 150 }),
                Some("html") => show::page(&report),
                _ => bench(&report),
            };
            // Who reads no further is no error.
            let _ = writeln!(std::io::stdout(), "{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn made(file: &Path, threads: NonZeroUsize, schema: Option<&Path>) -> Result<Report> {
    let declared = schema.map(Declared::read).transpose()?;
    let mut table = Table::open(file, Limits::default(), declared.as_ref())?;
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_micros() as f64;
    profile::run(&mut table, Options { declared: declared.as_ref(), targets: None, now, threads })
}

fn bench(report: &Report) -> String {
    let column = |name: &str| report.columns.iter().find(|column| column.name == name);
    let email =
        column("email").and_then(|column| column.texts.as_ref()).and_then(|it| it.looks_like.as_ref());
    let shown = serde_json::json!({
        "n": report.rows,
        "null_norm0": column("num_norm_0").map(|column| column.missing.count),
        "bad_email": email.map(|looks| looks.misfits),
        "dups": report.duplicate_rows.duplicates,
    });
    shown.to_string()
}
