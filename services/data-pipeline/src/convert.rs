//! What was built, as the registry's dataset version.

use contracts::common::v1::column_profile::Distribution;
use contracts::common::v1::{CategoricalCounts, ColumnProfile as WireProfile, NumericHistogram};
use contracts::pipeline::v1::{BuildDatasetVersionRequest, BuildPlan};
use contracts::registry::v1::{DatasetColumn, DatasetVersion, dataset_version::State};
use features::ColumnProfile;
use statistics::profile::FeatureProfile;

use crate::Error;
use crate::quality::Measured;
use crate::steps::Built;
use crate::table::Split;

/// The version to register, without its name. `references` are the profiles of its columns.
pub fn version(
    request: &BuildDatasetVersionRequest,
    built: &Built,
    measured: Measured,
    references: &[ColumnProfile],
    principal: &str,
) -> DatasetVersion {
    let plan = request.plan.clone().unwrap_or_default();
    let mut data_sources: Vec<String> =
        request.inputs.iter().map(|input| input.data_source.clone()).collect();
    data_sources.sort();
    data_sources.dedup();
    DatasetVersion {
        state: State::Draft.into(),
        data_sources,
        steps: built.steps.clone(),
        columns: columns(built, &plan),
        splits: built.files.splits.iter().map(|(split, _)| split.clone()).collect(),
        quality: measured.quality,
        profiles: references.iter().map(profile).collect(),
        group_shares: measured.groups,
        manifest_digest: features::digest::sha256(&built.files.manifest),
        transform_digest: built.serving.digest(),
        schema_digest: built.schema.digest(),
        label_column: plan.label_column,
        rows_in: built.raw.rows + built.raw.left,
        rows: built.rows.rows() as u64,
        built_by: principal.to_owned(),
        contributors: vec![principal.to_owned()],
        leaked_rows: Some(built.leaked),
        ..DatasetVersion::default()
    }
}

fn columns(built: &Built, plan: &BuildPlan) -> Vec<DatasetColumn> {
    let one = |column: &features::Column| DatasetColumn {
        name: column.name.clone(),
        r#type: column.kind.as_str().to_owned(),
        nullable: column.nullable,
        sensitive: column.sensitive,
        label: column.label,
        missing_text: built.raw.missing_texts.get(&column.name).cloned().unwrap_or_default(),
        derived: plan.derived.iter().any(|derived| derived.name == column.name),
        key: plan.key_columns.contains(&column.name),
    };
    built.schema.columns.iter().map(one).collect()
}

/// Profiles of the training split, the reference that drift is measured against; augmented rows are left out.
///
/// # Errors
/// Of the profiles.
pub fn references(built: &Built) -> Result<Vec<ColumnProfile>, Error> {
    let training = built.rows.original()?.part(Split::Train)?;
    let one = |column: &features::Column| {
        let values = training.column(&column.name)?;
        Ok(ColumnProfile::reference(&column.name, values, column.is_categorical())?)
    };
    built.schema.columns.iter().map(one).collect()
}

/// A profile on the wire.
pub fn profile(profile: &ColumnProfile) -> WireProfile {
    let distribution = match &profile.profile {
        FeatureProfile::Numeric { histogram, moments } => Distribution::Numeric(NumericHistogram {
            edges: histogram.edges().to_vec(),
            counts: histogram.counts().to_vec(),
            min: profile.range.map_or(f64::NAN, |range| range.lower),
            max: profile.range.map_or(f64::NAN, |range| range.upper),
            mean: moments.mean().unwrap_or(f64::NAN),
            variance: moments.variance().unwrap_or(f64::NAN),
        }),
        FeatureProfile::Categorical(categories) => {
            let mut counts = categories.bins();
            counts.truncate(categories.levels().len());
            Distribution::Categorical(CategoricalCounts {
                values: categories.levels().to_vec(),
                counts,
                other: categories.other(),
            })
        }
    };
    WireProfile {
        column: profile.column.clone(),
        rows: profile.rows(),
        missing: profile.profile.missing(),
        distribution: Some(distribution),
    }
}
