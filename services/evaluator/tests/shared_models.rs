//! Foreign models over foreign data, where both are there: what they reach is printed, accuracy is compared with what
//! their makers measured.
#![allow(clippy::unwrap_used, clippy::panic)]

use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use contracts::common::v1::ModelInterface;
use contracts::evaluator::v1::EvaluationPlan;
use contracts::registry::v1::{DatasetColumn, DatasetVersion};
use engine::{Engine, LoadOptions, OnnxRuntime};
use evaluator::evaluation::{Report, Subject, Unwatched, evaluate};
use evaluator::{Limits, plan::Plan, table::Table};
use lifecycle::{Policy, acceptance::Task};
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn shared(path: &str) -> Option<PathBuf> {
    let found = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared").join(path);
    if !found.exists() {
        println!("skipped: {} is not there", found.display());
        return None;
    }
    Some(found)
}

fn runtime() -> Option<OnnxRuntime> {
    match OnnxRuntime::open() {
        Ok(runtime) => Some(runtime),
        Err(error) => {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "{error}");
            println!("skipped: {error}");
            None
        }
    }
}

/// A CSV file as the Parquet bytes that the data-pipeline would stream.
fn parquet(csv: &Path) -> Bytes {
    let format = arrow::csv::reader::Format::default().with_header(true);
    let (schema, _) = format.infer_schema(std::fs::File::open(csv).unwrap(), None).unwrap();
    let schema = Arc::new(schema);
    let reader = arrow::csv::ReaderBuilder::new(schema.clone())
        .with_format(format)
        .build(std::fs::File::open(csv).unwrap())
        .unwrap();
    let batches: Vec<RecordBatch> = reader.collect::<Result<_, _>>().unwrap();
    let mut file = Vec::new();
    let mut writer = parquet::arrow::ArrowWriter::try_new(&mut file, schema, None).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.close().unwrap();
    file.into()
}

struct Case<'a> {
    model: &'a str,
    csv: &'a str,
    task: Task,
    label: &'a str,
    groups: &'a [&'a str],
    classes: &'a [&'a str],
    strip: &'a str,
    features: &'a [&'a str],
    tolerance: f64,
}

async fn run(case: &Case<'_>) -> Option<Report> {
    let report = tried(case).await?.unwrap();
    assert_eq!(report.slots.len(), 15, "{:?}", report.slots.keys());
    Some(report)
}

async fn tried(case: &Case<'_>) -> Option<Result<Report, evaluator::Error>> {
    let within = |folder: &str, path: &str, file: &str| match path.starts_with("models/") {
        true => shared(path),
        false => shared(&format!("{folder}/{path}{file}")),
    };
    let (model, csv) = (within("models", case.model, "/model.onnx")?, within("data", case.csv, "")?);
    let runtime = runtime()?;
    let limits = Limits::default();
    let table = Table::from_parquet(parquet(&csv), &limits).unwrap();
    let owned = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let columns = table.columns().iter().map(|column| DatasetColumn {
        name: column.name.clone(),
        sensitive: case.groups.contains(&column.name.as_str()),
        label: column.name == case.label,
        ..DatasetColumn::default()
    });
    let dataset = DatasetVersion { columns: columns.collect(), ..DatasetVersion::default() };
    let asked = EvaluationPlan {
        label_prefix_strip: case.strip.to_owned(),
        seed: 7,
        attack_rows: 300,
        tolerance: case.tolerance,
        ..EvaluationPlan::default()
    };
    let interface = ModelInterface {
        classes: owned(case.classes),
        feature_columns: owned(case.features),
        ..ModelInterface::default()
    };
    let plan = Plan::resolve(&asked, case.task, &dataset, &interface, Policy::builtin(), &limits).unwrap();
    let session = runtime.load(std::fs::read(model).unwrap().into(), LoadOptions::default()).await.unwrap();
    let began = std::time::Instant::now();
    let subject = Subject {
        session,
        table: &table,
        train: None,
        profiles: &[],
        plan: &plan,
        policy: Policy::builtin(),
        limits: &limits,
        stop: tokio_util::sync::CancellationToken::new(),
    };
    let report = match evaluate(subject, &Unwatched).await {
        Ok(report) => report,
        Err(error) => return Some(Err(error)),
    };
    println!(
        "{} over {}: {} rows, {:.1} s",
        case.model,
        case.csv,
        report.rows,
        began.elapsed().as_secs_f64()
    );
    for name in [
        "accuracy",
        "latency_p95_ms",
        "demographic_parity",
        "equal_opportunity",
        "adversarial_success",
        "run_failures",
        "throughput",
        "ece",
        "auroc",
        "ood_auroc",
        "edge_case_errors",
        "conformal_coverage",
    ] {
        if let Some(one) = report.of(name) {
            println!(
                "  {name:20} {:.4} [{:?}, {:?}] n={} {} {}",
                one.value, one.lower, one.upper, one.sample_size, one.convention, one.undefined_reason
            );
        }
    }
    Some(Ok(report))
}

