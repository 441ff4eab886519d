//! What was declared of columns, ready to be checked batch by batch.

use std::collections::{HashMap, HashSet};

use features::Kind;
use regex::Regex;

use super::values::{FALSE, Room, TRUE, Texts, short_hash};
use crate::declared::{Comparator, Declared};
use crate::quarantine::{Quarantine, Reason, Reject, shown};
use crate::table;
use crate::typing;

/// The checks of one column.
#[derive(Debug, Default)]
pub struct Check {
    name: String,
    required: bool,
    whole: bool,
    time: bool,
    range: Option<(f64, f64)>,
    numbers: Option<Vec<f64>>,
    texts: Option<HashSet<u64>>,
    pattern: Option<Regex>,
}

/// A check between two columns, by their places.
#[derive(Debug)]
pub struct Between {
    /// Place of the left column.
    pub left: usize,
    /// How they compare.
    pub is: Comparator,
    /// Place of the right column.
    pub right: usize,
    /// By how much it may be missed.
    pub tolerance: f64,
    /// As it is written.
    pub text: String,
}

/// All that is checked of a table, and what is wrong with it before its rows are read.
#[derive(Debug, Default)]
pub struct Contract {
    /// A check for each column of the table.
    pub checks: Vec<Check>,
    /// Rules between columns.
    pub between: Vec<Between>,
    /// What the file as a whole breaks.
    pub breaches: Vec<String>,
}

impl Contract {
    /// The contract of a table's columns.
    pub fn new(declared: &Declared, columns: &[table::Column]) -> Self {
        let names: Vec<&str> = columns.iter().map(|column| column.plan.name.as_str()).collect();
        let mut breaches: Vec<String> = declared
            .absent(&names)
            .into_iter()
            .map(|name| format!("column {name:?} is not in the file"))
            .collect();
        if declared.closed {
            let more = names.iter().filter(|name| !declared.columns.contains_key(**name));
            breaches.extend(more.map(|name| format!("column {name:?} is not declared")));
        }
        let checks = columns.iter().map(|column| check(declared, column, &mut breaches)).collect();
        let at = |name: &String| names.iter().position(|one| one == name);
        let mut between = Vec::new();
        for rule in &declared.rules {
            if let (Some(left), Some(right)) = (at(&rule.left), at(&rule.right)) {
                let text = format!("{} {} {}", rule.left, rule.is.as_str(), rule.right);
                let numeric = |at: usize| columns[at].plan.kind != Kind::Utf8;
                if !numeric(left) || !numeric(right) {
                    breaches.push(format!("rule {text}: compares texts, required numbers or times"));
                    continue;
                }
                between.push(Between { left, is: rule.is, right, tolerance: rule.tolerance, text });
            }
        }
        Self { checks, between, breaches }
    }
}

fn check(declared: &Declared, column: &table::Column, breaches: &mut Vec<String>) -> Check {
    let (name, kind) = (column.plan.name.clone(), column.plan.kind);
    let Some(rule) = declared.columns.get(&name) else { return Check { name, ..Check::default() } };
    let fits = match rule.kind {
        None => true,
        // Whether floats are whole is looked at one by one: files often hold whole numbers as floats.
        Some(wanted) => wanted == kind || (wanted.is_number() && kind.is_number()),
    };
    if !fits {
        let wanted = rule.kind.map_or("", Kind::as_str);
        breaches.push(format!("column {name:?} is stored as {}, declared {wanted}", column.stored));
    }
    let end = |end: &Option<crate::declared::Scalar>, open: f64| {
        end.as_ref().and_then(|end| end.number(kind)).unwrap_or(open)
    };
    let range = (rule.min.is_some() || rule.max.is_some())
        .then(|| (end(&rule.min, f64::NEG_INFINITY), end(&rule.max, f64::INFINITY)));
    let set = !rule.values.is_empty();
    let numeric = kind.is_number() || kind == Kind::Timestamp;
    let texts = || rule.values.iter().map(|value| value.text());
    Check {
        required: rule.required,
        whole: rule.kind == Some(Kind::Int64) && kind == Kind::Float64,
        time: kind == Kind::Timestamp,
        range: range.filter(|_| fits),
        numbers: (set && numeric)
            .then(|| rule.values.iter().filter_map(|value| value.number(kind)).collect()),
        texts: (set && !numeric).then(|| match kind {
            Kind::Bool => texts().map(|text| if text == "true" { TRUE } else { FALSE }).collect(),
            _ => texts().map(|text| short_hash(&text)).collect(),
        }),
        pattern: rule.pattern.as_ref().and_then(|pattern| crate::declared::compiled(pattern).ok()),
        name,
    }
}

