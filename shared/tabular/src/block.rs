//! Rows of a text file as they were cut out, and the typed columns that are made of them.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, BooleanBuilder, Float64Builder, Int64Builder, RecordBatch, StringBuilder,
    TimestampMicrosecondBuilder,
};
use arrow::compute::filter;
use arrow::datatypes::{Field, Schema};
use features::Kind;
use features::schema::UTC;

use crate::quarantine::{Reason, Reject, shown};
use crate::record::Cells;
use crate::typing::{self, ANY, TEXT};

/// What a JSON value was. A text file has only texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tag {
    /// A cell of a delimited text: its type is open.
    Open,
    /// No value.
    Null,
    /// `true` or `false`.
    Truth,
    /// A number.
    Number,
    /// A text, whatever it looks like.
    Text,
    /// An array or object, as JSON.
    Nested,
}

/// Rows of one number of cells, cut and not yet typed.
#[derive(Debug, Default)]
pub struct Block {
    /// Cells row by row.
    pub cells: Cells,
    /// What each cell was; empty where all are open.
    pub tags: Vec<Tag>,
    /// Row and line of each row.
    pub places: Vec<(u64, u64)>,
    /// Rows that could not be cut.
    pub rejects: Vec<Reject>,
}

/// What is to be made of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: Kind,
    /// Whether the type was declared: then a value that is not of it is a reject, else the type was wrong.
    pub declared: bool,
    /// Declared texts that mean "missing".
    pub sentinels: Vec<String>,
}

/// A marker that stood in place of a value in a column that is not text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marker {
    /// The declared sentinel of that place in the column's list.
    Declared(u16),
    /// One of [`typing::SUSPECTS`].
    Suspect(u16),
}

/// A typed block.
#[derive(Debug)]
pub struct Part {
    /// The columns.
    pub batch: RecordBatch,
    /// Row number of each row.
    pub rows: Rows,
    /// Where a column has no value because a marker stood there: row in the batch, and which.
    pub markers: Vec<Vec<(u32, Marker)>>,
    /// Rows that left.
    pub rejects: Vec<Reject>,
}

/// Row numbers of a batch, from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rows {
    /// From this one on, without gaps.
    From(u64),
    /// Each on its own.
    Each(Vec<u64>),
}

impl Rows {
    /// The number of the row at a place in the batch.
    pub fn number(&self, at: usize) -> u64 {
        match self {
            Self::From(first) => first + at as u64,
            Self::Each(numbers) => numbers.get(at).copied().unwrap_or_default(),
        }
    }
}

/// For each column the types that all values seen may be read as, and whether any was seen.
pub type Possible = Vec<(u8, bool)>;

fn marker(text: &str, plan: &Plan) -> Option<Marker> {
    if let Some(at) = plan.sentinels.iter().position(|one| one == text) {
        return Some(Marker::Declared(at as u16));
    }
    if plan.declared {
        return None;
    }
    // Most values begin with a digit, and no marker that is suspected does.
    let first = text.as_bytes().first()?;
    if first.is_ascii_digit() {
        return None;
    }
    typing::SUSPECTS.iter().position(|one| *one == text).map(|at| Marker::Suspect(at as u16))
}

impl Block {
    /// Rows in it.
    pub fn rows(&self) -> usize {
        self.places.len()
    }

