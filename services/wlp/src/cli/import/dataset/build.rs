//! The build of a dataset version: the files uploaded, the plan put together, the operation waited for.

use anyhow::Context;
use contracts::pipeline::v1::cleaning_rule::Action;
use contracts::pipeline::v1::dataset_build_service_client::DatasetBuildServiceClient;
use contracts::pipeline::v1::upload_service_client::UploadServiceClient;
use contracts::pipeline::v1::{
    Augmentation, BuildDatasetVersionRequest, BuildPlan, CleaningRule, DataInput, Splits, UploadDataRequest,
};
use contracts::registry::v1::DatasetVersion;

use super::Dataset;
use crate::cli::import::{pieces, read};
use crate::cli::operation;
use crate::reach::To;
use crate::wire_json;

impl Dataset {
    /// Uploads the files and builds the version of them.
    pub(super) async fn build(&self) -> anyhow::Result<DatasetVersion> {
        let peer = self.caller.peer(To::DataPipeline, "data-engineer")?;
        let mut inputs = Vec::new();
        for file in &self.files {
            let (bytes, digest) = read(file)?;
            let (first, size_bytes) = (digest.clone(), bytes.len() as u64);
            let messages: Vec<_> = pieces(&bytes)
                .map(|(offset, chunk)| UploadDataRequest {
                    digest: if offset == 0 { first.clone() } else { String::new() },
                    size_bytes: if offset == 0 { size_bytes } else { 0 },
                    offset: 0,
                    chunk: chunk.into(),
                })
                .collect();
            UploadServiceClient::new(peer.clone()).upload_data(futures::stream::iter(messages)).await?;
            // Which format it has shows in its content, however it is called.
            let data_source = format!("dataSources/{}", self.source);
            inputs.push(DataInput { data_source, digest, ..DataInput::default() });
        }
        let request = BuildDatasetVersionRequest {
            parent: format!("datasets/{}", self.dataset),
            version: self.version.clone(),
            inputs,
            plan: Some(self.build_plan()?),
            ..Default::default()
        };
        let begun =
            DatasetBuildServiceClient::new(peer.clone()).build_dataset_version(request).await?.into_inner();
        operation(peer, begun).await
    }

    /// The plan of `--plan` with what the flags add to it.
    fn build_plan(&self) -> anyhow::Result<BuildPlan> {
        let mut plan: BuildPlan = match &self.plan {
            None => BuildPlan::default(),
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .with_context(|| format!("cannot read {}", path.display()))?;
                wire_json::from_json("wlp.pipeline.v1.BuildPlan", &text)
                    .with_context(|| format!("{}", path.display()))?
            }
        };
        if let Some(label) = &self.label {
            plan.label_column.clone_from(label);
        }
        plan.favourable_labels.extend(self.favourable.iter().cloned());
        plan.group_columns.extend(self.groups.iter().cloned());
        plan.missing_markers.extend(self.missing.iter().cloned());
        for (wanted, action) in
            [(self.drop_duplicates, Action::DropDuplicates), (self.drop_missing, Action::DropRowsWithMissing)]
        {
            if wanted {
                plan.cleaning.push(CleaningRule { action: action.into(), ..Default::default() });
            }
        }
        plan.augmentation.get_or_insert_with(|| Augmentation {
            not_applicable_reason: "the data is taken as it is".into(),
            ..Default::default()
        });
        plan.splits.get_or_insert_with(|| Splits {
            train: 0.7,
            validation: 0.1,
            test: 0.2,
            ..Default::default()
        });
        if plan.seed == 0 {
            plan.seed = self.seed;
        }
        Ok(plan)
    }
}
