//! Compares two tables: the first is held as hashes, the second passes by.

use std::collections::{BTreeMap, HashMap};

use statistics::interval::{Share, newcombe};

use super::index::{Index, Rows};
use super::prepare::{Hashed, Plan, Splits, fits};
use super::sample::Sample;
use super::schema::{self, Common};
use super::{ColumnDifference, Difference, Examples, Extent, Movement, Options, RowCounts, Source, drift};
use crate::column::Values;
use crate::error::{Error, Result};
use crate::hash::Hash128;
use crate::schema::Kind;

/// Passes at most: each sees its share of the keys.
const PASSES: u32 = 4096;

/// Compares two tables. Time: both are read once, or as often as the memory limit asks for.
///
/// # Errors
/// [`Error::Missing`] for a key or split column that a side lacks, [`Error::Type`] and [`Error::Twice`] for columns that
/// cannot be compared, those of the sources, and [`Error::Parameter`] where so many rows have one key that no number of
/// passes suffices.
pub fn compare(before: &dyn Source, after: &dyn Source, options: &Options) -> Result<Difference> {
    let (changes, common) = schema::compare(&before.schema(), &after.schema())?;
    let plan = Plan::new(&common, options)?;
    let mut passes = 1;
    let found = loop {
        let mut work = Work::new(&plan, &common, options, passes);
        let mut fitted = true;
        for pass in 0..passes {
            fitted = fitted && work.pass(pass, before, after)?;
        }
        if fitted {
            break work;
        }
        passes *= 2;
        if PASSES < passes {
            let why = format!("too many rows of one key for {} bytes of memory", options.memory);
            return Err(Error::Parameter { column: options.key.join(", "), why });
        }
    };
    found.finish(changes)
}

/// What is counted on the way.
struct Work<'a> {
    plan: &'a Plan,
    common: &'a [Common],
    options: &'a Options,
    passes: u32,
    rows: RowCounts,
    changed: Vec<u64>,
    missing: [Vec<u64>; 2],
    moved: BTreeMap<(u16, u16), u64>,
    splits: Splits,
    samples: [Sample; 2],
    drifting: Vec<usize>,
    examples: Examples,
}

/// Second rows that cannot be judged before all were seen: the head of their key's chain, and the row.
struct Pending {
    heads: Vec<u32>,
    rows: Rows,
}

impl<'a> Work<'a> {
    fn new(plan: &'a Plan, common: &'a [Common], options: &'a Options, passes: u32) -> Self {
        let drifts = |one: &Common| {
            !options.key.contains(&one.name) && plan.split.as_ref().is_none_or(|split| split.name != one.name)
        };
        let drifting: Vec<usize> = (0..common.len()).filter(|at| drifts(&common[*at])).collect();
        let numeric = |kind: Kind| !matches!(kind, Kind::Utf8 | Kind::Bool);
        let sample = |kind: fn(&Common) -> Kind| {
            let kinds: Vec<bool> = drifting.iter().map(|at| numeric(kind(&common[*at]))).collect();
            Sample::new(options.drift_rows, &kinds)
        };
        Self {
            samples: [sample(|one| one.before), sample(|one| one.after)],
            plan,
            common,
            options,
            passes,
            rows: RowCounts::default(),
            changed: vec![0; plan.values.len()],
            missing: [vec![0; common.len()], vec![0; common.len()]],
            moved: BTreeMap::new(),
            splits: Splits::default(),
            drifting,
            examples: Examples::default(),
        }
    }

    /// Whether a key belongs to a pass.
    fn mine(&self, key: u128, pass: u32) -> bool {
        self.passes == 1 || (u64::from((key >> 96) as u32) * u64::from(self.passes)) >> 32 == u64::from(pass)
    }

