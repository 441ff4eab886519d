//! Evaluations, reviews and gates G1 to G3.

use super::desk::*;
use super::line::*;
use contracts::common::v1::Verdict;
use contracts::registry::v1::*;
use tonic::Code;

#[tokio::test]
async fn a_worse_version_is_refused_at_g2_for_good() {
    let line = Line::start().await;
    let version = line.submitted("1.0.0", 1).await;
    let early = line.decide(&version, Gate::G2BenchmarksMet).await;
    assert!(!early.passed);
    assert_eq!(
        line.get_version(&version.name).await.state(),
        model_version::State::Evaluating,
        "nothing was judged yet"
    );
    line.evaluate(&version, line.report(&version, 0.8)).await.expect("an evaluation");
    assert!(!line.decide(&version, Gate::G2BenchmarksMet).await.passed);
    assert_eq!(
        line.get_version(&version.name).await.state(),
        model_version::State::Evaluating,
        "may still be signed"
    );
    assert_eq!(line.sign_off(&version).await.verdict(), Verdict::Fail);
    let refused = line.decide(&version, Gate::G2BenchmarksMet).await;
    assert!(!refused.passed && refused.name.ends_with("/g2-3"), "{}", refused.name);
    let bad: Vec<_> = refused.findings.iter().filter(|one| one.verdict() == Verdict::Fail).collect();
    assert_eq!((bad.len(), bad[0].subject.as_str(), bad[0].required.as_str()), (1, "task accuracy", "> 0.9"));
    assert!(bad[0].observed.starts_with("0.8 (n=400"), "{}", bad[0].observed);
    let version = line.get_version(&version.name).await;
    assert_eq!((version.state(), version.gate_decisions.len()), (model_version::State::Rejected, 3));
    let again = DecideGateRequest {
        parent: version.name.clone(),
        gate: Gate::G1TestsPass.into(),
        ..Default::default()
    };
    let over = line.gates("qa-engineer").decide_gate(again).await.expect_err("rejected");
    assert_eq!(reason(&over), "VERSION_STATE");
    let replay = ReplayGateDecisionRequest { name: refused.name };
    let replay = line.gates("auditor").replay_gate_decision(replay).await.expect("replayed").into_inner();
    assert!(replay.same && !replay.passed);
}

/// What stands before its gates is a version that was handed in, and every call says so alike.
#[tokio::test]
async fn a_draft_is_neither_measured_nor_judged_nor_rolled_out() {
    let line = Line::start().await;
    let file = onnx(4, 1);
    line.upload(&file).await.expect("an upload");
    let artifact = storage::Digest::of(&file).to_string();
    let draft = line.version("1.0.0", &artifact, "first").await.expect("a version");
    line.deployment().await;
    let parent = || draft.name.clone();
    let gate = DecideGateRequest { parent: parent(), gate: Gate::G1TestsPass.into(), ..Default::default() };
    let review = CreateReviewRequest {
        parent: parent(),
        review_id: "qa".into(),
        kind: ReviewKind::Qa.into(),
        ..Default::default()
    };
    for refused in [
        line.gates("qa-engineer").decide_gate(gate).await.expect_err("a draft"),
        line.reviews("qa-engineer").create_review(review).await.expect_err("a draft"),
        line.open_rollout("first", &draft).await.expect_err("a draft"),
    ] {
        assert_eq!(reason(&refused), "VERSION_STATE");
        assert!(
            refused.message().contains("DRAFT, required EVALUATING or APPROVED"),
            "{}",
            refused.message()
        );
    }
    let measured = line.evaluate(&draft, line.report(&draft, 0.97)).await.expect_err("a draft");
    assert_eq!(reason(&measured), "VERSION_STATE");
    assert!(measured.message().contains("or DEPRECATED"), "{}", measured.message());
}

/// §8.1: which gates come before traffic is the policy's word; a version that has passed them is approved.
#[tokio::test]
async fn the_gates_before_traffic_are_those_of_the_policy() {
    let line = Line::start().await;
    let after = "title: Canary stable, after: [g1, g2, g3]";
    line.adopt(after, "title: Canary stable, after: [g1, g2]").await;
    let version = line.submitted("1.0.0", 1).await;
    line.evaluate(&version, line.report(&version, 0.97)).await.expect("an evaluation");
    line.sign_off(&version).await;
    for category in ["unit", "integration"] {
        line.import(&version, category, JUNIT).await.expect("a report");
    }
    assert!(line.decide(&version, Gate::G1TestsPass).await.passed);
    assert_eq!(line.get_version(&version.name).await.state(), model_version::State::Evaluating);
    assert!(line.decide(&version, Gate::G2BenchmarksMet).await.passed);
    assert_eq!(line.get_version(&version.name).await.state(), model_version::State::Approved);
}

