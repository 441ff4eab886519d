//! What is kept of a table while its rows stream by: one for each piece of the file, merged in the file's order, so that the
//! outcome does not depend on how many threads there were.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use features::Kind;

use super::contract::{Contract, Notes};
use super::duplicates::{Duplicates, tagged};
use super::groups::{Groups, Names};
use super::near::Near;
use super::stats::{Numbers, Sizes, Texts};
use super::values::{self, FALSE, Lanes, Room, TRUE};
use crate::block::{Marker, Part};
use crate::error::{Cause, Error, Result};
use crate::quarantine::Quarantine;
use crate::table::Table;
use crate::typing;

/// What all pieces share.
pub struct Setup<'a> {
    /// The table.
    pub table: &'a Table,
    /// What is checked.
    pub contract: Contract,
    /// Sizes of the sketches.
    pub sizes: Sizes,
    /// Places of the columns of the key.
    pub key: Vec<usize>,
    /// Places of the columns whose groups are counted: the label, if there is one, and the sensitive columns.
    pub groups: Vec<usize>,
    /// Place of the label.
    pub label: Option<usize>,
    /// Hashes of whole rows.
    pub rows: Mutex<Duplicates>,
    /// Hashes of keys.
    pub keys: Mutex<Duplicates>,
    /// Hashes of rows without their label.
    pub unlabelled: Mutex<Duplicates>,
    /// Names of the groups in the hashes of rows, one for each of `groups`.
    pub names: Vec<Names>,
    /// Bytes of all texts of a columnar file.
    pub unfolded: AtomicU64,
}

/// What is kept of one column.
#[derive(Debug, Clone)]
pub struct ColumnState {
    /// Rows without any value.
    pub nulls: u64,
    /// Empty texts.
    pub empty: u64,
    /// Rows with a declared sentinel, by how it is written.
    pub sentinels: BTreeMap<String, u64>,
    /// Rows of a column that is not text with something that can only mean "missing".
    pub suspects: BTreeMap<String, u64>,
    /// NaN.
    pub nan: u64,
    /// Infinite, above and below.
    pub infinite: (u64, u64),
    /// The values.
    pub values: Values,
}

/// Values of a column by their kind.
#[derive(Debug, Clone)]
pub enum Values {
    /// Numbers and times.
    Numbers(Box<Numbers>),
    /// Texts and truth values.
    Texts(Box<Texts>),
}

/// What is kept of a piece of the table.
#[derive(Debug)]
pub struct State {
    /// Rows in the table.
    pub rows: u64,
    /// One for each column.
    pub columns: Vec<ColumnState>,
    /// Rows that are wrong.
    pub quarantine: Quarantine,
    /// Sum and sum of squares of the number of missing cells in a row.
    pub missing: (u64, u64),
    /// Rows by the values of the group columns.
    pub groups: Vec<Groups>,
    /// Rows in which a rule between columns could be checked, and those in which one did not hold.
    pub ruled: (u64, u64),
    /// Texts of the first rows.
    pub near: Near,
}

/// Room that a thread uses again and again.
#[derive(Default)]
pub struct Scratch {
    room: Room,
    lanes: Lanes,
    key: Lanes,
    unlabelled: Lanes,
    tags: Vec<u64>,
    dense: (Vec<f64>, Vec<u64>),
    hashes: Vec<u128>,
    missing: Vec<u32>,
    levels: Vec<Vec<usize>>,
}

impl State {
    /// Nothing seen.
    pub fn new(setup: &Setup<'_>) -> Self {
        let column = |kind: Kind| ColumnState {
            nulls: 0,
            empty: 0,
            sentinels: BTreeMap::new(),
            suspects: BTreeMap::new(),
            nan: 0,
            infinite: (0, 0),
            values: match kind {
                Kind::Utf8 | Kind::Bool => Values::Texts(Box::new(Texts::new(setup.sizes))),
                _ => Values::Numbers(Box::new(Numbers::new(setup.sizes))),
            },
        };
        Self {
            rows: 0,
            columns: setup.table.columns.iter().map(|it| column(it.plan.kind)).collect(),
            quarantine: Quarantine::default(),
            missing: (0, 0),
            groups: setup.groups.iter().map(|_| Groups::new(setup.table.columns.len())).collect(),
            ruled: (0, 0),
            near: Near::new(setup.table.columns.iter().map(|it| it.plan.kind)),
        }
    }

