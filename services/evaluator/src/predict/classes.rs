//! The classes of a task, and which of them a label means.

use crate::Error;
use std::collections::{BTreeSet, HashMap};

/// Names that an error lists.
const SHOWN: usize = 20;

/// A label in one form for model, interface and data: no white space around it, numbers by their value, truth values in
/// lower case.
pub fn plain(label: &str) -> String {
    let label = label.trim();
    if let Some(number) = label.parse::<f64>().ok().filter(|number| number.is_finite()) {
        return crate::table::number_text(number);
    }
    if label.eq_ignore_ascii_case("true") || label.eq_ignore_ascii_case("false") {
        return label.to_ascii_lowercase();
    }
    label.to_owned()
}

/// The place that a label names as a number from 0 (truth values: false is 0).
pub fn position(label: &str) -> Option<usize> {
    match label {
        "false" => Some(0),
        "true" => Some(1),
        text => text.parse().ok(),
    }
}

/// The model's classes in the order of its scores, then labels that only the data has.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Classes {
    names: Vec<String>,
    of_model: usize,
    named: bool,
    places: HashMap<String, usize>,
    data_by_position: bool,
}

impl Classes {
    /// The model's classes if they are named; otherwise the data's labels in ascending order (numbers by their value),
    /// which is how scikit-learn numbers them. `labels` are those of the rows that are measured, `known` those of other
    /// rows of the dataset.
    ///
    /// # Errors
    /// [`Error::DoesNotFit`] where no label of the data is one of the named classes, neither by name nor by place.
    pub fn new<'a>(
        named: &[String],
        labels: impl IntoIterator<Item = &'a str>,
        known: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, Error> {
        let seen: BTreeSet<String> = labels.into_iter().map(plain).collect();
        if named.is_empty() {
            let all: BTreeSet<String> = seen.into_iter().chain(known.into_iter().map(plain)).collect();
            let names = ascending(all);
            return Ok(Self { of_model: names.len(), places: places(&names), names, ..Self::default() });
        }
        let mut classes = Self {
            names: named.to_vec(),
            of_model: named.len(),
            named: true,
            places: places(named),
            data_by_position: false,
        };
        let strange: BTreeSet<String> =
            seen.iter().filter(|label| !classes.places.contains_key(*label)).cloned().collect();
        if !seen.is_empty() && strange.len() == seen.len() {
            let by_position = strange.iter().all(|label| classes.at(label).is_some());
            if !by_position {
                let label = strange.iter().next().map_or("", String::as_str);
                return Err(Error::unfit(format!("label {label:?}"), classes.offered()));
            }
            classes.data_by_position = true;
            return Ok(classes);
        }
        for label in ascending(strange) {
            classes.places.insert(label.clone(), classes.names.len());
            classes.names.push(label);
        }
        Ok(classes)
    }

    /// Number of classes.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// How many of them the model knows: its score columns.
    pub fn of_model(&self) -> usize {
        self.of_model
    }

    /// Whether the model or its interface names them.
    pub fn are_named(&self) -> bool {
        self.named
    }

    /// The names in order.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Labels of the data that are no class of the model: it is never right about them.
    pub fn strange(&self) -> &[String] {
        &self.names[self.of_model..]
    }

    /// What the classes are, for an error.
    pub fn offered(&self) -> String {
        let names: Vec<&str> = self.names.iter().take(self.of_model.min(SHOWN)).map(String::as_str).collect();
        format!(
            "the classes are {}; label_prefix_strip drops characters from the end of a label",
            names.join(", ")
        )
    }

    /// The class that a label of the data means.
    pub fn index(&self, label: &str) -> Option<usize> {
        let label = plain(label);
        if self.data_by_position { self.at(&label) } else { self.named(&label) }
    }

    /// The class of that name, in the form of [`plain`].
    pub(super) fn named(&self, label: &str) -> Option<usize> {
        self.places.get(label).copied()
    }

    /// The model's class of that place, in the form of [`plain`].
    pub(super) fn at(&self, label: &str) -> Option<usize> {
        position(label).filter(|at| *at < self.of_model)
    }
}

fn places(names: &[String]) -> HashMap<String, usize> {
    let mut places = HashMap::new();
    for (at, name) in names.iter().enumerate() {
        places.entry(plain(name)).or_insert(at);
    }
    places
}

/// Numbers by their value if all are numbers, else all as texts: a total order in either case.
fn ascending(labels: BTreeSet<String>) -> Vec<String> {
    let mut labels: Vec<String> = labels.into_iter().collect();
    let numbers: Option<Vec<f64>> = labels.iter().map(|label| label.parse().ok()).collect();
    if let Some(numbers) = numbers {
        let mut pairs: Vec<(f64, String)> = numbers.into_iter().zip(labels).collect();
        pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
        labels = pairs.into_iter().map(|(_, label)| label).collect();
    }
    labels
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn of(named: &[&str], labels: &[&str]) -> Result<Classes, Error> {
        let named: Vec<String> = named.iter().map(|name| (*name).to_owned()).collect();
        Classes::new(&named, labels.iter().copied(), [])
    }

    #[test]
    fn unnamed_classes_stand_in_a_total_order() {
        assert_eq!(of(&[], &["10", "9", "2"]).unwrap().names(), ["2", "9", "10"]);
        assert_eq!(of(&[], &["9", "10", "1x"]).unwrap().names(), ["10", "1x", "9"]);
        let many: Vec<String> =
            (0..500).map(|at| if at % 3 == 0 { format!("{at}x") } else { at.to_string() }).collect();
        let classes = Classes::new(&[], many.iter().map(String::as_str), []).unwrap();
        assert_eq!(classes.len(), 500);
    }

    #[test]
    fn labels_are_the_same_in_every_writing() {
        let classes = of(&["False", " True"], &["false", "true"]).unwrap();
        assert_eq!((classes.index("TRUE"), classes.index("false")), (Some(1), Some(0)));
        assert_eq!(of(&["1.0", "2.0"], &["1", "2"]).unwrap().index("2"), Some(1));
    }

    #[test]
    fn labels_of_the_data_are_names_or_places_and_never_both() {
        assert_eq!(of(&["good", "bad"], &["0", "1"]).unwrap().index("1"), Some(1));
        assert!(of(&["good", "bad"], &["1", "2"]).is_err(), "2 is no place");
        assert!(of(&["<=50K", ">50K"], &["<=50K.", ">50K."]).is_err(), "a forgotten strip is told");
        let some = of(&["a", "b"], &["a", "c"]).unwrap();
        assert_eq!((some.strange(), some.of_model(), some.index("c")), (&["c".to_owned()][..], 2, Some(2)));
    }

    #[test]
    fn a_class_of_other_rows_keeps_its_place() {
        let classes = Classes::new(&[], ["0", "2"], ["1", "3"]).unwrap();
        assert_eq!((classes.of_model(), classes.index("2")), (4, Some(2)));
    }
}
