//! Sketches of every column, by split and by group of each sensitive column: stored with a version, so that whoever compares
//! with it later needs none of its rows.
//!
//! A sketch has a bounded size: some 1 KiB for a column of numbers, up to 16 KiB for one of long texts. 500 columns of numbers
//! take half a mebibyte for each split or group.

use std::collections::BTreeMap;

use contracts::common::v1::{ColumnSketch, FrequentValue, Quantile};
use contracts::pipeline::v1::{DatasetSketches, GroupsLeftOut, ProfileSlice};
use features::{Column, ColumnProfile, Values, hash};
use statistics::Interval;
use statistics::distinct::DistinctSketch;
use statistics::frequent::Frequent;
use statistics::hashing::{of_integer, of_number};
use statistics::profile::FeatureProfile;
use statistics::quantiles::QuantileSketch;

use crate::table::{Split, Table};
use crate::{Error, convert, steps::Built};

/// Quantiles that are kept.
const PROBABILITIES: [f64; 9] = [0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99];
/// Frequent values that are kept.
const FREQUENT: usize = 10;
/// Values that are counted to find them; as many different ones are counted exactly.
const COUNTED: usize = 1024;
/// Bytes of a frequent value.
const VALUE_BYTES: usize = features::profile::NAME_BYTES;
/// Groups of one column that are sketched; fewer where there are very many columns.
const GROUPS: usize = 20;
/// Sketches of a version at most, beside one group of each sensitive column.
const SKETCHES: usize = 50_000;
/// Confidence of the interval of different values.
const CONFIDENCE: f64 = 0.95;
/// Of a row that is in no slice.
const NONE: u32 = u32::MAX;

/// Sketches of what was built. `references` are the profiles of the training split, in the order of the schema: every slice
/// has their bins.
///
/// # Errors
/// Of the sketches.
pub fn of(built: &Built, references: &[ColumnProfile]) -> Result<DatasetSketches, Error> {
    let rows = built.rows.original()?;
    sketch(&rows, &built.schema.columns, references)
}

fn sketch(rows: &Table, columns: &[Column], references: &[ColumnProfile]) -> Result<DatasetSketches, Error> {
    let mut cut = Cut::default();
    cut.splits(rows);
    let sensitive: Vec<&Column> = columns.iter().filter(|column| column.sensitive).collect();
    let room = (SKETCHES / columns.len().max(1)).saturating_sub(Split::ALL.len()) / sensitive.len().max(1);
    for column in sensitive {
        cut.groups(&column.name, &rows.column(&column.name)?, room.clamp(1, GROUPS));
    }
    for (column, reference) in columns.iter().zip(references) {
        let values = rows.column(&column.name)?;
        let mut sketches: Vec<Sketch> =
            cut.slices.iter().map(|_| Sketch::like(reference)).collect::<Result<_, _>>()?;
        for family in &cut.families {
            for (row, slice) in family.iter().enumerate() {
                if let Some(sketch) = sketches.get_mut(*slice as usize) {
                    sketch.add(&values, row);
                }
            }
        }
        for (slice, sketch) in cut.slices.iter_mut().zip(sketches) {
            slice.columns.push(sketch.wire()?);
        }
    }
    Ok(DatasetSketches { slices: cut.slices, groups_left_out: cut.left_out })
}

/// Which slices there are, and in which of them a row is: one in each family.
#[derive(Default)]
struct Cut {
    slices: Vec<ProfileSlice>,
    families: Vec<Vec<u32>>,
    left_out: Vec<GroupsLeftOut>,
}

impl Cut {
    fn splits(&mut self, rows: &Table) {
        let mut family = vec![NONE; rows.rows()];
        for split in Split::ALL {
            let own = self.slices.len() as u32;
            let mut count = 0;
            for (slice, _) in family.iter_mut().zip(&rows.split).filter(|(_, of)| **of == split) {
                *slice = own;
                count += 1;
            }
            if count > 0 {
                let split = split.as_str().to_owned();
                self.slices.push(ProfileSlice { split, rows: count, ..ProfileSlice::default() });
            }
        }
        self.families.push(family);
    }

