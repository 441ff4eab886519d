//! What each sketch makes of a batch.

use datafusion::arrow::array::{ArrayRef, AsArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Float64Type};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::common::Result;
use statistics::Moments;
use statistics::distinct::DistinctSketch;
use statistics::frequent::Frequent;
use statistics::quantiles::QuantileSketch;
use statistics::row_digest::RowDigest;

use crate::cells::{Cells, each_row};
use crate::function::{Sketch, external};
use crate::plan::Kind;

/// Values of a column that are counted one by one: while there are no more, counts and their number are exact.
pub const COUNTED: usize = 2048;

/// Bytes of a value that are kept to show it. Values are told apart by their hashes, so longer ones stay apart.
pub const SHOWN: usize = 256;

impl Sketch for DistinctSketch {
    const NAME: &'static str = "distinct_sketch";

    fn takes(data_type: &DataType) -> bool {
        Kind::of(data_type).is_some()
    }

    fn empty() -> Result<Self> {
        Ok(Self::default())
    }

    fn see(&mut self, columns: &[ArrayRef]) -> Result<()> {
        for array in columns {
            Cells::of(array)?.each_hash(|_, hash| self.add(hash));
        }
        Ok(())
    }

    fn join(&mut self, other: Self) -> Result<()> {
        self.merge(&other);
        Ok(())
    }

    fn size(&self) -> usize {
        size_of::<Self>() + (1 << 14)
    }
}

impl Sketch for Frequent<String> {
    const NAME: &'static str = "frequent_sketch";

    fn takes(data_type: &DataType) -> bool {
        Kind::of(data_type).is_some()
    }

    fn empty() -> Result<Self> {
        Self::new(COUNTED).map_err(external)
    }

    fn see(&mut self, columns: &[ArrayRef]) -> Result<()> {
        for array in columns {
            let cells = Cells::of(array)?;
            if let Cells::Text(texts) = &cells {
                cells.each_hash(|row, hash| self.add(hash, 1, || shown(texts.value(row)).to_owned()));
            } else {
                let options = FormatOptions::default();
                let format = ArrayFormatter::try_new(array, &options)?;
                cells.each_hash(|row, hash| {
                    let text = || match format.value(row).to_string().as_str() {
                        // One value with 0.0, which reads alike wherever it is met first.
                        "-0.0" => "0.0".to_owned(),
                        text => shown(text).to_owned(),
                    };
                    self.add(hash, 1, text);
                });
            }
        }
        Ok(())
    }

    fn join(&mut self, other: Self) -> Result<()> {
        self.merge(other);
        Ok(())
    }

    fn size(&self) -> usize {
        let items: usize = self.entries().iter().map(|entry| size_of_val(entry) + entry.item.len()).sum();
        size_of::<Self>() + 2 * items
    }
}

impl Sketch for Moments {
    const NAME: &'static str = "moments_sketch";

    fn takes(data_type: &DataType) -> bool {
        Kind::of(data_type).is_some_and(Kind::has_moments)
    }

    fn empty() -> Result<Self> {
        Ok(Self::default())
    }

    fn see(&mut self, columns: &[ArrayRef]) -> Result<()> {
        for array in columns {
            self.merge(&Self::of(&numbers(array)?));
        }
        Ok(())
    }

    fn join(&mut self, other: Self) -> Result<()> {
        self.merge(&other);
        Ok(())
    }

    fn size(&self) -> usize {
        size_of::<Self>()
    }
}

/// Of the finite values: infinite ones are counted by the moments.
impl Sketch for QuantileSketch {
    const NAME: &'static str = "quantile_sketch";

    fn takes(data_type: &DataType) -> bool {
        Moments::takes(data_type)
    }

    fn empty() -> Result<Self> {
        Ok(Self::default())
    }

    fn see(&mut self, columns: &[ArrayRef]) -> Result<()> {
        for array in columns {
            let mut values = numbers(array)?;
            values.retain(|value| value.is_finite());
            self.add_all(&values);
        }
        Ok(())
    }

    fn join(&mut self, other: Self) -> Result<()> {
        self.merge(&other).map_err(external)
    }

    fn size(&self) -> usize {
        let capacity = statistics::quantiles::DEFAULT_CAPACITY;
        let levels = 1 + (1 + self.count() / capacity as u64).ilog2() as usize;
        size_of::<Self>() + 2 * levels * capacity * size_of::<f64>()
    }
}

impl Sketch for RowDigest {
    const NAME: &'static str = "row_digest";
    const OF_ROWS: bool = true;

    fn takes(data_type: &DataType) -> bool {
        Kind::of(data_type).is_some()
    }

    fn empty() -> Result<Self> {
        Ok(Self::default())
    }

    fn see(&mut self, columns: &[ArrayRef]) -> Result<()> {
        each_row(columns, |hash| self.add(hash))
    }

    fn join(&mut self, other: Self) -> Result<()> {
        self.merge(&other);
        Ok(())
    }

    fn size(&self) -> usize {
        size_of::<Self>()
    }
}

/// The values that are there, as floats: integers beyond 2^53 and decimals are rounded to the nearest.
fn numbers(array: &ArrayRef) -> Result<Vec<f64>> {
    Ok(cast(array, &DataType::Float64)?.as_primitive::<Float64Type>().iter().flatten().collect())
}

/// The beginning of a text that is kept to show it.
pub fn shown(text: &str) -> &str {
    &text[..text.floor_char_boundary(SHOWN)]
}
