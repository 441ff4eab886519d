//! §5.1 a data source: every approval that its type asks for, by different people, none of them the registrant.

use std::collections::BTreeMap;

use lifecycle::source::{Source, SourceKind, approve_source, fully_approved, source_usable};

use super::*;

fn source(kind: SourceKind) -> Source {
    let noted = ["access-rights", "quality", "license", "bias", "representativeness", "contract", "privacy"];
    Source {
        name: "dataSources/s".into(),
        kind,
        registered_by: "person-0".into(),
        license: "CC-BY-4.0".into(),
        contract: "C-1".into(),
        contract_expires: Some(at(1_000)),
        considerations: noted.map(|name| (name.to_owned(), "looked at".to_owned())).into(),
        approvals: vec![],
        revoked: false,
    }
}

/// As the policy's row of its type asks, with notes in snake case.
fn whole(kind: SourceKind) -> Source {
    let row = policy().sources.types.iter().find(|row| row.kind == kind).expect("a row");
    let noted = row.considerations.iter().map(|name| (name.replace('-', "_"), "looked at".into()));
    Source {
        considerations: noted.collect(),
        approvals: row.approvals.iter().map(|role| by(*role, 1)).collect(),
        ..source(kind)
    }
}

fn approvers(kind: SourceKind) -> &'static [Role] {
    match kind {
        SourceKind::Internal => &[Role::DataOwner],
        SourceKind::Public => &[Role::Legal],
        SourceKind::Synthetic => &[Role::MlLead],
        SourceKind::ThirdParty => &[Role::Legal, Role::Procurement],
    }
}

proptest! {
    /// An approval counts once per role and person; the source feeds data when all of its type's are there.
    #[test]
    fn approvals_are_gathered_as_the_model_says(
        kind in any_of(SourceKind::ALL),
        calls in vec((0u8..4, prop_oneof![
            3 => select(vec![Role::DataOwner, Role::Legal, Role::MlLead, Role::Procurement]),
            1 => any_of(Role::ALL),
        ]), 0..16),
    ) {
        let policy = &policy().sources;
        let mut source = source(kind);
        let mut given: Vec<(u8, Role)> = Vec::new();
        for (person, role) in calls {
            let fresh = given.iter().all(|(who, what)| *who != person && *what != role);
            let may = person != 0 && approvers(kind).contains(&role) && fresh;
            let approval = Approval::new(format!("person-{person}"), role, at(1));
            let answer = approve_source(&source, &approval, policy);
            prop_assert_eq!(answer.is_ok(), may, "{} by {}: {:?}", kind, role, answer);
            if may {
                source.approvals.push(approval);
                given.push((person, role));
            }
            let whole = given.len() == approvers(kind).len();
            prop_assert_eq!(fully_approved(&source, policy), whole);
            prop_assert_eq!(source_usable(&source, at(2), policy).is_ok(), whole);
            let revoked = Source { revoked: true, ..source.clone() };
            prop_assert!(source_usable(&revoked, at(2), policy).is_err());
        }
    }

    /// A contract that has ended, a license that is none, a consideration that nobody noted: not usable.
    #[test]
    fn papers_are_asked_for_by_type(
        kind in any_of(SourceKind::ALL), now in select(vec![999u64, 1_000, 1_001]), licensed in any::<bool>(),
        contracted in any::<bool>(), unnoted in select(vec!["quality", "bias", "representativeness", "privacy", "none"]),
    ) {
        let mut source = source(kind);
        source.approvals = approvers(kind).iter().map(|role| by(*role, 1)).collect();
        source.considerations.remove(unnoted);
        if !licensed { source.license = " ".into(); }
        if !contracted { (source.contract, source.contract_expires) = (String::new(), None); }
        let asked = match kind {
            SourceKind::Internal => "quality",
            SourceKind::Public => "bias",
            SourceKind::Synthetic => "representativeness",
            SourceKind::ThirdParty => "privacy",
        };
        let in_force = if contracted { now < 1_000 } else { kind != SourceKind::ThirdParty };
        let whole = unnoted != asked && in_force && (licensed || kind != SourceKind::Public);
        prop_assert_eq!(source_usable(&source, at(now), &policy().sources).is_ok(), whole);
    }
}

/// Notes may be keyed in snake case; a blank one is none.
#[test]
fn a_blank_note_is_no_consideration() {
    let mut source = source(SourceKind::Internal);
    source.approvals = vec![by(Role::DataOwner, 1)];
    source.considerations =
        BTreeMap::from([("access_rights".into(), "read".into()), ("quality".into(), "fair".into())]);
    assert_eq!(source_usable(&source, at(2), &policy().sources), Ok(()));
    source.considerations.insert("quality".into(), "  ".into());
    assert!(source_usable(&source, at(2), &policy().sources).is_err());
}

#[test]
fn every_source_type_needs_every_one_of_its_approvals() {
    for kind in SourceKind::ALL {
        let whole = whole(*kind);
        assert_eq!(source_usable(&whole, at(999), &policy().sources), Ok(()), "{kind}");
        for missing in 0..whole.approvals.len() {
            let mut less = whole.clone();
            less.approvals.remove(missing);
            assert!(source_usable(&less, at(999), &policy().sources).is_err());
        }
        let mut same = whole.clone();
        same.approvals.iter_mut().for_each(|approval| approval.principal = "person-0".into());
        assert!(!fully_approved(&same, &policy().sources), "registrant approves");
        assert!(source_usable(&whole, at(1_000), &policy().sources).is_err(), "contract ended");
    }
    let mut one_person = whole(SourceKind::ThirdParty);
    one_person.approvals.iter_mut().for_each(|approval| approval.principal = "legal".into());
    assert!(source_usable(&one_person, at(999), &policy().sources).is_err());
}