    /// Checks that cells are text without NUL and not too long; rows that are not become rejects.
    pub fn check(&mut self, names: &[String], cell_bytes: usize) -> bool {
        let cells = &self.cells;
        let whole = match std::str::from_utf8(&cells.bytes) {
            Ok(text) => cells.spans.iter().all(|(start, _)| text.is_char_boundary(*start as usize)),
            Err(_) => false,
        };
        let short =
            cells.bytes.len() <= cell_bytes || cells.spans.iter().all(|it| it.1 as usize <= cell_bytes);
        if whole && short && memchr::memchr(0, &cells.bytes).is_none() {
            return true;
        }
        let width = names.len();
        let mut all_text = true;
        let mut kept = Block { rejects: std::mem::take(&mut self.rejects), ..Block::default() };
        for row in 0..self.rows() {
            let range = row * width..(row + 1) * width;
            let bad = range.clone().find_map(|at| {
                let bytes = self.cells.text(at);
                let reason = match std::str::from_utf8(bytes) {
                    Err(_) => Reason::NotText,
                    Ok(_) if cell_bytes < bytes.len() => Reason::TooLong,
                    Ok(_) if bytes.contains(&0) => Reason::Nul,
                    Ok(_) => return None,
                };
                Some((at - row * width, reason, shown(&String::from_utf8_lossy(bytes))))
            });
            let (number, line) = self.places[row];
            if let Some((column, reason, what)) = bad {
                all_text &= reason != Reason::NotText;
                let column = Some(names[column].clone());
                kept.rejects.push(Reject { row: number, line: Some(line), column, reason, what });
                continue;
            }
            for at in range.clone() {
                let start = kept.cells.bytes.len() as u32;
                kept.cells.bytes.extend_from_slice(self.cells.text(at));
                kept.cells.spans.push((start, self.cells.spans[at].1));
            }
            if !self.tags.is_empty() {
                kept.tags.extend_from_slice(&self.tags[range]);
            }
            kept.places.push((number, line));
        }
        *self = kept;
        all_text
    }

    fn cell<'a>(&self, text: &'a str, at: usize) -> (&'a str, Tag) {
        let (start, length) = self.cells.spans[at];
        let text = &text[start as usize..(start + length) as usize];
        (text, self.tags.get(at).copied().unwrap_or(Tag::Open))
    }

    /// The text of all cells; only after [`Block::check`].
    fn text(&self) -> &str {
        std::str::from_utf8(&self.cells.bytes).unwrap_or_default()
    }

    /// Narrows what the columns may be by the values of this block.
    pub fn narrow(&self, plans: &[Plan], possible: &mut Possible) {
        let (text, width) = (self.text(), plans.len());
        for (column, (plan, (mask, seen))) in plans.iter().zip(possible.iter_mut()).enumerate() {
            for row in 0..self.rows() {
                if *mask == TEXT {
                    break;
                }
                let (cell, tag) = self.cell(text, row * width + column);
                let cell = cell.trim();
                if tag == Tag::Null || (cell.is_empty() && tag != Tag::Nested) || marker(cell, plan).is_some()
                {
                    continue;
                }
                *seen = true;
                *mask &= match tag {
                    Tag::Open => typing::possible(cell),
                    Tag::Null => ANY,
                    Tag::Truth => typing::TRUTH,
                    Tag::Number => typing::possible(cell) & (typing::WHOLE | typing::NUMBER),
                    Tag::Text => typing::possible(cell) & typing::TIME,
                    Tag::Nested => TEXT,
                };
            }
        }
    }

    /// The typed columns, or `None` where a value does not read as a type that was not declared.
    pub fn typed(self, plans: &[Plan]) -> Option<Part> {
        let (text, width) = (self.text(), plans.len());
        let mut bad: Vec<(usize, Reject)> = Vec::new();
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(width);
        let mut markers = Vec::with_capacity(width);
        for (column, plan) in plans.iter().enumerate() {
            let mut reading =
                Reading { block: &self, text, plan, column, width, bad: Vec::new(), markers: Vec::new() };
            arrays.push(reading.array());
            let Reading { bad: wrong, markers: found, .. } = reading;
            if !wrong.is_empty() && !plan.declared {
                return None;
            }
            markers.push(found);
            bad.extend(wrong.into_iter().map(|row| {
                let (number, line) = self.places[row];
                let (cell, _) = self.cell(text, row * width + column);
                let what = format!("{} is no {}", shown(cell), plan.kind.as_str());
                let column = Some(plan.name.clone());
                (row, Reject { row: number, line: Some(line), column, reason: Reason::Type, what })
            }));
        }
        let fields: Vec<Field> = plans
            .iter()
            .zip(&arrays)
            .map(|(plan, array)| Field::new(&plan.name, array.data_type().clone(), true))
            .collect();
        let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).ok()?;
        let numbers: Vec<u64> = self.places.iter().map(|(row, _)| *row).collect();
        let part = Part { batch, rows: Rows::Each(numbers), markers, rejects: self.rejects };
        if bad.is_empty() { Some(part) } else { part.without(bad) }
    }
}

