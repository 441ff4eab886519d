//! BLEU as sacrebleu 2.6 computes it, signature `nrefs:*|case:mixed|eff:no|tok:13a|smooth:exp`.

use std::collections::HashMap;

use crate::error::{Error, Result, same_length};

/// Longest n-gram counted.
pub const MAX_ORDER: usize = 4;

/// Signature of the scores of [`corpus_bleu`], less the number of references.
pub const SIGNATURE: &str = "case:mixed|eff:no|tok:13a|smooth:exp";

/// Counts from which BLEU is computed; mergeable by addition over sentences.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BleuCounts {
    /// Clipped matches per order.
    pub matches: [u64; MAX_ORDER],
    /// N-grams of the hypothesis per order.
    pub totals: [u64; MAX_ORDER],
    /// Tokens of the hypotheses.
    pub hypothesis_length: u64,
    /// Tokens of the closest references (the shorter of two equally close).
    pub reference_length: u64,
}

/// A BLEU score with its parts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bleu {
    /// 0..=100; a perfect match is 100.00000000000004, as in sacrebleu.
    pub score: f64,
    /// Percent of n-grams matched, smoothed, per order.
    pub precisions: [f64; MAX_ORDER],
    /// Brevity penalty, 0..=1.
    pub brevity_penalty: f64,
    /// What it was computed from.
    pub counts: BleuCounts,
}

impl BleuCounts {
    /// Counts one hypothesis against its references.
    pub fn of(hypothesis: &str, references: &[&str]) -> Result<Self> {
        if references.is_empty() {
            return Err(Error::Empty { what: "references" });
        }
        let text = tokenize_13a(hypothesis);
        let tokens: Vec<&str> = text.split(' ').filter(|t| !t.is_empty()).collect();
        let mut counts = Self { hypothesis_length: tokens.len() as u64, ..Self::default() };
        let mut best: HashMap<Vec<String>, u64> = HashMap::new();
        let mut closest: Option<u64> = None;
        for reference in references {
            let text = tokenize_13a(reference);
            let words: Vec<&str> = text.split(' ').filter(|t| !t.is_empty()).collect();
            let length = words.len() as u64;
            let distance = |l: u64| (l.abs_diff(counts.hypothesis_length), l);
            closest =
                Some(closest.map_or(length, |c| if distance(length) < distance(c) { length } else { c }));
            for (gram, count) in n_grams(&words) {
                let gram: Vec<String> = gram.iter().map(|t| (*t).to_owned()).collect();
                let entry = best.entry(gram).or_default();
                *entry = (*entry).max(count);
            }
        }
        counts.reference_length = closest.unwrap_or(0);
        for (gram, count) in n_grams(&tokens) {
            let order = gram.len() - 1;
            counts.totals[order] += count;
            let key: Vec<String> = gram.iter().map(|t| (*t).to_owned()).collect();
            counts.matches[order] += count.min(best.get(&key).copied().unwrap_or(0));
        }
        Ok(counts)
    }

    /// Adds the counts of other sentences.
    pub fn merge(&mut self, other: &Self) {
        for order in 0..MAX_ORDER {
            self.matches[order] += other.matches[order];
            self.totals[order] += other.totals[order];
        }
        self.hypothesis_length += other.hypothesis_length;
        self.reference_length += other.reference_length;
    }

    /// The score. With `effective_order` the mean is over the orders that the hypothesis has (for sentences).
    pub fn score(&self, effective_order: bool) -> Bleu {
        let (hyp, reference) = (self.hypothesis_length as f64, self.reference_length as f64);
        let brevity_penalty = match self.hypothesis_length {
            0 if self.reference_length > 0 => 0.0,
            length if length < self.reference_length => (1.0 - reference / hyp).exp(),
            _ => 1.0,
        };
        let mut precisions = [0.0; MAX_ORDER];
        // no match of any order is 0 in spite of the smoothing
        if self.matches.iter().all(|m| *m == 0) {
            return Bleu { score: 0.0, precisions, brevity_penalty, counts: *self };
        }
        let (mut smoothing, mut orders) = (1.0, MAX_ORDER);
        for (order, precision) in precisions.iter_mut().enumerate() {
            let total = self.totals[order] as f64;
            if self.totals[order] == 0 {
                break;
            }
            if effective_order {
                orders = order + 1;
            }
            *precision = if self.matches[order] == 0 {
                smoothing *= 2.0;
                100.0 / (smoothing * total)
            } else {
                100.0 * self.matches[order] as f64 / total
            };
        }
        let logs = precisions[..orders].iter().map(|p| p.ln()).sum::<f64>();
        let score = brevity_penalty * (logs / orders as f64).exp();
        Bleu { score, precisions, brevity_penalty, counts: *self }
    }
}

