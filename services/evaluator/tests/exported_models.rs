//! Models as common exporters write them, over rows whose every number is known: maps of scores, one logit, two inputs.
#![allow(clippy::unwrap_used, clippy::panic)]

use contracts::common::v1::ModelInterface;
use contracts::evaluator::v1::EvaluationPlan;
use contracts::registry::v1::{DatasetColumn, DatasetVersion};
use engine::{Engine, LoadOptions, OnnxRuntime};
use evaluator::evaluation::{Report, Subject, Unwatched, evaluate};
use evaluator::predict::zipmap;
use evaluator::table::{Cells, Column, Table};
use evaluator::{Error, Limits, plan::Plan};
use lifecycle::evaluation::Slot;
use lifecycle::{Policy, acceptance::Task};

const ROWS: usize = 400;

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

fn a(row: usize) -> f64 {
    -0.9975 + 0.005 * row as f64
}

fn b(row: usize) -> f64 {
    (row % 7) as f64 / 10.0
}

fn numbers(name: &str, of: fn(usize) -> f64) -> Column {
    Column { name: name.into(), cells: Cells::Floats((0..ROWS).map(|row| Some(of(row))).collect()) }
}

fn texts(name: &str, of: impl Fn(usize) -> Option<String>) -> Column {
    Column { name: name.into(), cells: Cells::Texts((0..ROWS).map(of).collect()) }
}

struct Case<'a> {
    model: &'a str,
    columns: Vec<Column>,
    missing: &'a [(&'a str, &'a str)],
    plan: EvaluationPlan,
    interface: ModelInterface,
}

async fn report(case: Case<'_>) -> Option<Result<Report, Error>> {
    let runtime = runtime()?;
    let limits = Limits { latency_requests: 50, ..Limits::default() };
    let table = Table::new(case.columns).unwrap();
    let columns = table.columns().iter().map(|column| DatasetColumn {
        name: column.name.clone(),
        label: column.name == "y",
        sensitive: column.name == "sex",
        missing_text: case
            .missing
            .iter()
            .find(|(name, _)| *name == column.name)
            .map_or(String::new(), |(_, text)| (*text).to_owned()),
        ..DatasetColumn::default()
    });
    let dataset = DatasetVersion { columns: columns.collect(), ..DatasetVersion::default() };
    let (policy, task) = (Policy::builtin(), Task::BinaryClassification);
    let mut plan = Plan::resolve(&case.plan, task, &dataset, &case.interface, policy, &limits).unwrap();
    plan.attack_rows = plan.attack_rows.min(20);
    let path = format!("{}/tests/models/{}.onnx", env!("CARGO_MANIFEST_DIR"), case.model);
    let mut model: bytes::Bytes = std::fs::read(path).unwrap().into();
    if let Some(opened) = zipmap::open(&model) {
        model = opened.model;
        plan.classes = opened.classes;
    }
    let session = runtime.load(model, LoadOptions::default()).await.unwrap();
    let stop = tokio_util::sync::CancellationToken::new();
    let (train, profiles) = (None, &[][..]);
    let subject =
        Subject { session, table: &table, train, profiles, plan: &plan, policy, limits: &limits, stop };
    Some(evaluate(subject, &Unwatched).await)
}

fn value(report: &Report, metric: &str) -> f64 {
    report.of(metric).unwrap_or_else(|| panic!("{metric} was not measured")).value
}

#[tokio::test]
async fn scores_in_maps_are_read_as_scores() {
    let label = |row: usize| Some(if a(row) + 0.3 * b(row) > 0.0 { "yes" } else { "no" }.to_owned());
    let case = Case {
        model: "zipmap",
        columns: vec![numbers("a", a), numbers("b", b), texts("y", label)],
        missing: &[],
        plan: EvaluationPlan::default(),
        interface: ModelInterface { score_output: "output_probability".into(), ..ModelInterface::default() },
    };
    let Some(report) = report(case).await else { return };
    let report = report.unwrap();
    assert!(value(&report, "accuracy") > 0.9 && value(&report, "auroc") > 0.95);
    assert!(value(&report, "ece").is_finite() && value(&report, "conformal_coverage") > 0.5);
    assert!(!report.slots[&Slot::Adversarial].reason.contains("label only"));
}

/// 4a - 1 > 0 from a = 0.25; a reading as probability would cut at 4a - 1 > 0.5.
#[tokio::test]
async fn one_logit_is_cut_at_zero() {
    let label = |row: usize| Some((if a(row) > 0.25 { "1" } else { "0" }).to_owned());
    let case = |favourable: &str| Case {
        model: "one_logit",
        columns: vec![
            numbers("a", a),
            numbers("b", b),
            texts("sex", |row| Some(if row % 2 == 0 { "f" } else { "m" }.to_owned())),
            texts("y", label),
        ],
        missing: &[],
        plan: EvaluationPlan { favourable_labels: vec![favourable.into()], ..EvaluationPlan::default() },
        interface: ModelInterface::default(),
    };
    let Some(made) = report(case("1.0")).await else { return };
    let made = made.unwrap();
    assert!((value(&made, "accuracy") - 1.0).abs() < 1e-12, "{}", value(&made, "accuracy"));
    assert!(value(&made, "log_loss").is_finite() && value(&made, "brier") < 0.2);
    assert!(made.slots[&Slot::TaskMetrics].reason.contains("logit"), "{:?}", made.slots[&Slot::TaskMetrics]);
    assert!(value(&made, "demographic_parity") > 0.98, "the favourable label is read as labels are");
    let refused = report(case(">50K")).await.unwrap().unwrap_err().to_string();
    assert!(refused.contains("favourable label") && refused.contains("0, 1"), "{refused}");
}

#[tokio::test]
async fn two_wide_inputs_share_the_columns_and_a_missing_text_is_sent_as_it_came() {
    let known = |row: usize| !row.is_multiple_of(20);
    let job = move |row: usize| {
        known(row).then(|| if row.is_multiple_of(3) { "smith" } else { "clerk" }.to_owned())
    };
    let label = move |row: usize| {
        let code = if known(row) { if row.is_multiple_of(3) { 1.0 } else { 0.0 } } else { 0.5 };
        Some((if 2.0 * a(row) + 3.0 * code - 1.5 > 0.0 { "1" } else { "0" }).to_owned())
    };
    let place = |row: usize| Some(if row.is_multiple_of(2) { "north" } else { "south" }.to_owned());
    let case = |missing| Case {
        model: "two_inputs",
        columns: vec![
            numbers("a", a),
            texts("job", job),
            numbers("b", b),
            texts("place", place),
            texts("y", label),
        ],
        missing,
        plan: EvaluationPlan::default(),
        interface: ModelInterface::default(),
    };
    let Some(made) = report(case(&[("job", "?")])).await else { return };
    let made = made.unwrap();
    assert!((value(&made, "accuracy") - 1.0).abs() < 1e-12, "{}", value(&made, "accuracy"));
    let blank = report(case(&[])).await.unwrap().unwrap();
    assert!(blank.slots[&Slot::TaskMetrics].reason.contains("20 missing texts sent as empty ones"));
}