    /// The largest groups; of equal ones those whose names come first.
    fn groups(&mut self, column: &str, values: &Values<'_>, most: usize) {
        let names: Vec<String> = (0..values.len())
            .map(|row| values.text(row).map(|text| beginning(&text).to_owned()).unwrap_or_default())
            .collect();
        let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
        names.iter().for_each(|name| *counts.entry(name).or_default() += 1);
        let mut order: Vec<(&str, u64)> = counts.into_iter().collect();
        order.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        let rest = order.split_off(most.min(order.len()));
        let mut places = BTreeMap::new();
        for (group, rows) in order {
            places.insert(group, self.slices.len() as u32);
            let (group_column, group) = (column.to_owned(), group.to_owned());
            self.slices.push(ProfileSlice { group_column, group, rows, ..ProfileSlice::default() });
        }
        self.families
            .push(names.iter().map(|name| places.get(name.as_str()).copied().unwrap_or(NONE)).collect());
        if !rest.is_empty() {
            let rows = rest.iter().map(|(_, rows)| rows).sum();
            let group_column = column.to_owned();
            self.left_out.push(GroupsLeftOut { group_column, groups: rest.len() as u64, rows });
        }
    }
}

/// One column of one slice.
struct Sketch {
    profile: ColumnProfile,
    quantiles: QuantileSketch,
    distinct: DistinctSketch,
    frequent: Frequent<String>,
}

impl Sketch {
    fn like(reference: &ColumnProfile) -> Result<Self, Error> {
        Ok(Self {
            profile: reference.empty_like()?,
            quantiles: QuantileSketch::default(),
            distinct: DistinctSketch::default(),
            frequent: Frequent::new(COUNTED)?,
        })
    }

    fn add(&mut self, values: &Values<'_>, row: usize) {
        let numeric = matches!(self.profile.profile, FeatureProfile::Numeric { .. });
        let number = values.number(row).filter(|number| number.is_finite());
        match (numeric, number, values.text(row)) {
            (true, Some(number), _) => {
                self.profile.add_numbers(&[number]);
                self.quantiles.add_all(&[number]);
            }
            (true, None, _) => return self.profile.add_numbers(&[f64::NAN]),
            (false, _, Some(text)) => self.profile.add_texts([Some(text.as_ref())]),
            (false, _, None) => return self.profile.add_texts([None]),
        }
        let hash = match values {
            Values::Float64(array) => of_number(array.value(row)),
            Values::Int64(array) => of_integer(array.value(row)),
            Values::Timestamp(array) => of_integer(array.value(row)),
            Values::Bool(array) => of_integer(i64::from(array.value(row))),
            Values::Utf8(array) => hash::text(0, array.value(row)),
        };
        self.distinct.add(hash);
        self.frequent.add(hash, 1, || beginning(&values.text(row).unwrap_or_default()).to_owned());
    }

    fn wire(self) -> Result<ColumnSketch, Error> {
        let sorted = self.quantiles.sorted();
        let mut quantiles = Vec::new();
        if self.quantiles.count() > 0 {
            for probability in PROBABILITIES {
                let (value, Interval { lower, upper }) = sorted.quantile(probability)?;
                quantiles.push(Quantile { probability, value, lower, upper });
            }
        }
        let counted = self.frequent.entries().len() as f64;
        let (distinct, bounds) = if self.frequent.error() == 0 {
            (counted, Interval { lower: counted, upper: counted })
        } else {
            (self.distinct.estimate(), self.distinct.interval(CONFIDENCE)?)
        };
        let frequent = self.frequent.top(FREQUENT).into_iter();
        Ok(ColumnSketch {
            profile: Some(convert::profile(&self.profile)),
            quantiles,
            rank_error: self.quantiles.rank_error(),
            distinct,
            distinct_lower: bounds.lower,
            distinct_upper: bounds.upper,
            frequent: frequent
                .map(|entry| FrequentValue { value: entry.item.clone(), count: entry.count })
                .collect(),
            frequent_error: self.frequent.error(),
        })
    }
}

fn beginning(text: &str) -> &str {
    &text[..text.floor_char_boundary(VALUE_BYTES)]
}

#[cfg(test)]
mod tests;
