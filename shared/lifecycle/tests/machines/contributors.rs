//! Whoever contributed never approves: at every place where the procedure asks for an approval, in whatever role.

use lifecycle::NotApplicable;
use lifecycle::acceptance::{self, Metric, MetricEvidence, Task};
use lifecycle::ethics::{EthicsItem, EthicsReview, ItemRecord, record_item, vote};
use lifecycle::gate::{Candidate, EarlierDecision, Evidence, Gate, decide};
use lifecycle::separation::{Action, break_glass, may_hold};

use super::*;

fn candidate(contributors: &[String]) -> Candidate {
    let passed = |gate| EarlierDecision { gate, passed: true, artifact_digest: digest('a') };
    Candidate {
        name: "models/m/versions/1.0.0".into(),
        artifact_digest: digest('a'),
        task: Task::BinaryClassification,
        contributors: contributors.to_vec(),
        decided: vec![passed(Gate::G1), passed(Gate::G2)],
    }
}

fn review(contributors: &[String], items: Vec<ItemRecord>) -> EthicsReview {
    EthicsReview {
        artifact_digest: digest('a'),
        intended_use: "screening".into(),
        contributors: contributors.to_vec(),
        items,
        votes: vec![],
        rejected: false,
    }
}

proptest! {
    /// G3: a QA engineer who did not contribute, and nobody else.
    #[test]
    fn quality_is_approved_by_another_qa_engineer(
        role in role_near(&[Role::QaEngineer]), person in 0u8..4, contributors in vec(0u8..4, 0..4),
    ) {
        let names: Vec<String> = contributors.iter().map(|one| format!("person-{one}")).collect();
        let approval = Some(Approval::new(format!("person-{person}"), role, at(1)));
        let evidence = Evidence::Qa { approval, artifact_digest: digest('a'), carried: None };
        let decision = decide(Gate::G3, &candidate(&names), &evidence, policy());
        prop_assert_eq!(decision.passed, role == Role::QaEngineer && !contributors.contains(&person));
    }

    /// §7.4: no item is assessed and no vote is cast by a contributor, or in another role.
    #[test]
    fn ethics_is_reviewed_by_others(
        item in any_of(EthicsItem::ALL), role in role_near(&[Role::EthicsReviewer, Role::EthicsBoard, Role::Legal]),
        person in 0u8..4, contributors in vec(0u8..4, 0..4),
    ) {
        let names: Vec<String> = contributors.iter().map(|one| format!("person-{one}")).collect();
        let own = contributors.contains(&person);
        let who = |role| Approval::new(format!("person-{person}"), role, at(2));
        let record = ItemRecord { item, evidence_digest: digest('b'), assessor: who(role) };
        let assesses = role == Role::EthicsReviewer || (role == Role::Legal && item == EthicsItem::PrivacyImpact);
        let recorded = record_item(&review(&names, vec![]), &record, &policy().ethics);
        prop_assert_eq!(recorded.is_ok(), assesses && !own);
        let items = EthicsItem::ALL.iter().map(|item| ItemRecord {
            item: *item,
            evidence_digest: digest('b'),
            assessor: Approval::new("somebody-else", Role::EthicsReviewer, at(1)),
        });
        let voted = vote(&review(&names, items.collect()), &who(role), &policy().ethics);
        prop_assert_eq!(voted.is_ok(), role == Role::EthicsBoard && !own);
    }

    /// Reading 10: "not applicable" is signed off by one of three roles, never by a contributor.
    #[test]
    fn an_excuse_is_signed_off_by_others(
        role in role_near(&[Role::MlLead, Role::QaEngineer, Role::EthicsReviewer]), own in any::<bool>(),
        given in any::<bool>(),
    ) {
        let who = if own { "author" } else { "another" };
        let why = NotApplicable {
            reason: if given { "a classifier".into() } else { " ".into() },
            sign_off: Some(Approval::new(who, role, at(1))),
        };
        let evidence = [MetricEvidence::not_applicable(Metric::HallucinationRate, why)];
        let report = acceptance::judge(
            Task::BinaryClassification, &evidence, &["author".to_owned()], &policy().acceptance,
        );
        let row = report.rows.iter().find(|row| row.metric == Metric::HallucinationRate).expect("its row");
        let may = matches!(role, Role::MlLead | Role::QaEngineer | Role::EthicsReviewer);
        prop_assert_eq!(row.verdict.is_none(), may && !own && given);
        prop_assert!(!report.passed(), "nothing was measured");
    }

    /// Nobody grants roles to themselves, and admin stands beside no role that approves.
    #[test]
    fn admin_approves_nothing(roles in vec(any_of(Role::ALL), 1..5), own in any::<bool>()) {
        let harmless = [
            Role::MlEngineer, Role::DataEngineer, Role::Developer, Role::OnCall, Role::Registry, Role::DataPipeline,
            Role::Evaluator, Role::Gateway, Role::Monitor, Role::Client, Role::Auditor, Role::Admin,
        ];
        let apart = !roles.contains(&Role::Admin) || roles.iter().all(|role| harmless.contains(role));
        let answer = may_hold("person-1", &roles, if own { "person-1" } else { "person-2" }, &policy().people);
        prop_assert_eq!(answer.is_ok(), apart && !own, "{:?}", answer);
    }

    /// Emergency access: two persons of four roles, 15 minutes, one model, an incident.
    #[test]
    fn glass_is_broken_by_two(
        given in vec((0u8..3, any_of(&[Role::MlLead, Role::Security, Role::OnCall, Role::MlOpsEngineer, Role::Client])), 0..4),
        seconds in select(vec![1u64, 900, 901]), models in 0u32..3, incident in select(vec!["incidents/1", " "]),
    ) {
        let approvals: Vec<Approval> =
            given.iter().map(|(who, role)| Approval::new(format!("person-{who}"), *role, at(1))).collect();
        let persons: BTreeSet<u8> = given.iter().map(|(who, _)| *who).collect();
        let allowed = given.iter().all(|(_, role)| *role != Role::Client);
        let narrow = seconds <= 900 && models <= 1 && incident != " ";
        let answer = break_glass(&approvals, Duration::from_secs(seconds), models, incident, &policy().people);
        prop_assert_eq!(answer.is_ok(), allowed && persons.len() >= 2 && narrow);
    }

    /// What the matrix does not allow a role is refused to everybody who acts in it.
    #[test]
    fn an_action_is_taken_by_its_roles(action in any_of(Action::ALL), role in any_of(Role::ALL)) {
        let row = policy().people.matrix.iter().find(|row| row.action == action).expect("a row");
        let may = row.roles.contains(&role) || row.each_of.contains(&role);
        let answer = lifecycle::separation::authorize(action, &by(role, 1), &[], &policy().people);
        prop_assert_eq!(answer.is_ok(), may);
        let own = [role.as_str().to_owned()];
        let answer = lifecycle::separation::authorize(action, &by(role, 1), &own, &policy().people);
        prop_assert_eq!(answer.is_ok(), may && !row.bars_contributors);
    }
}
