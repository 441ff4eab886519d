//! Digests of rows that do not depend on how the rows are cut into batches.

use arrow::array::RecordBatch;
use sha2::{Digest as _, Sha256};

use crate::column::Values;
use crate::error::Result;

/// `sha256:<64 hex>` of bytes.
pub fn sha256(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

/// The columns of a batch, ready to be written as canonical bytes row by row.
pub struct Rows<'a>(Vec<Values<'a>>);

impl<'a> Rows<'a> {
    /// All columns of a batch.
    ///
    /// # Errors
    /// [`crate::Error::Type`] for a column that is none of the five types.
    pub fn of(batch: &'a RecordBatch) -> Result<Self> {
        let schema = batch.schema_ref();
        let column = |(at, field): (usize, &std::sync::Arc<arrow::datatypes::Field>)| {
            Values::of(field.name(), batch.column(at))
        };
        Ok(Self(schema.fields().iter().enumerate().map(column).collect::<Result<_>>()?))
    }

    /// Some columns of a batch.
    ///
    /// # Errors
    /// As [`Rows::of`], and [`crate::Error::Missing`].
    pub fn of_columns<S: AsRef<str>>(batch: &'a RecordBatch, names: &[S]) -> Result<Self> {
        Ok(Self(names.iter().map(|name| Values::in_batch(batch, name.as_ref())).collect::<Result<_>>()?))
    }

    /// Appends the canonical bytes of a row.
    pub fn encode(&self, row: usize, out: &mut Vec<u8>) {
        for column in &self.0 {
            column.encode(row, out);
        }
    }

    /// SHA-256 of a row: equal rows, equal digests.
    pub fn digest(&self, row: usize) -> [u8; 32] {
        let mut bytes = Vec::with_capacity(self.0.len() * 9);
        self.encode(row, &mut bytes);
        Sha256::digest(&bytes).into()
    }
}

/// Digest of batches that follow each other: names, types, rows in order, number of rows.
///
/// # Errors
/// As [`Rows::of`].
pub fn of_batches<'a>(batches: impl IntoIterator<Item = &'a RecordBatch>) -> Result<String> {
    let (mut hasher, mut count, mut bytes) = (Sha256::new(), 0_u64, Vec::new());
    hasher.update(b"wlp-rows/1\n");
    let mut named = false;
    for batch in batches {
        if !named {
            for field in batch.schema_ref().fields() {
                hasher.update((field.name().len() as u64).to_le_bytes());
                hasher.update(field.name().as_bytes());
            }
            named = true;
        }
        let rows = Rows::of(batch)?;
        for row in 0..batch.num_rows() {
            bytes.clear();
            rows.encode(row, &mut bytes);
            hasher.update(&bytes);
        }
        count += batch.num_rows() as u64;
    }
    hasher.update(count.to_le_bytes());
    Ok(format!("sha256:{}", hex::encode(hasher.finalize())))
}
