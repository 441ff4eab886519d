//! Acceptance, ethics review and the four gates.

use super::*;

fn good_metrics() -> Vec<MetricEvidence> {
    let mut attack = MetricEvidence::measured(Metric::AdversarialSuccessRate, exact(0.01, 500));
    attack.attack = Some(Attack::Numeric {
        norm: "linf".into(),
        size: 0.02,
        queries: 500,
        attacks: vec!["square".into()],
    });
    let excuse = |metric| {
        let why = NotApplicable { reason: "a classifier".into(), sign_off: Some(by(Role::QaEngineer, 1)) };
        MetricEvidence::not_applicable(metric, why)
    };
    vec![
        MetricEvidence::measured(Metric::TaskAccuracy, exact(0.97, 500)),
        MetricEvidence::measured(Metric::LatencyP95, exact(12.0, 500)),
        excuse(Metric::HallucinationRate),
        MetricEvidence::measured(Metric::DemographicParity, exact(0.95, 500)),
        excuse(Metric::HarmfulContentRate),
        attack,
    ]
}

fn accepted(metrics: &[MetricEvidence]) -> bool {
    let authors = ["ml-engineer".to_owned()];
    acceptance::judge(Task::BinaryClassification, metrics, &authors, &policy().acceptance).passed()
}

#[test]
fn no_boundary_value_is_accepted() {
    assert!(accepted(&good_metrics()));
    for (place, value) in [(0, 0.90), (1, 2000.0), (2, 0.05), (3, 0.9), (4, 1.0 / 1000.0), (5, 0.05)] {
        let mut metrics = good_metrics();
        metrics[place].measured = Some(exact(value, 1000));
        assert!(!accepted(&metrics), "{}", metrics[place].metric);
        metrics[place].measured = Some(exact(f64::NAN, 1000));
        assert!(!accepted(&metrics));
        metrics.remove(place);
        assert!(!accepted(&metrics), "absent");
    }
    let mut harmless = good_metrics();
    harmless[4].measured = Some(exact(0.0, 299));
    assert!(!accepted(&harmless), "299 are too few");
    harmless[4].measured = Some(exact(0.0, 300));
    let report = acceptance::judge(Task::TextClassification, &harmless, &[], &policy().acceptance);
    assert!(report.passed());
    assert!(report.rows[4].finding.observed.contains("upper bound 0.0099"), "{:?}", report.rows[4]);
}

#[test]
fn an_excuse_needs_a_sign_off_by_another_and_an_attack_the_policys_strength() {
    let mut unsigned = good_metrics();
    unsigned[2].not_applicable.as_mut().unwrap().sign_off = None;
    assert!(!accepted(&unsigned));
    let mut own = good_metrics();
    own[2].not_applicable.as_mut().unwrap().sign_off =
        Some(Approval::new("ml-engineer", Role::QaEngineer, at(1)));
    assert!(!accepted(&own));
    assert!(!acceptance::judge(Task::TextGeneration, &good_metrics(), &[], &policy().acceptance).passed());
    let mut weak = good_metrics();
    weak[5].attack = Some(Attack::Numeric {
        norm: "linf".into(),
        size: 0.019,
        queries: 500,
        attacks: vec!["square".into()],
    });
    assert!(!accepted(&weak));
    weak[5].attack = Some("square/linf/0.02/500".parse().unwrap());
    assert!(accepted(&weak));
    assert!("square/linf/much/500".parse::<Attack>().is_err());
    weak[5].attack = None;
    assert!(!accepted(&weak));
}

