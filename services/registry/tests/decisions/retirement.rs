//! Five criteria and seven steps (§10).

use super::desk::*;
use super::line::*;
use contracts::common::v1::{Measurement, Verdict};
use contracts::registry::v1::*;
use std::time::Duration;
use tonic::{Code, Status};

const DAY: Duration = Duration::from_hours(24);

async fn announce(line: &Line, who: &str, request: StartRetirementRequest) -> Result<Retirement, Status> {
    Ok(line.retirements(who).start_retirement(request).await?.into_inner())
}

async fn step(line: &Line, version: &ModelVersion, step: &str) -> Result<Retirement, Status> {
    let advance = AdvanceRetirementRequest {
        name: format!("{}/retirement", version.name),
        step: step.into(),
        note: "done".into(),
        retention_class: "standard".into(),
        ..Default::default()
    };
    Ok(line.retirements("ml-ops-engineer").advance_retirement(advance).await?.into_inner())
}

#[tokio::test]
async fn criteria_hold_or_nothing_is_announced() {
    let line = Line::start().await;
    let first = line.approved("1.0.0", 1).await;
    let second = line.approved("1.1.0", 2).await;
    let ask = |criterion: RetirementCriterion| StartRetirementRequest {
        parent: first.name.clone(),
        criterion: criterion.into(),
        facts: "as told".into(),
        ..Default::default()
    };
    let unmeasured = announce(&line, "ml-lead", ask(RetirementCriterion::Degraded)).await;
    assert_eq!(reason(&unmeasured.expect_err("no day was measured")), "CRITERION_NOT_MET");
    let better = StartRetirementRequest {
        successor: second.name.clone(),
        relative_improvement: 0.5,
        ..ask(RetirementCriterion::Superseded)
    };
    let measured = announce(&line, "ml-lead", better.clone()).await.expect_err("both were measured: equal");
    assert_eq!(reason(&measured), "CRITERION_NOT_MET");
    assert!(measured.message().contains("0, 0.97 against 0.97"), "{}", measured.message());
    let third = line.submitted("1.2.0", 3).await;
    let unproven = StartRetirementRequest { successor: third.name.clone(), ..better };
    let unproven = announce(&line, "ml-lead", unproven).await.expect_err("stands before its gates");
    assert_eq!(reason(&unproven), "SUCCESSOR_UNFIT");
    let declared =
        announce(&line, "ml-lead", ask(RetirementCriterion::Business)).await.expect_err("not the business");
    assert_eq!(declared.code(), Code::PermissionDenied);
}

/// The version measured on a metric of its own, beside what §7.3 asks for.
async fn compare(line: &Line, version: &ModelVersion, metric: &str, value: f64) {
    let mut report = line.report(version, 0.97);
    report.measurements.push(Measurement {
        metric: metric.into(),
        value,
        sample_size: 400,
        lower: Some(value - 0.01),
        upper: Some(value + 0.01),
        confidence: 0.9,
        ..Measurement::default()
    });
    let create = CreateEvaluationRequest {
        parent: version.name.clone(),
        evaluation_id: "compared".into(),
        evaluation: Some(report),
        ..Default::default()
    };
    line.evaluations("evaluator").create_evaluation(create).await.expect("an evaluation");
}

/// Reading 6: better is what the model declares of its metric, whatever the metric is called.
#[tokio::test]
async fn a_metric_s_name_does_not_say_which_way_it_is_better() {
    for (metric, direction, values) in [
        ("error_free_share", MetricDirection::Higher, [0.5, 0.8]),
        ("surprise", MetricDirection::Lower, [0.8, 0.5]),
    ] {
        let line = Line::compared_by(metric, direction).await;
        let first = line.approved("1.0.0", 1).await;
        let second = line.approved("1.1.0", 2).await;
        for (version, value) in [(&first, values[0]), (&second, values[1])] {
            compare(&line, version, metric, value).await;
        }
        let supersede = |old: &ModelVersion, new: &ModelVersion| StartRetirementRequest {
            parent: old.name.clone(),
            criterion: RetirementCriterion::Superseded.into(),
            facts: "as measured".into(),
            successor: new.name.clone(),
            ..Default::default()
        };
        let worse = announce(&line, "ml-lead", supersede(&second, &first)).await.expect_err("it is worse");
        assert_eq!(reason(&worse), "CRITERION_NOT_MET", "{metric}");
        let better = announce(&line, "ml-lead", supersede(&first, &second)).await.expect(metric);
        assert!(better.facts.contains("against"), "{}", better.facts);
    }
}

#[tokio::test]
async fn a_model_declares_the_direction_of_a_metric_that_is_not_of_section_7_3() {
    let desk = Desk::start().await;
    desk.project().await;
    for (metric, direction) in [
        ("f1", MetricDirection::Unspecified),
        ("mean_latency", MetricDirection::Unspecified),
        ("accuracy", MetricDirection::Lower),
        ("latency_p95_ms", MetricDirection::Higher),
    ] {
        let refused = desk.open_model(measured_by(metric, direction)).await.expect_err(metric);
        assert_eq!(reason(&refused), "METRIC_DIRECTION", "{metric}");
        assert!(refused.message().contains("reading 6"), "{}", refused.message());
    }
    let made = desk.open_model(measured_by("f1", MetricDirection::Higher)).await.expect("declared");
    assert_eq!(made.primary_metric_direction(), MetricDirection::Higher);
}

