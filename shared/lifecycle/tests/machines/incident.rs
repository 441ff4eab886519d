//! §8.3, §11 an incident: five states in one order; closed by on-call, with the whole report.

use lifecycle::incident::{Incident, Part, Severity, State};

use super::*;

#[derive(Clone, Copy, Debug)]
enum Call {
    Write(Part, &'static str),
    WriteAll,
    Advance(State, Role),
    /// To the next state, by on-call.
    Forward,
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
    let call = prop_oneof![
        2 => (any_of(Part::ALL), select(vec!["known", " "])).prop_map(|(part, text)| Call::Write(part, text)),
        1 => Just(Call::WriteAll),
        2 => (any_of(State::ALL), any_of(Role::ALL)).prop_map(|(to, role)| Call::Advance(to, role)),
        3 => Just(Call::Forward),
    ];
    vec(call, 0..40)
}

proptest! {
    /// State, times and report follow the model.
    #[test]
    fn an_incident_goes_its_way(calls in calls()) {
        let mut incident = Incident::open(Severity::High, at(0));
        let (mut state, mut parts) = (State::Open, BTreeSet::new());
        for (time, call) in (1..).zip(calls) {
            let next = State::ALL.iter().copied().find(|one| *one > state);
            let writes: Vec<(Part, &str)> = match call {
                Call::Write(part, text) => vec![(part, text)],
                Call::WriteAll => Part::ALL.iter().map(|part| (*part, "known")).collect(),
                Call::Advance(..) | Call::Forward => vec![],
            };
            for (part, text) in writes {
                let written = incident.clone().write(part, text);
                let may = state != State::Closed && !text.trim().is_empty();
                prop_assert_eq!(written.is_ok(), may);
                if let Ok(written) = written {
                    incident = written;
                    parts.insert(part);
                }
            }
            let (to, role) = match call {
                Call::Advance(to, role) => (to, role),
                Call::Forward => (next.unwrap_or(State::Closed), Role::OnCall),
                Call::Write(..) | Call::WriteAll => continue,
            };
            let want = if next != Some(to) {
                "OUT_OF_ORDER"
            } else if to == State::Closed && parts.len() < 7 {
                "REPORT_INCOMPLETE"
            } else if to == State::Closed && role != Role::OnCall {
                "ROLE_MAY_NOT_CLOSE"
            } else {
                ""
            };
            let moved = incident.clone().advance(to, &by(role, time), Role::OnCall, &policy().incidents);
            prop_assert_eq!(reason(&moved), want, "{} to {}", state, to);
            if let Ok(moved) = moved {
                prop_assert_eq!(moved.reached.get(&to), Some(&at(time)));
                (incident, state) = (moved, to);
            }
            prop_assert_eq!(incident.state, state);
        }
    }
}

#[test]
fn an_incident_closes_with_its_whole_report() {
    let policy = &policy().incidents;
    let mut incident = Incident::open(Severity::High, at(0));
    assert!(incident.clone().advance(State::Closed, &by(Role::OnCall, 1), Role::OnCall, policy).is_err());
    for state in [State::Acknowledged, State::Mitigated, State::Resolved] {
        incident = incident.advance(state, &by(Role::OnCall, 1), Role::OnCall, policy).expect("in order");
    }
    let refused = incident
        .clone()
        .advance(State::Closed, &by(Role::OnCall, 2), Role::OnCall, policy)
        .expect_err("no report");
    assert_eq!(refused.findings().len(), 7);
    for part in Part::ALL {
        incident = incident.write(*part, "known").expect("text");
    }
    assert!(incident.clone().advance(State::Closed, &by(Role::MlLead, 2), Role::OnCall, policy).is_err());
    assert!(incident.advance(State::Closed, &by(Role::OnCall, 2), Role::OnCall, policy).is_ok());
}
