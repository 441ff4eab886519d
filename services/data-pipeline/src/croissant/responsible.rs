//! What a user should know before using the data: the RAI vocabulary.

use contracts::common::v1::Verdict;
use serde_json::{Value, json};

use super::Facts;

/// Properties of the RAI vocabulary for which there are records.
pub fn responsible(facts: &Facts<'_>) -> Vec<(&'static str, Value)> {
    let Facts { dataset, sources, version, .. } = facts;
    let origins: Vec<&str> =
        sources.iter().map(|source| source.origin.trim()).filter(|origin| !origin.is_empty()).collect();
    let sensitive: Vec<&str> =
        version.columns.iter().filter(|column| column.sensitive).map(|column| column.name.as_str()).collect();
    let mut personal = vec![dataset.privacy_note.trim().to_owned()];
    if !sensitive.is_empty() {
        personal.push(format!("sensitive columns: {}", sensitive.join(", ")));
    }
    personal.retain(|text| !text.is_empty());
    let gaps = version.quality.iter().find(|one| one.dimension == "completeness");
    let gaps = gaps.map(|one| format!("{} of {} cells are missing after cleaning", one.bad, one.all));
    let failed = version.findings.iter().filter(|finding| finding.verdict() == Verdict::Fail);
    let failed =
        failed.map(|one| format!("{}: required {}, observed {}", one.subject, one.required, one.observed));
    let steps = version.steps.iter().map(|step| {
        if step.not_applicable_reason.is_empty() {
            let (name, rows, rejects) = (&step.step, step.rows_out, step.rejects);
            format!("{name}: {} rows in, {rows} out, {rejects} rejected; {}", step.rows_in, step.parameters)
        } else {
            format!("{}: not applicable, {}", step.step, step.not_applicable_reason)
        }
    });
    vec![
        ("rai:dataCollection", json!(dataset.collection_note.trim())),
        ("rai:dataCollectionRawData", json!(origins.join("; "))),
        ("rai:dataCollectionMissingData", json!(gaps)),
        ("rai:dataPreprocessingProtocol", json!(steps.collect::<Vec<_>>())),
        ("rai:dataBiases", json!(biases(facts))),
        ("rai:personalSensitiveInformation", json!(personal)),
        ("rai:dataUseCases", json!(version.relevance_note.trim())),
        ("rai:dataLimitations", json!(failed.collect::<Vec<_>>())),
        ("rai:dataReleaseMaintenancePlan", json!(dataset.update_frequency.trim())),
    ]
}

/// What is known of the sources, and groups that are not what they should be.
fn biases(facts: &Facts<'_>) -> Vec<String> {
    let known = facts.sources.iter().filter_map(|source| source.considerations.get("bias").cloned());
    let groups = facts.version.group_shares.iter().map(|one| {
        let (group, share, reference) = (&one.group, one.share, one.reference_share);
        format!("{}={group}: a share of {share:.4}, the reference is {reference:.4}", one.column)
    });
    known.chain(groups).collect()
}
