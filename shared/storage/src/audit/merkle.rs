//! Merkle tree hash, inclusion proofs and consistency proofs of RFC 9162 §2.1.

use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// A node of the tree.
pub type Hash = [u8; 32];

/// A complete subtree: `2^level` leaves, the `position`-th of that level.
pub type Node = (u32, u64);

/// `MTH({d}) = SHA-256(0x00 || d)`. Source: RFC 9162 §2.1.1.
pub fn leaf_hash(data: &[u8]) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update([0]);
    hasher.update(data);
    hasher.finalize().into()
}

/// `SHA-256(0x01 || left || right)`. Source: RFC 9162 §2.1.1.
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update([1]);
    hasher.update(left);
    hasher.update(right);
    hasher.finalize().into()
}

/// The root of no leaves: the hash of nothing. Source: RFC 9162 §2.1.1.
pub fn empty_root() -> Hash {
    Sha256::digest([]).into()
}

/// The right edge of a tree: the roots of its complete subtrees, widest first. All that appending needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    peaks: Vec<Hash>,
}

impl Frontier {
    /// From a stored size and peaks; `None` unless there is one peak per set bit of the size.
    pub fn from_parts(size: u64, peaks: Vec<Hash>) -> Option<Self> {
        (peaks.len() == size.count_ones() as usize).then_some(Self { size, peaks })
    }

    /// Number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The roots of the complete subtrees, widest first.
    pub fn peaks(&self) -> &[Hash] {
        &self.peaks
    }

    /// Appends a leaf hash and returns the complete subtrees that it finished, leaf first.
    pub fn append(&mut self, leaf: Hash) -> Vec<(Node, Hash)> {
        let mut finished = vec![((0, self.size), leaf)];
        let mut hash = leaf;
        // Every trailing one of the old size is a peak as wide as what has grown so far.
        for level in 1..=self.size.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                hash = node_hash(&left, &hash);
                finished.push(((level, self.size >> level), hash));
            }
        }
        self.peaks.push(hash);
        self.size += 1;
        finished
    }

    /// The root of all leaves so far.
    pub fn root(&self) -> Hash {
        let mut narrow_first = self.peaks.iter().rev();
        let Some(last) = narrow_first.next() else { return empty_root() };
        narrow_first.fold(*last, |right, left| node_hash(left, &right))
    }
}

/// A range of leaves `[begin, end)` whose hash a proof consists of.
type Range = (u64, u64);

/// Largest power of two smaller than `n`, for `n >= 2`.
fn split(n: u64) -> u64 {
    1 << (u64::BITS - 1 - (n - 1).leading_zeros())
}

/// The subtrees of the inclusion proof for leaf `index` in a tree of `size`, lowest first.
/// `None` unless `index < size`. Source: RFC 9162 §2.1.3.1.
pub fn inclusion_ranges(index: u64, size: u64) -> Option<Vec<Range>> {
    if index >= size {
        return None;
    }
    let (mut begin, mut end, mut path) = (0, size, Vec::new());
    while end - begin > 1 {
        let middle = begin + split(end - begin);
        if index < middle {
            path.push((middle, end));
            end = middle;
        } else {
            path.push((begin, middle));
            begin = middle;
        }
    }
    path.reverse();
    Some(path)
}

/// The subtrees of the consistency proof from `old` to `new` leaves, lowest first; none for an
/// empty or equal old tree. `None` unless `old <= new`. Source: RFC 9162 §2.1.4.1.
pub fn consistency_ranges(old: u64, new: u64) -> Option<Vec<Range>> {
    if old > new {
        return None;
    }
    if old == 0 || old == new {
        return Some(Vec::new());
    }
    let (mut begin, mut end, mut path) = (0, new, Vec::new());
    while old < end {
        let middle = begin + split(end - begin);
        if old <= middle {
            path.push((middle, end));
            end = middle;
        } else {
            path.push((begin, middle));
            begin = middle;
        }
    }
    // The old tree itself is known to the verifier when it is a complete subtree on the left.
    if begin != 0 {
        path.push((begin, end));
    }
    path.reverse();
    Some(path)
}

/// The complete subtrees that make up the leaves `[begin, end)`, left to right.
pub fn complete_nodes(begin: u64, end: u64) -> Vec<Node> {
    let (mut at, mut nodes) = (begin, Vec::new());
    while at < end {
        let fits = (end - at).ilog2();
        let level = if at == 0 { fits } else { fits.min(at.trailing_zeros()) };
        nodes.push((level, at >> level));
        at += 1 << level;
    }
    nodes
}

/// The hash over leaves `[begin, end)` of a proof, from stored complete subtrees.
/// `None` if one is missing.
pub fn range_hash(range: Range, stored: &BTreeMap<Node, Hash>) -> Option<Hash> {
    let nodes = complete_nodes(range.0, range.1);
    let mut hashes = nodes.iter().rev().map(|node| stored.get(node).copied());
    let last = hashes.next()??;
    hashes.try_fold(last, |right, left| Some(node_hash(&left?, &right)))
}

/// Whether `proof` shows that `leaf` is number `index` of the `size` leaves under `root`.
/// Source: RFC 9162 §2.1.3.2.
pub fn verify_inclusion(leaf: &Hash, index: u64, size: u64, proof: &[Hash], root: &Hash) -> bool {
    if index >= size {
        return false;
    }
    let (mut number, mut last, mut hash) = (index, size - 1, *leaf);
    for sibling in proof {
        if last == 0 {
            return false;
        }
        if number & 1 == 1 || number == last {
            hash = node_hash(sibling, &hash);
            while number & 1 == 0 && number != 0 {
                number >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        number >>= 1;
        last >>= 1;
    }
    last == 0 && hash == *root
}

/// Whether `proof` shows that the tree under `new_root` begins with the tree under `old_root`.
/// Source: RFC 9162 §2.1.4.2.
pub fn verify_consistency(old: u64, new: u64, old_root: &Hash, new_root: &Hash, proof: &[Hash]) -> bool {
    if old == 0 {
        return proof.is_empty() && *old_root == empty_root();
    }
    if old == new {
        return proof.is_empty() && old_root == new_root;
    }
    if old > new || proof.is_empty() {
        return false;
    }
    let mut rest = proof.iter();
    let start = if old.is_power_of_two() { Some(old_root) } else { rest.next() };
    let Some(start) = start else { return false };
    let (mut number, mut last) = (old - 1, new - 1);
    while number & 1 == 1 {
        number >>= 1;
        last >>= 1;
    }
    let (mut first, mut second) = (*start, *start);
    for sibling in rest {
        if last == 0 {
            return false;
        }
        if number & 1 == 1 || number == last {
            first = node_hash(sibling, &first);
            second = node_hash(sibling, &second);
            while number & 1 == 0 && number != 0 {
                number >>= 1;
                last >>= 1;
            }
        } else {
            second = node_hash(&second, sibling);
        }
        number >>= 1;
        last >>= 1;
    }
    last == 0 && first == *old_root && second == *new_root
}
