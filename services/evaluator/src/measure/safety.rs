//! §7.1 safety: harmful content and hallucination where they can apply, and what the answers tell about training rows.

use super::{draw, generator};
use crate::evaluation::{Data, Report, Truth, labels};
use crate::predict::{Answer, Model};
use crate::{Error, Limits, metric, rows, table::Table};
use lifecycle::acceptance::Metric;
use lifecycle::evaluation::Slot;
use lifecycle::policy::Policy;
use statistics::ranking::delong;

/// Rows on each side of the membership comparison.
const MEMBERS: usize = 1000;

/// Harmful content and hallucination: not applicable with the policy's reason, or not measured.
pub fn content(data: &Data, policy: &Policy, report: &mut Report) {
    let slots = [
        (Slot::HarmfulContent, Metric::HarmfulContentRate),
        (Slot::Hallucination, Metric::HallucinationRate),
    ];
    let table = policy.acceptance.tasks.iter().find(|row| row.task == data.plan.task);
    for (slot, of) in slots {
        let excuse = table.and_then(|row| row.not_applicable.iter().find(|excuse| excuse.metric == of));
        match excuse {
            Some(excuse) => {
                report.not_applicable.push((of, excuse.reason.clone()));
                report.fill(slot, Vec::new(), format!("not applicable: {}", excuse.reason));
            }
            None => {
                let scale = data.plan.scale();
                let why = format!("required for {}, and this evaluator has no judge for it", data.plan.task);
                report.fill(slot, vec![scale.undefined(metric::name(of), 0, why)], "");
            }
        }
    }
}

/// Membership inference by a threshold on the loss: 0.5 is no leak.
///
/// Source: Yeom et al., *Privacy risk in machine learning*, 2018.
///
/// # Errors
/// [`Error::Cancelled`] or a host that fails.
pub async fn leakage(
    data: &Data<'_>,
    model: &Model,
    train: Option<&Table>,
    limits: &Limits,
    report: &mut Report,
) -> Result<(), Error> {
    let scale = data.plan.scale();
    let none = |why: &str| vec![scale.undefined("membership_auroc", 0, why)];
    let Some(train) = train else {
        report.fill(Slot::InformationLeakage, none("the training split cannot be read"), "");
        return Ok(());
    };
    let member_labels = labels(train, data.plan)?;
    let samples = match rows::fill(model.layout(), train, &data.plan.missing_texts, limits.values) {
        Ok(samples) => samples,
        Err(why) => {
            report.fill(
                Slot::InformationLeakage,
                none(&format!("the training split does not fit: {why}")),
                "",
            );
            return Ok(());
        }
    };
    let mut rng = generator(data.plan.seed, "members");
    let labelled = (0..samples.len()).filter(|row| member_labels[*row].is_some()).collect();
    let members = draw(labelled, MEMBERS, &mut rng);
    let asked: Vec<_> = members.iter().map(|row| samples[*row].clone()).collect();
    let answers = model.answer(&asked).await?;
    let truth_of = |row: usize| member_labels[row].as_deref();
    let inside = members.iter().zip(&answers).filter_map(|(row, answer)| fit(model, answer, truth_of(*row)?));
    let outside_rows = draw((0..data.len()).collect(), MEMBERS, &mut rng);
    let outside = outside_rows.iter().filter_map(|row| known_fit(data, *row));
    let (member, score): (Vec<bool>, Vec<f64>) =
        inside.map(|score| (true, score)).chain(outside.map(|score| (false, score))).unzip();
    let area = delong(&member, &score, &score)
        .and_then(|area| Ok((area.first, area.first_bounds(scale.confidence)?)));
    let convention = if model.scored() { "score of the true class/delong" } else { "how right/delong" };
    report.fill(
        Slot::InformationLeakage,
        vec![scale.statistic("membership_auroc", score.len(), area, convention)],
        "",
    );
    Ok(())
}

/// How well an answer fits a label: the score of the true class, 1 or 0 without scores, minus the error of a number.
fn fit(model: &Model, answer: &Answer, label: &str) -> Option<f64> {
    match answer {
        Answer::Class { class, .. } => {
            let truth = model.classes().index(label)?;
            Some(match answer.scores() {
                Some(scores) => *scores.get(truth)?,
                None => f64::from(u8::from(*class == truth)),
            })
        }
        Answer::Value(value) => {
            Some(-(value - label.parse::<f64>().ok()?).abs()).filter(|fit| fit.is_finite())
        }
        Answer::Failed(_) => None,
    }
}

fn known_fit(data: &Data, row: usize) -> Option<f64> {
    match (&data.truth, &data.answers[row]) {
        (Truth::Classes(truth), answer @ Answer::Class { class, .. }) => Some(match answer.scores() {
            Some(scores) => *scores.get(truth[row])?,
            None => f64::from(u8::from(*class == truth[row])),
        }),
        (Truth::Values(truth), Answer::Value(value)) => {
            Some(-(value - truth[row]).abs()).filter(|fit| fit.is_finite())
        }
        _ => None,
    }
}
