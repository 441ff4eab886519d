//! §7.1 adversarial success (gated, §7.3): the share of right answers that an input within the policy's size breaks.

use super::generator;
use crate::attack::{self, Ball, CharacterEdits, Search, Square};
use crate::evaluation::{Data, Report, Truth};
use crate::metric::Scale;
use crate::predict::Model;
use crate::{Error, Limits};
use contracts::common::v1::Measurement;
use lifecycle::acceptance::Task;
use lifecycle::evaluation::Slot;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Instant;

/// Mean length from which a text input is free text, where the task does not say so.
const TEXT_LENGTH: usize = 20;
/// Rows that are attacked at a time.
const ROWS_AT_ONCE: usize = 50;

/// Text inputs that people write, as opposed to names of categories.
fn free_texts(data: &Data, model: &Model) -> Vec<usize> {
    let texts = model.layout().texts();
    if matches!(data.plan.task, Task::TextClassification | Task::TextGeneration) {
        return (0..texts).collect();
    }
    let is_free = |field: &usize| {
        let values = || data.samples.iter().map(|sample| &sample.texts[*field]);
        let length: usize = values().map(|text| text.chars().count()).sum();
        let distinct = values().collect::<BTreeSet<_>>().len();
        TEXT_LENGTH * data.len() <= length && data.len() < 2 * distinct
    };
    (0..texts).filter(is_free).collect()
}

/// What the attacks came to.
#[derive(Debug, Default)]
struct Attacked {
    /// By attacked row, whether its answer was broken.
    broken: Vec<bool>,
    /// Inputs that were tried.
    queries: u64,
    /// Rows that leave an attack nothing to try: they count as not broken.
    closed: usize,
}

/// Attacks the rows on which the model is right, within the policy's size and queries, some at a time and in a random order
/// until all are through or the time is over.
///
/// # Errors
/// [`Error::Cancelled`] or a host that fails.
pub async fn adversarial(
    data: &Data<'_>,
    model: &Model,
    limits: &Limits,
    report: &mut Report,
) -> Result<(), Error> {
    let (scale, rules) = (data.plan.scale(), &data.plan.attack);
    if matches!(data.truth, Truth::Values(_)) && data.plan.tolerance <= 0.0 {
        let none =
            scale.undefined("adversarial_success", 0, "the plan states no tolerance for a right prediction");
        report.fill(Slot::Adversarial, vec![none], "");
        return Ok(());
    }
    let mut rng = generator(data.plan.seed, "attacked rows");
    let mut rows: Vec<usize> =
        data.right().iter().enumerate().filter(|(_, right)| **right).map(|(row, _)| row).collect();
    rng.shuffle(&mut rows);
    rows.truncate(data.plan.attack_rows);
    let texts = free_texts(data, model);
    let numeric = (0..model.layout().numbers()).any(|at| data.ranges[at].0 < data.ranges[at].1);
    let attacked = attack_all(data, model, &rows, numeric, &texts, Instant::now() + limits.attack()).await?;
    let mut names = Vec::new();
    names.extend(rules.numeric.iter().filter(|_| numeric).cloned());
    names.extend(rules.text.iter().filter(|_| !texts.is_empty()).cloned());
    let known: BTreeSet<&str> = ["square", "character-edits"].into();
    names.retain(|name| known.contains(name.as_str()));
    let convention = match (numeric, names.is_empty()) {
        (_, true) => String::new(),
        (true, _) => format!("{}/{}/{}/{}", names.join("+"), rules.norm, rules.size, rules.queries),
        (false, _) => format!("{}/chars/{}/{}", names.join("+"), rules.text_share, rules.queries),
    };
    let measured = success(scale, &attacked, &convention, rows.len());
    let n = attacked.broken.len();
    let mean = attacked.queries as f64 / n.max(1) as f64;
    let asked = scale.bare("adversarial_queries", mean, n, "mean per row");
    report.fill(
        Slot::Adversarial,
        vec![measured, asked],
        note(data, model, &attacked, rows.len(), texts.len()),
    );
    Ok(())
}

