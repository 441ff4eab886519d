//! Texts: Unicode forms, counted tokens, and pieces of words by their number in a vocabulary.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int64Array, StringArray};
use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use unicode_normalization::UnicodeNormalization;

/// Bytes that a compiled pattern takes at most.
const PATTERN_BYTES: usize = 1 << 20;
/// Characters of a word that is looked up piece by piece; a longer one is unknown.
const WORD: usize = 100;
/// The piece that stands for what is not in the vocabulary.
pub const UNKNOWN: &str = "[UNK]";
/// The piece that fills up a short text.
pub const PADDING: &str = "[PAD]";

/// Unicode normal form, by the tables that the crate was built with: the golden rows of an artifact show where another
/// build has others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// Composed: one code point for a letter with its accent.
    Nfc,
    /// Composed, and compatible characters become one: a ligature its letters, a wide digit a digit.
    Nfkc,
}

/// A text in that form.
pub fn normal(text: &str, form: Form) -> String {
    match form {
        Form::Nfc => text.nfc().collect(),
        Form::Nfkc => text.nfkc().collect(),
    }
}

/// Each text that there is, changed.
pub fn mapped(array: &StringArray, change: impl Fn(&str) -> String) -> ArrayRef {
    Arc::new(array.iter().map(|text| text.map(&change)).collect::<StringArray>())
}

/// A regular expression whose matches are tokens. In JSON it is its text.
#[derive(Debug, Clone)]
pub struct Pattern(Regex);

impl Pattern {
    /// Compiles it.
    ///
    /// # Errors
    /// What is wrong with it, or that it would take too much memory.
    pub fn new(text: &str) -> Result<Self, String> {
        let built = RegexBuilder::new(text).size_limit(PATTERN_BYTES).dfa_size_limit(PATTERN_BYTES).build();
        built.map(Self).map_err(|error| format!("{text:?} is no pattern: {error}"))
    }

    /// Its matches that are not empty, from left to right.
    pub fn tokens<'a>(&'a self, text: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.find_iter(text).map(|found| found.as_str()).filter(|token| !token.is_empty())
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Serialize for Pattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.as_str())
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// The column of a token's count; of all tokens together where there is no vocabulary.
pub fn count_name(column: &str, token: Option<&str>) -> String {
    token.map_or_else(|| format!("{column}_tokens"), |token| format!("{column}~{token}"))
}

/// How often each token of the vocabulary stands in each text; without a vocabulary, how many tokens there are.
pub fn counts<'a, I: Iterator<Item = &'a str>>(
    column: &str,
    array: &'a StringArray,
    vocabulary: &[String],
    cut: impl Fn(&'a str) -> I,
) -> Vec<(String, ArrayRef)> {
    if vocabulary.is_empty() {
        let all = |text: &'a str| cut(text).count() as i64;
        let counted: Int64Array = array.iter().map(|text| text.map(all)).collect();
        return vec![(count_name(column, None), Arc::new(counted))];
    }
    // One walk over each text; the vocabulary is sorted.
    let mut found: Vec<Vec<Option<i64>>> = vec![Vec::with_capacity(array.len()); vocabulary.len()];
    for text in array {
        found.iter_mut().for_each(|column| column.push(text.map(|_| 0)));
        for token in text.into_iter().flat_map(&cut) {
            if let Ok(at) = vocabulary.binary_search_by(|known| known.as_str().cmp(token))
                && let Some(Some(count)) = found[at].last_mut()
            {
                *count += 1;
            }
        }
    }
    let named = vocabulary.iter().map(|token| count_name(column, Some(token)));
    named.zip(found).map(|(name, counts)| (name, Arc::new(Int64Array::from(counts)) as ArrayRef)).collect()
}

/// A vocabulary of word pieces: the number of a piece is its place. In JSON it is the list.
#[derive(Debug, Clone, PartialEq)]
pub struct Pieces {
    list: Vec<String>,
    places: HashMap<String, i64>,
    unknown: i64,
    padding: i64,
}

impl Pieces {
    /// Of a list.
    ///
    /// # Errors
    /// If a piece stands twice, or `[UNK]` or `[PAD]` is missing.
    pub fn new(list: Vec<String>) -> Result<Self, String> {
        let mut places = HashMap::with_capacity(list.len());
        for (at, piece) in list.iter().enumerate() {
            if places.insert(piece.clone(), at as i64).is_some() {
                return Err(format!("piece {piece:?} stands twice in the vocabulary"));
            }
        }
        let special = |piece: &str| {
            places.get(piece).copied().ok_or_else(|| format!("the vocabulary has no piece {piece}"))
        };
        let (unknown, padding) = (special(UNKNOWN)?, special(PADDING)?);
        Ok(Self { list, places, unknown, padding })
    }

    /// The first `length` pieces of a text, padded to that length.
    fn numbers(&self, text: &str, length: usize) -> Vec<i64> {
        let mut out = Vec::with_capacity(length);
        for word in words(text) {
            if length <= out.len() {
                break;
            }
            self.word(word, &mut out);
        }
        out.resize(length, self.padding);
        out
    }

    /// The longest piece first; pieces after the first begin with `##`. A word with a part that is none is unknown.
    ///
    /// Source: Wu et al. 2016, as BERT (Devlin et al. 2019) uses it.
    fn word(&self, word: &str, out: &mut Vec<i64>) {
        let begun = out.len();
        let (mut rest, mut first) = (word, true);
        if WORD < word.chars().count() {
            out.push(self.unknown);
            return;
        }
        while !rest.is_empty() {
            let ends = rest.char_indices().map(|(at, sign)| at + sign.len_utf8());
            let mut known = ends.collect::<Vec<_>>().into_iter().rev().filter_map(|end| {
                let piece = &rest[..end];
                let found =
                    if first { self.places.get(piece) } else { self.places.get(&format!("##{piece}")) };
                found.map(|number| (*number, end))
            });
            let Some((number, end)) = known.next() else {
                out.truncate(begun);
                out.push(self.unknown);
                return;
            };
            out.push(number);
            (rest, first) = (&rest[end..], false);
        }
    }
}

/// White space separates words, and each ASCII punctuation mark is a word.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split_whitespace().flat_map(|part| {
        part.split_inclusive(|sign: char| sign.is_ascii_punctuation()).flat_map(|run| {
            let mark = run.chars().next_back().filter(char::is_ascii_punctuation).map_or(0, char::len_utf8);
            let (word, mark) = run.split_at(run.len() - mark);
            [word, mark].into_iter().filter(|piece| !piece.is_empty())
        })
    })
}

