//! Adult becomes a dataset version with its flaws reported; models are evaluated and refused, or not, for the right reasons.

use contracts::common::v1::{Measurement, ModelInterface, Task, Verdict};
use contracts::evaluator::v1::{EvaluateModelVersionRequest, EvaluationPlan};
use contracts::pipeline::v1::{BuildPlan, DerivedColumn, Splits, derived_column};
use contracts::registry::v1::*;
use tests::line::Line;
use tests::mesh::Mesh;
use tests::needs;
use tests::refusal::Answered;

/// One foreign model over one foreign table.
struct Case {
    id: &'static str,
    task: Task,
    csv: &'static str,
    model: &'static str,
    plan: BuildPlan,
    interface: ModelInterface,
    favourable: &'static str,
    strip: &'static str,
}

/// Plan, dataset version, model version, evaluation: everything through the services themselves.
async fn evaluated(mesh: &Mesh, case: Case) -> Option<(DatasetVersion, Evaluation)> {
    let (csv, model) =
        (needs::shared(&format!("data/{}", case.csv))?, needs::shared(&format!("models/{}", case.model))?);
    let mut line = mesh.line(case.id);
    line.task = case.task;
    line.plan().await;
    line.usable_source().await;
    let data = line.build(&std::fs::read(csv).expect("data"), case.plan).await;
    line.audit_rows(&data.name, 400, 0).await;
    line.sign_relevance(&data.name).await;
    let data = line.release(&data.name).await;
    assert_eq!(data.state(), dataset_version::State::Ready, "{}: {:#?}", case.id, data.findings);
    line.train("first").await;
    line.create_model().await;
    let artifact = line.upload(&std::fs::read(model).expect("a model")).await;
    let mut request = line.version_request("1.0.0", "first", &artifact);
    request.model_version.as_mut().expect("a version").interface = Some(case.interface);
    line.by("ml-engineer").models().create_model_version(request).await.told();
    line.submit("1.0.0").await;
    let request = EvaluateModelVersionRequest {
        model_version: line.version("1.0.0"),
        dataset_version: data.name.clone(),
        plan: Some(EvaluationPlan {
            split: "test".into(),
            favourable_labels: vec![case.favourable.into()],
            seed: 2026,
            attack_rows: 120,
            label_prefix_strip: case.strip.into(),
            ..EvaluationPlan::default()
        }),
        evaluation_id: "first".into(),
        request_id: String::new(),
    };
    let begun = line.by("qa-engineer").evaluator().evaluate_model_version(request).await.told();
    let evaluation: Evaluation = line.outcome("evaluator", "qa-engineer", begun).await;
    let request = SignOffEvaluationRequest { name: evaluation.name, ..SignOffEvaluationRequest::default() };
    let evaluation = line.by("qa-engineer").evaluations().sign_off_evaluation(request).await.told();
    println!("{}: {:?}", case.id, evaluation.verdict());
    for finding in &evaluation.findings {
        println!(
            "  {:?} {} {}, required {}",
            finding.verdict(),
            finding.subject,
            finding.observed,
            finding.required
        );
    }
    Some((data, evaluation))
}

fn measured(evaluation: &Evaluation, metric: &str) -> Measurement {
    let found = evaluation.measurements.iter().find(|one| one.metric == metric && one.slice.is_empty());
    found.unwrap_or_else(|| panic!("{metric} was not measured")).clone()
}

/// What §7.3 says of a metric.
fn verdict(evaluation: &Evaluation, subject: &str) -> Verdict {
    let found = evaluation.findings.iter().find(|one| one.subject == subject);
    found.unwrap_or_else(|| panic!("{subject} was not judged")).verdict()
}

fn splits(stratify: &str) -> Option<Splits> {
    Some(Splits {
        train: 0.2,
        validation: 0.1,
        test: 0.7,
        stratify_column: stratify.into(),
        ..Splits::default()
    })
}

fn adult(id: &'static str, model: &'static str) -> Case {
    Case {
        id,
        task: Task::BinaryClassification,
        csv: "tabular/adult/adult_test.csv",
        model,
        plan: BuildPlan {
            label_column: "income".into(),
            favourable_labels: vec![">50K.".into()],
            group_columns: vec!["sex".into()],
            missing_markers: vec!["?".into()],
            splits: splits("income"),
            augmentation: none(),
            seed: 2026,
            ..BuildPlan::default()
        },
        interface: ModelInterface {
            label_output: "label".into(),
            score_output: "probabilities".into(),
            classes: vec!["<=50K".into(), ">50K".into()],
            ..ModelInterface::default()
        },
        favourable: ">50K",
        strip: ".",
    }
}

fn none() -> Option<contracts::pipeline::v1::Augmentation> {
    Some(contracts::pipeline::v1::Augmentation {
        not_applicable_reason: "there are enough rows".into(),
        ..Default::default()
    })
}

