//! §7.1 robustness beside attacks: edge cases, out-of-distribution inputs.

use super::{draw, generator};
use crate::Error;
use crate::evaluation::{Data, Report};
use crate::predict::{Answer, Model};
use crate::rows::{Sample, is_whole};
use lifecycle::evaluation::Slot;
use statistics::random::SplitMix64;
use statistics::ranking::delong;

/// Rows that edge cases are made of.
const EDGE_ROWS: usize = 20;
/// Rows on each side of the out-of-distribution comparison.
const NOISE_ROWS: usize = 500;

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
        .and_then(|area| Ok((area.first, area.first_bounds(scale.confidence)?)));
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
