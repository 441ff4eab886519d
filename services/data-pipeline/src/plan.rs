//! What a build plan asks for: its cleaning rules, derived columns and transforms as operations of `features`, and its
//! columns compared with those that the data has.

use std::collections::BTreeSet;

use contracts::pipeline::v1::cleaning_rule::Action;
use contracts::pipeline::v1::derived_column::Operation as Derive;
use contracts::pipeline::v1::splits::Method;
use contracts::pipeline::v1::transform_rule::Kind as Transform;
use contracts::pipeline::v1::{BuildPlan, CleaningRule, DerivedColumn, Splits};
use contracts::time::duration_from_wire;
use features::column::number_text;
use features::transform::{Derivation, Derived};
use features::{Column, Kind, MissingMarkers, Operation, Schema};

use crate::Error;
use crate::parse::Fields;

/// Looks at cleaning, derived columns and transforms without the data.
pub fn check_work(fields: &mut Fields, plan: &BuildPlan) {
    fields.each("plan.cleaning", &plan.cleaning, |fields, at, rule| {
        fields.choice::<Action>(&format!("{at}.action"), rule.action);
        fields.optional_text(&format!("{at}.text"), &rule.text);
        let holds = rule.parameter.is_finite()
            && (rule.action() != Action::ClipQuantile || (0.0..0.5).contains(&rule.parameter));
        fields.require(
            holds,
            &format!("{at}.parameter"),
            "must be a finite number; a clipped share is below 0.5",
        );
    });
    fields.each("plan.derived", &plan.derived, |fields, at, derived| {
        fields.text(&format!("{at}.name"), &derived.name);
        fields.require(!derived.name.starts_with("__"), &format!("{at}.name"), "must not begin with __");
        fields.choice::<Derive>(&format!("{at}.operation"), derived.operation);
        let positional = derived.operation() == Derive::RowBand;
        let from = &format!("{at}.from");
        fields.require(positional == derived.from.is_empty(), from, "required, but for ROW_BAND empty");
        let single = derived.operation() != Derive::Length || derived.from.len() == 1;
        fields.require(single, from, "LENGTH takes one column");
        if positional || derived.operation() == Derive::Band {
            let ascend = derived.thresholds.windows(2).all(|pair| pair[0] < pair[1]);
            let finite = derived.thresholds.iter().all(|it| it.is_finite());
            fields.require(ascend && finite, &format!("{at}.thresholds"), "must ascend");
            let one_more = derived.labels.len() == derived.thresholds.len() + 1;
            fields.require(one_more, &format!("{at}.labels"), "one more than thresholds is needed");
            let inner = !positional || derived.thresholds.iter().all(|it| 0.0 < *it && *it < 1.0);
            fields.require(inner, &format!("{at}.thresholds"), "ROW_BAND cuts by shares between 0 and 1");
        }
    });
    fields.each("plan.transforms", &plan.transforms, |fields, at, rule| {
        fields.text(&format!("{at}.column"), &rule.column);
        fields.choice::<Transform>(&format!("{at}.kind"), rule.kind);
        crate::transforms::check(fields, at, rule);
        let kept = plan.group_columns.contains(&rule.column);
        fields.require(!kept, &format!("{at}.column"), "is a group column: these are never transformed");
    });
}

