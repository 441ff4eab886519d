//! §9.3 an item of feedback: COLLECT, ANALYZE, DECIDE, ACTION, closed; none is skipped.

use lifecycle::feedback::{ActionKind, Analysis, Decision, FindingKind, Item};

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
