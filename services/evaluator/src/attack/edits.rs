//! Small edits of a text: swap, delete, insert, look-alike letters.

use statistics::random::SplitMix64;
use std::collections::BTreeMap;

/// One edit at a position of the original text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edit {
    /// This character and the next change places: two characters are edited.
    Swap,
    /// It is left out.
    Delete,
    /// Another stands before it.
    Insert(char),
    /// Another stands in its place.
    Replace(char),
}

impl Edit {
    /// Characters that it edits.
    pub fn cost(self) -> usize {
        if self == Self::Swap { 2 } else { 1 }
    }
}

/// Edits by position, none on top of another.
pub type Edits = BTreeMap<usize, Edit>;

/// Characters that the edits change together.
pub fn cost(edits: &Edits) -> usize {
    edits.values().map(|edit| edit.cost()).sum()
}

/// Whether position `at` can take `edit` beside the others.
pub fn fits(edits: &Edits, text: &[char], at: usize, edit: Edit) -> bool {
    let swapped_before = at > 0 && edits.get(&(at - 1)) == Some(&Edit::Swap);
    let room = edit != Edit::Swap
        || (at + 1 < text.len() && !edits.contains_key(&(at + 1)) && text[at] != text[at + 1]);
    !edits.contains_key(&at) && !swapped_before && room
}

/// The edited text.
pub fn apply(text: &[char], edits: &Edits) -> String {
    let mut out = String::with_capacity(text.len() + edits.len());
    let mut at = 0;
    while at < text.len() {
        match edits.get(&at) {
            None => out.push(text[at]),
            Some(Edit::Delete) => {}
            Some(Edit::Insert(c)) => out.extend([*c, text[at]]),
            Some(Edit::Replace(c)) => out.push(*c),
            Some(Edit::Swap) => {
                out.extend(text.get(at + 1).copied().into_iter().chain([text[at]]));
                at += 1;
            }
        }
        at += 1;
    }
    out
}

/// A random edit for a character.
pub fn random(c: char, rng: &mut SplitMix64) -> Edit {
    match rng.below(5) {
        0 => Edit::Swap,
        1 => Edit::Delete,
        2 => Edit::Insert(if rng.below(2) == 0 { ' ' } else { letter(rng) }),
        3 => Edit::Replace(letter(rng)),
        _ => Edit::Replace(look_alike(c).unwrap_or_else(|| letter(rng))),
    }
}

fn letter(rng: &mut SplitMix64) -> char {
    char::from(b'a' + rng.below(26) as u8)
}

/// A character of another alphabet that looks the same.
fn look_alike(c: char) -> Option<char> {
    Some(match c {
        'a' => 'а',
        'c' => 'с',
        'e' => 'е',
        'i' => 'і',
        'j' => 'ј',
        'o' => 'о',
        'p' => 'р',
        's' => 'ѕ',
        'x' => 'х',
        'y' => 'у',
        'A' => 'А',
        'B' => 'В',
        'C' => 'С',
        'E' => 'Е',
        'H' => 'Н',
        'I' => 'І',
        'K' => 'К',
        'M' => 'М',
        'O' => 'О',
        'P' => 'Р',
        'S' => 'Ѕ',
        'T' => 'Т',
        'X' => 'Х',
        '0' => 'О',
        '1' => 'l',
        'l' => '1',
        _ => return None,
    })
}