fn agrees(case: &Case<'_>, report: &Report) {
    let metrics = std::fs::read_to_string(shared("models/metrics.json").unwrap()).unwrap();
    let metrics: serde_json::Value = serde_json::from_str(&metrics).unwrap();
    let text = metrics[case.model].to_string();
    let known = find(&metrics[case.model], "accuracy").unwrap_or_else(|| panic!("{text:.300}"));
    let observed = report.of("accuracy").unwrap().value;
    println!("  accuracy {observed:.4}, its maker measured {known:.4} on rows held out");
}

fn find(value: &serde_json::Value, key: &str) -> Option<f64> {
    match value {
        serde_json::Value::Object(map) => map
            .get(key)
            .and_then(serde_json::Value::as_f64)
            .or_else(|| map.values().find_map(|inner| find(inner, key))),
        _ => None,
    }
}

#[tokio::test]
async fn digits_mlp() {
    let case = Case {
        model: "digits-mlp/1.0.0",
        csv: "vision/digits/digits.csv",
        task: Task::MulticlassClassification,
        label: "digit",
        groups: &[],
        classes: &[],
        strip: "",
        features: &[],
        tolerance: 0.0,
    };
    if let Some(report) = run(&case).await {
        agrees(&case, &report);
        assert!(report.of("accuracy").unwrap().value > 0.95);
    }
}

#[tokio::test]
async fn sms_spam() {
    let case = Case {
        model: "sms-spam/1.0.0",
        csv: "text/sms_spam/sms_spam.csv",
        task: Task::TextClassification,
        label: "label",
        groups: &[],
        classes: &["ham", "spam"],
        strip: "",
        features: &[],
        tolerance: 0.0,
    };
    if let Some(report) = run(&case).await {
        agrees(&case, &report);
        assert!(report.of("accuracy").unwrap().value > 0.95);
        assert!(
            report
                .of("adversarial_success")
                .unwrap()
                .convention
                .starts_with("character-edits/chars/0.05/500")
        );
    }
}

#[tokio::test]
async fn adult_fair_and_biased() {
    for (model, fair) in [("adult-income/1.0.0", true), ("adult-income/1.2.0-biased", false)] {
        let case = Case {
            model,
            csv: "tabular/adult/adult_test.csv",
            task: Task::BinaryClassification,
            label: "income",
            groups: &["sex"],
            classes: &["<=50K", ">50K"],
            strip: ".",
            features: &[],
            tolerance: 0.0,
        };
        let Some(report) = run(&case).await else { return };
        agrees(&case, &report);
        let parity = report.of("demographic_parity").unwrap();
        assert_eq!(parity.lower.unwrap() > 0.9, fair, "{parity:?}");
        let known = if fair { 0.8429 } else { 0.87 };
        assert!((report.of("accuracy").unwrap().value - known).abs() < 0.0005);
    }
}

