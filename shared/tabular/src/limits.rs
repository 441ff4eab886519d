//! What a file may cost. Each limit ends in one clear error; none of them is met by data of people.

/// Limits on one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Rows at most.
    pub rows: u64,
    /// Columns at most.
    pub columns: usize,
    /// Rows times columns at most.
    pub cells: u64,
    /// Bytes of a cell at most.
    pub cell_bytes: usize,
    /// Bytes of a row of a text file at most.
    pub row_bytes: usize,
    /// Bytes of a column's name at most.
    pub name_bytes: usize,
    /// Bytes at most after decompression, and of all values of a columnar file together.
    pub unfolded_bytes: u64,
    /// How many times as large as itself a compressed file may become. Looked at from [`Limits::UNFOLDED_FREE`] bytes on.
    pub unfolding: u64,
}

impl Limits {
    /// Bytes up to which any compression is believed.
    pub const UNFOLDED_FREE: u64 = 128 << 20;
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            rows: 10_000_000_000,
            columns: 5_000,
            cells: 100_000_000_000,
            cell_bytes: 4 << 20,
            row_bytes: 16 << 20,
            name_bytes: 256,
            unfolded_bytes: 512 << 30,
            unfolding: 400,
        }
    }
}