/// Looks at the method of the splits: what it needs is there, and what it does not know is not.
pub fn check_splits(fields: &mut Fields, plan: &BuildPlan, splits: &Splits) {
    let known = Method::try_from(splits.method);
    fields.require(known.is_ok(), "plan.splits.method", "must be one of the values of this enum");
    for (field, texts) in [
        ("plan.splits.entity_columns", &splits.entity_columns),
        ("plan.splits.near_duplicate_columns", &splits.near_duplicate_columns),
    ] {
        fields.each(field, texts, |fields, at, text| fields.text(at, text));
    }
    let near = splits.near_duplicates || splits.near_duplicate_columns.is_empty();
    fields.require(near, "plan.splits.near_duplicate_columns", "need near_duplicates");
    let Ok(method) = known else { return };
    let name = method.as_str_name().trim_start_matches("METHOD_");
    let unspecified = method == Method::Unspecified;
    let stratified = matches!(method, Method::Stratified | Method::StratifiedGroup);
    let grouped = matches!(method, Method::Group | Method::StratifiedGroup);
    let mut column = |field: &str, value: &str, needed: bool, allowed: bool| {
        fields.require(!needed || !value.is_empty(), field, &format!("{name} needs it"));
        fields.require(needed || allowed || value.is_empty(), field, &format!("{name} does not look at it"));
    };
    let strata = unspecified || method == Method::Group;
    column("plan.splits.stratify_column", &splits.stratify_column, stratified, strata);
    let groups = unspecified || method == Method::Time;
    column("plan.splits.group_column", &splits.group_column, grouped, groups);
    let entity = method == Method::Entity;
    let names = if splits.entity_columns.is_empty() { &plan.key_columns } else { &splits.entity_columns };
    fields.require(
        !entity || !names.is_empty(),
        "plan.splits.entity_columns",
        "ENTITY needs them, or key_columns",
    );
    let unused = entity || splits.entity_columns.is_empty();
    fields.require(unused, "plan.splits.entity_columns", &format!("{name} does not look at them"));
    let by_time = method == Method::Time;
    let timed = !by_time || !plan.event_time_column.is_empty();
    fields.require(timed, "plan.event_time_column", "splits by TIME need it");
    if let Some(embargo) = &splits.embargo {
        fields.require(by_time, "plan.splits.embargo", &format!("{name} does not look at it"));
        let valid = duration_from_wire(embargo).is_some();
        fields.require(valid, "plan.splits.embargo", "must be a duration of zero or more");
    }
}

/// Names every column of the plan that the data does not have, all in one error.
///
/// # Errors
/// [`Error::BadRequest`].
pub fn check_columns(plan: &BuildPlan, names: &[String]) -> Result<(), Error> {
    let mut fields = Fields::default();
    let dropped: BTreeSet<&str> =
        plan.columns.iter().filter(|rule| rule.drop).map(|rule| rule.name.as_str()).collect();
    let raw: BTreeSet<&str> =
        names.iter().map(String::as_str).filter(|name| !dropped.contains(name)).collect();
    let mut known = raw.clone();
    let mut look = |field: String, name: &str, known: &BTreeSet<&str>| {
        if !known.contains(name) {
            let why =
                if dropped.contains(name) { "is dropped by the plan" } else { "is no column of the data" };
            fields.bad(&field, format!("{name:?} {why}"));
        }
    };
    let every: BTreeSet<&str> = names.iter().map(String::as_str).collect();
    for (at, rule) in plan.columns.iter().enumerate() {
        look(format!("plan.columns[{at}].name"), &rule.name, &every);
    }
    for (at, name) in plan.key_columns.iter().enumerate() {
        look(format!("plan.key_columns[{at}]"), name, &raw);
    }
    for (at, rule) in plan.cross_rules.iter().enumerate() {
        look(format!("plan.cross_rules[{at}].left"), &rule.left, &raw);
        look(format!("plan.cross_rules[{at}].right"), &rule.right, &raw);
    }
    for (at, rule) in plan.cleaning.iter().enumerate().filter(|(_, rule)| !rule.column.is_empty()) {
        look(format!("plan.cleaning[{at}].column"), &rule.column, &raw);
    }
    if !plan.event_time_column.is_empty() {
        look("plan.event_time_column".into(), &plan.event_time_column, &raw);
    }
    let mut twice = Vec::new();
    for (at, derived) in plan.derived.iter().enumerate() {
        for (place, name) in derived.from.iter().enumerate() {
            look(format!("plan.derived[{at}].from[{place}]"), name, &known);
        }
        if !known.insert(&derived.name) {
            twice.push((
                format!("plan.derived[{at}].name"),
                format!("{:?} is a column already", derived.name),
            ));
        }
    }
    for (at, rule) in plan.transforms.iter().enumerate() {
        look(format!("plan.transforms[{at}].column"), &rule.column, &known);
    }
    for (at, name) in plan.group_columns.iter().enumerate() {
        look(format!("plan.group_columns[{at}]"), name, &known);
    }
    let splits = plan.splits.clone().unwrap_or_default();
    for (at, name) in splits.entity_columns.iter().enumerate() {
        look(format!("plan.splits.entity_columns[{at}]"), name, &raw);
    }
    for (at, name) in splits.near_duplicate_columns.iter().enumerate() {
        look(format!("plan.splits.near_duplicate_columns[{at}]"), name, &raw);
    }
    for (field, name) in [
        ("plan.label_column", &plan.label_column),
        ("plan.splits.stratify_column", &splits.stratify_column),
        ("plan.splits.group_column", &splits.group_column),
    ] {
        if !name.is_empty() {
            look(field.into(), name, &known);
        }
    }
    for (field, why) in twice {
        fields.bad(&field, why);
    }
    fields.done()
}

