//! §7.1 explainability: which inputs matter, what changes a decision, how sure the model is.

use super::{draw, generator};
use crate::evaluation::{Data, Report, Truth};
use crate::metric::sliced;
use crate::predict::{Answer, Model};
use crate::{Error, rows::Sample};
use contracts::common::v1::Measurement;
use lifecycle::evaluation::Slot;

/// Rows that are permuted.
const ROWS: usize = 300;
/// Permutations of each input: the spread between them is the standard error.
const REPEATS: usize = 5;
/// Inputs that are looked at; of more, those that vary most.
const INPUTS: usize = 64;
/// Inputs that are reported, the most important first.
const SHOWN: usize = 20;
/// Rows whose decisions are explained.
const EXPLAINED: usize = 50;

/// An input: a number or a text of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Input {
    Number(usize),
    Text(usize),
}

fn put(sample: &mut Sample, input: Input, from: &Sample) {
    match input {
        Input::Number(at) => sample.numbers[at] = from.numbers[at],
        Input::Text(at) => sample.texts[at].clone_from(&from.texts[at]),
    }
}

/// The inputs with their columns: all texts, and the numbers whose values vary most within their range.
fn inputs(data: &Data, model: &Model) -> Vec<(Input, String)> {
    let texts = model.layout().text_columns();
    let texts = texts.iter().enumerate().map(|(at, name)| (Input::Text(at), (*name).to_owned()));
    let columns = model.layout().number_columns();
    let spread = |at: usize| {
        let (low, high) = data.ranges[at];
        let values: Vec<f64> = data
            .samples
            .iter()
            .map(|sample| (sample.numbers[at] - low) / (high - low))
            .filter(|v| v.is_finite())
            .collect();
        let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
        values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len().max(1) as f64
    };
    let mut numbers: Vec<(f64, usize)> = (0..columns.len()).map(|at| (spread(at), at)).collect();
    numbers.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let numbers = numbers.into_iter().map(|(_, at)| (Input::Number(at), columns[at].0.to_owned()));
    texts.chain(numbers).take(INPUTS).collect()
}

/// Share of rows that are right, or minus the mean error of a regression.
fn quality(data: &Data, rows: &[usize], answers: &[Answer]) -> f64 {
    let each = rows.iter().zip(answers).map(|(row, answer)| match (&data.truth, answer) {
        (Truth::Values(truth), Answer::Value(value)) => -(value - truth[*row]).abs(),
        (Truth::Values(_), _) => f64::NAN,
        (Truth::Classes(_), answer) => f64::from(u8::from(data.is_right(*row, answer))),
    });
    let each: Vec<f64> = each.filter(|value| value.is_finite()).collect();
    each.iter().sum::<f64>() / each.len().max(1) as f64
}

/// Permutation importance: how much worse the model is when one column is shuffled among rows.
///
/// Source: Breiman, *Random forests*, 2001; Fisher, Rudin, Dominici 2019.
///
/// # Errors
/// [`Error::Cancelled`] or a host that fails.
pub async fn attribution(data: &Data<'_>, model: &Model, report: &mut Report) -> Result<(), Error> {
    let scale = data.plan.scale();
    let mut rng = generator(data.plan.seed, "permutation");
    let rows = draw((0..data.len()).collect(), ROWS, &mut rng);
    let known: Vec<Answer> = rows.iter().map(|row| data.answers[*row].clone()).collect();
    let before = quality(data, &rows, &known);
    let inputs = inputs(data, model);
    let mut measured = Vec::new();
    for (input, column) in &inputs {
        let mut drops = Vec::with_capacity(REPEATS);
        for _ in 0..REPEATS {
            let mut from = rows.clone();
            rng.shuffle(&mut from);
            let shuffled: Vec<Sample> = rows
                .iter()
                .zip(&from)
                .map(|(row, from)| {
                    let mut sample = data.samples[*row].clone();
                    put(&mut sample, *input, &data.samples[*from]);
                    sample
                })
                .collect();
            drops.push(before - quality(data, &rows, &model.answer(&shuffled).await?));
        }
        let convention = format!("drop of the share right/{} rows/{REPEATS} permutations/normal", rows.len());
        measured.push(sliced(scale.mean("permutation_importance", &drops, &convention), column));
    }
    measured.sort_by(|a, b| b.value.total_cmp(&a.value).then_with(|| a.slice.cmp(&b.slice)));
    let all = model.layout().numbers() + model.layout().texts();
    let note = format!(
        "{} of {all} inputs looked at, the {} most important shown",
        inputs.len(),
        measured.len().min(SHOWN)
    );
    measured.truncate(SHOWN);
    report.fill(Slot::FeatureAttribution, measured, note);
    Ok(())
}

