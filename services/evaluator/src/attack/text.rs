//! Character edits on text: first the words that matter are found by leaving each out, then edits are tried there.
//!
//! After DeepWordBug (Gao et al., 2018) with the edits of Pruthi et al., 2019; the search is random and keeps what lowers
//! the margin. Without scores it begins anew with every proposal.

use super::edits::{self, Edits};
use super::{Reaction, Search};
use crate::rows::Sample;
use statistics::random::SplitMix64;

/// Share of the budget that looking for the words that matter may take, as a divisor.
const LOOKING: u64 = 4;
/// Weight of a character that does not matter, so that every one may be tried.
const SMALL: f64 = 0.02;

/// One row's search on one of its texts.
#[derive(Debug)]
pub struct CharacterEdits {
    origin: Sample,
    field: usize,
    text: Vec<char>,
    room: usize,
    guided: bool,
    words: Vec<(usize, usize)>,
    looked: usize,
    weights: Vec<f64>,
    best: Edits,
    tried: Option<Edits>,
    margin: f64,
    rng: SplitMix64,
}

impl CharacterEdits {
    /// A search on text `field` of `origin`, whose margin is `margin`; at most `share` of the characters change. A text of
    /// which that is less than one character leaves nothing to try.
    pub fn new(
        origin: Sample,
        field: usize,
        share: f64,
        margin: f64,
        guided: bool,
        queries: u64,
        seed: u64,
    ) -> Self {
        let text: Vec<char> = origin.texts.get(field).map(|text| text.chars().collect()).unwrap_or_default();
        let room = room(&text, share);
        let mut words = if guided { words(&text) } else { Vec::new() };
        words.truncate((queries / LOOKING) as usize);
        let weights = vec![if guided { SMALL } else { 1.0 }; text.len()];
        let rng = SplitMix64::new(seed);
        Self {
            origin,
            field,
            text,
            room,
            guided,
            words,
            looked: 0,
            weights,
            best: Edits::new(),
            tried: None,
            margin,
            rng,
        }
    }

    fn with(&self, text: String) -> Sample {
        let mut sample = self.origin.clone();
        sample.texts[self.field] = text;
        sample
    }

    /// A position by its weight.
    fn position(&mut self) -> usize {
        let total: f64 = self.weights.iter().sum();
        let mut left = self.rng.next_f64() * total;
        for (at, weight) in self.weights.iter().enumerate() {
            left -= weight;
            if left < 0.0 {
                return at;
            }
        }
        self.text.len() - 1
    }

    fn add(&mut self, edits: &mut Edits) {
        let at = self.position();
        let edit = edits::random(self.text[at], &mut self.rng);
        if edit.cost() > self.room {
            return;
        }
        while edits::cost(edits) + edit.cost() > self.room {
            let drop = edits.keys().copied().nth(self.rng.below(edits.len()));
            drop.map(|at| edits.remove(&at));
        }
        if edits::fits(edits, &self.text, at, edit) {
            edits.insert(at, edit);
        }
    }
}

impl Search for CharacterEdits {
    fn propose(&mut self) -> Option<Sample> {
        if self.room == 0 {
            return None;
        }
        if let Some((from, to)) = self.words.get(self.looked) {
            let rest = self.text[..*from].iter().chain(&self.text[*to..]);
            return Some(self.with(rest.collect()));
        }
        let mut edits = if self.guided { self.best.clone() } else { Edits::new() };
        let steps = if self.guided { 1 } else { self.room };
        for _ in 0..steps {
            self.add(&mut edits);
        }
        let sample = self.with(edits::apply(&self.text, &edits));
        self.tried = Some(edits);
        Some(sample)
    }

    fn counts(&self) -> bool {
        // A text without a whole word is beyond what may be edited.
        self.looked >= self.words.len()
    }

    fn note(&mut self, reaction: Reaction) {
        if let Some((from, to)) = self.words.get(self.looked) {
            let drop = (self.margin - reaction.margin).max(0.0);
            let each = SMALL + drop / (to - from) as f64;
            self.weights[*from..*to].fill(each);
            self.looked += 1;
            return;
        }
        if let Some(tried) = self.tried.take()
            && reaction.margin <= self.margin
        {
            self.margin = reaction.margin;
            self.best = tried;
        }
    }
}

/// Characters of a text that may change.
fn room(text: &[char], share: f64) -> usize {
    (share * text.len() as f64).floor() as usize
}

/// Where words begin and end.
fn words(text: &[char]) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut start = None;
    for (at, c) in text.iter().chain([&' ']).enumerate() {
        match (c.is_whitespace(), start) {
            (false, None) => start = Some(at),
            (true, Some(from)) => {
                found.push((from, at));
                start = None;
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(text: &str) -> CharacterEdits {
        let origin = Sample { texts: vec![text.to_owned()], ..Sample::default() };
        CharacterEdits::new(origin, 0, 0.05, 1.0, false, 50, 7)
    }

    #[test]
    fn one_character_of_nineteen_is_more_than_a_twentieth() {
        assert_eq!(search("nineteen characters").propose(), None);
        let mut twenty = search("twenty characters ok");
        assert!((0..50).all(|_| twenty.propose().is_some()));
    }
}