async fn day(line: &Line, version: &ModelVersion, day: &str, below: bool) -> Result<ServiceDay, Status> {
    let finding = contracts::common::v1::Finding {
        clause: "§9.1".into(),
        subject: "accuracy".into(),
        required: ">= 0.9".into(),
        observed: "as measured".into(),
        verdict: if below { Verdict::Fail } else { Verdict::Pass }.into(),
    };
    let record = RecordServiceDayRequest {
        parent: version.name.clone(),
        day: day.into(),
        below_acceptable: below,
        findings: vec![finding],
        ..Default::default()
    };
    Ok(line.retirements("monitor").record_service_day(record).await?.into_inner())
}

/// The desk's clock begins on 2027-01-15 (UTC).
#[tokio::test]
async fn thirty_measured_days_in_a_row_and_no_fewer() {
    let line = Line::start().await;
    let version = line.approved("1.0.0", 1).await;
    let idle = day(&line, &version, "2027-01-14", true).await.expect_err("it does not serve");
    assert_eq!(reason(&idle), "SERVICE_DAY_REFUSED");
    line.deployment().await;
    line.in_production("one", &version).await;
    let early = day(&line, &version, "2027-01-15", true).await.expect_err("the day is not over");
    assert_eq!(reason(&early), "SERVICE_DAY_REFUSED");
    let start = || StartRetirementRequest {
        parent: version.name.clone(),
        criterion: RetirementCriterion::Degraded.into(),
        facts: "below acceptable".into(),
        days_below_acceptable: 1000, // what is typed counts for nothing
        ..Default::default()
    };
    line.clock.advance(DAY);
    day(&line, &version, "2027-01-15", true).await.expect("a day");
    line.clock.advance(DAY); // the 16th is never measured
    for number in 17..=31 {
        line.clock.advance(DAY);
        day(&line, &version, &format!("2027-01-{number}"), true).await.expect("a day");
    }
    for number in 1..=14 {
        line.clock.advance(DAY);
        day(&line, &version, &format!("2027-02-{number:02}"), true).await.expect("a day");
    }
    let refused = announce(&line, "ml-lead", start()).await.expect_err("29 days");
    assert!(refused.message().contains("29 days, required at least 30"), "{}", refused.message());
    let other = day(&line, &version, "2027-02-14", false).await.expect_err("another word about the day");
    assert_eq!(reason(&other), "SERVICE_DAY_REFUSED");
    line.clock.advance(DAY);
    day(&line, &version, "2027-02-15", true).await.expect("a day");
    let typed = RecordServiceDayRequest { parent: version.name.clone(), ..Default::default() };
    let typed = line.retirements("ml-lead").record_service_day(typed).await.expect_err("no person counts");
    assert_eq!(typed.code(), Code::PermissionDenied);
    let begun = announce(&line, "ml-lead", start()).await.expect("30 days");
    assert!(begun.facts.contains("30 days"), "{}", begun.facts);
    assert_eq!(line.get_version(&version.name).await.state(), model_version::State::Deprecated);
}

#[tokio::test]
async fn seven_steps_in_their_order_and_not_before_their_time() {
    let line = Line::start().await;
    let version = line.approved("1.0.0", 1).await;
    line.deployment().await;
    line.in_production("one", &version).await;
    let start = StartRetirementRequest {
        parent: version.name.clone(),
        criterion: RetirementCriterion::Business.into(),
        facts: "discontinued".into(),
        ..Default::default()
    };
    let begun = announce(&line, "business-owner", start).await.expect("announced");
    assert_eq!((begun.next_step, begun.steps.len()), (2, 7));
    let order = step(&line, &version, "archive").await.expect_err("the second comes first");
    assert_eq!(reason(&order), "STEP_OUT_OF_ORDER");
    let callers = AdvanceRetirementRequest {
        name: begun.name.clone(),
        step: "migrate-users".into(),
        note: "asked".into(),
        remaining_callers: vec!["client".into()],
        ..Default::default()
    };
    let callers =
        line.retirements("ml-ops-engineer").advance_retirement(callers).await.expect_err("somebody calls");
    assert_eq!(reason(&callers), "STEP_NOT_TRUE");
    step(&line, &version, "migrate-users").await.expect("moved");
    line.clock.advance(DAY * 29);
    let early = step(&line, &version, "traffic-to-zero").await.expect_err("30 days");
    assert_eq!(reason(&early), "NOTICE_NOT_ELAPSED");
    line.clock.advance(DAY);
    step(&line, &version, "traffic_to_zero").await.expect("zero");
    assert!(line.table().await.routes.iter().all(|route| route.backends.is_empty()));
    let archived = step(&line, &version, "archive").await.expect("sealed and restored");
    assert!(archived.archive_digest.starts_with("sha256:"), "{}", archived.archive_digest);
    let stale = step(&line, &version, "update-documentation").await.expect_err("the card is old");
    assert_eq!(reason(&stale), "DOCUMENT_STALE");
    line.document(DocumentTemplate::ModelCard, &version.name).await;
    step(&line, &version, "update-documentation").await.expect("documented");
    step(&line, &version, "delete-deployment").await.expect("deleted");
    assert_eq!(line.get_deployment().await.state(), deployment::State::Deleted);
    let done = step(&line, &version, "retain-records").await.expect("kept");
    assert_eq!((done.next_step, done.retention_class.as_str()), (8, "standard"));
    assert!(done.retain_until_time.is_some() && done.steps.iter().all(|step| step.done));
    assert_eq!(line.get_version(&version.name).await.state(), model_version::State::Retired);
    let over = step(&line, &version, "retain-records").await.expect_err("none left");
    assert_eq!(reason(&over), "STEP_OUT_OF_ORDER");
}
