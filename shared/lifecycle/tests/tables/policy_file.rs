//! What a policy file may not be, and what its digest names.

use lifecycle::policy::{BUILTIN, PolicyError};

use super::*;

/// The default policy with one text in place of another, which must stand there.
fn with(from: &str, to: &str) -> String {
    assert!(BUILTIN.contains(from), "the policy says nothing of {from:?}");
    BUILTIN.replace(from, to)
}

#[test]
fn a_policy_with_bad_fields_is_refused_and_every_one_is_named() {
    let text = with("criterion: cost, weight: 10", "criterion: cost, weight: 11")
        .replace(
            "shortlist_min: { clause: \"§6.1\", value: 3 }",
            "shortlist_min: { clause: \"§6.1\", value: 9 }",
        )
        .replace(
            "metric: task-accuracy, title: Task Accuracy, rule: { comparator: \">\", value: 0.90 }",
            "metric: task-accuracy, title: Task Accuracy, rule: { comparator: \">\", value: 90 }",
        );
    let Err(PolicyError::Invalid(bad)) = Policy::parse(&text) else { panic!("accepted") };
    let paths: Vec<_> = bad.iter().map(|field| field.path.as_str()).collect();
    assert_eq!(
        paths,
        ["planning.selection_criteria", "selection.shortlist_min", "acceptance.thresholds[0].rule.value"]
    );
}

#[test]
fn an_unreadable_policy_is_refused() {
    let unknown = format!("{BUILTIN}\nbackdoor: true\n");
    assert!(matches!(Policy::parse(&unknown), Err(PolicyError::Unreadable(why)) if why.contains("backdoor")));
    assert!(matches!(Policy::parse("[1, 2"), Err(PolicyError::Unreadable(_))));
    let row = "missing: { clause: \"§5.2\", comparator: \"<\", value: 0.05 }";
    let nan = with(row, &row.replace("0.05", ".nan"));
    assert!(matches!(Policy::parse(&nan), Err(PolicyError::Invalid(_))));
}

#[test]
fn the_digest_names_the_content_not_the_spelling() {
    let respelled = format!("# another comment\n{}", with("value: 0.90 }", "value: 0.9 }"));
    assert_eq!(Policy::parse(&respelled).expect("the same rules").digest(), policy().digest());
    let other = with("min_sample: 300", "min_sample: 301");
    assert_ne!(Policy::parse(&other).expect("another number").digest(), policy().digest());
    assert!(lifecycle::rejection::is_digest(policy().digest()));
}