    /// Takes a part of the table.
    ///
    /// # Errors
    /// If a limit is met, or the temporary file fails.
    pub fn add(&mut self, part: &Part, setup: &Setup<'_>, scratch: &mut Scratch) -> Result<()> {
        let (rows, path) = (part.batch.num_rows(), setup.table.source.path.as_path());
        self.rows += rows as u64;
        let mut left: Vec<u64> = part.rejects.iter().map(|reject| reject.row).collect();
        left.dedup();
        self.quarantine.left += left.len() as u64;
        part.rejects.iter().for_each(|reject| self.quarantine.add(reject.clone()));
        let Scratch { room, lanes, key, unlabelled, tags, dense, hashes, missing, levels } = scratch;
        lanes.begin(rows);
        key.begin(rows);
        if setup.label.is_some() {
            unlabelled.begin(rows);
        }
        tags.clear();
        tags.resize(rows, 0);
        missing.clear();
        missing.resize(rows, 0);
        let (mut wrong, mut kept) = (vec![false; rows], HashMap::new());
        let number = |row: usize| part.rows.number(row);
        let near = self.near.wanted(rows, &number);
        let labels = self.begin_groups(part, setup, room, levels, tags)?;
        for (at, array) in part.batch.columns().iter().enumerate() {
            let fail = |error| bad(path, &error, &setup.table.columns[at].plan.name);
            let column = values::read(array, room).map_err(fail)?;
            let texts = match &column {
                values::Column::Texts(texts) => {
                    unfolds(setup, at, texts, room, &number)?;
                    values::hash_texts(texts, room);
                    Some(texts)
                }
                _ => None,
            };
            let state = &mut self.columns[at];
            let markers = &part.markers[at];
            state.add(&column, room, markers, &setup.table.columns[at].plan.sentinels, dense);
            lanes.take(room);
            if setup.key.contains(&at) {
                key.take(room);
            }
            if setup.label.is_some_and(|label| label != at) {
                unlabelled.take(room);
            }
            if let Some(texts) = texts {
                self.near.add(at, texts, &room.missing, near);
            }
            for (count, is) in missing.iter_mut().zip(&room.missing) {
                *count += u32::from(*is);
            }
            for (groups, levels) in self.groups.iter_mut().zip(&*levels) {
                groups.add_missing(at, &room.missing, levels);
            }
            let check = &setup.contract.checks[at];
            if !check.is_empty() {
                let mut notes =
                    Notes { wrong: &mut wrong, quarantine: &mut self.quarantine, number: &number };
                check.run(room, texts, &mut notes);
            }
            if setup.contract.between.iter().any(|rule| rule.left == at || rule.right == at) {
                let known = room.numbers.iter().zip(&room.missing);
                kept.insert(
                    at,
                    known.map(|(number, missing)| if *missing { f64::NAN } else { *number }).collect(),
                );
            }
        }
        if let Some(labels) = labels {
            for (groups, levels) in self.groups.iter_mut().zip(&*levels) {
                groups.add_labels(&labels, levels);
            }
        }
        self.near.end(near);
        let before = self.quarantine_rules(&kept, setup, &mut wrong, &number);
        self.ruled.0 += before.0;
        self.ruled.1 += before.1;
        self.quarantine.broken += wrong.iter().filter(|wrong| **wrong).count() as u64;
        self.missing.0 += missing.iter().map(|count| u64::from(*count)).sum::<u64>();
        self.missing.1 += missing.iter().map(|count| u64::from(*count).pow(2)).sum::<u64>();
        let io = |error| Error::io(path, &error);
        hashes.clear();
        if setup.groups.is_empty() {
            hashes.extend(lanes.hashes());
        } else {
            hashes.extend(lanes.hashes().zip(&*tags).map(|(hash, tag)| tagged(hash, *tag)));
        }
        setup.rows.lock().unwrap_or_else(PoisonError::into_inner).add(hashes).map_err(io)?;
        if !setup.key.is_empty() {
            hashes.clear();
            hashes.extend(key.hashes());
            setup.keys.lock().unwrap_or_else(PoisonError::into_inner).add(hashes).map_err(io)?;
        }
        if setup.label.is_some() {
            hashes.clear();
            hashes.extend(unlabelled.hashes());
            setup.unlabelled.lock().unwrap_or_else(PoisonError::into_inner).add(hashes).map_err(io)?;
        }
        Ok(())
    }

