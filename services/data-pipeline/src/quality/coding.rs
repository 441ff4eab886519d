//! Values as small numbers that can be counted: bins of numbers, values of categories, words and length of texts.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use features::{Kind, Values};
use statistics::histogram::quantile_edges;

/// Bins of a number.
const BINS: usize = 10;
/// Words of a free text that are looked at, the most frequent.
const WORDS: usize = 200;
/// Mean length from which a text is free text, characters.
const TEXT_LENGTH: usize = 20;

/// Text that people write, as opposed to names of categories.
pub fn is_free_text(values: &Values<'_>, rows: &[usize]) -> bool {
    if values.kind() != Kind::Utf8 {
        return false;
    }
    let texts: Vec<_> = rows.iter().filter_map(|row| values.text(*row)).collect();
    let distinct = texts.iter().collect::<BTreeSet<_>>().len();
    let length: usize = texts.iter().map(|text| text.chars().count()).sum();
    texts.len() < 2 * distinct || TEXT_LENGTH * texts.len() <= length
}

/// Whether each of the most frequent words stands in the text, and the bin of its length.
pub fn readings_of_text(values: &Values<'_>, rows: &[usize]) -> Vec<(Vec<usize>, usize, String)> {
    let words: Vec<BTreeSet<String>> = rows
        .iter()
        .map(|row| values.text(*row).unwrap_or_default().to_lowercase())
        .map(|text| {
            let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
            words.map(str::to_owned).collect()
        })
        .collect();
    let mut frequent: BTreeMap<&str, usize> = BTreeMap::new();
    for word in words.iter().flatten() {
        *frequent.entry(word).or_default() += 1;
    }
    let mut frequent: Vec<(&str, usize)> = frequent.into_iter().filter(|(_, count)| *count > 1).collect();
    frequent.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    let mut readings: Vec<(Vec<usize>, usize, String)> = frequent
        .iter()
        .take(WORDS)
        .map(|(word, _)| {
            let codes = words.iter().map(|own| usize::from(own.contains(*word))).collect();
            (codes, 2, format!("by the word {word:?}"))
        })
        .collect();
    let lengths: Vec<f64> =
        rows.iter().map(|row| values.text(*row).map_or(0, |text| text.chars().count()) as f64).collect();
    if let Ok(edges) = quantile_edges(&lengths, BINS) {
        let codes = lengths.iter().map(|length| edges.partition_point(|edge| edge <= length)).collect();
        readings.push((codes, edges.len() + 1, "by length".to_owned()));
    }
    readings
}

/// Small numbers for values: quantile bins of numbers with many values, values otherwise; missing is a value of its own.
pub fn codes(values: &Values<'_>, rows: &[usize]) -> (Vec<usize>, usize) {
    let mut seen: HashMap<String, usize> = HashMap::new();
    let mut codes = Vec::with_capacity(rows.len());
    for row in rows {
        let text = values.text(*row).unwrap_or_default();
        let next = seen.len();
        codes.push(*seen.entry(text.into_owned()).or_insert(next));
    }
    let numbers: Vec<f64> =
        rows.iter().filter_map(|row| values.number(*row)).filter(|it| it.is_finite()).collect();
    if seen.len() <= 2 * BINS || numbers.is_empty() {
        return (codes, seen.len());
    }
    let Ok(edges) = quantile_edges(&numbers, BINS) else { return (codes, seen.len()) };
    let bin = |row: &usize| {
        values.number(*row).map_or(0, |number| 1 + edges.partition_point(|edge| *edge <= number))
    };
    (rows.iter().map(bin).collect(), edges.len() + 2)
}
