//! A schema that the file meets: a beginning, to be judged by who knows the data.

use std::collections::BTreeMap;

use features::Kind;

use super::findings::sentinel_like;
use super::people::is_sensitive_name;
use super::report::{Column, Report};
use crate::declared::{self, Declared, Scalar};

/// Values of a column that are suggested as a set at most.
const SET: usize = 25;
/// Rows for each value of a suggested set at least.
const ROWS_A_VALUE: u64 = 20;
/// Rows from which on a constraint is suggested.
const ROWS: u64 = 100;
/// Share of texts of a class from which on a pattern is suggested.
const CLASS_SHARE: f64 = 0.98;

/// A schema that the file meets.
pub fn schema(report: &Report) -> Declared {
    let mut suggested = Declared::default();
    for column in &report.columns {
        suggested.columns.insert(column.name.clone(), rule(column, report));
    }
    let mut markers: BTreeMap<&str, u64> = BTreeMap::new();
    for column in &report.columns {
        for (marker, count) in column.missing.suspected.iter().chain(&column.missing.sentinels) {
            *markers.entry(marker).or_default() += count;
        }
    }
    suggested.sentinels = markers.into_keys().map(|marker| Scalar::Text(marker.to_owned())).collect();
    suggested
}

fn rule(column: &Column, report: &Report) -> declared::Column {
    let mut rule =
        declared::Column { kind: Kind::parse(column.kind), unit: column.unit.clone(), ..Default::default() };
    rule.sensitive = is_sensitive_name(&column.name);
    if report.rows < ROWS {
        return rule;
    }
    rule.required = column.missing.count == 0;
    let present = report.rows - column.missing.count;
    let few = column.distinct.exact && column.distinct.count <= SET as u64;
    let often = column.distinct.count * ROWS_A_VALUE <= present;
    let whole_top = column.top.len() as u64 == column.distinct.count;
    if few && often && whole_top && column.kind == "utf8" {
        rule.values = column.top.iter().map(|top| top.value.clone()).collect();
        rule.values.sort_by_key(Scalar::text);
    } else if let Some(numbers) = &column.numbers {
        let sentinels = sentinel_like(column);
        rule.sentinels = sentinels.iter().map(|(marker, _)| Scalar::Whole(*marker)).collect();
        if sentinels.is_empty() && numbers.infinite == 0 {
            (rule.min, rule.max) = (Some(numbers.min.clone()), Some(numbers.max.clone()));
        }
    } else if let Some(texts) = &column.texts
        && let Some(looks) = &texts.looks_like
        && looks.fits as f64 >= CLASS_SHARE * present as f64
    {
        rule.pattern = match looks.class {
            "e-mail" => Some(r"[A-Za-z0-9._%+'-]+@([A-Za-z0-9-]+\.)+[A-Za-z]{2,}".into()),
            "UUID" => Some("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}".into()),
            "URL" => Some(r"(?i:https?://|ftp://|www\.)\S+".into()),
            _ => None,
        };
    }
    rule
}
