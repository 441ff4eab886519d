//! `wlp evaluate`: one version on one dataset version, every number shown.

use std::process::ExitCode;

use clap::Args;
use contracts::common::v1::{Measurement, Verdict};
use contracts::evaluator::v1::evaluator_service_client::EvaluatorServiceClient;
use contracts::evaluator::v1::{EvaluateModelVersionRequest, EvaluationPlan};
use contracts::registry::v1::evaluation_service_client::EvaluationServiceClient;
use contracts::registry::v1::{Evaluation, SignOffEvaluationRequest};

use super::{Caller, operation};
use crate::reach::To;
use crate::story::finding_line;

/// Exits with 0 if §7.3 holds, with 2 if the evaluation was made and it does not.
#[derive(Debug, Args)]
pub struct Evaluate {
    /// `models/{m}/versions/{v}`, or `{model}-v1.2.0`.
    #[arg(long)]
    model_version: String,
    /// `datasets/{d}/versions/{v}`
    #[arg(long)]
    dataset_version: String,
    /// Split that is read.
    #[arg(long, default_value = "test")]
    split: String,
    /// Label column, where it is another than the dataset version's.
    #[arg(long, default_value = "")]
    label: String,
    /// Group column of the fairness metrics; may be given again.
    #[arg(long = "group")]
    groups: Vec<String>,
    /// Label that is the favourable outcome; may be given again.
    #[arg(long = "favourable")]
    favourable: Vec<String>,
    /// Text that is dropped from the end of labels, as the `.` in some files.
    #[arg(long, default_value = "")]
    strip: String,
    /// Seed of everything that is drawn.
    #[arg(long, default_value_t = 2026)]
    seed: u64,
    /// Id of the evaluation; without it, a new one.
    #[arg(long)]
    id: Option<String>,
    /// Also signs, as the QA engineer, that metrics which cannot apply do not.
    #[arg(long)]
    sign_off: bool,
    #[command(flatten)]
    caller: Caller,
}

impl Evaluate {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let id = self.id.clone().unwrap_or_else(|| format!("eval-{}", uuid::Uuid::new_v4().simple()));
        let request = EvaluateModelVersionRequest {
            model_version: contracts::name::model_version("model_version", &self.model_version)
                .unwrap_or_else(|_| self.model_version.clone()),
            dataset_version: self.dataset_version.clone(),
            plan: Some(EvaluationPlan {
                split: self.split.clone(),
                label_column: self.label.clone(),
                group_columns: self.groups.clone(),
                favourable_labels: self.favourable.clone(),
                seed: self.seed,
                label_prefix_strip: self.strip.clone(),
                ..Default::default()
            }),
            evaluation_id: id,
            ..Default::default()
        };
        let peer = self.caller.peer(To::Evaluator, "qa-engineer")?;
        let begun =
            EvaluatorServiceClient::new(peer.clone()).evaluate_model_version(request).await?.into_inner();
        let mut evaluation: Evaluation = operation(peer, begun).await?;
        if self.sign_off {
            let mut evaluations =
                EvaluationServiceClient::new(self.caller.peer(To::Registry, "qa-engineer")?);
            let request = SignOffEvaluationRequest { name: evaluation.name, ..Default::default() };
            evaluation = evaluations.sign_off_evaluation(request).await?.into_inner();
        }
        show(&evaluation);
        Ok(if evaluation.verdict() == Verdict::Pass { ExitCode::SUCCESS } else { ExitCode::from(2) })
    }
}

fn show(evaluation: &Evaluation) {
    println!(
        "{}: {} rows of {} {}",
        evaluation.name, evaluation.rows, evaluation.dataset_version, evaluation.split
    );
    println!("{} on {}, seed {}", evaluation.engine, evaluation.provider, evaluation.seed);
    for one in &evaluation.measurements {
        println!("  {}", measured(one));
    }
    for one in &evaluation.not_applicable {
        println!("  {:32} not applicable: {}", one.metric, one.reason);
    }
    println!("findings of §7.3, as the registry judged them");
    for finding in &evaluation.findings {
        println!("  {}", finding_line(finding));
    }
    println!("verdict {}", evaluation.verdict().as_str_name().trim_start_matches("VERDICT_"));
}

fn measured(one: &Measurement) -> String {
    let interval = match (one.lower, one.upper) {
        (None, None) => String::new(),
        (lower, upper) => {
            let bound =
                |bound: Option<f64>| bound.map_or_else(|| "…".to_owned(), |bound| format!("{bound:.5}"));
            format!(" [{}, {}] at {:.0} %", bound(lower), bound(upper), one.confidence * 100.0)
        }
    };
    let value = if one.undefined_reason.is_empty() {
        format!("{:.5}", one.value)
    } else {
        format!("undefined: {}", one.undefined_reason)
    };
    let name =
        if one.slice.is_empty() { one.metric.clone() } else { format!("{} {}", one.metric, one.slice) };
    let unit = if one.unit.is_empty() { String::new() } else { format!(" {}", one.unit) };
    let convention = if one.convention.is_empty() { String::new() } else { format!(" ({})", one.convention) };
    format!("{name:32} {value}{unit}{interval} n={}{convention}", one.sample_size)
}
