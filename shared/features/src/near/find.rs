//! Clusters of near-duplicates in about linear time.
//!
//! Equal sets are joined first. Then two sets that are similar must share some of their rarest tokens: among the
//! n - ceil(t n) + k rarest of a set of n tokens are k that both have (prefix filter; Chaudhuri, Ganti, Kaushik 2006; Wang,
//! Li, Feng 2012). Sets that share so many of these are compared, and nothing is missed. Where a rare token is not rare
//! (boilerplate, columns of few values) the sets that have it are compared by MinHash buckets instead (Broder 1997), which
//! miss less than one pair of a thousand. What is too much even so is counted as not compared, never passed over.

use std::collections::HashMap;

use super::TokenSets;
use super::minhash::{BANDS, Bands};
use super::tokens::similar;
use crate::error::{Error, Result};
use crate::hash::Hash128;
use crate::split::Units;
use crate::split::units::UnionFind;

/// How near-duplicates are looked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// Smallest Jaccard index of near-duplicates.
    pub jaccard: f64,
    /// Seed of the hash functions.
    pub seed: u64,
    /// Sets that may share a rare token; where more do, they are put into MinHash buckets.
    pub posting: usize,
    /// Sets of a bucket that are all compared with each other; in larger ones each is compared with as many others.
    pub bucket: usize,
    /// Comparisons at most, for each row.
    pub pairs_per_row: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { jaccard: 0.8, seed: 0, posting: 128, bucket: 1024, pairs_per_row: 2000 }
    }
}

/// What was found.
#[derive(Debug, Clone)]
pub struct Found {
    /// Clusters; a row without near-duplicates is alone, and so is a row without tokens.
    pub units: Units,
    /// Pairs whose index was computed.
    pub compared: u64,
    /// Pairs that the limits kept from being compared in one of their buckets; 0 where the search was complete.
    pub not_compared: u64,
}

impl Found {
    /// Clusters of more than one row.
    pub fn clusters(&self) -> u64 {
        self.units.sizes().iter().filter(|size| 1 < **size).count() as u64
    }

    /// Rows beyond the first of their cluster.
    pub fn repeated_rows(&self) -> u64 {
        (self.units.rows() - self.units.len()) as u64
    }
}

/// Joins rows of which a chain of near-duplicates leads to another. Memory: about 24 bytes for each row and 16 for a fifth
/// of the tokens, beside the sets.
///
/// # Errors
/// [`Error::Parameter`] for a threshold that is not within 0.5..=1, and for too many rows.
pub fn find(sets: &TokenSets, options: &Options) -> Result<Found> {
    if !(0.5..=1.0).contains(&options.jaccard) {
        let why = format!("a Jaccard index of {} is not between 0.5 and 1", options.jaccard);
        return Err(Error::Parameter { column: "near-duplicates".into(), why });
    }
    Units::single(sets.rows())?;
    let most = options.pairs_per_row.saturating_mul(sets.rows() as u64);
    let mut join =
        Join { sets, options, clusters: UnionFind::new(sets.rows()), compared: 0, not_compared: 0, most };
    let distinct = join.equal();
    let crowded = join.by_rare_tokens(&distinct);
    join.by_buckets(&crowded);
    let Join { clusters, compared, not_compared, .. } = join;
    Ok(Found { units: Units::of_sets(clusters), compared, not_compared })
}

struct Join<'a> {
    sets: &'a TokenSets,
    options: &'a Options,
    clusters: UnionFind,
    compared: u64,
    not_compared: u64,
    most: u64,
}

