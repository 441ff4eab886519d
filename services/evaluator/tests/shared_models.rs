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
}

async fn run(case: &Case<'_>) -> Option<Report> {
    let (model, csv) =
        (shared(&format!("models/{}/model.onnx", case.model))?, shared(&format!("data/{}", case.csv))?);
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
        ..EvaluationPlan::default()
    };
    let interface = ModelInterface { classes: owned(case.classes), ..ModelInterface::default() };
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
    let report = evaluate(subject, &Unwatched).await.unwrap();
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
    assert_eq!(report.slots.len(), 15, "{:?}", report.slots.keys());
    Some(report)
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
        };
        let Some(report) = run(&case).await else { return };
        agrees(&case, &report);
        let parity = report.of("demographic_parity").unwrap();
        assert_eq!(parity.lower.unwrap() > 0.9, fair, "{parity:?}");
        let known = if fair { 0.8429 } else { 0.87 };
        assert!((report.of("accuracy").unwrap().value - known).abs() < 0.0005);
    }
}
