//! Raw inputs as text columns, read by `shared/tabular` whatever their format.
//!
//! A file is hostile until it was read, so it is read by a worker: this program started once more, with limits on memory,
//! processor time, time and files, which leaves an Arrow file, a file of rejected rows and one line of answer in a folder of
//! its own. The folder goes with the reading, however it ends.
//!
//! - `worker.rs` is the worker's main, which does the job of `tabular::raw`; `confine.rs` what it may not do; `start.rs` how it
//!   is started and heard; `result.rs` takes in what it left.
//! - `stores.rs` fetches what lies in a store of the configuration.

mod confine;
mod result;
mod start;
mod stores;
mod worker;

use std::path::{Path, PathBuf};
use std::time::Duration;

use contracts::pipeline::v1::DataFormat;

pub use result::Read;
pub use stores::Stores;
pub use worker::{answer_if_asked, this_program};

use crate::table::{SOURCE_ROW, SPLIT};
use crate::{Error, Limits, ReaderOptions, blocking};
use tabular::raw::{Asked, Blame, Fault, Job};
use worker::Work;

/// Room in a file for what is not a value: lengths, marks of missing values, names.
const FILE_ROOM: u64 = 64 << 20;

/// Reads inputs.
#[derive(Debug)]
pub struct Reader {
    /// The program of the worker; without one inputs are read in this process.
    program: Option<PathBuf>,
    options: ReaderOptions,
    folder: PathBuf,
}

/// One input that is to be read.
#[derive(Debug)]
pub struct Input<'a> {
    /// As errors call it: `inputs[0] (sha256:…)`.
    pub name: &'a str,
    /// The file.
    pub path: PathBuf,
    /// The format that the request names.
    pub format: DataFormat,
    /// Place in the request.
    pub at: usize,
    /// Rows of the inputs before it, with those that could not be read.
    pub first_row: u64,
    /// Lines of quarantine that may be written.
    pub quarantine_lines: usize,
}

/// What the plan says of columns before anything is read.
#[derive(Debug, Default)]
pub struct Spoken {
    /// Columns that are not kept.
    pub dropped: Vec<String>,
    /// Texts that mean "missing".
    pub missing: Vec<String>,
    /// Columns that have to be there.
    pub names: Vec<String>,
}

impl Reader {
    /// Where files may lie for a while.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Longest that one input may take.
    pub fn wall(&self) -> Duration {
        Duration::from_secs(self.options.wall_s)
    }

    /// A reader whose files lie in `folder` for as long as it reads; what an earlier process left there is removed.
    ///
    /// # Errors
    /// If the folder cannot be made empty.
    pub fn open(program: Option<PathBuf>, options: ReaderOptions, folder: &Path) -> std::io::Result<Self> {
        if folder.exists() {
            std::fs::remove_dir_all(folder)?;
        }
        std::fs::create_dir_all(folder)?;
        let program = program.filter(|_| options.own_process);
        if program.is_none() {
            tracing::warn!("inputs are read in the service's own process: a hostile file may take it along");
        }
        Ok(Self { program, options, folder: std::path::absolute(folder)? })
    }

    /// Reads a file of at most `limits` as nullable text columns.
    ///
    /// # Errors
    /// [`Error::BadData`] for the file; [`Error::Reader`] where the host is to blame.
    pub async fn read(&self, input: Input<'_>, spoken: &Spoken, limits: Limits) -> Result<Read, Error> {
        let name = input.name.to_owned();
        let folder = tempfile::Builder::new()
            .prefix("read-")
            .tempdir_in(&self.folder)
            .map_err(|error| Error::Reader { input: name.clone(), what: error.to_string() })?;
        let work = self.work(&input, spoken, limits, folder.path())?;
        let said = |fault: Fault| match fault.blame {
            Blame::Data => Error::BadData { input: name.clone(), what: fault.what },
            Blame::Host => Error::Reader { input: name.clone(), what: fault.what },
        };
        let answer = match &self.program {
            Some(program) => start::ask(program, &work, folder.path(), self.wall()).await,
            None => {
                let job = work.job.clone();
                blocking::run(input.name, move || Ok(tabular::raw::read(&job))).await?
            }
        };
        let found = answer.map_err(said)?;
        let taken = blocking::run(input.name, move || Ok(result::take_in(&work.job, found))).await?;
        taken.map_err(said)
    }

    fn work(&self, input: &Input<'_>, spoken: &Spoken, limits: Limits, folder: &Path) -> Result<Work, Error> {
        let path = std::path::absolute(&input.path);
        let path =
            path.map_err(|error| Error::Reader { input: input.name.into(), what: error.to_string() })?;
        let (table, unfolded) = (limits.table_bytes as u64, self.options.unfolded_bytes);
        let job = Job {
            path,
            format: asked(input.format),
            input: input.at,
            first_row: input.first_row,
            dropped: spoken.dropped.clone(),
            missing: spoken.missing.clone(),
            names: spoken.names.clone(),
            reserved: [SOURCE_ROW, SPLIT].map(String::from).to_vec(),
            rows: limits.rows,
            columns: limits.columns,
            cell_bytes: limits.cell_bytes,
            table_bytes: limits.table_bytes,
            unfolded_bytes: unfolded,
            quarantine_lines: input.quarantine_lines,
            result: folder.join("rows.arrow"),
            quarantine: folder.join("quarantine.jsonl"),
        };
        Ok(Work {
            job,
            memory: self.options.memory_mib.saturating_mul(1 << 20),
            cpu_s: self.options.cpu_s,
            file_bytes: table.saturating_mul(2).saturating_add(FILE_ROOM).max(unfolded),
        })
    }
}

fn asked(format: DataFormat) -> Option<Asked> {
    match format {
        DataFormat::Unspecified => None,
        DataFormat::Csv => Some(Asked::Csv),
        DataFormat::Tsv => Some(Asked::Tsv),
        DataFormat::Jsonl => Some(Asked::Jsonl),
        DataFormat::Parquet => Some(Asked::Parquet),
        DataFormat::Arrow => Some(Asked::Arrow),
    }
}