impl Join<'_> {
    /// Joins equal sets; the first row of each set that is not empty.
    fn equal(&mut self) -> Vec<u32> {
        let mut first: HashMap<u128, u32> = HashMap::new();
        let mut distinct = Vec::new();
        for row in 0..self.sets.rows() {
            let set = self.sets.row(row);
            if set.is_empty() {
                continue;
            }
            let mut hash = Hash128::new(self.options.seed);
            set.iter().for_each(|token| hash.word(*token));
            match first.get(&hash.finish()) {
                Some(seen) if self.sets.row(*seen as usize) == set => {
                    self.clusters.union(*seen, row as u32);
                }
                Some(_) => distinct.push(row as u32),
                None => {
                    first.insert(hash.finish(), row as u32);
                    distinct.push(row as u32);
                }
            }
        }
        distinct
    }

    /// Compares sets that share enough of their rarest tokens; answers with the sets that share one with too many others.
    fn by_rare_tokens(&mut self, distinct: &[u32]) -> Vec<u32> {
        let mut postings = self.postings(distinct);
        postings.sort_unstable();
        let mut crowded = vec![false; self.sets.rows()];
        // Tokens of several sets: those sets, one token after the other, and for each set its tokens.
        let (mut members, mut ends, mut tokens): (Vec<u32>, Vec<usize>, Vec<(u32, u32)>) = Default::default();
        for posting in postings.chunk_by(|a, b| a.0 == b.0) {
            if self.options.posting < posting.len() {
                posting.iter().for_each(|(_, row)| crowded[*row as usize] = true);
            } else if 1 < posting.len() {
                tokens.extend(posting.iter().map(|(_, row)| (*row, ends.len() as u32)));
                members.extend(posting.iter().map(|(_, row)| *row));
                ends.push(members.len());
            }
        }
        drop(postings);
        tokens.sort_unstable();
        let (mut shared, mut touched) = (vec![0_u8; self.sets.rows()], Vec::new());
        for own in tokens.chunk_by(|a, b| a.0 == b.0) {
            let row = own[0].0;
            for (_, token) in own {
                let begin = token.checked_sub(1).map_or(0, |before| ends[before as usize]);
                let others = &members[begin..ends[*token as usize]];
                for other in &others[others.partition_point(|other| *other <= row)..] {
                    let shared = &mut shared[*other as usize];
                    if *shared == 0 {
                        touched.push(*other);
                    }
                    *shared = shared.saturating_add(1);
                }
            }
            let needed = shared_tokens(self.sets.row(row as usize).len());
            for other in touched.drain(..) {
                let both = std::mem::take(&mut shared[other as usize]);
                if needed.min(shared_tokens(self.sets.row(other as usize).len())) <= usize::from(both) {
                    self.compare(row, other);
                }
            }
        }
        distinct.iter().copied().filter(|row| crowded[*row as usize]).collect()
    }

    /// The rarest tokens of each set, as many as two similar sets cannot both do without. Tokens are counted in a table of
    /// bounded size: a collision makes a token look more frequent, and the order is the same for all sets all the same.
    fn postings(&self, distinct: &[u32]) -> Vec<(u64, u32)> {
        let bits = self.sets.total().next_power_of_two().clamp(1 << 10, 1 << 22).trailing_zeros();
        let slot = |token: u64| (token >> (64 - bits)) as usize;
        let mut counts = vec![0_u32; 1 << bits];
        for row in distinct {
            for token in self.sets.row(*row as usize) {
                counts[slot(*token)] = counts[slot(*token)].saturating_add(1);
            }
        }
        let (mut postings, mut ordered) = (Vec::new(), Vec::new());
        for row in distinct {
            let set = self.sets.row(*row as usize);
            let common = (self.options.jaccard * set.len() as f64 - 1e-9).ceil() as usize;
            let prefix = (set.len() - common + shared_tokens(set.len())).min(set.len());
            ordered.clear();
            ordered.extend(set.iter().map(|token| (counts[slot(*token)], *token)));
            if prefix < ordered.len() {
                ordered.select_nth_unstable(prefix);
            }
            postings.extend(ordered.iter().take(prefix).map(|(_, token)| (*token, *row)));
        }
        postings
    }

    /// Compares the sets of each MinHash bucket.
    fn by_buckets(&mut self, crowded: &[u32]) {
        if crowded.len() < 2 {
            return;
        }
        let bands = Bands::new(self.options.seed);
        for band in 0..BANDS {
            let keys = bands.buckets(band, self.sets, crowded);
            for bucket in keys.chunk_by(|a, b| a.0 == b.0) {
                self.compare_all(bucket, self.options.bucket);
            }
        }
    }

    /// Compares each member with the `reach` that follow it.
    fn compare_all(&mut self, members: &[(u64, u32)], reach: usize) {
        for (at, (_, a)) in members.iter().enumerate() {
            let after = &members[at + 1..];
            let near = &after[..after.len().min(reach)];
            self.not_compared += (after.len() - near.len()) as u64;
            near.iter().for_each(|(_, b)| self.compare(*a, *b));
        }
    }

    /// Joins two sets if they are similar; nothing to do where they are in one cluster already.
    fn compare(&mut self, a: u32, b: u32) {
        if self.clusters.find(a) == self.clusters.find(b) {
            return;
        }
        if self.most <= self.compared {
            self.not_compared += 1;
            return;
        }
        self.compared += 1;
        if similar(self.sets.row(a as usize), self.sets.row(b as usize), self.options.jaccard) {
            self.clusters.union(a, b);
        }
    }
}

/// How many of their rarest tokens two similar sets share at least, by the size of the smaller: the more are asked for, the
/// more of them must be looked at, and the fewer sets share so many by chance.
fn shared_tokens(size: usize) -> usize {
    (1 + size / 10).min(5)
}