/// Two halves of the rows, in the order in which they were collected.
fn halves() -> Vec<DerivedColumn> {
    vec![DerivedColumn {
        name: "half".into(),
        operation: derived_column::Operation::RowBand.into(),
        thresholds: vec![0.5],
        labels: vec!["first".into(), "second".into()],
        ..DerivedColumn::default()
    }]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn adult_is_taken_with_its_flaws_and_its_models_are_refused_for_the_right_reasons() {
    if needs::shared("models/adult-income").is_none() || !needs::onnx_runtime() {
        return;
    }
    let mesh = Mesh::real().await;
    let (data, mitigated) = evaluated(&mesh, adult("mitigated", "adult-income/1.1.0/model.onnx"))
        .await
        .expect("the files are there");
    let dimension = |name: &str| data.quality.iter().find(|one| one.dimension == name).expect("measured");
    let completeness = dimension("completeness");
    assert_eq!(completeness.bad, 1085, "every question mark is counted: {completeness:?}");
    let occupation = completeness.details.iter().find(|one| one.slice.contains("occupation"));
    assert!(occupation.is_some(), "by column: {:?}", completeness.details);
    let uniqueness = dimension("uniqueness");
    println!(
        "{} of {} cells missing, {} of {} rows twice",
        completeness.bad, completeness.all, uniqueness.bad, uniqueness.all
    );
    assert_eq!((uniqueness.bad, uniqueness.all), (1, 8141), "{uniqueness:?}");
    let workclass = data.columns.iter().find(|one| one.name == "workclass").expect("a column");
    assert_eq!(workclass.missing_text, "?", "what stood for a missing value is kept");

    let accuracy = measured(&mitigated, "accuracy");
    assert!((accuracy.value - 0.845).abs() < 0.02, "{accuracy:?}");
    assert_eq!(verdict(&mitigated, "task accuracy"), Verdict::Fail);
    assert_eq!(
        verdict(&mitigated, "demographic parity"),
        Verdict::Pass,
        "{:?}",
        measured(&mitigated, "demographic_parity")
    );

    let (_, biased) = evaluated(&mesh, adult("biased", "adult-income/1.2.0-biased/model.onnx"))
        .await
        .expect("the files are there");
    assert!((measured(&biased, "accuracy").value - 0.87).abs() < 0.02);
    assert_eq!(verdict(&biased, "task accuracy"), Verdict::Fail);
    assert_eq!(verdict(&biased, "demographic parity"), Verdict::Fail);
    assert!(measured(&biased, "accuracy").value > accuracy.value, "more accurate, and unfair");

    // This one ends with an error where the occupation's sector is "?": what it is sent must be what it was sent.
    let (_, regressed) = evaluated(&mesh, adult("regressed", "adult-income/1.1.1-regressed/model.onnx"))
        .await
        .expect("the files are there");
    let failures = measured(&regressed, "run_failures");
    assert!((0.04..0.08).contains(&failures.value), "{failures:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sms_spam_and_digits_meet_accuracy_latency_and_parity() {
    if needs::shared("models/sms-spam").is_none() || !needs::onnx_runtime() {
        return;
    }
    let mesh = Mesh::real().await;
    let texts = Case {
        id: "sms-spam",
        task: Task::TextClassification,
        csv: "text/sms_spam/sms_spam.csv",
        model: "sms-spam/1.0.0/model.onnx",
        plan: BuildPlan {
            label_column: "label".into(),
            favourable_labels: vec!["ham".into()],
            group_columns: vec!["half".into()],
            derived: halves(),
            cleaning: vec![contracts::pipeline::v1::CleaningRule {
                action: contracts::pipeline::v1::cleaning_rule::Action::DropDuplicates.into(),
                ..Default::default()
            }],
            splits: splits("label"),
            augmentation: none(),
            seed: 2026,
            ..BuildPlan::default()
        },
        interface: ModelInterface {
            feature_columns: vec!["text".into()],
            input_tensor: "text".into(),
            label_output: "label".into(),
            score_output: "probabilities".into(),
            classes: vec!["ham".into(), "spam".into()],
        },
        favourable: "ham",
        strip: "",
    };
    let pixels: Vec<String> =
        (0..8).flat_map(|row| (0..8).map(move |column| format!("p{row}{column}"))).collect();
    let digits = Case {
        id: "digits-mlp",
        task: Task::MulticlassClassification,
        csv: "vision/digits/digits.csv",
        model: "digits-mlp/1.0.0/model.onnx",
        plan: BuildPlan {
            label_column: "digit".into(),
            favourable_labels: vec!["0".into()],
            group_columns: vec!["half".into()],
            derived: halves(),
            splits: splits("digit"),
            augmentation: none(),
            seed: 2026,
            ..BuildPlan::default()
        },
        interface: ModelInterface {
            feature_columns: pixels,
            input_tensor: "pixels".into(),
            label_output: "label".into(),
            score_output: "probabilities".into(),
            classes: (0..10).map(|digit| digit.to_string()).collect(),
        },
        favourable: "0",
        strip: "",
    };
    for case in [texts, digits] {
        let id = case.id;
        let (_, evaluation) = evaluated(&mesh, case).await.expect("the files are there");
        for subject in ["task accuracy", "latency p95", "demographic parity"] {
            assert_eq!(verdict(&evaluation, subject), Verdict::Pass, "{id}: {:#?}", evaluation.findings);
        }
        let attack = measured(&evaluation, "adversarial_success");
        println!(
            "{id} under attack: {} of {} rows ({})",
            attack.value, attack.sample_size, attack.convention
        );
    }
}