    /// Compares the keys of one pass; whether they fitted into memory.
    fn pass(&mut self, pass: u32, before: &dyn Source, after: &dyn Source) -> Result<bool> {
        let half = self.options.memory / 2;
        let mut left = Rows::new(self.plan.values.len());
        let mut place = 0;
        for batch in before.batches()? {
            let batch = batch?;
            fits(&batch, before)?;
            let hashed = Hashed::new(&batch, self.plan, &mut self.splits)?;
            if pass == 0 {
                self.look(0, &batch, &hashed, place)?;
            }
            for row in 0..batch.num_rows() {
                if self.mine(hashed.keys[row], pass) {
                    left.push(&hashed, row, place + row as u64);
                }
            }
            place += batch.num_rows() as u64;
            if half < left.bytes() {
                return Ok(false);
            }
        }
        let index = Index::new(&left)?;
        self.rows.repeated_before += left.len() as u64 - index.distinct;
        let mut matched = vec![false; left.len()];
        let mut pending = Pending { heads: Vec::new(), rows: Rows::new(self.plan.values.len()) };
        let mut strange = Vec::new();
        let mut place = 0;
        for batch in after.batches()? {
            let batch = batch?;
            fits(&batch, after)?;
            let hashed = Hashed::new(&batch, self.plan, &mut self.splits)?;
            if pass == 0 {
                self.look(1, &batch, &hashed, place)?;
            }
            for row in 0..batch.num_rows() {
                let (key, here) = (hashed.keys[row], place + row as u64);
                if !self.mine(key, pass) {
                    continue;
                }
                match index.head(&left, key) {
                    None => {
                        strange.push(key);
                        self.added(here);
                    }
                    // The only row of its key, and equal: the usual case is settled at once.
                    Some(head)
                        if index.is_last(head)
                            && !matched[head as usize]
                            && left.rows[head as usize] == hashed.rows[row] =>
                    {
                        matched[head as usize] = true;
                        self.same(left.splits[head as usize], hashed.splits[row]);
                    }
                    Some(head) => {
                        pending.heads.push(head);
                        pending.rows.push(&hashed, row, here);
                    }
                }
            }
            place += batch.num_rows() as u64;
            if half < pending.rows.bytes() + 16 * strange.len() {
                return Ok(false);
            }
        }
        self.settle(&left, &index, &mut matched, &pending);
        strange.sort_unstable();
        let all = strange.len();
        strange.dedup();
        self.rows.repeated_after += (all - strange.len()) as u64;
        for (row, _) in matched.iter().enumerate().filter(|(_, matched)| !**matched) {
            self.rows.removed += 1;
            keep(&mut self.examples.removed, left.places[row], self.options.examples);
        }
        Ok(true)
    }

    /// Pairs what is left of each key: equal rows first, then the others in their order.
    fn settle(&mut self, left: &Rows, index: &Index, matched: &mut [bool], pending: &Pending) {
        let rows = &pending.rows;
        let mut order: Vec<usize> = (0..rows.len()).collect();
        order.sort_unstable_by_key(|row| {
            (pending.heads[*row], rows.rows[*row], rows.splits[*row], rows.places[*row])
        });
        for group in order.chunk_by(|a, b| pending.heads[*a] == pending.heads[*b]) {
            let head = pending.heads[group[0]];
            let earlier = u64::from(matched[head as usize]); // by a row that was settled at once
            self.rows.repeated_after += group.len() as u64 + earlier - 1;
            let mut firsts: Vec<usize> =
                index.chain(head).map(|row| row as usize).filter(|row| !matched[*row]).collect();
            firsts.sort_unstable_by_key(|row| (left.rows[*row], left.splits[*row], left.places[*row]));
            let (mut others, mut at) = (Vec::new(), 0);
            for second in group {
                while at < firsts.len() && left.rows[firsts[at]] < rows.rows[*second] {
                    at += 1;
                }
                if at < firsts.len() && left.rows[firsts[at]] == rows.rows[*second] {
                    matched[firsts[at]] = true;
                    self.same(left.splits[firsts[at]], rows.splits[*second]);
                    at += 1;
                } else {
                    others.push(*second);
                }
            }
            firsts.retain(|row| !matched[*row]);
            firsts.sort_unstable_by_key(|row| left.places[*row]);
            others.sort_unstable_by_key(|row| rows.places[*row]);
            for (at, second) in others.iter().enumerate() {
                let Some(first) = firsts.get(at) else {
                    self.added(rows.places[*second]);
                    continue;
                };
                matched[*first] = true;
                self.rows.changed += 1;
                keep(
                    &mut self.examples.changed,
                    (left.places[*first], rows.places[*second]),
                    self.options.examples,
                );
                self.movement(left.splits[*first], rows.splits[*second]);
                let cells = left.cells(*first).iter().zip(rows.cells(*second));
                for (count, (a, b)) in self.changed.iter_mut().zip(cells) {
                    *count += u64::from(a != b);
                }
            }
        }
    }