    /// The levels of the rows in each group column, and the hashes of the labels.
    fn begin_groups(
        &mut self,
        part: &Part,
        setup: &Setup<'_>,
        room: &mut Room,
        levels: &mut Vec<Vec<usize>>,
        tags: &mut [u64],
    ) -> Result<Option<Vec<u64>>> {
        let (mut labels, path) = (None, setup.table.source.path.as_path());
        levels.resize(setup.groups.len(), Vec::new());
        let columns = setup.groups.iter().zip(levels.iter_mut()).enumerate();
        for (groups, (place, (at, levels))) in self.groups.iter_mut().zip(columns) {
            let fail = |error| bad(path, &error, &setup.table.columns[*at].plan.name);
            if let values::Column::Texts(texts) = values::read(part.batch.column(*at), room).map_err(fail)? {
                values::hash_texts(&texts, room);
            }
            groups.begin(&room.low, levels);
            setup.names[place].put(place, &room.low, tags);
            if setup.label == Some(*at) {
                labels = Some(room.low.clone());
            }
        }
        Ok(labels)
    }

    fn quarantine_rules(
        &mut self,
        kept: &HashMap<usize, Vec<f64>>,
        setup: &Setup<'_>,
        wrong: &mut [bool],
        number: &dyn Fn(usize) -> u64,
    ) -> (u64, u64) {
        let (mut compared, mut broken) = (0, 0);
        for rule in &setup.contract.between {
            let mut here = vec![false; wrong.len()];
            let mut notes = Notes { wrong: &mut here, quarantine: &mut self.quarantine, number };
            compared += rule.run(kept, &mut notes);
            broken += here.iter().filter(|wrong| **wrong).count() as u64;
            wrong.iter_mut().zip(here).for_each(|(wrong, here)| *wrong |= here);
        }
        (compared, broken)
    }

    /// Adds the piece that comes after.
    pub fn merge(&mut self, later: Self) {
        self.rows += later.rows;
        self.quarantine.merge(later.quarantine);
        self.missing.0 += later.missing.0;
        self.missing.1 += later.missing.1;
        self.ruled.0 += later.ruled.0;
        self.ruled.1 += later.ruled.1;
        self.groups.iter_mut().zip(&later.groups).for_each(|(a, b)| a.merge(b));
        self.near.merge(&later.near);
        self.columns.iter_mut().zip(later.columns).for_each(|(a, b)| a.merge(b));
    }
}

impl ColumnState {
    /// Cells without a value, whatever stands there: null, empty, a sentinel, NaN.
    pub fn missing(&self) -> u64 {
        let marked = |counts: &BTreeMap<String, u64>| counts.values().sum::<u64>();
        self.nulls + self.empty + self.nan + marked(&self.sentinels) + marked(&self.suspects)
    }

