//! Feedback, drift, incidents, documents, service levels and the procedure's own approval, step by step.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lifecycle::alert::{self, Alert, Judgement};
use lifecycle::calendar::add_months;
use lifecycle::documents::{Document, Made};
use lifecycle::drift::{Column, DriftTest, DriftVerdict, judge};
use lifecycle::feedback::{ActionKind, Analysis, Decision, FindingKind, Item};
use lifecycle::incident::{Incident, Part, Severity, State};
use lifecycle::policy_change::{PolicyVersion, Signature, State as PolicyState};
use lifecycle::slo::Objective;
use lifecycle::traceability::{Evidence, Requirement, trace};
use lifecycle::{Approval, Policy, Role, Verdict};

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_767_225_600 + seconds)
}

fn digest() -> String {
    format!("sha256:{}", "b".repeat(64))
}

#[test]
fn no_decision_without_finding_and_no_close_without_action() {
    let policy = &Policy::builtin().monitoring.feedback;
    let lead = Approval::new("ml-lead-1", Role::MlLead, at(3));
    let item = Item::Collected { at: at(0) };
    assert_eq!(
        item.clone().decide(Decision::Retrain, lead.clone(), policy).unwrap_err().reason(),
        "OUT_OF_ORDER"
    );
    let finding = Analysis { kind: FindingKind::RootCause, text: "drifted input".into() };
    let item = item.analyze(finding, at(1), policy).expect("a finding");
    let qa = Approval::new("qa-engineer-1", Role::QaEngineer, at(2));
    assert_eq!(
        item.clone().decide(Decision::Retrain, qa, policy).unwrap_err().reason(),
        "ROLE_MAY_NOT_DECIDE"
    );
    let item = item.decide(Decision::Retrain, lead, policy).expect("a decision");
    assert_eq!(item.clone().close(at(4)).unwrap_err().reason(), "OUT_OF_ORDER");
    assert_eq!(item.clone().act(ActionKind::UpdateModel, " ", at(4)).unwrap_err().reason(), "LINK_MISSING");
    assert!(item.overdue(at(3 + 30 * 86_400), policy).is_none());
    assert!(item.overdue(at(4 + 30 * 86_400), policy).is_some());
    let item = item.act(ActionKind::UpdateModel, "models/digits/versions/1.1.0", at(4)).expect("an action");
    assert_eq!(item.close(at(5)).expect("closed").as_str(), "CLOSED");
}

#[test]
fn drift_needs_significance_effect_and_samples() {
    let rule = &Policy::builtin().monitoring.drift[0];
    let column = |p, effect, samples| Column {
        name: "pixel".into(),
        test: DriftTest::KolmogorovSmirnov,
        p_value: Some(p),
        effect: Some(effect),
        samples,
    };
    let verdict = |columns: &[Column]| judge(columns, "d", "d", rule).expect("right reference");
    assert!(matches!(verdict(&[column(1e-6, 0.3, 500)]), DriftVerdict::Drift { .. }));
    assert_eq!(verdict(&[column(1e-6, 0.05, 500)]), DriftVerdict::Stable);
    assert_eq!(verdict(&[column(1e-6, 0.3, 499)]), DriftVerdict::Inconclusive { needed: 500 });
    assert!(matches!(verdict(&[column(f64::NAN, 0.3, 500)]), DriftVerdict::Undefined { .. }));
    assert!(matches!(verdict(&[]), DriftVerdict::Undefined { .. }));
    assert_eq!(verdict(&vec![column(0.009, 0.3, 500); 20]), DriftVerdict::Stable); // corrected for twenty
    assert_eq!(judge(&[], "other", "d", rule).unwrap_err().reason(), "WRONG_REFERENCE");
}

#[test]
fn only_quiet_windows_close_an_alert() {
    let open = alert::step(None, Judgement::Firing, at(0), 3);
    let open = alert::step(open, Judgement::Undefined, at(60), 3);
    let open = alert::step(open, Judgement::Quiet, at(120), 3);
    let open = alert::step(open, Judgement::Inconclusive { needed: 100 }, at(180), 3);
    let open = alert::step(open, Judgement::Quiet, at(240), 3);
    assert_eq!(open.as_ref().map(Alert::as_str), Some("OPEN"));
    let closed = alert::step(open, Judgement::Quiet, at(300), 3);
    assert_eq!(closed.as_ref().map(Alert::as_str), Some("CLOSED"));
    assert_eq!(alert::volume_drop(80, &[100, 90, 400]), Some(0.2));
    assert_eq!(alert::volume_drop(80, &[]), None);
}

