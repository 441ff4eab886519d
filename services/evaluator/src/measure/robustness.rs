//! §7.1 robustness: adversarial success (gated, §7.3), edge cases, out-of-distribution inputs.

use super::{draw, generator};
use crate::attack::{self, Ball, CharacterEdits, Found, Search, Square};
use crate::evaluation::{Data, Report, Truth};
use crate::predict::{Answer, Model};
use crate::rows::{Sample, is_whole};
use crate::{Error, metric::Scale};
use contracts::common::v1::Measurement;
use lifecycle::acceptance::Task;
use lifecycle::evaluation::Slot;
use statistics::random::SplitMix64;
use statistics::ranking::delong;
use std::collections::BTreeSet;

/// Mean length from which a text input is free text, where the task does not say so.
const TEXT_LENGTH: usize = 20;
/// Rows that edge cases are made of.
const EDGE_ROWS: usize = 20;
/// Rows on each side of the out-of-distribution comparison.
const NOISE_ROWS: usize = 500;

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

/// Attacks the rows on which the model is right, within the policy's size and queries.
///
/// # Errors
/// [`Error::Cancelled`] or a host that fails.
pub async fn adversarial(data: &Data<'_>, model: &Model, report: &mut Report) -> Result<(), Error> {
    let (scale, rules) = (data.plan.scale(), &data.plan.attack);
    if matches!(data.truth, Truth::Values(_)) && data.plan.tolerance <= 0.0 {
        let none =
            scale.undefined("adversarial_success", 0, "the plan states no tolerance for a right prediction");
        report.fill(Slot::Adversarial, vec![none], "");
        return Ok(());
    }
    let right: Vec<usize> =
        data.right().iter().enumerate().filter(|(_, right)| **right).map(|(row, _)| row).collect();
    let rows = draw(right, data.plan.attack_rows, &mut generator(data.plan.seed, "attacked rows"));
    let texts = free_texts(data, model);
    let numeric = (0..model.layout().numbers()).any(|at| data.ranges[at].0 < data.ranges[at].1);
    let mut names = Vec::new();
    let mut broken = vec![false; rows.len()];
    let mut queries = 0;
    if numeric {
        names.extend(rules.numeric.iter().cloned());
        note(
            &mut broken,
            &mut queries,
            &attack::run(data, model, squares(data, model, &rows), rules.queries).await?,
        );
    }
    if !texts.is_empty() {
        names.extend(rules.text.iter().cloned());
        note(
            &mut broken,
            &mut queries,
            &attack::run(data, model, edits(data, model, &rows, &texts), rules.queries).await?,
        );
    }
    let known: BTreeSet<&str> = ["square", "character-edits"].into();
    names.retain(|name| known.contains(name.as_str()));
    let convention = match (numeric, names.is_empty()) {
        (_, true) => String::new(),
        (true, _) => format!("{}/{}/{}/{}", names.join("+"), rules.norm, rules.size, rules.queries),
        (false, _) => format!("{}/chars/{}/{}", names.join("+"), rules.text_share, rules.queries),
    };
    let measured = success(scale, &broken, &convention);
    let asked = scale.bare(
        "adversarial_queries",
        queries as f64 / rows.len().max(1) as f64,
        rows.len(),
        "mean per row",
    );
    let note = format!(
        "rows on which the model is right; {} of {} numeric inputs can move within the ball, clipped to the training range; {} text inputs edited; {} category inputs kept as they are{}",
        data.ranges.iter().filter(|range| range.0 < range.1).count(),
        data.ranges.len(),
        texts.len(),
        model.layout().texts() - texts.len(),
        if model.scored() || !data.plan.classifies() {
            ""
        } else {
            "; label only: the model gives no scores"
        },
    );
    report.fill(Slot::Adversarial, vec![measured, asked], note);
    Ok(())
}

fn success(scale: Scale, broken: &[bool], convention: &str) -> Measurement {
    if convention.is_empty() {
        return scale.undefined(
            "adversarial_success",
            0,
            "no input is a number with a range or a free text: nothing to attack",
        );
    }
    let events = broken.iter().filter(|broken| **broken).count();
    Measurement {
        convention: convention.to_owned(),
        ..scale.share("adversarial_success", events, broken.len())
    }
}