/// What a decision hangs on: each input is replaced by that of a typical row, and the change of the winning score or of
/// the number is taken; a decision is explained if replacing its strongest input changes the score at all.
///
/// # Errors
/// [`Error::Cancelled`] or a host that fails.
pub async fn decisions(data: &Data<'_>, model: &Model, report: &mut Report) -> Result<(), Error> {
    let scale = data.plan.scale();
    let mut rng = generator(data.plan.seed, "decisions");
    let rows = draw((0..data.len()).collect(), EXPLAINED, &mut rng);
    let inputs = inputs(data, model);
    let (mut strongest, mut flipped, mut explained) = (Vec::new(), 0, 0);
    for row in rows {
        let Some(before) = strength(&data.answers[row], &data.answers[row]) else { continue };
        let other = &data.samples[rng.below(data.len())];
        let changed = |(input, _): &(Input, String)| {
            let mut sample = data.samples[row].clone();
            put(&mut sample, *input, other);
            sample
        };
        let answers = model.answer(&inputs.iter().map(changed).collect::<Vec<_>>()).await?;
        let effect =
            |answer: &Answer| strength(answer, &data.answers[row]).map(|after| (before - after).abs());
        let best = answers
            .iter()
            .filter_map(|answer| Some((effect(answer)?, answer)))
            .max_by(|a, b| a.0.total_cmp(&b.0));
        let Some((effect, answer)) = best else { continue };
        explained += 1;
        strongest.push(effect);
        flipped += usize::from(answer.class() != data.answers[row].class());
    }
    let mut measured: Vec<Measurement> =
        vec![scale.mean("occlusion_effect", &strongest, "strongest input replaced/score/normal")];
    if data.plan.classifies() {
        measured.push(scale.share("occlusion_flips", flipped, explained));
    }
    report.fill(
        Slot::DecisionExplanation,
        measured,
        "each input replaced by that of another row of the split, one at a time",
    );
    Ok(())
}

/// The score of the class that `decision` is (1 or 0 without scores), or the number.
fn strength(answer: &Answer, decision: &Answer) -> Option<f64> {
    match (answer, decision.class()) {
        (Answer::Class { class, .. }, Some(decided)) => match answer.scores() {
            Some(scores) => scores.get(decided).copied(),
            None => Some(f64::from(u8::from(*class == decided))),
        },
        (Answer::Value(value), _) => Some(*value).filter(|value| value.is_finite()),
        _ => None,
    }
}

/// Split conformal prediction: half of the rows set the threshold, the other half shows coverage and size.
///
/// Scores of the true class (LAC: Sadinle, Lei, Wasserman 2019) or absolute errors; the aim is the policy's confidence.
pub fn uncertainty(data: &Data, model: &Model, report: &mut Report) {
    let scale = data.plan.scale();
    let scores: Vec<(usize, Vec<f64>)> = data.scored();
    let mut rng = generator(data.plan.seed, "conformal");
    let nonconformity: Vec<f64> = match &data.truth {
        Truth::Classes(truth) => scores.iter().map(|(row, scores)| 1.0 - scores[truth[*row]]).collect(),
        Truth::Values(truth) => {
            let error = |(answer, truth): (&Answer, &f64)| {
                Some((answer.value()? - truth).abs()).filter(|e| e.is_finite())
            };
            data.answers.iter().zip(truth).filter_map(error).collect()
        }
    };
    let mut order: Vec<usize> = (0..nonconformity.len()).collect();
    rng.shuffle(&mut order);
    let (set, test) = order.split_at(order.len() / 2);
    let mut sorted: Vec<f64> = set.iter().map(|at| nonconformity[*at]).collect();
    sorted.sort_by(f64::total_cmp);
    let rank = ((sorted.len() + 1) as f64 * scale.confidence).ceil() as usize;
    if rank == 0 || sorted.len() < rank {
        let why = if model.scored() || !data.plan.classifies() {
            "too few rows"
        } else {
            "the model gives no scores"
        };
        report.fill(
            Slot::Uncertainty,
            vec![scale.undefined("conformal_coverage", nonconformity.len(), why)],
            "",
        );
        return;
    }
    let limit = sorted[rank - 1];
    let covered = test.iter().filter(|at| nonconformity[**at] <= limit).count();
    let mut measured = vec![scale.share("conformal_coverage", covered, test.len())];
    if data.plan.classifies() {
        let size = |at: &usize| scores[*at].1.iter().filter(|score| 1.0 - **score <= limit).count() as f64;
        let sizes: Vec<f64> = test.iter().map(size).collect();
        measured.push(scale.mean("conformal_set_size", &sizes, "lac/normal"));
    } else {
        measured.push(scale.bare("conformal_half_width", limit, sorted.len(), "absolute error"));
    }
    let note = format!("split conformal at {}", scale.confidence);
    report.fill(Slot::Uncertainty, measured, note);
}
