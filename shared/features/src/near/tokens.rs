//! Rows as sets of tokens: shingles of their texts, or their "column=value" pairs.

use crate::column::Values;
use crate::error::{Error, Result};
use crate::hash::Hash128;

/// How a text is cut into overlapping pieces. Case and the width of white space do not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shingles {
    /// So many words in a row; what is neither letter nor digit separates words.
    Words(usize),
    /// So many characters in a row.
    Characters(usize),
}

impl Shingles {
    /// Words where texts are long, characters where they are short: a few words more or less are then still the same
    /// text, and few pieces are shared by chance.
    pub fn for_texts<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let (mut words, mut count) = (0, 0);
        for text in texts {
            words += text.split_whitespace().count();
            count += 1;
        }
        if 40 * count < words { Self::Words(3) } else { Self::Characters(5) }
    }

    /// Appends the hash of each piece. A text that is shorter than a piece is one piece.
    fn cut(self, seed: u64, text: &str, out: &mut Vec<u64>) {
        let text = text.to_lowercase();
        match self {
            Self::Words(size) => {
                let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
                let words: Vec<&str> = words.collect();
                let piece = |words: &[&str]| {
                    let mut hash = Hash128::new(seed);
                    words.iter().for_each(|word| hash.bytes(word.as_bytes()));
                    hash.finish64()
                };
                windows(&words, size, |words| out.push(piece(words)));
            }
            Self::Characters(size) => {
                let plain: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
                let starts: Vec<usize> = plain.char_indices().map(|(at, _)| at).collect();
                let piece = |starts: &[usize], next: Option<&usize>| {
                    let mut hash = Hash128::new(seed);
                    hash.bytes(&plain.as_bytes()[starts[0]..next.copied().unwrap_or(plain.len())]);
                    hash.finish64()
                };
                let size = size.max(1).min(starts.len());
                for at in 0..(starts.len() + 1 - size) * usize::from(size > 0) {
                    out.push(piece(&starts[at..at + size], starts.get(at + size)));
                }
            }
        }
    }
}

/// The runs of `size` items; all items where there are fewer; nothing of nothing.
fn windows<T>(items: &[T], size: usize, each: impl FnMut(&[T])) {
    if !items.is_empty() {
        items.windows(size.clamp(1, items.len())).for_each(each);
    }
}

/// For each row a set of token hashes, ascending. Memory: 8 bytes for each token of each row.
#[derive(Debug, Clone, Default)]
pub struct TokenSets {
    tokens: Vec<u64>,
    ends: Vec<usize>,
}

impl TokenSets {
    /// Tokens at most, 2 GiB of them.
    pub const MOST: usize = 1 << 28;

    /// Appends the set of the next row.
    ///
    /// # Errors
    /// [`Error::Parameter`] beyond [`TokenSets::MOST`].
    pub fn push(&mut self, tokens: &mut Vec<u64>) -> Result<()> {
        tokens.sort_unstable();
        tokens.dedup();
        if Self::MOST < self.tokens.len() + tokens.len() {
            let why = format!("more than {} tokens to compare", Self::MOST);
            return Err(Error::Parameter { column: "near-duplicates".into(), why });
        }
        self.tokens.extend_from_slice(tokens);
        self.ends.push(self.tokens.len());
        Ok(())
    }

    /// Shingles of one or more columns of texts; other columns are taken in their text form. A missing value has none.
    ///
    /// # Errors
    /// As [`TokenSets::push`].
    pub fn of_texts(columns: &[Values<'_>], shingles: Shingles, rows: usize) -> Result<Self> {
        let mut sets = Self::default();
        let mut tokens = Vec::new();
        for row in 0..rows {
            tokens.clear();
            for (at, values) in columns.iter().enumerate() {
                if let Some(text) = values.text(row) {
                    shingles.cut(at as u64, &text, &mut tokens);
                }
            }
            sets.push(&mut tokens)?;
        }
        Ok(sets)
    }

    /// One token for each value that is there, "column=value".
    ///
    /// # Errors
    /// As [`TokenSets::push`].
    pub fn of_values(columns: &[Values<'_>], rows: usize) -> Result<Self> {
        let mut sets = Self::default();
        let (mut tokens, mut bytes) = (Vec::new(), Vec::new());
        for row in 0..rows {
            tokens.clear();
            for (at, values) in columns.iter().enumerate().filter(|(_, values)| !values.is_missing(row)) {
                bytes.clear();
                values.encode(row, &mut bytes);
                let mut hash = Hash128::new(at as u64);
                hash.bytes(&bytes);
                tokens.push(hash.finish64());
            }
            sets.push(&mut tokens)?;
        }
        Ok(sets)
    }

    /// The set of a row.
    pub fn row(&self, row: usize) -> &[u64] {
        let begin = row.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.tokens[begin..self.ends[row]]
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.ends.len()
    }

    /// Tokens of all rows together.
    pub fn total(&self) -> usize {
        self.tokens.len()
    }
}

/// Whether two ascending sets have a Jaccard index of at least `threshold`; two empty sets have none.
pub fn similar(a: &[u64], b: &[u64], threshold: f64) -> bool {
    let both = (a.len() + b.len()) as f64;
    // |a and b| / (|a| + |b| - |a and b|) >= t, solved for the smallest common part
    let needed = (threshold * both / (1.0 + threshold) - 1e-9).ceil().max(1.0) as usize;
    let (mut i, mut j, mut common) = (0, 0, 0);
    while i < a.len() && j < b.len() {
        if common + (a.len() - i).min(b.len() - j) < needed {
            return false;
        }
        match a[i].cmp(&b[j]) {
            std::cmp::Ordering::Less => i += 1,
            std::cmp::Ordering::Greater => j += 1,
            std::cmp::Ordering::Equal => (i, j, common) = (i + 1, j + 1, common + 1),
        }
    }
    needed <= common
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(shingles: Shingles, text: &str) -> usize {
        let mut out = Vec::new();
        shingles.cut(0, text, &mut out);
        out.len()
    }

    #[test]
    fn texts_are_cut_into_overlapping_pieces() {
        assert_eq!(pieces(Shingles::Words(3), "one two, three FOUR"), 2);
        assert_eq!(pieces(Shingles::Words(3), "one two"), 1);
        assert_eq!(pieces(Shingles::Words(3), " .,"), 0);
        assert_eq!(pieces(Shingles::Characters(5), "héllo  wörld"), 7);
        assert_eq!(pieces(Shingles::Characters(5), "abc"), 1);
        assert_eq!(pieces(Shingles::Characters(5), ""), 0);
    }

    #[test]
    fn the_threshold_itself_is_similar() {
        let a: Vec<u64> = (0..9).collect();
        let b: Vec<u64> = (0..8).chain([100]).collect();
        assert!(similar(&a, &b, 0.8), "8 of 10");
        assert!(!similar(&a, &b[..8].iter().copied().chain([100, 101]).collect::<Vec<_>>(), 0.8), "8 of 11");
        assert!(!similar(&[], &[], 0.8));
    }
}
