//! Rows of one side as hashes: of the key, of all values, and of each value.

use arrow::array::RecordBatch;

use super::schema::Common;
use super::{Options, Source};
use crate::column::Values;
use crate::error::{Error, Result};
use crate::hash::{self, Hash128};

/// Splits at most; more names are not splits but something else.
const SPLITS: usize = 1000;

/// Which columns play which part.
pub(super) struct Plan {
    pub(super) keys: Vec<Common>,
    pub(super) values: Vec<Common>,
    pub(super) split: Option<Common>,
    pub(super) seed: u64,
}

impl Plan {
    pub(super) fn new(common: &[Common], options: &Options) -> Result<Self> {
        let find = |name: &String| common.iter().find(|one| one.name == *name).cloned();
        let key = |name: &String| find(name).ok_or_else(|| Error::Missing(name.clone()));
        let split = options.split.as_ref().map(key).transpose()?;
        let named: Vec<Common> = options.key.iter().map(key).collect::<Result<_>>()?;
        let apart = |one: &&Common| {
            !options.ignore.contains(&one.name) && split.as_ref().is_none_or(|split| split.name != one.name)
        };
        let all: Vec<Common> = common.iter().filter(apart).cloned().collect();
        if options.key.is_empty() {
            return Ok(Self { keys: all, values: Vec::new(), split, seed: options.seed });
        }
        let values = all.into_iter().filter(|one| !options.key.contains(&one.name)).collect();
        Ok(Self { keys: named, values, split, seed: options.seed })
    }
}

/// The rows of a batch, hashed. `cells` has as many entries for each row as there are values.
pub(super) struct Hashed {
    pub(super) keys: Vec<u128>,
    pub(super) rows: Vec<u128>,
    pub(super) cells: Vec<u64>,
    pub(super) splits: Vec<u16>,
}

/// Numbers for names of splits, the same for both sides.
#[derive(Default)]
pub(super) struct Splits(Vec<String>);

impl Splits {
    fn number(&mut self, name: &str) -> Result<u16> {
        if let Some(at) = self.0.iter().position(|one| one == name) {
            return Ok(at as u16);
        }
        if self.0.len() == SPLITS {
            let why = format!("more than {SPLITS} different values: not a column of splits");
            return Err(Error::Parameter { column: "split".into(), why });
        }
        self.0.push(name.to_owned());
        Ok(self.0.len() as u16 - 1)
    }

    pub(super) fn name(&self, number: u16) -> &str {
        self.0.get(usize::from(number)).map_or("", String::as_str)
    }
}

impl Hashed {
    pub(super) fn new(batch: &RecordBatch, plan: &Plan, splits: &mut Splits) -> Result<Self> {
        let count = batch.num_rows();
        let write = |column: &Common, states: &mut [Hash128]| -> Result<()> {
            let values = Values::in_batch(batch, &column.name)?;
            if column.retyped() {
                hash::column_text(&values, states)
            } else {
                hash::column(&values, states)
            }
            Ok(())
        };
        let mut states = vec![Hash128::new(plan.seed); count];
        for column in &plan.keys {
            write(column, &mut states)?;
        }
        let keys = states.into_iter().map(Hash128::finish).collect();
        let width = plan.values.len();
        let mut cells = vec![0; count * width];
        let mut rows = vec![Hash128::new(!plan.seed); count];
        let mut states = Vec::new();
        for (at, column) in plan.values.iter().enumerate() {
            states.clear();
            states.resize(count, Hash128::new(plan.seed));
            write(column, &mut states)?;
            for (row, state) in states.iter().enumerate() {
                let cell = state.finish();
                cells[row * width + at] = cell as u64;
                rows[row].word(cell as u64);
                rows[row].word((cell >> 64) as u64);
            }
        }
        let rows = rows.into_iter().map(Hash128::finish).collect();
        let splits = match &plan.split {
            None => vec![0; count],
            Some(column) => {
                let values = Values::in_batch(batch, &column.name)?;
                let name = |row| splits.number(&values.text(row).unwrap_or_default());
                (0..count).map(name).collect::<Result<_>>()?
            }
        };
        Ok(Self { keys, rows, cells, splits })
    }
}

/// Checks that a batch is what its source said.
pub(super) fn fits(batch: &RecordBatch, source: &dyn Source) -> Result<()> {
    if batch.schema_ref().fields().len() == source.schema().fields().len() {
        return Ok(());
    }
    Err(Error::Arrow("a batch has other columns than its table".into()))
}
