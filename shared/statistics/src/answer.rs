//! Exact match and token F1 of short answers, with the normalisation of SQuAD v1.1 and v2.0.

use std::collections::HashMap;

use crate::error::{Error, Result};

/// Lower case, without ASCII punctuation and the articles a, an, the; single spaces.
pub fn normalise(text: &str) -> String {
    let text: String = text.to_lowercase().chars().filter(|c| !c.is_ascii_punctuation()).collect();
    // whole words only: punctuation is gone by now
    text.split_whitespace().filter(|w| !matches!(*w, "a" | "an" | "the")).collect::<Vec<_>>().join(" ")
}

/// 1 if the answer equals one of the references after normalisation, else 0.
pub fn exact_match(answer: &str, references: &[&str]) -> Result<f64> {
    best(references, |r| f64::from(u8::from(normalise(answer) == normalise(r))))
}

/// Best F1 over tokens with any reference; if either side is empty, 1 only when both are (v2.0).
pub fn token_f1(answer: &str, references: &[&str]) -> Result<f64> {
    best(references, |r| f1(&normalise(answer), &normalise(r)))
}

fn best(references: &[&str], score: impl Fn(&str) -> f64) -> Result<f64> {
    if references.is_empty() {
        return Err(Error::Empty { what: "references" });
    }
    Ok(references.iter().map(|r| score(r)).fold(0.0, f64::max))
}

fn f1(answer: &str, reference: &str) -> f64 {
    let (a, r): (Vec<&str>, Vec<&str>) =
        (answer.split_whitespace().collect(), reference.split_whitespace().collect());
    if a.is_empty() || r.is_empty() {
        return f64::from(u8::from(a.is_empty() && r.is_empty()));
    }
    let mut left: HashMap<&str, usize> = HashMap::new();
    for token in &r {
        *left.entry(token).or_default() += 1;
    }
    let mut same = 0;
    for token in &a {
        if let Some(count) = left.get_mut(token).filter(|c| **c > 0) {
            *count -= 1;
            same += 1;
        }
    }
    2.0 * f64::from(same) / (a.len() + r.len()) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn squad_by_hand() {
        assert_eq!(exact_match("The Eiffel Tower!", &["eiffel tower"]), Ok(1.0));
        assert_eq!(token_f1("red blue", &["blue green"]), Ok(0.5));
        assert_eq!(token_f1("", &[""]), Ok(1.0));
        assert_eq!(token_f1("an answer", &[""]), Ok(0.0));
        assert!(exact_match("x", &[]).is_err());
    }
}
