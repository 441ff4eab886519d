//! The card from records: what it says, what it does not say, and that nothing in the records is markup.

use super::*;
use crate::fixture::{Fixture, HOSTILE, complete};

fn made(fixture: &Fixture) -> Made {
    let targets = targets(&lifecycle::Policy::builtin().quality);
    make(&Facts {
        dataset: &fixture.dataset,
        sources: &fixture.sources,
        version: &fixture.version,
        raw: Raw {
            rows: 32_585,
            left: 3,
            missing: &fixture.missing,
            invalid_rows: 45,
            violations: &fixture.violations,
            duplicates: 24,
        },
        audit: &fixture.audit,
        targets: &targets,
    })
}

/// Set `WLP_TEST_OUT` to a folder to look at the card.
fn keep(name: &str, text: &str) {
    if let Some(folder) = std::env::var_os("WLP_TEST_OUT") {
        std::fs::write(std::path::Path::new(&folder).join(name), text).expect("a file");
    }
}

#[test]
fn eight_sections_stand_in_both_formats() {
    let card = made(&complete());
    keep("card.html", &card.html);
    keep("card.md", &card.markdown);
    assert_eq!(card.missing, Vec::<String>::new());
    assert_eq!((card.markdown.matches("\n## ").count(), card.html.matches("<section id=").count()), (8, 8));
    let policy = lifecycle::Policy::builtin();
    let row = policy.documents.iter().find(|row| row.template == "TPL-DATA").expect("the template");
    for part in &row.parts {
        assert!(card.html.contains(&format!("<section id=\"{part}\">")), "{part}");
    }
    for said in
        ["men are over-represented", "32,561 of 32,585 that came", "every ten years", "< 0.05", "22,792"]
    {
        assert!(card.html.replace("&lt;", "<").contains(said), "{said}");
        assert!(card.markdown.replace("&lt;", "<").contains(said), "{said}");
    }
    assert!(!card.html.contains("Missing: nothing"));
}

#[test]
fn the_same_records_give_the_same_bytes() {
    let (one, other) = (made(&complete()), made(&complete()));
    assert_eq!((one.markdown, one.html), (other.markdown, other.html));
}

#[test]
fn a_section_without_its_record_is_named() {
    type Change = fn(&mut Fixture);
    let change: [(&str, Change); 10] = [
        ("overview", |it| it.dataset.description = " \n".into()),
        ("composition", |it| it.version.splits.clear()),
        ("collection", |it| it.dataset.collection_note.clear()),
        ("collection", |it| it.sources.clear()),
        ("preprocessing", |it| it.version.steps.clear()),
        ("distribution", |it| it.version.profiles.clear()),
        ("bias-analysis", |it| it.version.quality.retain(|one| one.dimension != "fairness")),
        ("bias-analysis", |it| it.version.group_shares.clear()),
        ("ethical-review", |it| it.dataset.privacy_note.clear()),
        ("maintenance", |it| it.dataset.update_frequency.clear()),
    ];
    for (part, change) in change {
        let mut fixture = complete();
        change(&mut fixture);
        let card = made(&fixture);
        assert_eq!(card.missing, [part]);
        assert_eq!(card.markdown.matches("*Missing: nothing is recorded.*").count(), 1, "{part}");
        assert_eq!(card.html.matches("Missing: nothing is recorded.").count(), 1, "{part}");
    }
}

#[test]
fn groups_may_be_none_with_a_reason() {
    let mut fixture = complete();
    fixture.version.group_shares.clear();
    for one in fixture.version.quality.iter_mut().filter(|one| one.dimension == "fairness") {
        one.not_applicable_reason = "the data describes no people".into();
    }
    let card = made(&fixture);
    assert!(card.missing.is_empty());
    assert!(card.markdown.contains("Groups: not applicable. the data describes no people"));
}

#[test]
fn nothing_in_a_record_is_markup() {
    let mut fixture = complete();
    fixture.dataset.display_name = HOSTILE.into();
    fixture.dataset.description = format!("# {HOSTILE}");
    fixture.dataset.privacy_note = HOSTILE.into();
    fixture.dataset.collection_note = HOSTILE.into();
    fixture.dataset.update_frequency = HOSTILE.into();
    fixture.version.label_column = HOSTILE.into();
    fixture.version.built_by = HOSTILE.into();
    fixture.version.splits[0].split = HOSTILE.into();
    fixture.version.profiles[0].column = HOSTILE.into();
    fixture.version.group_shares[0].group = HOSTILE.into();
    fixture.sources[0].origin = HOSTILE.into();
    fixture.audit[0].what = HOSTILE.into();
    let card = made(&fixture);
    assert_eq!(card.html.matches("</style>").count(), 1, "the page's own");
    assert!(!card.html.contains("<script"));
    // Outside of code, where nothing is markup, every sign of the text is made harmless.
    let mut fence = String::new();
    for line in card.markdown.lines() {
        let run: String = line.chars().take_while(|letter| *letter == '`').collect();
        match (fence.is_empty(), run.len() >= 3) {
            (true, true) => fence = run,
            (false, _) if line == fence => fence.clear(),
            (false, _) => {}
            (true, false) => {
                let text: String = line.split('`').step_by(2).collect();
                assert!(!text.replace("&lt;", "").contains('<'), "{line}");
            }
        }
    }
    assert!(fence.is_empty(), "every block ends");
    assert_eq!(card.markdown.matches("\n# ").count(), 0);
    let rows = card.markdown.lines().filter(|line| line.starts_with("| ") && line.contains("Female"));
    assert!(rows.count() == 0, "the group is the hostile one");
}
