//! §7.1 task metrics: classes by their confusion matrix and scores, numbers by their errors.

use super::{RESAMPLES, generator};
use crate::evaluation::{Data, Report, Truth};
use crate::metric::{Scale, sliced};
use crate::predict::{Answer, Model};
use contracts::common::v1::Measurement;
use lifecycle::acceptance::Task;
use lifecycle::evaluation::Slot;
use statistics::bootstrap::{resample_cells, statistic_interval};
use statistics::calibration::{Binning, reliability, top_label};
use statistics::classification::{Average, ConfusionMatrix, ZeroDivision};
use statistics::interval::Interval;
use statistics::regression::Regression;
use statistics::{probability, ranking};

/// Bins of the expected calibration error.
pub(super) const CALIBRATION_BINS: usize = 10;
/// Cells of the largest confusion matrix that is resampled: more classes than rows say nothing by class.
const MOST_CELLS: usize = 250_000;

/// Fills the slot of task metrics.
pub fn tasks(data: &Data, model: &Model, report: &mut Report) {
    let scale = data.plan.scale();
    let failed = data.answers.iter().filter(|answer| matches!(answer, Answer::Failed(_))).count();
    let mut measured = match &data.truth {
        Truth::Classes(truth) => {
            let mut measured = labels(data, model, truth);
            measured.extend(scores(data, model, scale));
            measured
        }
        Truth::Values(truth) => numbers(data, truth, scale),
    };
    measured.push(scale.share("run_failures", failed, data.len()));
    let mut notes = Vec::new();
    if data.unlabelled > 0 {
        notes.push(format!("{} rows without a label left out", data.unlabelled));
    }
    if data.empty_texts > 0 {
        notes.push(format!("{} missing texts sent as empty ones", data.empty_texts));
    }
    notes.extend(model.reading().map(|reading| reading.notes().to_vec()).unwrap_or_default());
    if let Some(why) = report.failures.first() {
        notes.push(format!("{failed} rows failed inside the model and count as wrong, the first: {why}"));
    }
    report.fill(Slot::TaskMetrics, measured, notes.join("; "));
}

/// The class that counts as positive in a binary task: the second.
pub(super) fn positive(data: &Data, model: &Model) -> Option<usize> {
    (data.plan.task != Task::MulticlassClassification && model.classes().len() == 2).then_some(1)
}

fn labels(data: &Data, model: &Model, truth: &[usize]) -> Vec<Measurement> {
    let scale = data.plan.scale();
    let right = data.right().iter().filter(|right| **right).count();
    let mut measured = vec![scale.share("accuracy", right, data.len())];
    // One column more for answers that are no class and rows on which the model failed.
    let classes = model.classes().len() + 1;
    let predicted: Vec<usize> =
        data.answers.iter().map(|answer| answer.class().unwrap_or(classes - 1).min(classes - 1)).collect();
    if MOST_CELLS < classes * classes {
        return measured;
    }
    let Ok(matrix) = ConfusionMatrix::from_indices(truth, &predicted, classes, None) else { return measured };
    let occurring: Vec<usize> = (0..classes)
        .filter(|class| {
            (0..classes).any(|other| matrix.cell(*class, other) + matrix.cell(other, *class) > 0.0)
        })
        .collect();
    type Of = fn(&ConfusionMatrix) -> statistics::Result<f64>;
    let of: [(&str, &str, Of); 3] = [
        (
            "balanced_accuracy",
            "mean recall of occurring classes/bootstrap",
            ConfusionMatrix::balanced_accuracy,
        ),
        ("macro_f1", "f1/macro/zero division 0/bootstrap", |matrix| {
            matrix.f1(Average::Macro, ZeroDivision::Zero)
        }),
        ("mcc", "matthews/bootstrap", |matrix| Ok(matrix.matthews())),
    ];
    for (name, convention, of) in of {
        measured.push(scale.statistic(
            name,
            data.len(),
            resampled(data, &matrix, &occurring, of),
            convention,
        ));
    }
    if let Some(class) = positive(data, model) {
        let f1 = |matrix: &ConfusionMatrix| matrix.f1(Average::Class(class), ZeroDivision::Zero);
        let value = matrix.f1(Average::Class(class), ZeroDivision::Undefined).and_then(|value| {
            let all: Vec<usize> = (0..classes).collect();
            Ok((value, resampled(data, &matrix, &all, f1)?.1))
        });
        let name = &model.classes().names()[class];
        measured.push(scale.statistic("f1", data.len(), value, &format!("f1/class {name}/bootstrap")));
    }
    measured
}

/// A statistic of the confusion matrix of the classes that occur, with the bootstrap interval over its cells.
fn resampled(
    data: &Data,
    matrix: &ConfusionMatrix,
    classes: &[usize],
    of: impl Fn(&ConfusionMatrix) -> statistics::Result<f64>,
) -> statistics::Result<(f64, Interval)> {
    let k = classes.len();
    let cells: Vec<u64> = classes
        .iter()
        .flat_map(|truth| classes.iter().map(|predicted| matrix.cell(*truth, *predicted) as u64))
        .collect();
    let build = |cells: &[u64]| {
        let (mut truth, mut predicted, mut weights) = (Vec::new(), Vec::new(), Vec::new());
        for (at, count) in cells.iter().enumerate().filter(|(_, count)| **count > 0) {
            truth.push(at / k);
            predicted.push(at % k);
            weights.push(*count as f64);
        }
        ConfusionMatrix::from_indices(&truth, &predicted, k, Some(&weights))
    };
    let value = of(&build(&cells)?)?;
    let confidence = data.plan.confidence;
    let interval = statistic_interval(confidence, RESAMPLES, data.plan.seed, |rng| {
        of(&build(&resample_cells(&cells, rng))?)
    })?;
    Ok((value, interval))
}

