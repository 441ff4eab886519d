//! The profile of a file: one pass over its rows, in bounded memory, the same outcome on one thread or many.

pub mod contract;
pub mod duplicates;
mod fairness;
mod findings;
mod gaps;
pub mod groups;
pub mod near;
pub mod pattern;
mod people;
pub mod quality;
pub mod report;
pub mod state;
pub mod stats;
mod suggest;
mod summary;
pub mod values;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

pub use quality::Targets;
pub use report::{Report, Verdict};

use crate::declared::Declared;
use crate::error::{Error, Result};
use crate::table::{Reader, Table};
use contract::Contract;
use duplicates::{Duplicates, Repeats};
use groups::Names;
use quality::Facts;
use state::{Scratch, Setup, State};
use stats::Sizes;

/// Sensitive columns whose groups are counted at most, beside the label.
const GROUPS: usize = duplicates::GROUP_COLUMNS - 1;

/// How a profile is made.
#[derive(Debug, Clone, Copy)]
pub struct Options<'a> {
    /// What was declared.
    pub declared: Option<&'a Declared>,
    /// What the quality should be.
    pub targets: Option<&'a Targets>,
    /// The present time, microseconds since 1970.
    pub now: f64,
    /// Threads at most.
    pub threads: NonZeroUsize,
}

/// Profiles a table. Where the types of a text's first rows do not hold for all, they are settled and it is read again.
///
/// # Errors
/// If the file cannot be read, is damaged or meets a limit.
pub fn run(table: &mut Table, options: Options<'_>) -> Result<Report> {
    loop {
        let setup = setup(table, options.declared);
        if let Some(state) = read(&setup, options.threads)? {
            return tell(setup, &state, options);
        }
        drop(setup);
        table.settle(options.declared)?;
    }
}

fn setup<'a>(table: &'a Table, declared: Option<&Declared>) -> Setup<'a> {
    let at = |name: &String| table.columns.iter().position(|column| column.plan.name == *name);
    let empty = Declared::default();
    let declared = declared.unwrap_or(&empty);
    let label = declared.label.as_ref().and_then(at);
    let sensitive = declared.columns.iter().filter(|(_, column)| column.sensitive).map(|(name, _)| name);
    let sensitive = sensitive.filter_map(at).filter(|at| Some(*at) != label);
    let groups: Vec<usize> = label.into_iter().chain(sensitive.take(GROUPS)).collect();
    Setup {
        contract: Contract::new(declared, &table.columns),
        sizes: Sizes::of(table.columns.len()),
        key: declared.key.iter().filter_map(at).collect(),
        names: groups.iter().map(|_| Names::default()).collect(),
        groups,
        label,
        rows: Mutex::new(Duplicates::default()),
        keys: Mutex::new(Duplicates::default()),
        unlabelled: Mutex::new(Duplicates::default()),
        unfolded: AtomicU64::new(0),
        table,
    }
}

/// Pieces that were read and wait for an earlier one.
struct Order {
    next: usize,
    waiting: BTreeMap<usize, State>,
    whole: State,
}

