//! What is kept of the values of a column: exact while there are few different ones, sketches from then on. Mergeable.

use statistics::Moments;
use statistics::distinct::DistinctSketch;
use statistics::frequent::Frequent;
use statistics::quantiles::QuantileSketch;

use super::pattern::{self, Classes};

/// Sizes of the sketches of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// Different values that are counted exactly.
    pub values: usize,
    /// Values of a level of the quantile sketch.
    pub level: usize,
}

impl Sizes {
    /// Sizes for a table of so many columns: what a wide table needs stays bounded.
    pub fn of(columns: usize) -> Self {
        let columns = columns.max(1);
        Self {
            values: (131_072 / columns).clamp(64, 2_048),
            level: (131_072 / columns).clamp(256, 2_048) / 2 * 2,
        }
    }
}

fn frequent<T>(sizes: Sizes) -> Frequent<T> {
    Frequent::new(sizes.values).unwrap_or_else(|_| unreachable!("sizes are within the bounds"))
}

/// Finite numbers; times as microseconds since 1970.
#[derive(Debug, Clone)]
pub struct Numbers {
    sizes: Sizes,
    /// Counts of values.
    pub frequent: Frequent<f64>,
    /// What came after there were too many to count each; holds all values then.
    pub many: Option<Box<ManyNumbers>>,
}

/// Sketches of many numbers.
#[derive(Debug, Clone)]
pub struct ManyNumbers {
    /// How many are different.
    pub distinct: DistinctSketch,
    /// Mean and variance.
    pub moments: Moments,
    /// Quantiles.
    pub quantiles: QuantileSketch,
    /// Zeros.
    pub zeros: u64,
    /// Numbers below zero.
    pub negatives: u64,
}

impl Numbers {
    /// Nothing seen.
    pub fn new(sizes: Sizes) -> Self {
        Self { sizes, frequent: frequent(sizes), many: None }
    }

    /// Takes finite numbers and their hashes.
    pub fn add(&mut self, numbers: &[f64], hashes: &[u64]) {
        let mut from = 0;
        if self.many.is_none() {
            while from < numbers.len() && self.frequent.add_exact(hashes[from], 1, || numbers[from]) {
                from += 1;
            }
            if from == numbers.len() {
                return;
            }
        }
        let (numbers, hashes) = (&numbers[from..], &hashes[from..]);
        self.sketched().add(numbers, hashes);
        for (number, hash) in numbers.iter().zip(hashes) {
            self.frequent.add(*hash, 1, || *number);
        }
    }

    /// Adds what came after.
    pub fn merge(&mut self, later: Self) {
        if self.many.is_none() && later.many.is_none() {
            for entry in later.frequent.entries() {
                if !self.frequent.add_exact(entry.hash, entry.count, || entry.item) {
                    let many = self.sketched();
                    many.add_weighted(entry.item, entry.hash, entry.count);
                    self.frequent.add(entry.hash, entry.count, || entry.item);
                } else if let Some(many) = &mut self.many {
                    many.add_weighted(entry.item, entry.hash, entry.count);
                }
            }
            return;
        }
        let many = self.sketched();
        match &later.many {
            Some(other) => many.merge(other),
            None => {
                later.frequent.entries().iter().for_each(|it| many.add_weighted(it.item, it.hash, it.count))
            }
        }
        self.frequent.merge(later.frequent);
    }

    /// The sketches; when they are new they take what was counted exactly.
    fn sketched(&mut self) -> &mut ManyNumbers {
        let (frequent, sizes) = (&self.frequent, self.sizes);
        self.many.get_or_insert_with(|| Box::new(ManyNumbers::of(frequent, sizes)))
    }

    /// The sketches of all values, whether there are many or few.
    pub fn whole(&self) -> ManyNumbers {
        self.many.as_deref().cloned().unwrap_or_else(|| ManyNumbers::of(&self.frequent, self.sizes))
    }
}

impl ManyNumbers {
    fn of(frequent: &Frequent<f64>, sizes: Sizes) -> Self {
        let mut made = Self {
            distinct: DistinctSketch::default(),
            moments: Moments::default(),
            quantiles: QuantileSketch::new(sizes.level).unwrap_or_default(),
            zeros: 0,
            negatives: 0,
        };
        for entry in frequent.entries() {
            made.add_weighted(entry.item, entry.hash, entry.count);
        }
        made
    }

