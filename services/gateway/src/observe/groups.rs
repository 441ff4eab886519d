//! Groups of rows (§9.1, disparity): which columns make them, and where a request says which group a row is in.

use std::collections::{BTreeMap, BTreeSet};

use contracts::common::v1::column_profile::Distribution;
use contracts::registry::v1::{DatasetVersion, Evaluation};
use engine::FieldError;

use super::reference::Place;

/// A sensitive column whose values are groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct GroupColumn {
    /// Name of the column.
    pub(super) name: String,
    /// Where the model's own inputs have it; else only a parameter of the request can say it.
    pub(super) place: Option<Place>,
    /// The training data's values. Others are not counted, so that their number is bounded.
    levels: BTreeSet<String>,
}

impl GroupColumn {
    /// The group columns of a version: those of its evaluation, else the sensitive ones of its training data.
    pub(super) fn of(
        data: &DatasetVersion,
        evaluation: &Evaluation,
        place: impl Fn(&str) -> Option<Place>,
    ) -> Vec<Self> {
        let sensitive = data.columns.iter().filter(|column| column.sensitive).map(|column| &column.name);
        let names: BTreeSet<&String> = match evaluation.group_columns.as_slice() {
            [] => sensitive.collect(),
            stated => stated.iter().collect(),
        };
        let one = |name: &String| {
            let profile = data.profiles.iter().find(|profile| profile.column == *name)?;
            let Some(Distribution::Categorical(counts)) = &profile.distribution else { return None };
            Some(Self {
                name: name.clone(),
                place: place(name),
                levels: counts.values.iter().cloned().collect(),
            })
        };
        names.into_iter().filter_map(one).collect()
    }

    /// Whether rows with that value are counted.
    pub(super) fn counts(&self, value: &str) -> bool {
        self.levels.contains(value)
    }

    /// The value of each row as a parameter gives it: one for all of them, or one for each, separated by commas.
    pub(super) fn given(&self, text: &str, rows: usize) -> Option<Vec<String>> {
        let each: Vec<&str> = text.split(',').collect();
        if each.len() == 1 || self.counts(text) {
            return Some(vec![text.to_owned(); rows]);
        }
        (each.len() == rows).then(|| each.into_iter().map(str::to_owned).collect())
    }
}

/// Parameters `group.<column>` that cannot be used with a version that has these group columns.
pub(super) fn bad(columns: &[GroupColumn], given: &BTreeMap<String, String>, rows: usize) -> Vec<FieldError> {
    let one = |(name, text): (&String, &String)| {
        let description = match columns.iter().find(|column| column.name == *name) {
            None => "this version has no such group column".to_owned(),
            Some(column) if column.given(text, rows).is_some() => return None,
            Some(_) => format!("{} values, required 1 or {rows}", text.split(',').count()),
        };
        let field = format!("parameters[group.{}]", crate::wire::shown(name));
        Some(FieldError { field, description })
    };
    given.iter().filter_map(one).collect()
}

/// The predictions that count as favourable: those that the evaluation compared, else the second of two classes.
pub(super) fn favourable(
    evaluation: &Evaluation,
    classes: &[String],
    data: &DatasetVersion,
) -> BTreeSet<String> {
    if !evaluation.favourable_labels.is_empty() {
        return evaluation.favourable_labels.iter().cloned().collect();
    }
    let label = data.profiles.iter().find(|profile| profile.column == data.label_column);
    let levels = match label.and_then(|profile| profile.distribution.as_ref()) {
        Some(Distribution::Categorical(counts)) => counts.values.iter().cloned().collect(),
        _ => BTreeSet::new(),
    };
    match classes {
        [] if levels.len() == 2 => levels.into_iter().skip(1).collect(),
        [_, second] => BTreeSet::from([second.clone()]),
        _ => BTreeSet::new(),
    }
}
