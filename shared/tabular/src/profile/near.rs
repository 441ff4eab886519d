//! Near-duplicates among the first rows: their texts are kept while the table streams by, up to a bound, and compared at the end.

use arrow::array::StringArray;
use features::near::{Found, Options, Shingles, TokenSets, find};
use features::{Kind, Values};

use super::report::{Column, NearDuplicates};
use super::values::Texts;

/// Rows that are compared at most, the first ones.
pub const ROWS: u64 = 20_000;
/// Bytes of their texts at most.
const BYTES: usize = 4 << 20;
/// Letters of a text on average from which on it is one that people write.
const LETTERS: f64 = 25.0;

/// The texts of the first rows of a piece, one column after another; a missing value is an empty text.
#[derive(Debug, Clone, Default)]
pub struct Near {
    columns: Vec<Kept>,
    rows: usize,
    /// Nothing more is taken.
    full: bool,
}

#[derive(Debug, Clone)]
struct Kept {
    column: usize,
    text: String,
    ends: Vec<usize>,
}

impl Kept {
    fn row(&self, row: usize) -> &str {
        let start = if row == 0 { 0 } else { self.ends[row - 1] };
        &self.text[start..self.ends[row]]
    }

    fn truncate(&mut self, rows: usize) {
        self.ends.truncate(rows);
        self.text.truncate(self.ends.last().copied().unwrap_or(0));
    }
}

impl Near {
    /// Nothing kept, of columns of these kinds.
    pub fn new(kinds: impl Iterator<Item = Kind>) -> Self {
        let texts = kinds.enumerate().filter(|(_, kind)| *kind == Kind::Utf8);
        let columns =
            texts.map(|(column, _)| Kept { column, text: String::new(), ends: Vec::new() }).collect();
        Self { columns, rows: 0, full: false }
    }

    /// How many of a part's rows are to be kept: those whose number is small enough.
    pub fn wanted(&self, rows: usize, number: &dyn Fn(usize) -> u64) -> usize {
        if self.full || self.columns.is_empty() {
            return 0;
        }
        // A file is mostly far beyond these rows: the first row of a part tells.
        if rows > 0 && ROWS < number(0) {
            0
        } else {
            (0..rows).take_while(|row| number(*row) <= ROWS).count()
        }
    }

    /// Keeps a column's texts of the first `wanted` rows of a part.
    pub fn add(&mut self, column: usize, texts: &Texts, missing: &[bool], wanted: usize) {
        if wanted == 0 {
            return;
        }
        let Some(kept) = self.columns.iter_mut().find(|kept| kept.column == column) else { return };
        for (row, missing) in missing.iter().enumerate().take(wanted) {
            if !missing {
                kept.text.push_str(texts.text(row));
            }
            kept.ends.push(kept.text.len());
        }
    }

    /// Ends a part of which `wanted` of all rows were kept.
    pub fn end(&mut self, wanted: usize) {
        self.rows += wanted;
        self.bound();
    }

    /// Adds what came after.
    pub fn merge(&mut self, later: &Self) {
        if self.full || later.columns.len() != self.columns.len() {
            return;
        }
        for (mine, theirs) in self.columns.iter_mut().zip(&later.columns) {
            let before = mine.text.len();
            mine.text.push_str(&theirs.text);
            mine.ends.extend(theirs.ends.iter().map(|end| before + end));
        }
        self.rows += later.rows;
        self.full = later.full;
        self.bound();
    }

    /// Leaves the rows whose texts are beyond the bound out.
    fn bound(&mut self) {
        let bytes = |rows: usize| -> usize {
            let last = |kept: &Kept| if rows == 0 { 0 } else { kept.ends[rows - 1] };
            self.columns.iter().map(last).sum()
        };
        if bytes(self.rows) <= BYTES {
            return;
        }
        // Sums of lengths grow with the rows.
        let (mut fits, mut beyond) = (0, self.rows);
        while fits + 1 < beyond {
            let middle = usize::midpoint(fits, beyond);
            if bytes(middle) <= BYTES { fits = middle } else { beyond = middle }
        }
        self.columns.iter_mut().for_each(|kept| kept.truncate(fits));
        (self.rows, self.full) = (fits, true);
    }

    /// Compares the kept rows by the columns that hold texts of people; nothing if there are none.
    pub fn find(&self, columns: &[Column], rows: u64, label: Option<usize>) -> Option<NearDuplicates> {
        let kept = self.columns.iter().filter(|kept| Some(kept.column) != label);
        let kept: Vec<&Kept> = kept.filter(|kept| is_written(&columns[kept.column], rows)).collect();
        if kept.is_empty() || self.rows < 2 {
            return None;
        }
        let found = self.compare(&kept).ok()?;
        Some(NearDuplicates {
            columns: kept.iter().map(|kept| columns[kept.column].name.clone()).collect(),
            rows: self.rows as u64,
            repeated: found.repeated_rows(),
            clusters: found.clusters(),
            jaccard: Options::default().jaccard,
            not_compared: found.not_compared,
        })
    }

    fn compare(&self, kept: &[&Kept]) -> features::Result<Found> {
        let text =
            |kept: &Kept, row: usize| Some(kept.row(row)).filter(|text| !text.is_empty()).map(str::to_owned);
        let arrays: Vec<StringArray> =
            kept.iter().map(|kept| (0..self.rows).map(|row| text(kept, row)).collect()).collect();
        let shingles = Shingles::for_texts(arrays.iter().flat_map(|array| array.iter().flatten()));
        let values: Vec<Values<'_>> = arrays.iter().map(Values::Utf8).collect();
        find(&TokenSets::of_texts(&values, shingles, self.rows)?, &Options::default())
    }
}

/// Texts that people write: long, mostly different, and of no form.
fn is_written(column: &Column, rows: u64) -> bool {
    let Some(texts) = &column.texts else { return false };
    let present = rows - column.missing.count;
    LETTERS <= texts.mean && texts.looks_like.is_none() && present <= 2 * column.distinct.count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(texts: &[&str]) -> Near {
        let mut near = Near::new([Kind::Utf8].into_iter());
        let array = StringArray::from_iter_values(texts);
        near.add(0, &Texts::Short(array), &vec![false; texts.len()], texts.len());
        near.end(texts.len());
        near
    }

    #[test]
    fn pieces_are_joined_in_order_and_bounded() {
        let long = "x".repeat(BYTES / 2 - 10);
        let mut whole = near(&["a", &long]);
        whole.merge(&near(&["b", &long, "c"]));
        assert_eq!((whole.rows, whole.columns[0].row(2), whole.columns[0].row(4)), (5, "b", "c"));
        whole.merge(&near(&["d"]));
        whole.merge(&near(&["much that no longer fits", "e"]));
        assert_eq!((whole.rows, whole.full, whole.columns[0].row(0)), (6, true, "a"));
        whole.merge(&near(&["f"]));
        assert_eq!(whole.rows, 6);
    }

    #[test]
    fn rows_beyond_the_first_are_not_taken() {
        let near = near(&["a"]);
        assert_eq!(near.wanted(10, &|row| ROWS - 4 + row as u64), 5);
        assert_eq!(near.wanted(10, &|row| ROWS + 1 + row as u64), 0);
    }
}
