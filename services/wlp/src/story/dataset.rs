//! §5.2 to §5.4: versions of the dataset through seven steps, audited, judged over eight dimensions.

use contracts::common::v1::Verdict;
use contracts::pipeline::v1::derived_column::Operation;
use contracts::pipeline::v1::{
    Augmentation, BuildDatasetVersionRequest, BuildPlan, ColumnRule, DataFormat, DataInput, DerivedColumn,
    Splits, UploadDataRequest,
};
use contracts::registry::v1::{
    DatasetVersion, ReleaseDatasetVersionRequest, SignDatasetRelevanceRequest, dataset_version::State,
};
use storage::Digest;

use super::{Story, failures, names};
use crate::reach::To;

/// Rows of the audit: the fewest that can show more than 99 % with 95 % confidence.
const AUDITED: u32 = 300;
/// Bytes of a piece of an upload.
const PIECE: usize = 1 << 18;

/// Builds, audits, signs and releases the dataset version that everything is trained and judged on.
///
/// # Errors
/// The first step that was not accepted.
pub async fn dataset(story: &Story, csv: &[u8]) -> anyhow::Result<()> {
    let version = story
        .step("dataset 1.0.0 through seven steps", "§5.3", async {
            let version = build_dataset(story, "1.0.0", csv).await?;
            let splits = version.splits.iter().map(|split| format!("{} {}", split.split, split.rows));
            let said = format!(
                "{}: {} steps, {} rows: {}",
                version.tag,
                version.steps.len(),
                version.rows,
                splits.collect::<Vec<_>>().join(", ")
            );
            Ok((version, said))
        })
        .await?;
    story
        .step("300 rows audited against scikit-learn's own arrays", "§5.2", async {
            Ok(((), story.makers.audit(&version.name, AUDITED).await?))
        })
        .await?;
    sign(story, &version.name).await?;
    story
        .step("dataset 1.0.0 released", "§5.2", async {
            let version = release(story, &version.name).await?;
            anyhow::ensure!(
                version.state() == State::Ready,
                "{}: {}",
                version.state().as_str_name(),
                failures(&version.findings)
            );
            let passed = version.findings.iter().filter(|one| one.verdict() == Verdict::Pass).count();
            Ok((
                (),
                format!(
                    "READY, {passed} of {} dimensions pass, the others do not apply",
                    version.findings.len()
                ),
            ))
        })
        .await
}

/// The dirty copy is judged, and kept as UNFIT.
///
/// # Errors
/// The first step that was not accepted.
pub async fn build_dirty(story: &Story, csv: &[u8]) -> anyhow::Result<()> {
    story
        .step("a dirty copy of the data is UNFIT", "§5.2", async {
            let version = build_dataset(story, "1.1.0", csv).await?;
            story.makers.audit(&version.name, AUDITED).await?;
            let request = SignDatasetRelevanceRequest {
                name: version.name.clone(),
                note: "the same pictures".into(),
                ..Default::default()
            };
            story.actors.datasets("ml-lead")?.sign_dataset_relevance(request).await?;
            let version = release(story, &version.name).await?;
            let failed = failures(&version.findings);
            anyhow::ensure!(
                version.state() == State::Unfit && !failed.is_empty(),
                "{}",
                version.state().as_str_name()
            );
            Ok(((), format!("UNFIT: {failed}")))
        })
        .await
}

async fn sign(story: &Story, name: &str) -> anyhow::Result<()> {
    story
        .step("relevance signed by the ML lead", "§5.2", async {
            let request = SignDatasetRelevanceRequest {
                name: name.into(),
                note:
                    "pictures of the digits that the forms have; one source, so nothing to be consistent with"
                        .into(),
                ..Default::default()
            };
            let version =
                story.actors.datasets("ml-lead")?.sign_dataset_relevance(request).await?.into_inner();
            Ok(((), format!("by {}", version.relevance_signed_by)))
        })
        .await
}

async fn release(story: &Story, name: &str) -> anyhow::Result<DatasetVersion> {
    let request = ReleaseDatasetVersionRequest { name: name.into(), ..Default::default() };
    Ok(story.actors.datasets("data-engineer")?.release_dataset_version(request).await?.into_inner())
}

/// Uploads the bytes and builds a version from them.
///
/// # Errors
/// The refusal of the data-pipeline or of the registry.
pub async fn build_dataset(story: &Story, version: &str, csv: &[u8]) -> anyhow::Result<DatasetVersion> {
    let digest = upload(story, csv).await?;
    let input = DataInput {
        data_source: names::SOURCE.into(),
        digest,
        format: DataFormat::Csv.into(),
        ..Default::default()
    };
    let request = BuildDatasetVersionRequest {
        parent: names::DATASET.into(),
        version: version.into(),
        inputs: vec![input],
        plan: Some(digits_plan()),
        ..Default::default()
    };
    let operation = story.actors.builds("data-engineer")?.build_dataset_version(request).await?.into_inner();
    story.actors.outcome(To::DataPipeline, "data-engineer", operation).await
}

async fn upload(story: &Story, bytes: &[u8]) -> anyhow::Result<String> {
    let (digest, size_bytes) = (Digest::of(bytes).to_string(), bytes.len() as u64);
    let (first, all) = (digest.clone(), bytes.to_vec());
    let pieces = (0..bytes.len().max(1)).step_by(PIECE).map(move |offset| UploadDataRequest {
        digest: if offset == 0 { first.clone() } else { String::new() },
        size_bytes: if offset == 0 { size_bytes } else { 0 },
        offset: 0,
        chunk: all[offset..(offset + PIECE).min(all.len())].to_vec().into(),
    });
    let done =
        story.actors.uploads("data-engineer")?.upload_data(futures::stream::iter(pieces)).await?.into_inner();
    Ok(done.digest)
}

/// What is done with the digits: schema and ranges, the two batches of writers as groups, three splits; pixels are served as
/// they are, so nothing is transformed.
pub fn digits_plan() -> BuildPlan {
    let column = |name: String, max: f64| ColumnRule {
        name,
        r#type: "int64".into(),
        nullable: true,
        min: Some(0.0),
        max: Some(max),
        ..Default::default()
    };
    let mut columns: Vec<_> = (0..64).map(|pixel| column(format!("pixel_{pixel}"), 16.0)).collect();
    columns.push(column("digit".into(), 9.0));
    BuildPlan {
        columns,
        label_column: "digit".into(),
        favourable_labels: vec!["0".into()],
        group_columns: vec!["cohort".into()],
        missing_markers: vec!["?".into()],
        derived: vec![DerivedColumn {
            name: "cohort".into(),
            from: Vec::new(),
            operation: Operation::RowBand.into(),
            thresholds: vec![0.5],
            labels: vec!["first-batch".into(), "second-batch".into()],
        }],
        augmentation: Some(Augmentation {
            not_applicable_reason:
                "the model is exact on the intensities of the scanner; more pictures would be made up".into(),
            ..Default::default()
        }),
        splits: Some(Splits {
            train: 0.4,
            validation: 0.1,
            test: 0.5,
            stratify_column: "digit".into(),
            ..Default::default()
        }),
        seed: 2026,
        ..Default::default()
    }
}
