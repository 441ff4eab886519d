//! The approval block: DRAFT, three signatures by three persons, ACTIVE, SUPERSEDED.

use lifecycle::policy_change::{PolicyVersion, Signature, State};

use super::*;

#[derive(Clone, Copy, Debug)]
enum Call {
    Sign { signature: Signature, person: u8, role: Role, right_digest: bool },
    Activate,
}

fn signer(signature: Signature) -> Role {
    match signature {
        Signature::Owner => Role::MlLead,
        Signature::Reviewer => Role::QaLead,
        Signature::Approver => Role::ChiefAiOfficer,
    }
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
    let strange = (any_of(Signature::ALL), 0u8..5, any_of(Role::ALL), any::<bool>()).prop_map(
        |(signature, person, role, right_digest)| Call::Sign { signature, person, role, right_digest },
    );
    let right = (any_of(Signature::ALL), 0u8..5).prop_map(|(signature, person)| Call::Sign {
        signature,
        person,
        role: signer(signature),
        right_digest: true,
    });
    vec(prop_oneof![3 => right, 1 => strange, 1 => Just(Call::Activate)], 0..24)
}

proptest! {
    /// Three roles by three persons over the very digest approve; only then it decides, and the old one no more.
    #[test]
    fn a_version_is_signed_and_put_in_force(calls in calls()) {
        let people = &policy().people;
        let old = PolicyVersion {
            version: "1.0".into(), digest: digest('a'), state: State::Active, signatures: vec![],
        };
        let mut version = PolicyVersion::draft("1.1", &digest('b'), Some(&old)).expect("a greater number");
        let (mut state, mut signed) = (State::Draft, Vec::<(Signature, u8)>::new());
        for call in calls {
            match call {
                Call::Sign { signature, person, role, right_digest } => {
                    let fresh = signed.iter().all(|(what, who)| *what != signature && *who != person);
                    let may = state == State::Draft && right_digest && fresh && role == signer(signature);
                    let approval = Approval::new(format!("person-{person}"), role, at(1));
                    let digest = digest(if right_digest { 'b' } else { 'c' });
                    let answer = version.clone().sign(signature, &digest, approval, people);
                    prop_assert_eq!(answer.is_ok(), may, "{:?}", answer);
                    if let Ok(next) = answer {
                        version = next;
                        signed.push((signature, person));
                        if signed.len() == 3 { state = State::Approved; }
                    }
                }
                Call::Activate => {
                    let answer = version.clone().activate(Some(old.clone()));
                    prop_assert_eq!(answer.is_ok(), state == State::Approved);
                    if let Ok((next, before)) = answer {
                        prop_assert_eq!(before.map(|one| one.state), Some(State::Superseded));
                        version = next;
                        state = State::Active;
                    }
                }
            }
            prop_assert_eq!(version.state, state);
        }
    }

    /// Numbers are compared number by number, and only a greater one becomes a draft.
    #[test]
    fn a_draft_has_a_greater_number(old in (0u64..20, 0u64..20), new in (0u64..20, 0u64..20)) {
        let active = PolicyVersion {
            version: format!("{}.{}", old.0, old.1), digest: digest('a'), state: State::Active, signatures: vec![],
        };
        let draft = PolicyVersion::draft(&format!("{}.{}", new.0, new.1), &digest('b'), Some(&active));
        prop_assert_eq!(draft.is_ok(), new > old);
    }
}

#[test]
fn a_policy_needs_three_persons_and_a_greater_number() {
    let people = &policy().people;
    let named = |who: &str, role| Approval::new(who, role, at(1));
    let draft = PolicyVersion::draft("1.1", &digest('b'), None).expect("a draft");
    assert!(draft.clone().activate(None).is_err());
    let one = draft.sign(Signature::Owner, &digest('b'), named("a", Role::MlLead), people).expect("owner");
    assert!(one.clone().sign(Signature::Reviewer, &digest('b'), named("a", Role::QaLead), people).is_err());
    assert!(
        one.clone().sign(Signature::Reviewer, &digest('b'), named("b", Role::QaEngineer), people).is_err()
    );
    let two =
        one.sign(Signature::Reviewer, &digest('b'), named("b", Role::QaLead), people).expect("reviewer");
    let three = two
        .sign(Signature::Approver, &digest('b'), named("c", Role::ChiefAiOfficer), people)
        .expect("approver");
    assert_eq!(three.state, State::Approved);
    let (active, _) = three.activate(None).expect("active");
    for version in ["1.1", "1.0", "1.1.0", "0.9", "x"] {
        assert!(PolicyVersion::draft(version, &digest('b'), Some(&active)).is_err(), "{version}");
    }
    assert!(PolicyVersion::draft("1.10", &digest('b'), Some(&active)).is_ok());
}