/// How the attacks were made, for people.
fn note(data: &Data, model: &Model, attacked: &Attacked, rows: usize, texts: usize) -> String {
    let mut note = format!(
        "rows on which the model is right; {} of {} numeric inputs can move within the ball, clipped to the training range; {texts} text inputs edited; {} category inputs kept as they are",
        data.ranges.iter().filter(|range| range.0 < range.1).count(),
        data.ranges.len(),
        model.layout().texts() - texts,
    );
    if attacked.broken.len() < rows {
        let through = attacked.broken.len();
        let _ = write!(
            note,
            "; {through} of {rows} rows attacked in the time there was, each with all its queries"
        );
    }
    if attacked.closed > 0 {
        let _ = write!(note, "; {} rows leave nothing to try and count as not broken", attacked.closed);
    }
    if !model.scored() && data.plan.classifies() {
        note.push_str("; label only: the model gives no scores");
    }
    note
}

async fn attack_all(
    data: &Data<'_>,
    model: &Model,
    rows: &[usize],
    numeric: bool,
    texts: &[usize],
    end: Instant,
) -> Result<Attacked, Error> {
    let mut attacked = Attacked::default();
    for rows in rows.chunks(ROWS_AT_ONCE) {
        let mut searches = Vec::new();
        if numeric {
            searches.push(squares(data, model, rows));
        }
        if !texts.is_empty() {
            searches.push(edits(data, model, rows, texts));
        }
        let (mut broken, mut queries) = (vec![false; rows.len()], vec![0; rows.len()]);
        for searches in searches {
            let Some(found) = attack::run(data, model, searches, data.plan.attack.queries, end).await? else {
                return Ok(attacked);
            };
            for (at, found) in found.iter().enumerate() {
                broken[at] |= found.broken_by.is_some();
                queries[at] += found.queries;
            }
        }
        attacked.closed += queries.iter().filter(|queries| **queries == 0).count();
        attacked.queries += queries.iter().sum::<u64>();
        attacked.broken.extend(broken);
    }
    Ok(attacked)
}

fn success(scale: Scale, attacked: &Attacked, convention: &str, rows: usize) -> Measurement {
    let undefined = |why: &str| scale.undefined("adversarial_success", 0, why);
    if convention.is_empty() {
        return undefined("no input is a number with a range or a free text: nothing to attack");
    }
    if rows > 0 && attacked.broken.is_empty() {
        return undefined(
            "the model is too slow: no row was attacked with all its queries in the time there was",
        );
    }
    if rows > 0 && attacked.queries == 0 {
        return undefined("no row leaves anything to try: whole numbers do not move and texts are short");
    }
    let events = attacked.broken.iter().filter(|broken| **broken).count();
    Measurement {
        convention: convention.to_owned(),
        ..scale.share("adversarial_success", events, attacked.broken.len())
    }
}

type Searches = Vec<(usize, Box<dyn Search>)>;

fn squares(data: &Data, model: &Model, rows: &[usize]) -> Searches {
    let (rules, grids) = (&data.plan.attack, attack::grids(model.layout()));
    let guided = model.scored() || !data.plan.classifies();
    let search = |row: &usize| -> (usize, Box<dyn Search>) {
        let sample = data.samples[*row].clone();
        let ball = Ball::around(&sample, model.layout(), &data.ranges, rules.size);
        let seed = generator(data.plan.seed.wrapping_add(*row as u64), "square").next_u64();
        (*row, Box::new(Square::new(sample, ball, grids.clone(), guided, rules.queries, seed)))
    };
    rows.iter().map(search).collect()
}

fn edits(data: &Data, model: &Model, rows: &[usize], texts: &[usize]) -> Searches {
    let rules = &data.plan.attack;
    let guided = model.scored() || !data.plan.classifies();
    let search = |row: &usize| -> (usize, Box<dyn Search>) {
        let sample = data.samples[*row].clone();
        // The longest text has the most room.
        let field = texts.iter().copied().max_by_key(|field| sample.texts[*field].len()).unwrap_or_default();
        let margin = attack::react(data, *row, &data.answers[*row]).margin;
        let seed = generator(data.plan.seed.wrapping_add(*row as u64), "edits").next_u64();
        (
            *row,
            Box::new(CharacterEdits::new(
                sample,
                field,
                rules.text_share,
                margin,
                guided,
                rules.queries,
                seed,
            )),
        )
    };
    rows.iter().map(search).collect()
}