fn scores(data: &Data, model: &Model, scale: Scale) -> Vec<Measurement> {
    if !model.scored() {
        return Vec::new();
    }
    let rows = data.scored();
    let truth: Vec<usize> = rows.iter().map(|(row, _)| data.classes()[*row]).collect();
    let scores: Vec<Vec<f64>> = rows.into_iter().map(|(_, scores)| scores).collect();
    let n = truth.len();
    let mut measured = vec![
        each_row(scale, "log_loss", &truth, &scores, "nats/as given/normal", |t, s| {
            probability::log_loss(t, s, probability::RowSum::AsGiven)
        }),
        each_row(scale, "brier", &truth, &scores, "sum over classes/normal", probability::brier_multiclass),
        scale.statistic(
            "ece",
            n,
            calibration_error(data, &truth, &scores),
            "ece/10/left-closed/top label/bootstrap",
        ),
    ];
    measured.push(match positive(data, model) {
        Some(class) => {
            let is: Vec<bool> = truth.iter().map(|truth| *truth == class).collect();
            let score: Vec<f64> = scores.iter().map(|scores| scores[class]).collect();
            let area = ranking::delong(&is, &score, &score)
                .and_then(|area| Ok((area.first, area.first_bounds(scale.confidence)?)));
            scale.statistic("auroc", n, area, "delong")
        }
        None => match ranking::auroc_one_vs_rest(&truth, &scores, scores.first().map_or(0, Vec::len)) {
            Ok(value) => scale.bare("auroc", value, n, "one vs rest/macro"),
            Err(why) => scale.undefined("auroc", n, why),
        },
    });
    measured
}

/// A mean over rows, each row measured alone.
fn each_row(
    scale: Scale,
    name: &str,
    truth: &[usize],
    scores: &[Vec<f64>],
    convention: &str,
    of: impl Fn(&[usize], &[Vec<f64>]) -> statistics::Result<f64>,
) -> Measurement {
    let rows = truth.iter().zip(scores).map(|(truth, scores)| of(&[*truth], std::slice::from_ref(scores)));
    match rows.collect::<statistics::Result<Vec<f64>>>() {
        Ok(values) => scale.mean(name, &values, convention),
        Err(why) => scale.undefined(name, truth.len(), why),
    }
}

/// Expected calibration error of the winning class with its bootstrap interval.
pub(super) fn calibration_error(
    data: &Data,
    truth: &[usize],
    scores: &[Vec<f64>],
) -> statistics::Result<(f64, Interval)> {
    let (confidence, right) = top_label(truth, scores)?;
    let of = |confidence: &[f64], right: &[bool]| {
        Ok(reliability(confidence, right, Binning::LeftClosed(CALIBRATION_BINS))?.expected_error())
    };
    let value = of(&confidence, &right)?;
    let n = confidence.len();
    let interval = statistic_interval(data.plan.confidence, RESAMPLES / 4, data.plan.seed, |rng| {
        let rows: Vec<usize> = (0..n).map(|_| rng.below(n)).collect();
        of(
            &rows.iter().map(|row| confidence[*row]).collect::<Vec<_>>(),
            &rows.iter().map(|row| right[*row]).collect::<Vec<_>>(),
        )
    })?;
    Ok((value, interval))
}

fn numbers(data: &Data, truth: &[f64], scale: Scale) -> Vec<Measurement> {
    let rows: Vec<(f64, f64)> = data
        .answers
        .iter()
        .zip(truth)
        .filter_map(|(answer, truth)| Some((*truth, answer.value().filter(|value| value.is_finite())?)))
        .collect();
    let right = data.right().iter().filter(|right| **right).count();
    let accuracy = if data.plan.tolerance > 0.0 {
        let mut share = scale.share("accuracy", right, data.len());
        share.convention = format!("within {}/wilson", data.plan.tolerance);
        share
    } else {
        scale.undefined("accuracy", data.len(), "the plan states no tolerance for a right prediction")
    };
    type Of = fn(&Regression) -> statistics::Result<f64>;
    let of: [(&str, Of); 3] = [
        ("rmse", |rows| Ok(rows.root_mean_squared_error())),
        ("mae", |rows| Ok(rows.mean_absolute_error())),
        ("r2", Regression::r_squared),
    ];
    let n = rows.len();
    let of_rows = |rows: &[(f64, f64)], of: Of| {
        let (truth, predicted): (Vec<f64>, Vec<f64>) = rows.iter().copied().unzip();
        of(&Regression::new(&truth, &predicted, None)?)
    };
    let mut rng = generator(data.plan.seed, "regression");
    let measured = of.map(|(name, of)| {
        let value = of_rows(&rows, of).and_then(|value| {
            let interval = statistic_interval(data.plan.confidence, RESAMPLES, rng.next_u64(), |rng| {
                of_rows(&(0..n).map(|_| rows[rng.below(n)]).collect::<Vec<_>>(), of)
            })?;
            Ok((value, interval))
        });
        sliced(scale.statistic(name, n, value, "bootstrap"), "")
    });
    std::iter::once(accuracy).chain(measured).collect()
}