impl Part {
    /// The part without the rows that are wrong. A row is rejected once for each of its wrong cells.
    fn without(mut self, bad: Vec<(usize, Reject)>) -> Option<Self> {
        let mut keep = vec![true; self.batch.num_rows()];
        for (row, reject) in bad {
            keep[row] = false;
            self.rejects.push(reject);
        }
        self.rejects.sort_by_key(|reject| reject.row);
        let mut places = Vec::with_capacity(keep.len());
        let mut next = 0;
        for kept in &keep {
            places.push(next);
            next += u32::from(*kept);
        }
        for column in &mut self.markers {
            column.retain(|(row, _)| keep[*row as usize]);
            column.iter_mut().for_each(|(row, _)| *row = places[*row as usize]);
        }
        let numbers = (0..keep.len()).filter(|row| keep[*row]).map(|row| self.rows.number(row)).collect();
        let mask = BooleanArray::from(keep);
        let columns: Result<Vec<_>, _> =
            self.batch.columns().iter().map(|column| filter(column, &mask)).collect();
        let batch = RecordBatch::try_new(self.batch.schema(), columns.ok()?).ok()?;
        Some(Self { batch, rows: Rows::Each(numbers), ..self })
    }
}

/// One column of a block on its way to an array.
struct Reading<'a> {
    block: &'a Block,
    text: &'a str,
    plan: &'a Plan,
    column: usize,
    width: usize,
    bad: Vec<usize>,
    markers: Vec<(u32, Marker)>,
}

impl Reading<'_> {
    fn array(&mut self) -> ArrayRef {
        let rows = self.block.rows();
        match self.plan.kind {
            Kind::Utf8 => {
                let mut made = StringBuilder::with_capacity(rows, rows * 8);
                for row in 0..rows {
                    let (cell, tag) = self.block.cell(self.text, row * self.width + self.column);
                    let missing = tag == Tag::Null || cell.is_empty();
                    made.append_option((!missing).then_some(cell));
                }
                Arc::new(made.finish())
            }
            Kind::Int64 => {
                let mut made = Int64Builder::with_capacity(rows);
                self.each(typing::whole, |value| made.append_option(value));
                Arc::new(made.finish())
            }
            Kind::Float64 => {
                let mut made = Float64Builder::with_capacity(rows);
                self.each(
                    |text| typing::number(text).or_else(|| nan(text)),
                    |value| made.append_option(value),
                );
                Arc::new(made.finish())
            }
            Kind::Bool => {
                let mut made = BooleanBuilder::with_capacity(rows);
                self.each(typing::truth, |value| made.append_option(value));
                Arc::new(made.finish())
            }
            Kind::Timestamp => {
                let mut made = TimestampMicrosecondBuilder::with_capacity(rows);
                self.each(typing::time, |value| made.append_option(value));
                Arc::new(made.finish().with_timezone(UTC))
            }
        }
    }

    fn each<T>(&mut self, read: impl Fn(&str) -> Option<T>, mut put: impl FnMut(Option<T>)) {
        for row in 0..self.block.rows() {
            let (cell, tag) = self.block.cell(self.text, row * self.width + self.column);
            let cell = cell.trim();
            if tag == Tag::Null || cell.is_empty() {
                put(None);
                continue;
            }
            // A JSON text is no number whatever it looks like; a declared type takes it as one.
            let fits = self.plan.declared
                || match tag {
                    Tag::Open | Tag::Null => true,
                    Tag::Truth => self.plan.kind == Kind::Bool,
                    Tag::Number => self.plan.kind.is_number(),
                    Tag::Text => self.plan.kind == Kind::Timestamp,
                    Tag::Nested => false,
                };
            if let Some(value) = read(cell).filter(|_| fits && !self.is_sentinel(cell)) {
                put(Some(value));
                continue;
            }
            put(None);
            match marker(cell, self.plan) {
                Some(marker) => self.markers.push((row as u32, marker)),
                None => self.bad.push(row),
            }
        }
    }

    fn is_sentinel(&self, cell: &str) -> bool {
        self.plan.sentinels.iter().any(|sentinel| sentinel == cell)
    }
}

fn nan(text: &str) -> Option<f64> {
    text.eq_ignore_ascii_case("nan").then_some(f64::NAN)
}
