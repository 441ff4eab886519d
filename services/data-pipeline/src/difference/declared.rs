//! What the records of two versions say: their columns, their quality, how the number grows.

use std::collections::BTreeMap;

use contracts::pipeline::v1::column_change::Kind;
use contracts::pipeline::v1::{ColumnChange, QualityDifference};
use contracts::registry::v1::{DatasetColumn, DatasetSplit, DatasetVersion, QualityMeasurement};
use lifecycle::Bump;
use lifecycle::dataset::bump as rule;

/// Columns that came, went, moved, changed their type or what was declared of them.
pub fn columns(before: &[DatasetColumn], after: &[DatasetColumn]) -> Vec<ColumnChange> {
    let named = |columns: &[DatasetColumn]| -> BTreeMap<String, DatasetColumn> {
        columns.iter().map(|column| (column.name.clone(), column.clone())).collect()
    };
    let (firsts, seconds) = (named(before), named(after));
    let mut changes = Vec::new();
    let mut change = |kind: Kind, column: &str, before: String, after: String| {
        let (kind, column) = (kind.into(), column.to_owned());
        changes.push(ColumnChange { kind, column, before, after, order: Vec::new() });
    };
    for column in before {
        match seconds.get(&column.name) {
            None => change(Kind::Removed, &column.name, column.r#type.clone(), String::new()),
            Some(other) => {
                if other.r#type != column.r#type {
                    change(Kind::Retyped, &column.name, column.r#type.clone(), other.r#type.clone());
                }
                let (declared, now) = (declaration(column), declaration(other));
                if declared != now {
                    change(Kind::Redeclared, &column.name, declared, now);
                }
            }
        }
    }
    for column in after.iter().filter(|column| !firsts.contains_key(&column.name)) {
        change(Kind::Added, &column.name, String::new(), column.r#type.clone());
    }
    let common = |columns: &[DatasetColumn], other: &BTreeMap<String, DatasetColumn>| -> Vec<String> {
        columns.iter().map(|column| column.name.clone()).filter(|name| other.contains_key(name)).collect()
    };
    let order = common(after, &firsts);
    if order != common(before, &seconds) {
        changes.push(ColumnChange { kind: Kind::Reordered.into(), order, ..ColumnChange::default() });
    }
    changes
}

/// What was declared of a column: "nullable, sensitive".
fn declaration(column: &DatasetColumn) -> String {
    let flags = [
        (column.nullable, "nullable"),
        (column.sensitive, "sensitive"),
        (column.label, "label"),
        (column.key, "key"),
    ];
    flags.iter().filter(|(on, _)| *on).map(|(_, name)| *name).collect::<Vec<_>>().join(", ")
}

/// Every dimension that one of them measured, in the order of the earlier version.
pub fn quality(before: &[QualityMeasurement], after: &[QualityMeasurement]) -> Vec<QualityDifference> {
    let find = |all: &[QualityMeasurement], dimension: &str| {
        all.iter().find(|one| one.dimension == dimension).cloned()
    };
    let value = |one: &Option<QualityMeasurement>| one.as_ref()?.value.as_ref().map(|value| value.value);
    let both = before.iter().chain(after.iter().filter(|one| find(before, &one.dimension).is_none()));
    let difference = |one: &QualityMeasurement| {
        let (first, second) = (find(before, &one.dimension), find(after, &one.dimension));
        QualityDifference {
            dimension: one.dimension.clone(),
            before: value(&first),
            after: value(&second),
            bad_before: first.as_ref().map_or(0, |one| one.bad),
            all_before: first.as_ref().map_or(0, |one| one.all),
            bad_after: second.as_ref().map_or(0, |one| one.bad),
            all_after: second.as_ref().map_or(0, |one| one.all),
        }
    };
    both.map(difference).collect()
}

/// How the number grows from one to the other, by what their records name.
pub fn bump(before: &DatasetVersion, after: &DatasetVersion) -> Option<Bump> {
    let rows = |version: &DatasetVersion| -> Vec<(String, u64, String)> {
        let one = |split: &DatasetSplit| (split.split.clone(), split.rows, split.digest.clone());
        version.splits.iter().map(one).collect()
    };
    rule(
        before.schema_digest != after.schema_digest,
        rows(before) != rows(after),
        before.manifest_digest != after.manifest_digest,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, kind: &str) -> DatasetColumn {
        DatasetColumn { name: name.into(), r#type: kind.into(), nullable: true, ..DatasetColumn::default() }
    }

    #[test]
    fn each_kind_of_change_of_a_column_is_told() {
        let before = [column("a", "int64"), column("b", "utf8"), column("c", "bool"), column("d", "int64")];
        let sensitive = DatasetColumn { sensitive: true, ..column("c", "bool") };
        let after = [column("d", "float64"), sensitive, column("e", "utf8"), column("a", "int64")];
        let told: Vec<_> = columns(&before, &after)
            .into_iter()
            .map(|one| (one.kind(), one.column, one.before, one.after, one.order.join(" ")))
            .collect();
        let text = String::from;
        assert_eq!(
            told,
            [
                (Kind::Removed, text("b"), text("utf8"), text(""), text("")),
                (Kind::Redeclared, text("c"), text("nullable"), text("nullable, sensitive"), text("")),
                (Kind::Retyped, text("d"), text("int64"), text("float64"), text("")),
                (Kind::Added, text("e"), text(""), text("utf8"), text("")),
                (Kind::Reordered, text(""), text(""), text(""), text("d c a")),
            ]
        );
        assert_eq!(columns(&before, &before), []);
    }

    #[test]
    fn a_dimension_that_one_side_lacks_has_no_value_there() {
        let measured = |dimension: &str, bad, value| QualityMeasurement {
            dimension: dimension.into(),
            bad,
            all: 100,
            value: Some(contracts::common::v1::Measurement { value, ..Default::default() }),
            ..QualityMeasurement::default()
        };
        let told = quality(
            &[measured("validity", 3, 0.97)],
            &[measured("relevance", 0, 0.5), measured("validity", 5, 0.95)],
        );
        assert_eq!(
            (told[0].dimension.as_str(), told[0].before, told[0].after),
            ("validity", Some(0.97), Some(0.95))
        );
        assert_eq!((told[0].bad_before, told[0].bad_after, told[0].all_after), (3, 5, 100));
        assert_eq!(
            (told[1].dimension.as_str(), told[1].before, told[1].after),
            ("relevance", None, Some(0.5))
        );
        assert_eq!(told.len(), 2);
    }
}