    /// Takes note of what every row says by itself.
    fn look(
        &mut self,
        side: usize,
        batch: &arrow::array::RecordBatch,
        hashed: &Hashed,
        place: u64,
    ) -> Result<()> {
        let count = batch.num_rows() as u64;
        *[&mut self.rows.before, &mut self.rows.after][side] += count;
        let columns: Vec<Values<'_>> =
            self.common.iter().map(|one| Values::in_batch(batch, &one.name)).collect::<Result<_>>()?;
        for (count, values) in self.missing[side].iter_mut().zip(&columns) {
            *count += (0..batch.num_rows()).filter(|row| values.is_missing(*row)).count() as u64;
        }
        let drifting: Vec<Values<'_>> = self.drifting.iter().map(|at| columns[*at]).collect();
        if self.options.key.is_empty() {
            let hashed = |row: u64| {
                let mut hash = Hash128::new(self.options.seed);
                hash.word(row);
                hash.finish()
            };
            let places: Vec<u128> = (place..place + count).map(hashed).collect();
            self.samples[side].add(&places, &drifting);
        } else {
            self.samples[side].add(&hashed.keys, &drifting);
        }
        Ok(())
    }

    fn same(&mut self, from: u16, to: u16) {
        self.rows.same += 1;
        self.movement(from, to);
    }

    fn movement(&mut self, from: u16, to: u16) {
        if from != to {
            *self.moved.entry((from, to)).or_default() += 1;
        }
    }

    fn added(&mut self, place: u64) {
        self.rows.added += 1;
        keep(&mut self.examples.added, place, self.options.examples);
    }

    fn finish(mut self, schema: Vec<super::ColumnChange>) -> Result<Difference> {
        self.samples.iter_mut().for_each(Sample::finish);
        let names: Vec<String> = self.drifting.iter().map(|at| self.common[*at].name.clone()).collect();
        let mut drifts = drift::of(&self.samples[0], &self.samples[1], &names, self.options)?.into_iter();
        let mut columns = Vec::new();
        let changed: HashMap<&str, u64> = self
            .plan
            .values
            .iter()
            .zip(&self.changed)
            .map(|(one, count)| (one.name.as_str(), *count))
            .collect();
        let mut drifting = self.drifting.iter().peekable();
        for (at, one) in self.common.iter().enumerate() {
            let (missing_before, missing_after) = (self.missing[0][at], self.missing[1][at]);
            let shares = Share::new(missing_after, self.rows.after)
                .ok()
                .zip(Share::new(missing_before, self.rows.before).ok());
            let shift =
                shares.map(|(after, before)| newcombe(after, before, self.options.confidence)).transpose()?;
            columns.push(ColumnDifference {
                column: one.name.clone(),
                changed: changed.get(one.name.as_str()).copied().unwrap_or(0),
                missing_before,
                missing_after,
                missing_shift: shift,
                drift: drifting.next_if(|own| **own == at).and_then(|_| drifts.next().flatten()),
            });
        }
        let named = |((from, to), rows): (&(u16, u16), &u64)| Movement {
            from: self.splits.name(*from).to_owned(),
            to: self.splits.name(*to).to_owned(),
            rows: *rows,
        };
        let mut moved: Vec<Movement> = self.moved.iter().map(named).collect();
        moved.sort();
        let rows = self.rows;
        let extent = if !schema.is_empty() {
            Extent::Schema
        } else if rows.added + rows.removed + rows.changed > 0 || !moved.is_empty() {
            Extent::Rows
        } else {
            Extent::Nothing
        };
        let (examples, passes) = (self.examples, self.passes);
        Ok(Difference { schema, rows, columns, moved, examples, extent, passes })
    }
}

/// Keeps the smallest.
fn keep<T: Ord>(kept: &mut Vec<T>, one: T, most: usize) {
    let at = kept.partition_point(|other| *other < one);
    if at < most {
        kept.insert(at, one);
        kept.truncate(most);
    }
}