#[tokio::test]
async fn a_report_is_about_the_registered_things_and_its_numbers_are_numbers() {
    let line = Line::start().await;
    let version = line.submitted("1.0.0", 1).await;
    let good = line.report(&version, 0.97);
    let other = Evaluation {
        artifact_digest: digest("other"),
        dataset_digest: digest("other"),
        split: "none".into(),
        ..good.clone()
    };
    let refused = line.evaluate(&version, other).await.expect_err("other things");
    assert_eq!((reason(&refused).as_str(), findings(&refused).len()), ("EVALUATION_EVIDENCE_MISMATCH", 3));
    let mut bad = good.clone();
    bad.measurements[0].value = f64::NAN;
    bad.measurements[1].value = -1.0;
    bad.measurements[2].value = 1.5;
    bad.measurements.push(good.measurements[3].clone());
    bad.not_applicable[0].metric = "charm".into();
    let refused = line.evaluate(&version, bad).await.expect_err("no numbers");
    let fields = bad_fields(&refused);
    for at in [
        "measurements[0].value",
        "measurements[1].value",
        "measurements[2].value",
        "measurements[4].metric",
        "not_applicable[0].metric",
    ] {
        assert!(fields.contains(&format!("evaluation.{at}")), "{at} of {fields:?}");
    }
    let mine = CreateEvaluationRequest {
        parent: version.name.clone(),
        evaluation_id: "x".into(),
        evaluation: Some(good),
        ..Default::default()
    };
    let mine = line.evaluations("ml-engineer").create_evaluation(mine).await.expect_err("not the evaluator");
    assert_eq!(mine.code(), Code::PermissionDenied);
    let xml = line.import(&version, "unit", "<!DOCTYPE a><testsuite/>").await.expect_err("hostile");
    assert_eq!(bad_fields(&xml), ["content"]);
}

/// §7.3 is judged on the split, the groups and the tolerance of policy, data and plan, not on those that were asked for.
#[tokio::test]
async fn g2_refuses_evidence_that_somebody_chose() {
    let line = Line::with_groups().await;
    let version = line.submitted("1.0.0", 1).await;
    let good = line.report(&version, 0.97);
    for (id, split, groups, wanted) in [
        ("train", "train", vec!["sex"], Some(("evaluated split", "test", "train"))),
        (
            "balanced",
            "test",
            vec!["age"],
            Some(("groups of parity", "every sensitive column of the data", "without sex")),
        ),
        ("whole", "test", vec!["age", "sex"], None),
    ] {
        let report = Evaluation {
            split: split.into(),
            group_columns: groups.into_iter().map(str::to_owned).collect(),
            ..good.clone()
        };
        let create = CreateEvaluationRequest {
            parent: version.name.clone(),
            evaluation_id: id.into(),
            evaluation: Some(report),
            ..Default::default()
        };
        line.clock.advance(std::time::Duration::from_secs(1));
        let made =
            line.evaluations("evaluator").create_evaluation(create).await.expect("a report").into_inner();
        let unsigned = line.decide(&version, Gate::G2BenchmarksMet).await;
        let slot = unsigned.findings.iter().find(|one| one.subject.contains("slot throughput"));
        assert!(
            slot.is_some_and(|one| one.observed == "missing"),
            "an empty slot needs a signature: {slot:?}"
        );
        if let Some((subject, required, observed)) = wanted {
            let found = unsigned.findings.iter().find(|one| one.subject == subject).expect(subject);
            assert_eq!((found.required.as_str(), found.observed.as_str()), (required, observed));
            continue;
        }
        let sign = SignOffEvaluationRequest { name: made.name, ..Default::default() };
        line.evaluations("ml-lead").sign_off_evaluation(sign).await.expect("one of the three signers");
        let decision = line.decide(&version, Gate::G2BenchmarksMet).await;
        assert!(decision.passed, "{:?}", decision.findings);
    }
}

/// Reading 13: what was measured on unfit data is compared, never judged.
#[tokio::test]
async fn a_comparison_on_unfit_data_decides_nothing() {
    let line = Line::start().await;
    let dirty = DatasetVersion { manifest_digest: digest("dirty"), ..line.fit_data() };
    let dirty = line.draft_data("1.0.1", dirty).await.expect("a draft");
    let dirty = line.release(&dirty.name, 100).await;
    assert_eq!(dirty.state(), dataset_version::State::Unfit);
    let version = line.submitted("1.0.0", 1).await;
    line.evaluate(&version, line.report(&version, 0.97)).await.expect("on fit data");
    line.sign_off(&version).await;
    let told = line.get_version(&version.name).await.metrics;
    line.clock.advance(std::time::Duration::from_secs(1));
    let worse = Evaluation {
        dataset_version: dirty.name.clone(),
        dataset_digest: digest("dirty"),
        ..line.report(&version, 0.5)
    };
    let create = CreateEvaluationRequest {
        parent: version.name.clone(),
        evaluation_id: "compared".into(),
        evaluation: Some(worse),
        ..Default::default()
    };
    line.evaluations("evaluator").create_evaluation(create).await.expect("a comparison");
    assert_eq!(line.get_version(&version.name).await.metrics, told, "the entry keeps what counts");
    let decision = line.decide(&version, Gate::G2BenchmarksMet).await;
    assert!(decision.passed, "{:?}", decision.findings);
}

