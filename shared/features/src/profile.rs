//! Profiles of columns: numeric histograms over fixed quantile edges, categorical counts of the most frequent values.
//! Mergeable, of bounded size; the reference that drift is measured against (§9.2).

use std::collections::BTreeMap;

use statistics::categories::Categories;
use statistics::histogram::{Histogram, quantile_edges};
use statistics::profile::FeatureProfile;
use statistics::{Interval, Moments};

use crate::column::Values;
use crate::error::{Error, Result};

/// Bins of a numeric profile.
pub const BINS: usize = 20;
/// Values of a categorical profile that are counted by name.
pub const TOP: usize = 50;

/// Bytes of a value's name: what people write is not kept as a whole, and a profile stays small.
pub const NAME_BYTES: usize = 256;

/// The name under which a value is counted: its beginning.
fn name(text: &str) -> &str {
    let mut end = text.len().min(NAME_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// What is kept of one column.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnProfile {
    /// Name of the column.
    pub column: String,
    /// Counts, and moments where it is a number.
    pub profile: FeatureProfile,
    /// Smallest and largest finite value; `None` for categories and without values.
    pub range: Option<Interval>,
}

impl ColumnProfile {
    /// The reference profile of a column: edges and levels are taken from its own values.
    ///
    /// # Errors
    /// [`Error::Type`] for a text that is to be cut like a number.
    pub fn reference(column: &str, values: Values<'_>, categorical: bool) -> Result<Self> {
        if categorical {
            let texts: Vec<_> = (0..values.len()).map(|row| values.text(row)).collect();
            return Self::of_texts(column, texts.iter().map(|text| text.as_deref()));
        }
        if let Values::Utf8(_) = values {
            return Err(Error::Type {
                column: column.to_owned(),
                actual: "utf8".into(),
                required: "a number",
            });
        }
        let numbers: Vec<_> = (0..values.len()).map(|row| values.number(row).unwrap_or(f64::NAN)).collect();
        Self::of_numbers(column, &numbers)
    }

    /// The reference profile of plain numbers; one that is not finite is missing.
    ///
    /// # Errors
    /// Never for finite input; of the sketch otherwise.
    pub fn of_numbers(column: &str, numbers: &[f64]) -> Result<Self> {
        let finite: Vec<f64> = numbers.iter().copied().filter(|number| number.is_finite()).collect();
        // A column without values gets one cut, so that any value of a later window shows.
        let edges = if finite.is_empty() { vec![0.0] } else { quantile_edges(&finite, BINS)? };
        let profile =
            FeatureProfile::Numeric { histogram: Histogram::new(&edges)?, moments: Moments::default() };
        let mut made = Self { column: column.to_owned(), profile, range: None };
        made.add_numbers(numbers);
        Ok(made)
    }

    /// The reference profile of plain texts; `None` is missing.
    ///
    /// # Errors
    /// Of the sketch.
    pub fn of_texts<'a>(column: &str, texts: impl IntoIterator<Item = Option<&'a str>>) -> Result<Self> {
        let (mut counts, mut missing) = (BTreeMap::<String, u64>::new(), 0);
        for text in texts {
            match text {
                Some(text) => match counts.get_mut(name(text)) {
                    Some(count) => *count += 1,
                    None => {
                        counts.insert(name(text).to_owned(), 1);
                    }
                },
                None => missing += 1,
            }
        }
        let categories = if counts.is_empty() {
            let mut none = Categories::new(Vec::<String>::new());
            none.add_missing(missing);
            none
        } else {
            Categories::from_reference(&counts, missing, TOP)?
        };
        Ok(Self { column: column.to_owned(), profile: FeatureProfile::Categorical(categories), range: None })
    }

    /// An empty profile over the same bins or levels, for a window.
    ///
    /// # Errors
    /// Of the sketch.
    pub fn empty_like(&self) -> Result<Self> {
        Ok(Self { column: self.column.clone(), profile: self.profile.empty_like()?, range: None })
    }

    /// Takes the values of an array.
    pub fn add(&mut self, values: Values<'_>) {
        for row in 0..values.len() {
            match (&self.profile, values.number(row), values.text(row)) {
                (FeatureProfile::Numeric { .. }, Some(number), _) => self.add_numbers(&[number]),
                (FeatureProfile::Categorical(_), _, Some(text)) => self.profile.add_category(name(&text)),
                _ => self.profile.add_missing(),
            }
        }
    }

    /// Takes plain numbers; one that is not finite is missing.
    pub fn add_numbers(&mut self, numbers: &[f64]) {
        for number in numbers {
            self.profile.add_number(*number);
            if number.is_finite() && matches!(self.profile, FeatureProfile::Numeric { .. }) {
                let range = self.range.get_or_insert(Interval { lower: *number, upper: *number });
                *range = Interval { lower: range.lower.min(*number), upper: range.upper.max(*number) };
            }
        }
    }

    /// Takes plain texts; `None` is missing.
    pub fn add_texts<'a>(&mut self, texts: impl IntoIterator<Item = Option<&'a str>>) {
        for text in texts {
            match text {
                Some(text) => self.profile.add_category(name(text)),
                None => self.profile.add_missing(),
            }
        }
    }

    /// Adds another window over the same bins or levels.
    ///
    /// # Errors
    /// If they are not the same.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        self.profile.merge(&other.profile)?;
        self.range = match (self.range, other.range) {
            (Some(a), Some(b)) => Some(Interval { lower: a.lower.min(b.lower), upper: a.upper.max(b.upper) }),
            (a, b) => a.or(b),
        };
        Ok(())
    }

    /// Rows seen.
    pub fn rows(&self) -> u64 {
        self.profile.count() + self.profile.missing()
    }
}