/// Texts that mean missing.
pub fn markers(plan: &BuildPlan) -> MissingMarkers {
    MissingMarkers::new(&plan.missing_markers)
}

/// Texts that mean missing in a column, the one that the data had most often first.
pub fn missing_texts(
    plan: &BuildPlan,
    most_frequent: &std::collections::BTreeMap<String, String>,
    column: &str,
) -> Vec<String> {
    let first = most_frequent.get(column);
    let others = plan.missing_markers.iter().filter(|text| first != Some(text) && !text.trim().is_empty());
    let mut texts: Vec<String> = first.into_iter().chain(others).cloned().collect();
    let mut seen = BTreeSet::new();
    texts.retain(|text| seen.insert(text.clone()));
    texts
}

/// The description of a column that the data has or that was made.
pub fn column(plan: &BuildPlan, name: &str, kind: Kind) -> Column {
    let rule = plan.columns.iter().find(|rule| rule.name == name);
    Column {
        name: name.to_owned(),
        kind,
        nullable: rule.is_none_or(|rule| rule.nullable),
        sensitive: plan.group_columns.iter().any(|group| group == name),
        label: plan.label_column == name,
    }
}

/// Columns that a rule for all columns stands for: neither groups nor label.
pub fn ordinary(schema: &Schema) -> impl Iterator<Item = &Column> {
    schema.columns.iter().filter(|column| !column.sensitive && !column.label)
}

/// Columns that a cleaning rule is about, in order.
pub fn targets<'a>(rule: &CleaningRule, schema: &'a Schema) -> Vec<&'a Column> {
    if rule.column.is_empty() {
        schema.columns.iter().collect()
    } else {
        schema.columns.iter().filter(|column| column.name == rule.column).collect()
    }
}

/// The fitted operations that a cleaning rule stands for.
pub fn fills(rule: &CleaningRule, schema: &Schema, has_values: impl Fn(&str) -> bool) -> Vec<Operation> {
    let all = rule.column.is_empty();
    let numeric = matches!(rule.action(), Action::FillMean | Action::FillMedian | Action::ClipQuantile);
    let chosen: Vec<&Column> = if all {
        ordinary(schema)
            .filter(|column| has_values(&column.name) && (!numeric || column.kind.is_number()))
            .collect()
    } else {
        targets(rule, schema)
    };
    let one = |column: &Column| {
        let name = column.name.clone();
        Some(match rule.action() {
            Action::FillMean => Operation::FillMean(name),
            Action::FillMedian => Operation::FillMedian(name),
            Action::FillMode => Operation::FillMode(name),
            Action::FillConstant if column.kind.is_number() => {
                Operation::FillConstant(name, number_text(rule.parameter))
            }
            Action::FillConstant => Operation::FillConstant(name, rule.text.clone()),
            Action::ClipQuantile => Operation::Clip(name, rule.parameter),
            Action::Unspecified
            | Action::DropRowsWithMissing
            | Action::DropDuplicates
            | Action::DropInvalid => return None,
        })
    };
    chosen.into_iter().filter_map(one).collect()
}

/// The column in which an operation leaves no value missing.
pub fn filled_column(operation: &Operation) -> Option<&str> {
    match operation {
        Operation::FillMean(name)
        | Operation::FillMedian(name)
        | Operation::FillMode(name)
        | Operation::FillConstant(name, _) => Some(name),
        _ => None,
    }
}

/// A derived column as an operation that serving can replay; a band by the row's position cannot be.
pub fn derivation(derived: &DerivedColumn) -> Option<Operation> {
    let how = match derived.operation() {
        Derive::Sum => Derivation::Sum,
        Derive::Mean => Derivation::Mean,
        Derive::Length => Derivation::Length,
        Derive::Band => {
            Derivation::Band { thresholds: derived.thresholds.clone(), labels: derived.labels.clone() }
        }
        Derive::Unspecified | Derive::RowBand => return None,
    };
    Some(Operation::Derive(Derived { name: derived.name.clone(), from: derived.from.clone(), how }))
}

/// Columns that are made from a row's position.
pub fn positional(plan: &BuildPlan) -> BTreeSet<&str> {
    let by_position = plan.derived.iter().filter(|derived| derived.operation() == Derive::RowBand);
    by_position.map(|derived| derived.name.as_str()).collect()
}