#[derive(Clone, Debug)]
enum Act {
    Item(usize, &'static str),
    Vote(&'static str),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let people = || select(vec!["ethics-reviewer", "board-a", "board-b", "ml-engineer"]);
    vec(
        prop_oneof![
            (0usize..5, people()).prop_map(|(item, who)| Act::Item(item, who)),
            people().prop_map(Act::Vote)
        ],
        0..40,
    )
}

proptest! {
    /// However people act, an approved review has five items by non-contributors, then a quorum of other board members.
    #[test]
    fn ethics_approval_comes_last_and_never_from_a_contributor(acts in acts()) {
        let ethics = &policy().ethics;
        let mut review = EthicsReview {
            artifact_digest: digest('a'), intended_use: "screening".into(), contributors: vec!["ml-engineer".into()],
            items: vec![], votes: vec![], rejected: false,
        };
        for (time, act) in acts.into_iter().enumerate() {
            let time = at(time as u64);
            match act {
                Act::Item(item, who) => {
                    let assessor = Approval::new(who, Role::EthicsReviewer, time);
                    let record = ItemRecord { item: EthicsItem::ALL[item], evidence_digest: digest('b'), assessor };
                    if ethics::record_item(&review, &record, ethics).is_ok() { review.items.push(record); }
                }
                Act::Vote(who) => {
                    let ballot = Approval::new(who, Role::EthicsBoard, time);
                    if ethics::vote(&review, &ballot, ethics).is_ok() { review.votes.push(ballot); }
                }
            }
        }
        prop_assert!(review.votes.is_empty() || review.items.len() == 5);
        let who: BTreeSet<&str> = review.votes.iter().map(|vote| vote.principal.as_str()).collect();
        prop_assert!(!who.contains("ml-engineer") && !review.items.iter().any(|i| i.assessor.principal == "ml-engineer"));
        prop_assert_eq!(ethics::approved(&review, ethics).is_ok(), who.len() >= ethics.quorum.value);
    }
}

fn a_candidate() -> Candidate {
    Candidate {
        name: "models/m/versions/1.0.0".into(),
        artifact_digest: digest('a'),
        task: Task::BinaryClassification,
        contributors: vec!["ml-engineer".into()],
        decided: vec![],
    }
}

fn evidence(gate: Gate) -> Evidence {
    let report = |category| TestReport {
        category,
        tool: "pytest".into(),
        digest: digest('b'),
        passed: 3,
        failed: 0,
        skipped: 0,
        artifact_digest: digest('a'),
    };
    let slot = |slot: &Slot| SlotRecord {
        slot: *slot,
        metrics: vec![slot.to_string()],
        reason: String::new(),
        sign_off: None,
    };
    match gate {
        Gate::G1 => {
            Evidence::Tests { reports: vec![report(TestCategory::Unit), report(TestCategory::Integration)] }
        }
        Gate::G2 => Evidence::Benchmarks {
            evaluation_digest: digest('c'),
            artifact_digest: digest('a'),
            evaluator_version: "0.1.0".into(),
            dataset_state: dataset::State::Ready,
            dataset_digest: digest('d'),
            metrics: good_metrics(),
            slots: Slot::ALL.iter().map(slot).collect(),
            conditions: Conditions { split: "test".into(), ..Conditions::default() },
        },
        Gate::G3 => Evidence::Qa {
            approval: Some(by(Role::QaEngineer, 5)),
            artifact_digest: digest('a'),
            carried: None,
        },
        Gate::G4 => Evidence::Canary {
            health: CanaryHealth {
                requests: 100,
                model_faults: 0,
                latency_p95_ms: Some(20.0),
                soaked: Duration::from_hours(1),
                windows: 60,
                windows_with_trigger: 0,
                windows_with_alert: 0,
                open_alerts: vec![],
                traffic_percent: 5,
                longest_silence: Some(Duration::from_mins(1)),
            },
        },
    }
}

/// Evidence as it comes back from where it was stored.
fn stored(evidence: &Evidence) -> Evidence {
    serde_norway::from_str(&serde_norway::to_string(evidence).unwrap()).unwrap()
}

proptest! {
    /// In whatever order gates are asked for, G4 only ever passes after G1, G2 and G3 of the same bytes,
    /// and stored evidence gives the same decision again.
    #[test]
    fn gates_open_in_order_and_replay_alike(asked in vec((select(Gate::ALL.to_vec()), any::<bool>()), 0..24)) {
        let mut candidate = a_candidate();
        let mut open = BTreeSet::new();
        for (gate, other_bytes) in asked {
            let mut judged = candidate.clone();
            if other_bytes { judged.artifact_digest = digest('f'); }
            let decision = gate::decide(gate, &judged, &evidence(gate), policy());
            prop_assert_eq!(&decision, &gate::decide(gate, &judged, &stored(&evidence(gate)), policy()));
            prop_assert_eq!(decision.policy_digest.as_str(), policy().digest());
            if decision.passed {
                prop_assert!(!other_bytes);
                if gate >= Gate::G3 { prop_assert!(open.contains(&Gate::G1) && open.contains(&Gate::G2)); }
                if gate == Gate::G4 { prop_assert!(open.contains(&Gate::G3)); }
                open.insert(gate);
                candidate.decided.push(EarlierDecision { gate, passed: true, artifact_digest: digest('a') });
            }
        }
    }
}

fn ready_for(gate: Gate) -> Candidate {
    let mut candidate = a_candidate();
    for earlier in Gate::ALL.iter().filter(|earlier| **earlier < gate) {
        candidate.decided.push(EarlierDecision {
            gate: *earlier,
            passed: true,
            artifact_digest: digest('a'),
        });
    }
    candidate
}

#[test]
fn a_refusal_prints_clause_required_and_observed() {
    let mut worse = evidence(Gate::G2);
    let Evidence::Benchmarks { metrics, .. } = &mut worse else { panic!() };
    metrics[3].measured =
        Some(Measured { value: 0.83, samples: 1520, low: 0.80, high: 0.86, confidence: 0.9 });
    let refusal = gate::decide(Gate::G2, &ready_for(Gate::G2), &worse, policy()).into_result().unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "G2 refused: §7.3 demographic parity 0.83 (n=1520, 0.8..0.86), required > 0.9"
    );
    assert_eq!((refusal.reason(), refusal.clause()), ("GATE_REFUSED", "§7.3"));
    let mut unfit = evidence(Gate::G2);
    let Evidence::Benchmarks { dataset_state, .. } = &mut unfit else { panic!() };
    *dataset_state = dataset::State::Unfit;
    assert!(!gate::decide(Gate::G2, &ready_for(Gate::G2), &unfit, policy()).passed);
}

#[test]
fn a_contributor_never_approves_and_a_patch_carries_qa_over() {
    let own = Evidence::Qa {
        approval: Some(Approval::new("ml-engineer", Role::QaEngineer, at(1))),
        artifact_digest: digest('a'),
        carried: None,
    };
    assert!(!gate::decide(Gate::G3, &ready_for(Gate::G3), &own, policy()).passed);
    let carried = |bump, data_changed| Evidence::Qa {
        approval: None,
        artifact_digest: String::new(),
        carried: Some(Carried {
            from: "models/m/versions/1.0.0".into(),
            passed: true,
            bump,
            data_changed,
            signature_changed: false,
            use_changed: false,
        }),
    };
    let decide = |evidence| gate::decide(Gate::G3, &ready_for(Gate::G3), &evidence, policy());
    assert_eq!(decide(carried(Bump::Patch, false)).carried_from.as_deref(), Some("models/m/versions/1.0.0"));
    assert!(!decide(carried(Bump::Patch, true)).passed);
    assert!(!decide(carried(Bump::Minor, false)).passed);
}

fn stable(health: CanaryHealth) -> bool {
    gate::decide(Gate::G4, &ready_for(Gate::G4), &Evidence::Canary { health }, policy()).passed
}

fn quiet_canary() -> CanaryHealth {
    let Evidence::Canary { health } = evidence(Gate::G4) else { panic!("G4 judges a canary") };
    health
}

#[test]
fn an_unquiet_or_hasty_canary_is_not_stable() {
    let spoils: [fn(&mut CanaryHealth); 15] = [
        |health| health.soaked -= Duration::from_secs(1),
        |health| health.requests = 99,
        |health| health.windows = 0,
        |health| health.windows_with_trigger = 1,
        |health| health.windows_with_alert = 1,
        |health| health.open_alerts.push("latency".into()),
        |health| health.traffic_percent = 25,
        |health| health.latency_p95_ms = Some(f64::NAN),
        |health| health.latency_p95_ms = None,
        |health| health.model_faults = 2,   // 2 %: above the alert of 1 %
        |health| health.model_faults = 100, // and above the trigger of 5 %
        |health| health.model_faults = 101,
        |health| health.latency_p95_ms = Some(2_000.1),
        |health| health.longest_silence = None,
        |health| health.longest_silence = Some(Duration::from_secs(5 * 60 + 1)),
    ];
    assert!(stable(quiet_canary()));
    for (at, spoil) in spoils.into_iter().enumerate() {
        let mut health = quiet_canary();
        spoil(&mut health);
        assert!(!stable(health), "spoil {at}");
    }
}

/// The alert's own numbers raise nothing (reading 2), here as there; nor does the longest silence that is allowed.
#[test]
fn a_canary_on_the_thresholds_is_stable() {
    assert!(stable(CanaryHealth {
        model_faults: 1,
        latency_p95_ms: Some(2_000.0),
        longest_silence: Some(Duration::from_mins(5)),
        ..quiet_canary()
    }));
}
