//! What was done to the data, step by step, and what was found in it before.

use contracts::registry::v1::StepRecord;
use tabular::show::percent;

use super::Facts;
use super::section::{Block, Cell, Head, Table};

/// Lines of violations and of columns with gaps that are shown.
const LINES: usize = 50;
/// Letters of a step's parameters that are shown.
const LETTERS: usize = 4_000;

/// Cleaning and transformation, after what came.
pub fn preprocessing(facts: &Facts<'_>) -> Vec<Block> {
    let steps = &facts.version.steps;
    if steps.is_empty() {
        return Vec::new();
    }
    let head = vec![
        Head::Text("step"),
        Head::Number("rows in"),
        Head::Number("rows out"),
        Head::Number("rejects"),
        Head::Text("output"),
    ];
    let mut made = vec![Block::Table(Table { head, rows: steps.iter().map(row).collect() })];
    made.extend(steps.iter().filter_map(parameters));
    made.extend(came(facts));
    made
}

fn row(step: &StepRecord) -> Vec<Cell> {
    if step.not_applicable_reason.is_empty() {
        return vec![
            Cell::text(&step.step),
            Cell::count(step.rows_in),
            Cell::count(step.rows_out),
            Cell::count(step.rejects),
            Cell::code(&step.output_digest),
        ];
    }
    let why = format!("not applicable: {}", step.not_applicable_reason);
    vec![Cell::text(&step.step), Cell::Empty, Cell::Empty, Cell::Empty, Cell::Text(why)]
}

fn parameters(step: &StepRecord) -> Option<Block> {
    let told = step.parameters.trim();
    if told.is_empty() || told == "{}" || !step.not_applicable_reason.is_empty() {
        return None;
    }
    let mut text: String = told.chars().take(LETTERS).collect();
    if told.chars().nth(LETTERS).is_some() {
        text.push('…');
    }
    Some(Block::Verbatim { title: format!("{}: parameters, seed {}", step.step, step.seed), text })
}

/// The data before cleaning: gaps by column, what breaks the schema.
fn came(facts: &Facts<'_>) -> Vec<Block> {
    let raw = &facts.raw;
    let cells: u64 = raw.missing.values().sum();
    let mut made = vec![
        Block::Title("As it came".into()),
        Block::Facts(vec![
            ("rows", Cell::count(raw.rows)),
            ("rows that could not be read", Cell::count(raw.left)),
            ("missing cells", Cell::count(cells)),
            ("rows that equal an earlier one", Cell::count(raw.duplicates)),
            ("rows that break the schema", Cell::count(raw.invalid_rows)),
        ]),
    ];
    let mut gaps: Vec<(&String, u64)> =
        raw.missing.iter().map(|(name, count)| (name, *count)).filter(|(_, count)| *count > 0).collect();
    gaps.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
    if !gaps.is_empty() {
        made.push(Block::Title("Missing by column".into()));
        let share = |count: u64| count as f64 / raw.rows.max(1) as f64;
        made.push(Block::Shares(
            gaps.iter().take(LINES).map(|(name, count)| ((*name).clone(), share(*count))).collect(),
        ));
        if gaps.len() > LINES {
            made.push(Block::Text(format!("and {} more columns", gaps.len() - LINES)));
        }
    }
    if !raw.violations.is_empty() {
        let row = |(what, count): (&String, &u64)| {
            let share = percent(*count as f64 / raw.rows.max(1) as f64);
            vec![Cell::text(what), Cell::count(*count), Cell::text(share)]
        };
        let head = vec![Head::Text("breach"), Head::Number("cells"), Head::Number("of all rows")];
        made.push(Block::Table(Table { head, rows: raw.violations.iter().take(LINES).map(row).collect() }));
        if raw.violations.len() > LINES {
            made.push(Block::Text(format!("and {} more breaches", raw.violations.len() - LINES)));
        }
    }
    made
}
