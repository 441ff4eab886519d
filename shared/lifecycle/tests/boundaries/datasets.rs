//! §5.3.7: the number of a dataset version says what differs from the version before.

use lifecycle::dataset::State;
use lifecycle::dataset_number::{Content, Latest, Numbered, check, number};
use lifecycle::{Bump, Version};

use super::*;

const FIRST: Version = Version::new(1, 0, 0);

fn content(schema: u8, rows: u8, metadata: u8) -> Content {
    Content { schema: schema.to_string(), rows: rows.to_string(), metadata: metadata.to_string() }
}

fn latest(number: Version, state: State) -> Latest {
    Latest { number, content: content(0, 0, 0), state }
}

#[test]
fn what_differs_decides_the_one_number() {
    let before = latest(Version::new(2, 3, 4), State::Ready);
    let table = [
        ("other metadata", content(0, 0, 1), Version::new(2, 3, 5), Bump::Patch),
        ("other rows", content(0, 1, 0), Version::new(2, 4, 0), Bump::Minor),
        ("other rows and metadata", content(0, 1, 1), Version::new(2, 4, 0), Bump::Minor),
        ("other columns", content(1, 0, 0), Version::new(3, 0, 0), Bump::Major),
        ("everything", content(1, 1, 1), Version::new(3, 0, 0), Bump::Major),
    ];
    for (what, now, right, bump) in table {
        assert_eq!(number(Some(&before), &now, FIRST), Ok(Numbered::Next(right, bump)), "{what}");
        assert_eq!(check(Some(&before), &now, right, FIRST), Ok(()), "{what}");
    }
}

#[test]
fn a_refusal_names_the_number_that_is_right_and_why() {
    let before = latest(Version::new(1, 1, 0), State::Ready);
    let cases = [
        (
            content(1, 0, 0),
            Version::new(1, 2, 0),
            "VERSION_BUMP_TOO_LOW",
            "2.0.0: a major change, as the columns",
        ),
        (
            content(0, 1, 0),
            Version::new(1, 1, 1),
            "VERSION_BUMP_TOO_LOW",
            "1.2.0: a minor change, as the columns",
        ),
        (content(0, 1, 0), Version::new(2, 0, 0), "VERSION_BUMP_TOO_HIGH", "1.2.0: a minor change"),
        (
            content(0, 0, 1),
            Version::new(1, 2, 0),
            "VERSION_BUMP_TOO_HIGH",
            "1.1.1: a patch change, as columns and rows",
        ),
        (content(0, 1, 0), Version::new(1, 3, 0), "VERSION_NOT_SUCCESSOR", "1.2.0: a minor change"),
        (content(0, 1, 0), Version::new(1, 1, 0), "VERSION_NOT_SUCCESSOR", "1.2.0: a minor change"),
        (
            content(0, 0, 0),
            Version::new(1, 1, 1),
            "DATASET_UNCHANGED",
            "other columns, rows or metadata than 1.1.0",
        ),
        (
            content(0, 0, 0),
            Version::new(1, 1, 0),
            "DATASET_UNCHANGED",
            "other columns, rows or metadata than 1.1.0",
        ),
    ];
    for (now, asked, reason, required) in cases {
        let refused = check(Some(&before), &now, asked, FIRST).expect_err(reason);
        assert_eq!((refused.reason(), refused.clause()), (reason, "§5.3"), "{refused}");
        assert!(refused.to_string().contains(&format!("required {required}")), "{refused}");
    }
    let gap = check(None, &content(0, 0, 0), Version::new(2, 0, 0), FIRST).expect_err("no first one");
    assert_eq!((gap.reason(), gap.findings()[0].required.as_str()), ("VERSION_NOT_SUCCESSOR", "1.0.0"));
}

/// READY and DRAFT data is what it is; UNFIT is final, and the same data may be judged anew.
#[test]
fn the_same_content_is_the_same_version_unless_that_is_unfit() {
    let same = content(0, 0, 0);
    for state in [State::Draft, State::Ready] {
        let told = number(Some(&latest(Version::new(1, 0, 0), state)), &same, FIRST);
        assert_eq!(told, Ok(Numbered::Unchanged(Version::new(1, 0, 0))));
    }
    let unfit = latest(Version::new(1, 0, 0), State::Unfit);
    let again = Version::new(1, 0, 1);
    assert_eq!(number(Some(&unfit), &same, FIRST), Ok(Numbered::Next(again, Bump::Patch)));
    assert_eq!(check(Some(&unfit), &same, again, FIRST), Ok(()));
    let high = check(Some(&unfit), &same, Version::new(1, 1, 0), FIRST).expect_err("no rows differ");
    assert!(high.to_string().contains("it holds what 1.0.0 does, which is UNFIT"), "{high}");
}

#[test]
fn no_number_follows_the_last_one() {
    let last = latest(Version::new(u32::MAX, 0, u32::MAX), State::Ready);
    for now in [content(1, 0, 0), content(0, 0, 1)] {
        let refused = number(Some(&last), &now, FIRST).expect_err("exhausted");
        assert_eq!(refused.reason(), "VERSION_NUMBERS_EXHAUSTED");
    }
    let minor = number(Some(&last), &content(0, 1, 0), FIRST);
    assert_eq!(minor, Ok(Numbered::Next(Version::new(u32::MAX, 1, 0), Bump::Minor)));
}

proptest! {
    /// Whatever is handed in under whatever number: what is taken has the one number of the rule, numbers grow, and the
    /// component in which two versions that follow each other differ tells what differs between them.
    #[test]
    fn numbers_tell_what_differs(
        offers in vec((0u8..3, 0u8..3, 0u8..3, any::<bool>(), 0u32..3, 0u32..3, 0u32..3, any::<bool>()), 0..60),
    ) {
        let mut taken: Vec<Latest> = vec![];
        for (schema, rows, metadata, unfit, major, minor, patch, right) in offers {
            let now = content(schema, rows, metadata);
            let told = number(taken.last(), &now, FIRST).expect("numbers are left");
            let asked = if right { told.version() } else { Version::new(major, minor, patch) };
            let may = asked == told.version() && !matches!(told, Numbered::Unchanged(_));
            prop_assert_eq!(check(taken.last(), &now, asked, FIRST).is_ok(), may);
            if may {
                let state = if unfit { State::Unfit } else { State::Ready };
                taken.push(Latest { number: asked, content: now, state });
            }
        }
        prop_assert!(taken.first().is_none_or(|one| one.number == FIRST));
        for pair in taken.windows(2) {
            let (a, b) = (&pair[0], &pair[1]);
            prop_assert!(a.number < b.number);
            let step = a.number.bump_to(b.number).expect("one step");
            prop_assert_eq!(step == Bump::Major, a.content.schema != b.content.schema);
            prop_assert_eq!(
                step == Bump::Minor,
                a.content.schema == b.content.schema && a.content.rows != b.content.rows
            );
            let same = a.content == b.content;
            prop_assert!(!same || a.state == State::Unfit);
        }
    }
}