fn note(broken: &mut [bool], queries: &mut u64, found: &[Found]) {
    for (broken, found) in broken.iter_mut().zip(found) {
        *broken |= found.broken_by.is_some();
        *queries += found.queries;
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

/// Feeds values that data rarely has, one input at a time, and counts failures and answers that are no numbers.
///
/// # Errors
/// [`Error::Cancelled`] or a host that fails.
pub async fn edge_cases(data: &Data<'_>, model: &Model, report: &mut Report) -> Result<(), Error> {
    let mut rng = generator(data.plan.seed, "edge cases");
    let mut cases = Vec::new();
    for row in draw((0..data.len()).collect(), EDGE_ROWS, &mut rng) {
        cases.extend(edges_of(&data.samples[row], model, data, &mut rng));
    }
    let answers = model.answer(&cases).await?;
    let failed = answers.iter().filter(|answer| matches!(answer, Answer::Failed(_))).count();
    let strange = answers.iter().filter(|answer| answer.is_not_finite()).count();
    let scale = data.plan.scale();
    let measured = vec![
        scale.share("edge_case_errors", failed, cases.len()),
        scale.share("edge_case_non_finite", strange, cases.len()),
    ];
    let note = "one input at a time: missing, infinite, extreme and tiny numbers; empty, blank, long and unusual text";
    report.fill(Slot::EdgeCases, measured, note);
    Ok(())
}

fn edges_of(sample: &Sample, model: &Model, data: &Data, rng: &mut SplitMix64) -> Vec<Sample> {
    let mut cases = Vec::new();
    if !sample.numbers.is_empty() {
        let at = rng.below(sample.numbers.len());
        let whole = is_whole(model.layout().number_columns()[at].1);
        let (low, high) = data.ranges[at];
        let far = 1000.0 * (high - low).max(1.0);
        let mut values = vec![0.0, low - far, high + far];
        if !whole {
            values.extend([f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e-40, f64::from(f32::MAX)]);
        }
        for value in values {
            let mut case = sample.clone();
            case.numbers[at] = value;
            cases.push(case);
        }
    }
    if !sample.texts.is_empty() {
        let at = rng.below(sample.texts.len());
        let long = "a ".repeat(5_000);
        for text in ["", " ", "\u{1}", "?", "\u{202e}\u{200b}\u{fffd}", "日本語 🙂", &long] {
            let mut case = sample.clone();
            case.texts[at] = text.to_owned();
            cases.push(case);
        }
    }
    cases
}

/// How well the highest score tells rows of the split from uniform noise in the same ranges.
///
/// # Errors
/// [`Error::Cancelled`] or a host that fails.
pub async fn out_of_distribution(data: &Data<'_>, model: &Model, report: &mut Report) -> Result<(), Error> {
    let scale = data.plan.scale();
    if !model.scored() {
        let none = scale.undefined("ood_auroc", data.len(), "the model gives no scores that could tell");
        report.fill(Slot::OutOfDistribution, vec![none], "");
        return Ok(());
    }
    let mut rng = generator(data.plan.seed, "noise");
    let rows = draw((0..data.len()).collect(), NOISE_ROWS, &mut rng);
    let noise: Vec<Sample> =
        rows.iter().map(|row| noise_like(&data.samples[*row], &data.ranges, &mut rng)).collect();
    let answers = model.answer(&noise).await?;
    let top = |answer: &Answer| {
        answer.scores().map(|scores| scores.iter().copied().fold(f64::NEG_INFINITY, f64::max))
    };
    let known = rows.iter().filter_map(|row| top(&data.answers[*row])).map(|score| (true, score));
    let strange = answers.iter().filter_map(top).map(|score| (false, score));
    let (inside, scores): (Vec<bool>, Vec<f64>) = known.chain(strange).unzip();
    let area = delong(&inside, &scores, &scores)
        .and_then(|area| Ok((area.first, area.first_interval(scale.confidence)?)));
    let measured = scale.statistic("ood_auroc", scores.len(), area, "highest score/uniform noise/delong");
    report.fill(
        Slot::OutOfDistribution,
        vec![measured],
        "uniform noise in each input's range, letters for text",
    );
    Ok(())
}

fn noise_like(sample: &Sample, ranges: &[(f64, f64)], rng: &mut SplitMix64) -> Sample {
    let numbers = ranges.iter().map(|(low, high)| low + (high - low) * rng.next_f64()).collect();
    let mut scramble = |text: &String| {
        let letter =
            |c: char, rng: &mut SplitMix64| if c == ' ' { c } else { char::from(b'a' + rng.below(26) as u8) };
        text.chars().map(|c| letter(c, rng)).collect()
    };
    let texts = sample.texts.iter().map(&mut scramble).collect();
    Sample { numbers, texts }
}
