//! Whoever contributed never approves: at every place where the procedure asks for an approval, in whatever role.

use lifecycle::NotApplicable;
use lifecycle::acceptance::{self, Metric, MetricEvidence, Task};
use lifecycle::ethics::{EthicsItem, EthicsReview, ItemRecord, record_item, vote};
use lifecycle::gate::{Candidate, Evidence, Gate, decide};
use lifecycle::separation::{Action, approve, authorize, break_glass, may_hold, quorum};

use super::given::gates::{ready_for, review};
use super::*;

proptest! {
    /// G3: a QA engineer who did not contribute, and nobody else.
    #[test]
    fn quality_is_approved_by_another_qa_engineer(
        role in role_near(&[Role::QaEngineer]), person in 0u8..4, contributors in vec(0u8..4, 0..4),
    ) {
        let names: Vec<String> = contributors.iter().map(|one| format!("person-{one}")).collect();
        let approval = Some(Approval::new(format!("person-{person}"), role, at(1)));
        let evidence = Evidence::Qa { approval, artifact_digest: digest('a'), carried: None };
        let candidate = Candidate { contributors: names, ..ready_for(Gate::G3) };
        let decision = decide(Gate::G3, &candidate, &evidence, policy());
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
        let empty = EthicsReview { contributors: names, ..review() };
        let recorded = record_item(&empty, &record, &policy().ethics);
        prop_assert_eq!(recorded.is_ok(), assesses && !own);
        let items = EthicsItem::ALL.iter().map(|item| ItemRecord {
            item: *item,
            evidence_digest: digest('b'),
            assessor: Approval::new("somebody-else", Role::EthicsReviewer, at(1)),
        });
        let assessed = EthicsReview { items: items.collect(), ..empty };
        let voted = vote(&assessed, &who(role), &policy().ethics);
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
        let answer = authorize(action, &by(role, 1), &[], &policy().people);
        prop_assert_eq!(answer.is_ok(), may);
        let own = [role.as_str().to_owned()];
        let answer = authorize(action, &by(role, 1), &own, &policy().people);
        prop_assert_eq!(answer.is_ok(), may && !row.bars_contributors);
    }

    /// A person who contributed never approves; one person is one approval, in whatever role.
    #[test]
    fn contributors_never_approve(people in vec((0_u8..5, 0_usize..24), 0..12), contributor in 0_u8..5) {
        let policy = &policy().people;
        let contributors = vec![format!("person-{contributor}")];
        for action in [Action::ApproveQuality, Action::ApproveEthics, Action::RollOut, Action::AssessEthics] {
            let mut given = Vec::new();
            for (person, role) in &people {
                let role = Role::ALL[*role % Role::ALL.len()];
                let new = Approval::new(format!("person-{person}"), role, at(0));
                prop_assert!(*person != contributor || authorize(action, &new, &contributors, policy).is_err());
                given = approve(action, given.clone(), new, &contributors, policy).unwrap_or(given);
            }
            let persons: BTreeSet<&String> = given.iter().map(|a| &a.principal).collect();
            prop_assert_eq!(persons.len(), given.len());
            prop_assert!(!persons.contains(&contributors[0]));
            let needed = policy.matrix.iter().find(|row| row.action == action).map_or(1, |row| row.persons);
            prop_assert_eq!(quorum(action, &given, &contributors, policy).is_ok(), given.len() >= needed);
        }
    }
}