/// BLEU of a corpus; `references[i]` are the references of `hypotheses[i]`.
pub fn corpus_bleu(hypotheses: &[&str], references: &[Vec<&str>]) -> Result<Bleu> {
    same_length(hypotheses.len(), references.len())?;
    if hypotheses.is_empty() {
        return Err(Error::Empty { what: "hypotheses" });
    }
    let mut counts = BleuCounts::default();
    for (hypothesis, references) in hypotheses.iter().zip(references) {
        counts.merge(&BleuCounts::of(hypothesis, references)?);
    }
    Ok(counts.score(false))
}

/// BLEU of one sentence, with effective order.
pub fn sentence_bleu(hypothesis: &str, references: &[&str]) -> Result<Bleu> {
    Ok(BleuCounts::of(hypothesis, references)?.score(true))
}

fn n_grams<'a>(tokens: &'a [&'a str]) -> HashMap<&'a [&'a str], u64> {
    let mut counts = HashMap::new();
    for order in 1..=MAX_ORDER {
        for gram in tokens.windows(order) {
            *counts.entry(gram).or_default() += 1;
        }
    }
    counts
}

/// The 13a tokenizer of mteval: tokens separated by single spaces.
pub fn tokenize_13a(line: &str) -> String {
    let line = line.trim_end_matches(white).replace("<skipped>", "").replace("-\n", "").replace('\n', " ");
    let line = line.replace("&quot;", "\"").replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">");
    let mut text: Vec<char> = vec![' '];
    for c in line.chars() {
        if symbol(c) { text.extend([' ', c, ' ']) } else { text.push(c) }
    }
    text.push(' ');
    let digit = |c: char| c.is_ascii_digit();
    let stop = |c: char| c == '.' || c == ',';
    let text = pairs(&text, |a, b| !digit(a) && stop(b), |a, b| vec![a, ' ', b, ' ']);
    let text = pairs(&text, |a, b| stop(a) && !digit(b), |a, b| vec![' ', a, ' ', b]);
    let text = pairs(&text, |a, b| digit(a) && b == '-', |a, b| vec![a, ' ', b, ' ']);
    let text: String = text.into_iter().collect();
    text.split(white).filter(|t| !t.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Python's notion of white space: Unicode's, and the four ASCII separators.
fn white(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

fn symbol(c: char) -> bool {
    matches!(c, '{'..='~' | '['..='`' | ' '..='&' | '('..='+' | ':'..='@' | '/')
}

/// Rewrites pairs of neighbours from left to right, as a regular expression without overlaps would.
fn pairs(
    text: &[char],
    fits: impl Fn(char, char) -> bool,
    rewrite: impl Fn(char, char) -> Vec<char>,
) -> Vec<char> {
    let mut out = Vec::with_capacity(text.len() + 8);
    let mut i = 0;
    while i < text.len() {
        match text.get(i + 1) {
            Some(&next) if fits(text[i], next) => {
                out.extend(rewrite(text[i], next));
                i += 2;
            }
            _ => {
                out.push(text[i]);
                i += 1;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_of_13a() {
        assert_eq!(tokenize_13a("It costs $1,200.50, \"really\"."), "It costs $ 1,200.50 , \" really \" .");
        assert_eq!(tokenize_13a("a 3-4 U.S.-based"), "a 3 - 4 U . S . -based");
    }

    #[test]
    fn edges() {
        assert!((corpus_bleu(&["a b c d e"], &[vec!["a b c d e"]]).unwrap().score - 100.0).abs() < 1e-9);
        assert_eq!(corpus_bleu(&["x y z w"], &[vec!["a b c d"]]).unwrap().score, 0.0);
        assert_eq!(corpus_bleu(&["a"], &[vec!["a"]]).unwrap().score, 0.0);
        assert!((sentence_bleu("a", &["a"]).unwrap().score - 100.0).abs() < 1e-9);
        assert!(corpus_bleu(&[], &[]).is_err());
        assert!(sentence_bleu("a", &[]).is_err());
    }
}
