//! §6.4: how a number is written, and what kind of change asks for which.

use lifecycle::training::{Technique, default_bump};
use lifecycle::version::{Makeup, ModelVersionId, classify, next_model_version, successor};
use lifecycle::{Bump, Version};

use super::*;

fn makeup(topology: char, weights: char, run: &str, signature_compatible: bool) -> Makeup {
    Makeup {
        topology_digest: digest(topology),
        weights_digest: digest(weights),
        training_run: run.into(),
        signature_compatible,
    }
}

/// Architecture or a breaking change: major. New training: minor. Neither: patch.
#[test]
fn pairs_of_versions_with_a_known_class() {
    let before = makeup('a', 'b', "run-1", true);
    let table = [
        ("the same again", makeup('a', 'b', "run-1", true), Bump::Patch),
        ("trained again, other weights", makeup('a', 'c', "run-2", true), Bump::Minor),
        ("other weights of the same run", makeup('a', 'c', "run-1", true), Bump::Minor),
        ("trained again, the same weights", makeup('a', 'b', "run-2", true), Bump::Minor),
        ("another graph", makeup('d', 'b', "run-1", true), Bump::Major),
        ("another graph, trained again", makeup('d', 'c', "run-2", true), Bump::Major),
        ("an input more", makeup('a', 'b', "run-1", false), Bump::Major),
        ("an input more, trained again", makeup('a', 'c', "run-2", false), Bump::Major),
        ("everything", makeup('d', 'c', "run-2", false), Bump::Major),
    ];
    for (change, after, bump) in table {
        assert_eq!(classify(&before, &after), bump, "{change}");
    }
    let first = makeup('a', 'b', "run-1", false); // what the first version was compatible with is asked by nobody
    assert_eq!(classify(&first, &makeup('a', 'b', "run-1", true)), Bump::Patch);
}

/// §6.3: what is trained asks for a minor step at least, what is not for a patch.
#[test]
fn techniques_ask_for_a_bump() {
    for (technique, bump) in [
        (Technique::FromScratch, Bump::Minor),
        (Technique::FullFineTuning, Bump::Minor),
        (Technique::Lora, Bump::Minor),
        (Technique::PromptTuning, Bump::Patch),
        (Technique::Rag, Bump::Patch),
    ] {
        assert_eq!(default_bump(technique, &policy().training), bump, "{technique}");
    }
}

#[test]
fn a_bump_may_be_raised_never_lowered() {
    let (first, taken) = (Version::new(1, 0, 0), [Version::new(1, 0, 0), Version::new(1, 1, 0)]);
    let base = |least| Some((Version::new(1, 1, 0), least));
    assert_eq!(next_model_version(&taken, base(Bump::Minor), Version::new(2, 0, 0), first), Ok(Bump::Major));
    let low =
        next_model_version(&taken, base(Bump::Major), Version::new(1, 2, 0), first).expect_err("too low");
    assert_eq!(low.reason(), "VERSION_BUMP_TOO_LOW");
    assert!(low.to_string().contains("required at least a major change: 2.0.0"), "{low}");
    let gap = next_model_version(&taken, base(Bump::Patch), Version::new(1, 3, 0), first).expect_err("a gap");
    assert_eq!(gap.reason(), "VERSION_NOT_SUCCESSOR");
    assert_eq!(successor(&taken, Version::new(1, 0, 0), Bump::Patch), Some(Version::new(1, 0, 1)));
    assert!(next_model_version(&[], None, Version::new(0, 1, 0), first).is_err());
}

proptest! {
    /// A number is accepted when it raises by what the change asks for or more, one step, and is free.
    #[test]
    fn a_bump_is_raised_never_lowered(
        base in (0u32..5, 0u32..5, 0u32..5), least in select(Bump::ALL.to_vec()), asked in (0u32..7, 0u32..7, 0u32..7),
        close in any::<Option<u8>>(),
    ) {
        let base = Version::new(base.0, base.1, base.2);
        let steps = [
            (Bump::Patch, Version::new(base.major, base.minor, base.patch + 1)),
            (Bump::Minor, Version::new(base.major, base.minor + 1, 0)),
            (Bump::Major, Version::new(base.major + 1, 0, 0)),
        ];
        let asked = match close {
            Some(place) => steps[usize::from(place) % 3].1,
            None => Version::new(asked.0, asked.1, asked.2),
        };
        let step = steps.iter().find(|(_, next)| *next == asked).map(|(bump, _)| *bump);
        let answer = next_model_version(&[base], Some((base, least)), asked, Version::new(1, 0, 0));
        prop_assert_eq!(answer.ok(), step.filter(|bump| *bump >= least));
    }

    /// A printed version reads back as itself, and no other spelling reads at all.
    #[test]
    fn versions_have_one_spelling(major: u32, minor: u32, patch: u32) {
        let version = Version::new(major, minor, patch);
        prop_assert_eq!(version.to_string().parse::<Version>().expect("a version"), version);
        for wrong in [format!("v{version}"), format!("0{version}"), format!("{version}.0"), format!("{version} ")] {
            prop_assert!(wrong.parse::<Version>().is_err(), "{}", wrong);
        }
        let id = ModelVersionId { model: "a-v1".into(), version };
        prop_assert_eq!(id.to_string().parse::<ModelVersionId>().expect("an id"), id);
    }

    /// However versions are asked for, the accepted ones are unique and each has its direct predecessor.
    #[test]
    fn accepted_versions_leave_no_gap(asked in vec((0u32..4, 0u32..4, 0u32..4, 0usize..8), 1..60)) {
        let first = policy().versioning.first_version.value;
        let mut taken: Vec<Version> = Vec::new();
        for (major, minor, patch, base) in asked {
            let want = Version::new(major, minor, patch);
            let base = (!taken.is_empty()).then(|| (taken[base % taken.len()], Bump::Patch));
            if next_model_version(&taken, base, want, first).is_ok() {
                prop_assert!(!taken.contains(&want));
                taken.push(want);
            }
        }
        for version in taken.iter().filter(|version| **version != first) {
            let reached = taken.iter().any(|earlier| earlier.bump_to(*version).is_some());
            prop_assert!(reached, "{} has no predecessor", version);
        }
    }

    /// No number follows the last one.
    #[test]
    fn numbers_end(minor in any::<u32>()) {
        let last = Version::new(u32::MAX, minor, u32::MAX);
        prop_assert_eq!(last.after(Bump::Major), None);
        prop_assert_eq!(last.after(Bump::Patch), None);
        prop_assert_eq!(last.after(Bump::Minor).is_none(), minor == u32::MAX);
    }
}
