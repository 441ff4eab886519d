//! §5.1: the source of the data and its approval.

use contracts::registry::v1::{
    ApproveDataSourceRequest, ConfirmDataSourceCurrentRequest, CreateDataSourceRequest, CreateDatasetRequest,
    DataSource, Dataset, SourceKind,
};
use contracts::time::to_wire;

use super::dataset::build_dataset;
use super::{Story, names};

/// Registers the public source, is refused a build from it, and has it approved by legal.
///
/// # Errors
/// The first step that was not accepted.
pub async fn source(story: &Story, csv: &[u8]) -> anyhow::Result<()> {
    let who = &story.actors;
    story
        .step("public data source registered", "§5.1", async {
            let source = DataSource {
                display_name: "Optical recognition of handwritten digits".into(),
                kind: SourceKind::Public.into(),
                description: "8x8 pictures of digits, 1797 rows, as scikit-learn carries them".into(),
                origin: "sklearn.datasets.load_digits (UCI, test half)".into(),
                license: "CC-BY-4.0".into(),
                considerations: [
                    ("license", "CC-BY 4.0: use with attribution"),
                    ("bias", "43 writers of one country, in two batches"),
                ]
                .map(|(key, text)| (key.to_owned(), text.to_owned()))
                .into(),
                ..Default::default()
            };
            let request = CreateDataSourceRequest {
                data_source_id: "sklearn-digits".into(),
                data_source: Some(source),
                ..Default::default()
            };
            let source = who.sources("data-engineer")?.create_data_source(request).await?.into_inner();
            let dataset = Dataset {
                display_name: "Digits".into(),
                project: names::PROJECT.into(),
                description: "64 pixels and the digit that was meant".into(),
                update_frequency: "none: the source is closed".into(),
                privacy_note: "no personal data; the writers agreed to publication".into(),
                collection_note:
                    "written on forms by 43 people, scanned, normalised to 8x8 and 17 intensities".into(),
                ..Default::default()
            };
            let request = CreateDatasetRequest {
                dataset_id: "digits".into(),
                dataset: Some(dataset),
                ..Default::default()
            };
            who.datasets("data-engineer")?.create_dataset(request).await?;
            Ok(((), format!("{} {}", source.name, source.state().as_str_name())))
        })
        .await?;
    story
        .refused(
            "dataset from a source that is not approved",
            "§5.1",
            &["SOURCE_NOT_USABLE", "SOURCE_NOT_APPROVED"],
            async { build_dataset(story, "1.0.0", csv).await },
        )
        .await;
    story
        .step("source approved by legal, data confirmed as current by its owner", "§5.1", async {
            let request = ApproveDataSourceRequest {
                name: names::SOURCE.into(),
                role: "legal".into(),
                note: "the licence permits this use; attribution is in the data card".into(),
                ..Default::default()
            };
            let source = who.sources("legal")?.approve_data_source(request).await?.into_inner();
            let current = ConfirmDataSourceCurrentRequest {
                name: names::SOURCE.into(),
                current_time: Some(to_wire(story.pace.now())),
                ..Default::default()
            };
            who.sources("data-owner")?.confirm_data_source_current(current).await?;
            Ok(((), source.state().as_str_name().to_owned()))
        })
        .await
}