    fn add(
        &mut self,
        column: &values::Column,
        room: &mut Room,
        markers: &[(u32, Marker)],
        sentinels: &[String],
        dense: &mut (Vec<f64>, Vec<u64>),
    ) {
        let nulls = room.missing.iter().filter(|missing| **missing).count();
        self.nulls += (nulls - markers.len()) as u64;
        for (row, marker) in markers {
            let (counts, text) = match marker {
                Marker::Declared(at) => (&mut self.sentinels, sentinels[usize::from(*at)].as_str()),
                Marker::Suspect(at) => (&mut self.suspects, typing::SUSPECTS[usize::from(*at)]),
            };
            *counts.entry(text.to_owned()).or_default() += 1;
            // What stands there is no value, and no null either: rows that differ in it are different.
            room.low[*row as usize] ^= values::short_hash(text);
        }
        match (&mut self.values, column) {
            (Values::Texts(values), values::Column::Texts(texts)) => {
                for row in 0..room.missing.len() {
                    if room.missing[row] {
                        continue;
                    }
                    let text = texts.text(row);
                    if text.is_empty() {
                        self.empty += 1;
                        room.missing[row] = true;
                        continue;
                    }
                    if !sentinels.is_empty() && sentinels.iter().any(|one| one == text.trim()) {
                        *self.sentinels.entry(text.trim().to_owned()).or_default() += 1;
                        room.missing[row] = true;
                        continue;
                    }
                    values.add(text, room.low[row]);
                }
            }
            (Values::Texts(values), values::Column::Truths) => {
                let known = || room.low.iter().zip(&room.missing).filter(|(_, missing)| !**missing);
                let yes = known().filter(|(hash, _)| **hash == TRUE).count() as u64;
                values.add_count("true", TRUE, yes);
                values.add_count("false", FALSE, known().count() as u64 - yes);
            }
            (Values::Numbers(numbers), _) => {
                let marked: Vec<f64> = sentinels.iter().filter_map(|text| typing::number(text)).collect();
                let (finite, hashes) = dense;
                finite.clear();
                hashes.clear();
                for row in 0..room.missing.len() {
                    let number = room.numbers[row];
                    if room.missing[row] {
                        continue;
                    }
                    if number.is_finite() && (marked.is_empty() || !marked.contains(&number)) {
                        finite.push(number);
                        hashes.push(room.low[row]);
                    } else if number.is_nan() {
                        self.nan += 1;
                        room.missing[row] = true;
                    } else if marked.contains(&number) {
                        *self.sentinels.entry(number.to_string()).or_default() += 1;
                        room.missing[row] = true;
                    } else if number > 0.0 {
                        self.infinite.0 += 1;
                    } else {
                        self.infinite.1 += 1;
                    }
                }
                numbers.add(finite, hashes);
            }
            // A column has one kind in all batches of a table.
            (Values::Texts(_), values::Column::Numbers) => {}
        }
    }

    fn merge(&mut self, later: Self) {
        self.nulls += later.nulls;
        self.empty += later.empty;
        self.nan += later.nan;
        self.infinite.0 += later.infinite.0;
        self.infinite.1 += later.infinite.1;
        for (mine, theirs) in [(&mut self.sentinels, later.sentinels), (&mut self.suspects, later.suspects)] {
            for (text, count) in theirs {
                *mine.entry(text).or_default() += count;
            }
        }
        match (&mut self.values, later.values) {
            (Values::Numbers(mine), Values::Numbers(theirs)) => mine.merge(*theirs),
            (Values::Texts(mine), Values::Texts(theirs)) => mine.merge(*theirs),
            _ => {}
        }
    }
}

fn bad(path: &Path, error: &arrow::error::ArrowError, column: &str) -> Error {
    Error::new(Cause::Damaged, path, format!("cannot be shown: {error}")).in_column(column)
}

/// Counts the bytes of texts against the limits, before they are looked at.
fn unfolds(
    setup: &Setup<'_>,
    at: usize,
    texts: &values::Texts,
    room: &Room,
    number: &dyn Fn(usize) -> u64,
) -> Result<()> {
    let table = setup.table;
    if table.encoding.is_some() {
        return Ok(()); // a text file was bounded when it was cut
    }
    let (bytes, longest, row) = texts.bytes(&room.missing);
    let limit = |row: usize, what: String| {
        let error = Error::new(Cause::Limit, &table.source.path, what);
        Err(error.at_row(number(row)).in_column(&table.columns[at].plan.name))
    };
    if table.limits.cell_bytes < longest {
        return limit(
            row,
            format!("a value of {longest} bytes, at most {} are taken", table.limits.cell_bytes),
        );
    }
    let before = setup.unfolded.fetch_add(bytes, Ordering::Relaxed);
    if table.limits.unfolded_bytes < before.saturating_add(bytes) {
        return limit(0, "its values are larger together than is allowed".into());
    }
    Ok(())
}
