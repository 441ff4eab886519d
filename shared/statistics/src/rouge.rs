//! ROUGE-1, -2 and -L as rouge-score 0.1.2 computes them without stemming.
//!
//! Its tokenizer knows a-z and 0-9 only: text in other scripts has no tokens and scores 0 there. Use
//! [`Tokenizer::Unicode`], which carries another name, for such text.

use std::collections::HashMap;

/// How text becomes tokens; part of the name of the score.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tokenizer {
    /// Lower case, anything but a-z and 0-9 separates: rouge-score.
    Ascii,
    /// Lower case, anything but letters and digits of any script separates.
    Unicode,
}

/// A score, each part 0..=1; all 0 when either side has no tokens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rouge {
    /// Matched among predicted.
    pub precision: f64,
    /// Matched among expected.
    pub recall: f64,
    /// Their harmonic mean.
    pub f1: f64,
}

impl Rouge {
    fn new(matched: usize, predicted: usize, expected: usize) -> Self {
        let (precision, recall) =
            (matched as f64 / predicted.max(1) as f64, matched as f64 / expected.max(1) as f64);
        let sum = precision + recall;
        let f1 = if sum > 0.0 { 2.0 * precision * recall / sum } else { 0.0 };
        Self { precision, recall, f1 }
    }
}

/// ROUGE-N: overlap of n-grams (`n` 1 or 2 as a rule; 0 scores 0).
pub fn rouge_n(target: &str, prediction: &str, n: usize, tokenizer: Tokenizer) -> Rouge {
    let (target, prediction) = (tokens(target, tokenizer), tokens(prediction, tokenizer));
    if n == 0 {
        return Rouge::new(0, 0, 0);
    }
    let mut left: HashMap<&[String], usize> = HashMap::new();
    for gram in target.windows(n) {
        *left.entry(gram).or_default() += 1;
    }
    let mut matched = 0;
    for gram in prediction.windows(n) {
        if let Some(count) = left.get_mut(gram).filter(|c| **c > 0) {
            *count -= 1;
            matched += 1;
        }
    }
    Rouge::new(matched, (prediction.len() + 1).saturating_sub(n), (target.len() + 1).saturating_sub(n))
}

/// ROUGE-L: longest common subsequence of tokens.
pub fn rouge_l(target: &str, prediction: &str, tokenizer: Tokenizer) -> Rouge {
    let (target, prediction) = (tokens(target, tokenizer), tokens(prediction, tokenizer));
    Rouge::new(common_subsequence(&target, &prediction), prediction.len(), target.len())
}

fn tokens(text: &str, tokenizer: Tokenizer) -> Vec<String> {
    let inside = |c: char| match tokenizer {
        Tokenizer::Ascii => c.is_ascii_lowercase() || c.is_ascii_digit(),
        Tokenizer::Unicode => c.is_alphanumeric(),
    };
    let lower = text.to_lowercase();
    lower.split(|c| !inside(c)).filter(|t| !t.is_empty()).map(str::to_owned).collect()
}

/// Length of the longest common subsequence, 64 positions at a time (Crochemore et al. 2001).
fn common_subsequence(a: &[String], b: &[String]) -> usize {
    let words = a.len().div_ceil(64);
    let mut places: HashMap<&str, Vec<u64>> = HashMap::new();
    for (i, token) in a.iter().enumerate() {
        places.entry(token).or_insert_with(|| vec![0; words])[i / 64] |= 1 << (i % 64);
    }
    let mut open = vec![u64::MAX; words];
    for token in b {
        let Some(mask) = places.get(token.as_str()) else { continue };
        let mut carry = false;
        for (word, m) in open.iter_mut().zip(mask) {
            let hit = *word & m;
            let (sum, over) = word.overflowing_add(hit);
            let (sum, again) = sum.overflowing_add(u64::from(carry));
            carry = over || again;
            *word = sum | (*word & !m);
        }
    }
    let tail = a.len() % 64;
    if let Some(last) = open.last_mut().filter(|_| tail != 0) {
        *last |= u64::MAX << tail;
    }
    open.iter().map(|word| word.count_zeros() as usize).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        let (target, prediction) = ("the cat sat on the mat", "the cat on the mat");
        let one = rouge_n(target, prediction, 1, Tokenizer::Ascii);
        assert!((one.precision - 1.0).abs() < 1e-15 && (one.recall - 5.0 / 6.0).abs() < 1e-15);
        let two = rouge_n(target, prediction, 2, Tokenizer::Ascii);
        assert!((two.precision - 0.75).abs() < 1e-15 && (two.recall - 0.6).abs() < 1e-15);
        assert!((rouge_l(target, prediction, Tokenizer::Ascii).recall - 5.0 / 6.0).abs() < 1e-15);
    }

    #[test]
    fn other_scripts_need_the_unicode_tokenizer() {
        assert_eq!(rouge_n("привет мир", "привет мир", 1, Tokenizer::Ascii).f1, 0.0);
        assert_eq!(rouge_n("привет мир", "привет мир", 1, Tokenizer::Unicode).f1, 1.0);
    }

    #[test]
    fn long_subsequences_cross_the_word_border() {
        let a: Vec<String> = (0..200).map(|i| i.to_string()).collect();
        let b: Vec<String> = (0..200).filter(|i| i % 3 != 0).map(|i| i.to_string()).collect();
        assert_eq!(common_subsequence(&a, &b), b.len());
    }
}