/// Reads all rows; `None` if the types of the first rows do not hold.
fn read(setup: &Setup<'_>, threads: NonZeroUsize) -> Result<Option<State>> {
    let reader = setup.table.reader()?;
    let order = Mutex::new(Order { next: 0, waiting: BTreeMap::new(), whole: State::new(setup) });
    let failed: Mutex<Option<(usize, Error)>> = Mutex::new(None);
    let stop = AtomicBool::new(false);
    let work = || {
        let mut scratch = Scratch::default();
        while !stop.load(Ordering::Relaxed) {
            match piece(&reader, setup, &mut scratch) {
                Ok(Some((at, Some(state)))) => put(&order, at, state),
                Ok(Some((_, None)) | None) => return,
                Err((at, error)) => {
                    stop.store(true, Ordering::Relaxed);
                    let mut failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
                    // The first one of the file is told, as far as it was met.
                    if failed.as_ref().is_none_or(|(before, _)| at < *before) {
                        *failed = Some((at, error));
                    }
                    return;
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads.get() {
            scope.spawn(work);
        }
        work();
    });
    if let Some((_, error)) = failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(error);
    }
    let order = order.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok((!reader.is_stale()).then_some(order.whole))
}

type Piece = std::result::Result<Option<(usize, Option<State>)>, (usize, Error)>;

/// Reads the next piece of the file; no state if its values do not fit.
fn piece(reader: &Reader<'_>, setup: &Setup<'_>, scratch: &mut Scratch) -> Piece {
    let Some((at, job)) = reader.next().map_err(|error| (usize::MAX, error))? else { return Ok(None) };
    let mut state = State::new(setup);
    let fits =
        reader.decode(job, &mut |part| state.add(&part, setup, scratch)).map_err(|error| (at, error))?;
    Ok(Some((at, fits.then_some(state))))
}

/// Merges a piece when all before it are there. What waits is bounded by the number of threads.
fn put(order: &Mutex<Order>, at: usize, state: State) {
    let mut order = order.lock().unwrap_or_else(PoisonError::into_inner);
    order.waiting.insert(at, state);
    loop {
        let next = order.next;
        let Some(state) = order.waiting.remove(&next) else { return };
        order.whole.merge(state);
        order.next += 1;
    }
}

fn tell(mut setup: Setup<'_>, state: &State, options: Options<'_>) -> Result<Report> {
    let table = setup.table;
    let io = |error| Error::io(&table.source.path, &error);
    let taken = |duplicates: &mut Mutex<Duplicates>| {
        std::mem::take(duplicates.get_mut().unwrap_or_else(PoisonError::into_inner))
    };
    let (rows, keys, unlabelled) =
        (taken(&mut setup.rows), taken(&mut setup.keys), taken(&mut setup.unlabelled));
    let (duplicate_rows, duplicates) = by_group(rows, setup.groups.len()).map_err(io)?;
    let duplicate_keys = (!setup.key.is_empty()).then(|| keys.finish().map_err(io)).transpose()?;
    let unlabelled = setup.label.map(|_| unlabelled.finish().map_err(io)).transpose()?;
    // Rows that are alike without their label are fewer than rows that are alike with it by the labels beyond the first.
    let label_conflicts = unlabelled.map(|it| it.duplicates.saturating_sub(duplicate_rows.duplicates));
    let columns = table.columns.iter().zip(&state.columns);
    let columns = columns.map(|(column, kept)| summary::column(column, kept, state.rows, options.declared));
    let quarantine = report::Quarantine {
        left: state.quarantine.left,
        broken: state.quarantine.broken,
        counts: (state.quarantine.counts())
            .map(|(reason, column, count)| report::Count { reason, column: column.map(str::to_owned), count })
            .collect(),
        examples: state.quarantine.examples().cloned().collect(),
    };
    let mut notes = table.notes.clone();
    let others = table.columns.iter().filter(|column| column.other);
    notes.extend(
        others.map(|it| format!("column {:?} is {} and is profiled as text", it.plan.name, it.stored)),
    );
    let mut told = Report {
        file: report::File {
            name: table.source.path.display().to_string(),
            bytes: table.source.size,
            format: table.format,
            compression: table.source.compression,
            encoding: table.encoding,
            dialect: table.dialect,
            notes,
        },
        rows: state.rows,
        columns: columns.collect(),
        duplicate_rows,
        duplicate_keys,
        near_duplicates: None,
        label_conflicts,
        quarantine,
        breaches: setup.contract.breaches.clone(),
        quality: Vec::new(),
        findings: Vec::new(),
        suggested: Declared::default(),
        declared: options.declared.is_some(),
    };
    told.near_duplicates = state.near.find(&told.columns, told.rows, setup.label);
    let facts = Facts {
        state,
        duplicates: &duplicates,
        setup: &setup,
        declared: options.declared,
        targets: options.targets,
        now: options.now,
    };
    told.quality = quality::measure(&facts, &told);
    told.findings = findings::all(&told, &facts);
    told.suggested = suggest::schema(&told);
    if let Some(declared) = options.declared {
        told.suggested.label.clone_from(&declared.label);
        told.suggested.key.clone_from(&declared.key);
        told.suggested.event_time.clone_from(&declared.event_time);
    }
    Ok(told)
}

/// Counts duplicates, and how many each group has by its name, for each group column.
fn by_group(rows: Duplicates, columns: usize) -> std::io::Result<(Repeats, Vec<BTreeMap<u8, u64>>)> {
    let mut counts = vec![BTreeMap::new(); columns];
    let repeats = rows.finish_with(|hash, more| {
        for (column, counts) in counts.iter_mut().enumerate() {
            *counts.entry(duplicates::group_of(hash, column)).or_default() += more;
        }
    })?;
    Ok((repeats, counts))
}
