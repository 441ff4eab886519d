//! §5 data preparation.

use lifecycle::{Strict, policy::quality::Limit};

use super::*;

#[test]
fn section_5_1_sources() {
    let types = policy().sources.types.iter();
    let rows: Vec<_> =
        types.map(|row| (row.kind.as_str(), row.considerations.join(", "), join(&row.approvals))).collect();
    let want = [
        ("internal", "access-rights, quality", "data-owner"),
        ("public", "license, bias", "legal"),
        ("synthetic", "representativeness", "ml-lead"),
        ("third-party", "contract, privacy", "legal, procurement"),
    ];
    assert_eq!(rows, want.map(|(kind, consider, roles)| (kind, consider.to_owned(), roles.to_owned())));
    assert_eq!(join(&policy().sources.license_needed.value), "public");
    assert_eq!(join(&policy().sources.contract_needed.value), "third-party");
}

#[test]
fn section_5_2_dimensions() {
    let dimensions = policy().quality.dimensions.iter();
    let rows: Vec<_> =
        dimensions.map(|row| (row.dimension.as_str(), row.question.as_str(), row.clause.as_str())).collect();
    assert_eq!(
        rows,
        [
            ("accuracy", "Correct vals?", "§5.2"),
            ("completeness", "Missing vals?", "§5.2"),
            ("consistency", "Same across sources?", "§5.2"),
            ("timeliness", "Up to date?", "§5.2"),
            ("uniqueness", "Duplicates?", "§5.2"),
            ("validity", "Follows schema?", "§5.2"),
            ("relevance", "Appropriate for task?", "§5.2"),
            ("fairness", "Balanced demographics?", "§5.2"),
        ]
    );
}

/// "Target: >99%", "<5%", "<30d", "<1%"; where the figure names no number, the policy's own (reading 4).
#[test]
fn section_5_2_targets() {
    let quality = &policy().quality;
    let accuracy = &quality.accuracy;
    assert_eq!((accuracy.comparator, accuracy.value.get()), (Strict::Above, 0.99));
    assert_eq!((accuracy.min_sample, accuracy.confidence), (300, 0.95));
    assert_eq!(seconds(quality.age.below), 30 * DAY);
    let limit = |limit: &Limit| (limit.comparator, limit.value);
    assert_eq!(limit(&quality.missing), (Strict::Below, 0.05));
    assert_eq!(limit(&quality.duplicates), (Strict::Below, 0.01));
    assert_eq!(limit(&quality.inconsistent), (Strict::Below, 0.01));
    assert_eq!(limit(&quality.invalid), (Strict::Below, 0.01));
    assert_eq!(limit(&quality.relevance), (Strict::Above, 0.0));
    assert_eq!(limit(&quality.imbalance), (Strict::Below, 0.2));
    assert_eq!(join(&quality.auditors.value), "qa-engineer, data-owner"); // reading 13
    assert_eq!(join(&quality.currency_confirmers.value), "data-owner");
    assert_eq!(join(&quality.signers.value), "ml-lead, qa-engineer, data-owner, ethics-reviewer");
    assert_eq!(join(&quality.may_not_apply.value), "consistency, fairness");
}

#[test]
fn section_5_3_pipeline_steps() {
    let steps = policy().quality.steps.iter();
    let rows: Vec<_> = steps.map(|row| (row.step.as_str(), row.activity.as_str(), row.optional)).collect();
    assert_eq!(
        rows,
        [
            ("extraction", "Pull data from sources", false),
            ("validation", "Check schema, types, ranges", false),
            ("cleaning", "Handle missing values, outliers", false),
            ("transformation", "Normalize, encode, tokenize", false),
            ("augmentation", "Generate additional examples (if applicable)", true),
            ("splitting", "Train/validation/test splits", false),
            ("versioning", "Tag dataset version", false),
        ]
    );
    assert_eq!(policy().quality.first_version.value.to_string(), "1.0.0");
}

#[test]
fn section_5_4_data_card() {
    let card = policy().documents.iter().find(|row| row.template == "TPL-DATA").expect("a data card");
    let sections = [
        "overview",
        "composition",
        "collection",
        "preprocessing",
        "distribution",
        "bias-analysis",
        "ethical-review",
        "maintenance",
    ];
    assert_eq!(card.parts, sections);
}