#[test]
fn an_incident_closes_with_its_whole_report() {
    let policy = &Policy::builtin().incidents;
    let by = |role, seconds| Approval::new("on-call-1", role, at(seconds));
    let mut incident = Incident::open(Severity::High, at(0));
    assert!(incident.clone().advance(State::Closed, &by(Role::OnCall, 1), Role::OnCall, policy).is_err());
    for state in [State::Acknowledged, State::Mitigated, State::Resolved] {
        incident = incident.advance(state, &by(Role::OnCall, 1), Role::OnCall, policy).expect("in order");
    }
    let refused =
        incident.clone().advance(State::Closed, &by(Role::OnCall, 2), Role::OnCall, policy).unwrap_err();
    assert_eq!(refused.findings().len(), 7);
    for part in Part::ALL {
        incident = incident.write(*part, "known").expect("text");
    }
    assert!(incident.clone().advance(State::Closed, &by(Role::MlLead, 2), Role::OnCall, policy).is_err());
    assert!(incident.advance(State::Closed, &by(Role::OnCall, 2), Role::OnCall, policy).is_ok());
}

#[test]
fn a_stale_or_incomplete_document_is_not_signed() {
    let rows = &Policy::builtin().documents;
    let parts: BTreeMap<String, String> =
        rows[1].parts.iter().map(|part| (part.clone(), "text".into())).collect();
    let card =
        Made { document: Document::DataCard, parts, digest: digest(), when: at(5), newest_record: at(5) };
    let owner = Approval::new("data-engineer-1", Role::DataEngineer, at(6));
    assert!(card.sign(&owner, rows).is_ok());
    let stale = Made { newest_record: at(6), ..card.clone() };
    assert_eq!(stale.sign(&owner, rows).unwrap_err().reason(), "DOCUMENT_STALE");
    let mut empty = card;
    empty.parts.insert("composition".into(), "  ".into());
    assert_eq!(empty.sign(&owner, rows).unwrap_err().reason(), "DOCUMENT_INCOMPLETE");
}

#[test]
fn a_policy_needs_three_persons_and_a_greater_number() {
    let people = &Policy::builtin().people;
    let by = |who: &str, role| Approval::new(who, role, at(1));
    let draft = PolicyVersion::draft("1.1", &digest(), None).expect("a draft");
    assert!(draft.clone().activate(None).is_err());
    let one = draft.sign(Signature::Owner, &digest(), by("a", Role::MlLead), people).expect("owner");
    assert!(one.clone().sign(Signature::Reviewer, &digest(), by("a", Role::QaLead), people).is_err());
    assert!(one.clone().sign(Signature::Reviewer, &digest(), by("b", Role::QaEngineer), people).is_err());
    let two = one.sign(Signature::Reviewer, &digest(), by("b", Role::QaLead), people).expect("reviewer");
    let three =
        two.sign(Signature::Approver, &digest(), by("c", Role::ChiefAiOfficer), people).expect("approver");
    assert_eq!(three.state, PolicyState::Approved);
    let (active, _) = three.activate(None).expect("active");
    for version in ["1.1", "1.0", "1.1.0", "0.9", "x"] {
        assert!(PolicyVersion::draft(version, &digest(), Some(&active)).is_err(), "{version}");
    }
    assert!(PolicyVersion::draft("1.10", &digest(), Some(&active)).is_ok());
}

#[test]
fn requirements_budgets_and_months() {
    let requirement = Requirement { id: "r1".into(), text: "latency < 2 s".into() };
    let evidence = |verdict| Evidence { requirement: "r1".into(), name: "load test".into(), verdict };
    let one = std::slice::from_ref(&requirement);
    assert!(trace(one, &[evidence(Verdict::Fail)]).require_resolved().is_err());
    assert!(trace(one, &[evidence(Verdict::Fail), evidence(Verdict::Pass)]).require_resolved().is_ok());
    let objective = Objective::of(&Policy::builtin().monitoring.service_levels);
    assert!(
        !objective.is_spent(Duration::from_secs(2_591)) && objective.is_spent(Duration::from_secs(2_593))
    );
    assert!(!objective.is_good(true, 2_000.0) && objective.is_good(true, 1_999.9));
    let leap = UNIX_EPOCH + Duration::from_hours(474_072); // 2024-01-31
    assert_eq!(add_months(leap, 1), Some(leap + Duration::from_hours(29 * 24))); // 2024-02-29
    assert_eq!(add_months(leap, 2), Some(leap + Duration::from_hours(60 * 24))); // 2024-03-31
}