impl Serialize for Pieces {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.list.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Pieces {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(Vec::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// The column of a place in the list of pieces.
pub fn piece_name(column: &str, at: usize) -> String {
    format!("{column}#{at}")
}

/// A column for each place in the list of a text's pieces.
pub fn pieces(
    column: &str,
    array: &StringArray,
    vocabulary: &Pieces,
    length: usize,
) -> Vec<(String, ArrayRef)> {
    let rows: Vec<Option<Vec<i64>>> =
        array.iter().map(|text| text.map(|text| vocabulary.numbers(text, length))).collect();
    let place = |at: usize| {
        let numbers: Int64Array = rows.iter().map(|row| row.as_ref().map(|row| row[at])).collect();
        (piece_name(column, at), Arc::new(numbers) as ArrayRef)
    };
    (0..length).map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_fall_into_their_longest_pieces() {
        let list = ["[PAD]", "[UNK]", "un", "##aff", "##able", "a", "##ff", ",", "!"];
        let pieces = Pieces::new(list.map(str::to_owned).to_vec()).unwrap();
        assert_eq!(pieces.numbers("unaffable, a!", 8), [2, 3, 4, 7, 5, 8, 0, 0]);
        assert_eq!(pieces.numbers("unaffably a", 3), [1, 5, 0], "one bad part makes the word unknown");
        assert_eq!(pieces.numbers("unaffable", 2), [2, 3], "cut to the length");
        assert_eq!(pieces.numbers(&"a".repeat(101), 1), [1]);
        assert!(Pieces::new(vec!["[UNK]".into()]).unwrap_err().contains("[PAD]"));
        assert!(Pieces::new(vec!["a".into(), "a".into()]).unwrap_err().contains("twice"));
    }

    #[test]
    fn patterns_cut_and_forms_join_spellings() {
        let words = Pattern::new(r"\w+|€").unwrap();
        assert_eq!(words.tokens("Größe: 5€, ok").collect::<Vec<_>>(), ["Größe", "5", "€", "ok"]);
        assert!(Pattern::new("(").is_err() && Pattern::new(r"(\w{1000}){1000}").is_err());
        assert_eq!(normal("e\u{301}\u{fb01}", Form::Nfc), "\u{e9}\u{fb01}");
        assert_eq!(normal("e\u{301}\u{fb01}", Form::Nfkc), "\u{e9}fi");
    }
}
