//! §9.3 an item of feedback: COLLECT, ANALYZE, DECIDE, ACTION, closed; none is skipped.

use lifecycle::feedback::{ActionKind, Analysis, Decision, FindingKind, Item, deciders, may_decide};

use super::*;

#[derive(Clone, Copy, Debug)]
enum Call {
    Analyze(FindingKind, &'static str),
    Decide(Decision, Role),
    Act(ActionKind, &'static str),
    Close,
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
    let roles = select(vec![Role::MlLead, Role::MlOpsEngineer, Role::QaEngineer, Role::Client]);
    let call = prop_oneof![
        (any_of(FindingKind::ALL), select(vec!["seen", ""]))
            .prop_map(|(kind, text)| Call::Analyze(kind, text)),
        (any_of(Decision::ALL), roles).prop_map(|(decision, role)| Call::Decide(decision, role)),
        (any_of(ActionKind::ALL), select(vec!["models/m", " "]))
            .prop_map(|(what, link)| Call::Act(what, link)),
        Just(Call::Close),
    ];
    vec(call, 0..40)
}

fn decides(role: Role, decision: Decision) -> bool {
    match decision {
        Decision::Retrain | Decision::Retire => role == Role::MlLead,
        Decision::Adjust | Decision::Maintain => matches!(role, Role::MlLead | Role::MlOpsEngineer),
    }
}

fn carries_out(action: ActionKind, decision: Decision) -> bool {
    use ActionKind::{Document, UpdateConfig, UpdateData, UpdateModel};
    match decision {
        Decision::Retrain => matches!(action, UpdateModel | UpdateData),
        Decision::Adjust => matches!(action, UpdateModel | UpdateData | UpdateConfig),
        Decision::Maintain | Decision::Retire => action == Document,
    }
}

proptest! {
    /// No decision without a finding, no action that does not carry out the decision, no close without an action.
    #[test]
    fn an_item_goes_round_the_loop(calls in calls()) {
        let policy = &policy().monitoring.feedback;
        let mut item = Item::Collected { at: at(0) };
        let (mut state, mut decided) = ("COLLECTED", None);
        for call in calls {
            let (answer, want) = match call {
                Call::Analyze(kind, text) => {
                    let may = state == "COLLECTED" && !text.is_empty();
                    let finding = Analysis { kind, text: text.into() };
                    (item.clone().analyze(finding, at(1), policy), may.then_some("ANALYZED"))
                }
                Call::Decide(decision, role) => {
                    let may = state == "ANALYZED" && decides(role, decision);
                    if may { decided = Some(decision); }
                    (item.clone().decide(decision, by(role, 2), policy), may.then_some("DECIDED"))
                }
                Call::Act(action, link) => {
                    let fits = decided.is_some_and(|decision| carries_out(action, decision));
                    let may = state == "DECIDED" && fits && !link.trim().is_empty();
                    (item.clone().act(action, link, at(3)), may.then_some("ACTED"))
                }
                Call::Close => (item.clone().close(at(4)), (state == "ACTED").then_some("CLOSED")),
            };
            prop_assert_eq!(answer.as_ref().ok().map(Item::as_str), want, "{:?} in {}", call, state);
            item = answer.unwrap_or(item);
            state = want.unwrap_or(state);
        }
    }
}

#[test]
fn no_decision_without_finding_and_no_close_without_action() {
    let policy = &policy().monitoring.feedback;
    let lead = Approval::new("ml-lead-1", Role::MlLead, at(3));
    let item = Item::Collected { at: at(0) };
    assert_eq!(
        item.clone().decide(Decision::Retrain, lead.clone(), policy).expect_err("refused").reason(),
        "OUT_OF_ORDER"
    );
    let finding = Analysis { kind: FindingKind::RootCause, text: "drifted input".into() };
    let item = item.analyze(finding, at(1), policy).expect("a finding");
    let qa = Approval::new("qa-engineer-1", Role::QaEngineer, at(2));
    assert_eq!(
        item.clone().decide(Decision::Retrain, qa, policy).expect_err("refused").reason(),
        "ROLE_MAY_NOT_DECIDE"
    );
    let item = item.decide(Decision::Retrain, lead, policy).expect("a decision");
    assert_eq!(item.clone().close(at(4)).expect_err("refused").reason(), "OUT_OF_ORDER");
    assert_eq!(
        item.clone().act(ActionKind::UpdateModel, " ", at(4)).expect_err("refused").reason(),
        "LINK_MISSING"
    );
    assert!(item.overdue(at(3 + 30 * DAY), policy).is_none());
    assert!(item.overdue(at(4 + 30 * DAY), policy).is_some());
    let item = item.act(ActionKind::UpdateModel, "models/digits/versions/1.1.0", at(4)).expect("an action");
    assert_eq!(item.close(at(5)).expect("closed").as_str(), "CLOSED");
}

/// §9.3: each decision has its deciders, and nobody else takes it; the next version rests on two of the four.
#[test]
fn a_decision_is_taken_by_its_deciders() {
    let policy = &policy().monitoring.feedback;
    for decision in Decision::ALL.iter().copied() {
        for role in Role::ALL.iter().copied() {
            let answer = may_decide(decision, &by(role, 1), policy);
            assert_eq!(answer.is_ok(), decides(role, decision), "{decision} by {role}");
            assert_eq!(deciders(decision, policy).1.contains(&role), decides(role, decision));
        }
        assert_eq!(decision.iterates(), ["retrain", "adjust"].contains(&decision.as_str()), "{decision}");
    }
    let ops = may_decide(Decision::Retrain, &by(Role::MlOpsEngineer, 1), policy).expect_err("the lead's");
    assert_eq!((ops.reason(), ops.clause()), ("ROLE_MAY_NOT_DECIDE", "§9.3, §10.1"));
    let mut nobody = policy.clone();
    nobody.deciders.clear();
    assert!(may_decide(Decision::Adjust, &by(Role::MlLead, 1), &nobody).is_err(), "no row, no decider");
}
