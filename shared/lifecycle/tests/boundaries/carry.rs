//! Reading 8 and §7.4: what a patch carries over, and when an ethics approval no longer holds.

use lifecycle::Bump;
use lifecycle::ethics::{Since, expired};
use lifecycle::gate::{Carried, Evidence, Gate, carry_flaws, decide};

use super::given::gates::{ready_for, review};
use super::*;

fn bumps() -> impl Strategy<Value = Bump> {
    select(Bump::ALL.to_vec())
}

proptest! {
    /// QA approval carries over to a patch of a version that had it, with the same data, signature and use.
    #[test]
    fn quality_carries_over_to_an_unchanged_patch(
        passed in any::<bool>(), bump in bumps(), data_changed in any::<bool>(), signature_changed in any::<bool>(),
        use_changed in any::<bool>(),
    ) {
        let from = "models/m/versions/1.0.0".to_owned();
        let carried = Carried { from, passed, bump, data_changed, signature_changed, use_changed };
        let holds = passed && bump == Bump::Patch && !data_changed && !signature_changed && !use_changed;
        let flaws = carry_flaws(&carried, &policy().gates);
        prop_assert_eq!(flaws.is_empty(), holds);
        let wrong = [!passed, bump != Bump::Patch, data_changed, signature_changed, use_changed];
        prop_assert_eq!(flaws.len(), wrong.into_iter().filter(|one| *one).count());
    }

    /// An ethics approval holds for the version and its patches, for the same data, signature and use.
    #[test]
    fn ethics_expires_when_the_model_becomes_another(
        bump in prop_oneof![Just(None), bumps().prop_map(Some)], data_changed in any::<bool>(),
        signature_changed in any::<bool>(), same_use in any::<bool>(),
    ) {
        let intended_use = if same_use { "screening".to_owned() } else { "hiring".to_owned() };
        let since = Since { bump, data_changed, signature_changed, intended_use };
        let small = bump.is_none_or(|bump| bump == Bump::Patch);
        let holds = small && !data_changed && !signature_changed && same_use;
        prop_assert_eq!(expired(&review(), &since, &policy().ethics).is_empty(), holds);
    }
}

#[test]
fn a_contributor_never_approves_and_a_patch_carries_qa_over() {
    let own = Evidence::Qa {
        approval: Some(Approval::new("ml-engineer", Role::QaEngineer, at(1))),
        artifact_digest: digest('a'),
        carried: None,
    };
    assert!(!decide(Gate::G3, &ready_for(Gate::G3), &own, policy()).passed);
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
    let decided = |evidence| decide(Gate::G3, &ready_for(Gate::G3), &evidence, policy());
    assert_eq!(decided(carried(Bump::Patch, false)).carried_from.as_deref(), Some("models/m/versions/1.0.0"));
    assert!(!decided(carried(Bump::Patch, true)).passed);
    assert!(!decided(carried(Bump::Minor, false)).passed);
}