#[tokio::test]
async fn g1_reads_the_newest_reports_of_this_artifact() {
    let line = Line::start().await;
    let version = line.submitted("1.0.0", 1).await;
    line.import(&version, "unit", JUNIT).await.expect("a report");
    let missing = line.decide(&version, Gate::G1TestsPass).await;
    assert!(!missing.passed && missing.findings.iter().any(|one| one.subject == "integration test report"));
    assert_eq!(line.get_version(&version.name).await.state(), model_version::State::Evaluating);
    let failing =
        "<testsuite><testcase classname='t' name='b'><failure/></testcase><testcase name='c'/></testsuite>";
    let report = line.import(&version, "integration", failing).await.expect("a report");
    assert_eq!((report.passed, report.failed, report.failures), (1, 1, vec!["t::b".to_owned()]));
    assert!(!line.decide(&version, Gate::G1TestsPass).await.passed);
    assert_eq!(line.get_version(&version.name).await.state(), model_version::State::Rejected);
}

#[tokio::test]
async fn who_contributed_neither_assesses_nor_approves() {
    let line = Line::start().await;
    let version = line.submitted("1.0.0", 1).await;
    line.evaluate(&version, line.report(&version, 0.97)).await.expect("an evaluation");
    let ethics = line.review(&version, "ethics", ReviewKind::Ethics).await;
    assert_eq!(
        (ethics.items.len(), ethics.evaluation.as_str()),
        (5, "models/screen/versions/1.0.0/evaluations/one")
    );
    let early = line.approve(&ethics, "ethics-board", "ethics-board").await.expect_err("five items first");
    assert_eq!((reason(&early).as_str(), findings(&early).len()), ("ETHICS_VOTE_REFUSED", 5));
    let role = line.approve(&ethics, "ethics-board", "qa-engineer").await.expect_err("a role not held");
    assert_eq!((role.code(), reason(&role).as_str()), (Code::PermissionDenied, "ROLE_REQUIRED"));
    for item in ["bias-assessment", "privacy_impact", "use-case-risk", "stakeholder-impact", "mitigation"] {
        line.assess(&ethics, item).await.expect(item);
    }
    let twice = line.assess(&ethics, "mitigation").await.expect_err("once");
    assert_eq!(reason(&twice), "ETHICS_ITEM_REFUSED");
    line.approve(&ethics, "ethics-board", "ethics-board").await.expect("a vote");
    let twice = line.approve(&ethics, "ethics-board", "ethics-board").await.expect_err("one vote each");
    assert_eq!(reason(&twice), "ETHICS_VOTE_REFUSED");
    let qa = line.review(&version, "qa", ReviewKind::Qa).await;
    let own = line.approve(&qa, "ml-engineer", "qa-engineer").await.expect_err("the author");
    assert_eq!(own.code(), Code::PermissionDenied);
    let reject =
        RejectReviewRequest { name: qa.name.clone(), reason: "too slow".into(), ..Default::default() };
    line.reviews("qa-engineer").reject_review(reject).await.expect("rejected");
    let closed = line.approve(&qa, "qa-engineer", "qa-engineer").await.expect_err("closed");
    assert_eq!(reason(&closed), "REVIEW_CLOSED");
}

/// Reading 8: a patch needs G1 and G2 of its own; QA and the board's approval carry over from the version it patches.
#[tokio::test]
async fn a_patch_carries_qa_and_ethics_over() {
    let line = Line::start().await;
    let first = line.approved("1.0.0", 1).await;
    let patch = line.submitted("1.0.1", 1).await;
    let early = line.decide(&patch, Gate::G3QaApproved).await;
    assert!(!early.passed, "G1 and G2 do not carry over");
    line.evaluate(&patch, line.report(&patch, 0.97)).await.expect("an evaluation");
    line.sign_off(&patch).await;
    for category in ["unit", "integration"] {
        line.import(&patch, category, JUNIT).await.expect("a report");
    }
    assert!(line.decide(&patch, Gate::G1TestsPass).await.passed);
    assert!(line.decide(&patch, Gate::G2BenchmarksMet).await.passed);
    let carried = line.decide(&patch, Gate::G3QaApproved).await;
    assert_eq!(
        (carried.passed, carried.carried_from.as_str()),
        (true, first.name.as_str()),
        "{:?}",
        carried.findings
    );
    let patch = line.get_version(&patch.name).await;
    assert_eq!(patch.state(), model_version::State::Approved);
    line.deployment().await;
    let rollout = line.prepared("one", &patch).await;
    line.begin(&rollout).await.expect("the board's approval carries over");
    let minor = line.submitted("1.1.0", 2).await;
    let alone = line.decide(&minor, Gate::G3QaApproved).await;
    assert!(
        alone.findings.iter().any(|one| one.required == "a patch" && one.observed == "a minor change"),
        "{:?}",
        alone.findings
    );
}