fn plain<'a>(model: &'a str, csv: &'a str, task: Task) -> Case<'a> {
    Case { model, csv, task, label: "y", groups: &[], classes: &[], strip: "", features: &[], tolerance: 0.0 }
}

/// Its probabilities reach 1.0000001, as those of forests in 32 bits do.
#[tokio::test]
async fn iris_forest() {
    let (model, csv) = ("models/evaluation/iris_rf.onnx", "models/evaluation/data/iris_test.csv");
    let Some(report) = run(&plain(model, csv, Task::MulticlassClassification)).await else { return };
    for metric in ["accuracy", "ece", "brier", "log_loss"] {
        assert!(report.of(metric).unwrap().value.is_finite(), "{:?}", report.of(metric));
    }
}

/// A picture in, probabilities and logits out.
#[tokio::test]
async fn digits_convolution() {
    let (model, csv) = ("models/evaluation/digits_cnn.onnx", "models/evaluation/data/digits_test.csv");
    let Some(report) = run(&plain(model, csv, Task::MulticlassClassification)).await else { return };
    assert!(report.of("accuracy").unwrap().value > 0.9 && report.of("auroc").unwrap().value > 0.9);
}

#[tokio::test]
async fn diabetes_regression() {
    let (model, csv) = ("models/evaluation/diabetes_ridge.onnx", "models/evaluation/data/diabetes_test.csv");
    let case = Case { tolerance: 60.0, ..plain(model, csv, Task::Regression) };
    let Some(report) = run(&case).await else { return };
    assert!(report.of("accuracy").unwrap().value > 0.4 && report.of("r2").unwrap().value > 0.2);
    assert!(report.of("adversarial_success").unwrap().value.is_finite());
}

const CREDIT: [&str; 23] = [
    "LIMIT_BAL",
    "SEX",
    "EDUCATION",
    "MARRIAGE",
    "AGE",
    "PAY_0",
    "PAY_2",
    "PAY_3",
    "PAY_4",
    "PAY_5",
    "PAY_6",
    "BILL_AMT1",
    "BILL_AMT2",
    "BILL_AMT3",
    "BILL_AMT4",
    "BILL_AMT5",
    "BILL_AMT6",
    "PAY_AMT1",
    "PAY_AMT2",
    "PAY_AMT3",
    "PAY_AMT4",
    "PAY_AMT5",
    "PAY_AMT6",
];

/// 23 columns are wanted and 23 are neither label nor group, but among them is the row's number and not the sex.
#[tokio::test]
async fn credit_is_not_guessed() {
    let Some(folder) = shared("data/tabular/credit_default") else { return };
    let csv = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let csv = csv.filter(|path| path.extension().is_some_and(|kind| kind == "csv")).min().unwrap();
    let csv = format!("tabular/credit_default/{}", csv.file_name().unwrap().to_string_lossy());
    let case = Case {
        label: "class",
        groups: &["SEX"],
        ..plain("credit-default/1.0.0", &csv, Task::BinaryClassification)
    };
    let Some(tried) = tried(&case).await else { return };
    let refused = tried.unwrap_err().to_string();
    assert!(refused.contains("SEX") && refused.contains("feature_columns"), "{refused}");
    let report = run(&Case { features: &CREDIT, ..case }).await.unwrap();
    let accuracy = report.of("accuracy").unwrap().value;
    assert!((accuracy - 0.8328).abs() < 0.01, "{accuracy}");
}

/// It ends with an error where the sector is not known.
#[tokio::test]
async fn adult_regressed() {
    let case = Case {
        model: "adult-income/1.1.1-regressed",
        label: "income",
        groups: &["sex"],
        classes: &["<=50K", ">50K"],
        strip: ".",
        ..plain("", "tabular/adult/adult_test.csv", Task::BinaryClassification)
    };
    let Some(report) = run(&case).await else { return };
    let failures = report.of("run_failures").unwrap().value;
    assert!((0.04..0.08).contains(&failures), "{failures}");
}