    fn add(&mut self, numbers: &[f64], hashes: &[u64]) {
        hashes.iter().for_each(|hash| self.distinct.add(*hash));
        self.moments.merge(&Moments::of(numbers));
        self.quantiles.add_all(numbers);
        self.zeros += numbers.iter().filter(|number| **number == 0.0).count() as u64;
        self.negatives += numbers.iter().filter(|number| **number < 0.0).count() as u64;
    }

    fn add_weighted(&mut self, number: f64, hash: u64, count: u64) {
        self.distinct.add(hash);
        self.moments.add_weighted(number, count);
        self.quantiles.add_weighted(number, count);
        self.zeros += if number == 0.0 { count } else { 0 };
        self.negatives += if number < 0.0 { count } else { 0 };
    }

    fn merge(&mut self, other: &Self) {
        self.distinct.merge(&other.distinct);
        self.moments.merge(&other.moments);
        // Sketches of one table have one capacity.
        let _ = self.quantiles.merge(&other.quantiles);
        self.zeros += other.zeros;
        self.negatives += other.negatives;
    }
}

/// Texts.
#[derive(Debug, Clone)]
pub struct Texts {
    /// Counts of values.
    pub frequent: Frequent<Sample>,
    /// What came after there were too many to count each; holds all values then.
    pub many: Option<Box<ManyTexts>>,
}

/// A text that is counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// Its beginning.
    pub text: Box<str>,
    /// Letters of the whole text.
    pub letters: u32,
    /// What it looks like.
    pub classes: Classes,
}

/// Bytes of a text that are kept.
const SAMPLE_BYTES: usize = 200;

impl Sample {
    fn of(text: &str, letters: u32, classes: Classes) -> Self {
        let mut end = text.len().min(SAMPLE_BYTES);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        Self { text: text[..end].into(), letters, classes }
    }
}

/// Sums over many texts.
#[derive(Debug, Clone, Default)]
pub struct ManyTexts {
    /// How many are different.
    pub distinct: DistinctSketch,
    /// Texts.
    pub count: u64,
    /// Sum of their letters.
    pub letters: u64,
    /// Fewest and most letters.
    pub range: Option<(u32, u32)>,
    /// Texts of each class.
    pub classes: [u64; pattern::COUNT],
}

impl ManyTexts {
    fn add(&mut self, hash: u64, letters: u32, classes: Classes, count: u64) {
        self.distinct.add(hash);
        self.count += count;
        self.letters += u64::from(letters) * count;
        let (min, max) = self.range.unwrap_or((letters, letters));
        self.range = Some((min.min(letters), max.max(letters)));
        let mut left = classes;
        while left != 0 {
            self.classes[left.trailing_zeros() as usize] += count;
            left &= left - 1;
        }
    }

    fn of(frequent: &Frequent<Sample>) -> Self {
        let mut made = Self::default();
        for entry in frequent.entries() {
            made.add(entry.hash, entry.item.letters, entry.item.classes, entry.count);
        }
        made
    }

    fn merge(&mut self, other: &Self) {
        self.distinct.merge(&other.distinct);
        self.count += other.count;
        self.letters += other.letters;
        self.range = match (self.range, other.range) {
            (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
            (a, b) => a.or(b),
        };
        self.classes.iter_mut().zip(other.classes).for_each(|(a, b)| *a += b);
    }
}

/// Letters of a text.
fn letters(text: &str) -> u32 {
    // Most texts are short and plain.
    if text.is_ascii() { text.len() as u32 } else { text.chars().count() as u32 }
}

impl Texts {
    /// Nothing seen.
    pub fn new(sizes: Sizes) -> Self {
        Self { frequent: frequent(sizes), many: None }
    }

    /// Takes a text and its hash.
    #[inline]
    pub fn add(&mut self, text: &str, hash: u64) {
        let sample = || Sample::of(text, letters(text), pattern::of(text));
        match &mut self.many {
            Some(many) => {
                let (letters, classes) = (letters(text), pattern::of(text));
                many.add(hash, letters, classes, 1);
                self.frequent.add(hash, 1, || Sample::of(text, letters, classes));
            }
            None if self.frequent.add_exact(hash, 1, sample) => {}
            None => {
                self.sketched();
                self.add(text, hash);
            }
        }
    }

