//! A column's values as the sketches see them: by what they are, not by how wide they are stored.

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BinaryViewArray, BooleanArray, Float64Array, Int64Array, StringViewArray,
    UInt64Array,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Float64Type, Int64Type, UInt64Type};
use datafusion::common::{Result, not_impl_err};
use statistics::hashing;
use twox_hash::{XxHash3_64, XxHash3_128};

/// Values of one column and one batch. Decimals are texts: of one column they all have the same number of digits.
pub enum Cells {
    Nothing,
    Truth(BooleanArray),
    Integer(Int64Array),
    Unsigned(UInt64Array),
    Number(Float64Array),
    Text(StringViewArray),
    Bytes(BinaryViewArray),
}

impl Cells {
    /// # Errors
    /// Columns of lists, structures and intervals.
    pub fn of(array: &ArrayRef) -> Result<Self> {
        use DataType as T;
        let to = |data_type: &DataType| cast(array, data_type);
        Ok(match array.data_type() {
            T::Null => Self::Nothing,
            T::Boolean => Self::Truth(array.as_boolean().clone()),
            T::UInt64 => Self::Unsigned(array.as_primitive::<UInt64Type>().clone()),
            T::Float16 | T::Float32 | T::Float64 => {
                Self::Number(to(&T::Float64)?.as_primitive::<Float64Type>().clone())
            }
            kind if is_counted(kind) => Self::Integer(to(&T::Int64)?.as_primitive::<Int64Type>().clone()),
            kind if kind.is_decimal() => {
                Self::Text(cast(&to(&T::Utf8)?, &T::Utf8View)?.as_string_view().clone())
            }
            T::Utf8 | T::LargeUtf8 | T::Utf8View => Self::Text(to(&T::Utf8View)?.as_string_view().clone()),
            kind if is_bytes(kind) => Self::Bytes(to(&T::BinaryView)?.as_binary_view().clone()),
            T::Dictionary(_, value) => return Self::of(&to(value)?),
            other => return not_impl_err!("sketches of values of type {other}"),
        })
    }

    /// Gives each value that is there to `see`, with its row and its hash.
    pub fn each_hash(&self, mut see: impl FnMut(usize, u64)) {
        fn present<T>(values: impl Iterator<Item = Option<T>>, mut see: impl FnMut(usize, T)) {
            values
                .enumerate()
                .filter_map(|(row, value)| Some((row, value?)))
                .for_each(|(row, it)| see(row, it));
        }
        match self {
            Self::Nothing => {}
            Self::Truth(array) => {
                present(array.iter(), |row, it| see(row, hashing::of_integer(i64::from(it))));
            }
            Self::Integer(array) => present(array.iter(), |row, it| see(row, hashing::of_integer(it))),
            Self::Unsigned(array) => {
                present(array.iter(), |row, it| see(row, hashing::of_integer(it.cast_signed())));
            }
            Self::Number(array) => present(array.iter(), |row, it| see(row, hashing::of_number(it))),
            Self::Text(array) => {
                present(array.iter(), |row, it| see(row, XxHash3_64::oneshot(it.as_bytes())));
            }
            Self::Bytes(array) => present(array.iter(), |row, it| see(row, XxHash3_64::oneshot(it))),
        }
    }

    /// Writes the value of a row so that no two different rows of values read alike.
    fn write(&self, row: usize, to: &mut Vec<u8>) {
        let mut tagged = |tag: u8, parts: &[&[u8]]| {
            to.push(tag);
            parts.iter().for_each(|part| to.extend_from_slice(part));
        };
        let length = |bytes: &[u8]| (bytes.len() as u64).to_le_bytes();
        match self {
            _ if self.is_missing(row) => tagged(0, &[]),
            Self::Nothing => {}
            Self::Truth(array) => tagged(1, &[&[u8::from(array.value(row))]]),
            Self::Integer(array) => tagged(2, &[&i128::from(array.value(row)).to_le_bytes()]),
            Self::Unsigned(array) => tagged(2, &[&i128::from(array.value(row)).to_le_bytes()]),
            Self::Number(array) => tagged(3, &[&hashing::canonical_bits(array.value(row)).to_le_bytes()]),
            Self::Text(array) => {
                let bytes = array.value(row).as_bytes();
                tagged(4, &[&length(bytes), bytes]);
            }
            Self::Bytes(array) => tagged(5, &[&length(array.value(row)), array.value(row)]),
        }
    }

    fn is_missing(&self, row: usize) -> bool {
        match self {
            Self::Nothing => true,
            Self::Truth(array) => array.is_null(row),
            Self::Integer(array) => array.is_null(row),
            Self::Unsigned(array) => array.is_null(row),
            Self::Number(array) => array.is_null(row),
            Self::Text(array) => array.is_null(row),
            Self::Bytes(array) => array.is_null(row),
        }
    }
}

/// Gives the 128-bit hash of each row over all columns to `see`: XXH3, which is published and does not change.
///
/// # Errors
/// A column whose values have no hash.
pub fn each_row(columns: &[ArrayRef], mut see: impl FnMut(u128)) -> Result<()> {
    let rows = columns.first().map_or(0, Array::len);
    let columns = columns.iter().map(Cells::of).collect::<Result<Vec<_>>>()?;
    let mut bytes = Vec::new();
    for row in 0..rows {
        bytes.clear();
        columns.iter().for_each(|cells| cells.write(row, &mut bytes));
        see(XxHash3_128::oneshot(&bytes));
    }
    Ok(())
}

/// Whole numbers and times.
fn is_counted(kind: &DataType) -> bool {
    kind.is_signed_integer()
        || matches!(kind, DataType::UInt8 | DataType::UInt16 | DataType::UInt32)
        || is_time(kind)
}

/// Days, times of day, points in time and durations.
pub fn is_time(kind: &DataType) -> bool {
    use DataType as T;
    matches!(kind, T::Date32 | T::Date64 | T::Time32(_) | T::Time64(_) | T::Timestamp(_, _) | T::Duration(_))
}

/// Bytes without a meaning.
pub fn is_bytes(kind: &DataType) -> bool {
    use DataType as T;
    matches!(kind, T::Binary | T::LargeBinary | T::BinaryView | T::FixedSizeBinary(_))
}