/// Where wrong rows of a batch are noted.
pub struct Notes<'a> {
    /// Rows of the batch that are wrong.
    pub wrong: &'a mut [bool],
    /// Where they are counted.
    pub quarantine: &'a mut Quarantine,
    /// Row number of a row in the batch.
    pub number: &'a dyn Fn(usize) -> u64,
}

impl Notes<'_> {
    /// Notes a wrong row.
    pub fn add(&mut self, row: usize, column: &str, reason: Reason, what: impl FnOnce() -> String) {
        self.wrong[row] = true;
        if self.quarantine.wants(reason, column) {
            let (number, column) = ((self.number)(row), Some(column.to_owned()));
            self.quarantine.add(Reject { row: number, line: None, column, reason, what: what() });
        } else {
            self.quarantine.add_more(reason, column, 1);
        }
    }
}

impl Check {
    /// Whether there is nothing to check.
    pub fn is_empty(&self) -> bool {
        !self.required
            && !self.whole
            && self.range.is_none()
            && self.numbers.is_none()
            && self.texts.is_none()
            && self.pattern.is_none()
    }

    /// Checks a column of a batch.
    pub fn run(&self, room: &Room, texts: Option<&Texts>, notes: &mut Notes<'_>) {
        if self.is_empty() {
            return;
        }
        for row in 0..room.missing.len() {
            if room.missing[row] {
                if self.required {
                    notes.add(row, &self.name, Reason::Missing, || "no value".into());
                }
                continue;
            }
            match texts {
                Some(texts) => self.text(texts.text(row), row, room.low[row], notes),
                None => self.number(room.numbers[row], row, room.low[row], notes),
            }
        }
    }

    fn text(&self, text: &str, row: usize, hash: u64, notes: &mut Notes<'_>) {
        if self.texts.as_ref().is_some_and(|set| !set.contains(&hash)) {
            notes.add(row, &self.name, Reason::Set, || shown(text));
        }
        if self.pattern.as_ref().is_some_and(|pattern| !pattern.is_match(text)) {
            notes.add(row, &self.name, Reason::Pattern, || shown(text));
        }
    }

    fn number(&self, number: f64, row: usize, hash: u64, notes: &mut Notes<'_>) {
        let shown = || if self.time { typing::written(number) } else { number.to_string() };
        if self.whole && number.fract() != 0.0 {
            notes.add(row, &self.name, Reason::Type, || format!("{number} is no int64"));
        }
        // NaN is in no range.
        if self.range.is_some_and(|(min, max)| !(min <= number && number <= max)) {
            notes.add(row, &self.name, Reason::Range, shown);
        }
        let listed = self.numbers.as_ref().is_none_or(|set| set.contains(&number))
            && self.texts.as_ref().is_none_or(|set| set.contains(&hash));
        if !listed {
            notes.add(row, &self.name, Reason::Set, shown);
        }
    }
}

impl Between {
    /// Checks the rows of two columns' numbers; a row where one is missing holds.
    pub fn run(&self, columns: &HashMap<usize, Vec<f64>>, notes: &mut Notes<'_>) -> u64 {
        let (Some(left), Some(right)) = (columns.get(&self.left), columns.get(&self.right)) else { return 0 };
        let mut compared = 0;
        for (row, (left, right)) in left.iter().zip(right).enumerate() {
            if left.is_nan() || right.is_nan() {
                continue;
            }
            compared += 1;
            if !self.is.holds(*left, *right, self.tolerance) {
                notes.add(row, &self.text, Reason::Rule, || format!("{left} and {right}"));
            }
        }
        compared
    }
}