    /// Takes a text several times.
    pub fn add_count(&mut self, text: &str, hash: u64, count: u64) {
        if count == 0 {
            return;
        }
        let sample = Sample::of(text, letters(text), pattern::of(text));
        if let Some(many) = &mut self.many {
            many.add(hash, sample.letters, sample.classes, count);
            self.frequent.add(hash, count, || sample);
        } else if !self.frequent.add_exact(hash, count, || sample.clone()) {
            self.sketched().add(hash, sample.letters, sample.classes, count);
            self.frequent.add(hash, count, || sample);
        }
    }

    /// Adds what came after.
    pub fn merge(&mut self, later: Self) {
        if self.many.is_none() && later.many.is_none() {
            for entry in later.frequent.entries() {
                let (sample, hash, count) = (&entry.item, entry.hash, entry.count);
                if self.many.is_none() {
                    if self.frequent.add_exact(hash, count, || sample.clone()) {
                        continue;
                    }
                    self.sketched();
                }
                self.sketched().add(hash, sample.letters, sample.classes, count);
                self.frequent.add(hash, count, || sample.clone());
            }
            return;
        }
        let many = self.sketched();
        match &later.many {
            Some(other) => many.merge(other),
            None => {
                for entry in later.frequent.entries() {
                    many.add(entry.hash, entry.item.letters, entry.item.classes, entry.count);
                }
            }
        }
        self.frequent.merge(later.frequent);
    }

    fn sketched(&mut self) -> &mut ManyTexts {
        let frequent = &self.frequent;
        self.many.get_or_insert_with(|| Box::new(ManyTexts::of(frequent)))
    }

    /// The sums over all texts, whether there are many or few.
    pub fn whole(&self) -> ManyTexts {
        self.many.as_deref().cloned().unwrap_or_else(|| ManyTexts::of(&self.frequent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use statistics::hashing::of_number;

    const SMALL: Sizes = Sizes { values: 8, level: 256 };

    fn numbers(values: &[f64]) -> Numbers {
        let mut made = Numbers::new(SMALL);
        let hashes: Vec<u64> = values.iter().map(|value| of_number(*value)).collect();
        made.add(values, &hashes);
        made
    }

    fn texts(values: &[String]) -> Texts {
        let mut made = Texts::new(SMALL);
        values.iter().for_each(|text| made.add(text, twox_hash::XxHash3_64::oneshot(text.as_bytes())));
        made
    }

    proptest! {
        /// Parts that are merged tell the same as the whole, whether they were few or many values.
        #[test]
        fn parts_make_the_whole(parts in vec(vec(-6_i32..6, 0..60), 1..5)) {
            let parts: Vec<Vec<f64>> = parts.iter().map(|it| it.iter().map(|v| f64::from(*v)).collect()).collect();
            let mut merged = Numbers::new(SMALL);
            parts.iter().for_each(|part| merged.merge(numbers(part)));
            let all = parts.concat();
            let (a, b) = (merged.whole(), numbers(&all).whole());
            prop_assert_eq!((a.zeros, a.negatives, a.moments.count()), (b.zeros, b.negatives, all.len() as u64));
            prop_assert_eq!(a.distinct, b.distinct);
            prop_assert_eq!(a.quantiles.range().ok(), b.quantiles.range().ok());
            prop_assert_eq!(a.quantiles.count(), b.quantiles.count());
            if all.len() > 1 {
                prop_assert!((a.moments.mean().unwrap() - b.moments.mean().unwrap()).abs() < 1e-9);
                prop_assert!((a.moments.variance().unwrap() - b.moments.variance().unwrap()).abs() < 1e-9);
            }
            let words: Vec<Vec<String>> = parts.iter().map(|it| it.iter().map(|v| format!("a{v}@b.de")).collect()).collect();
            let mut merged = Texts::new(SMALL);
            words.iter().for_each(|part| merged.merge(texts(part)));
            let (a, b) = (merged.whole(), texts(&words.concat()).whole());
            prop_assert_eq!((a.count, a.letters, a.range, a.classes), (b.count, b.letters, b.range, b.classes));
            prop_assert_eq!(a.distinct, b.distinct);
        }
    }
}
