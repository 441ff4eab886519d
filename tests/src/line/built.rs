//! Dataset versions that the data-pipeline builds from rows.

use std::time::Duration;

use contracts::longrunning::{GetOperationRequest, Operation, operation};
use contracts::pipeline::v1::{
    BuildDatasetVersionRequest, BuildPlan, DataFormat, DataInput, UploadDataRequest,
};
use contracts::registry::v1::DatasetVersion;

use super::Line;
use crate::facts::within;
use crate::made::digest;
use crate::refusal::Answered;

/// Real time that an operation may take.
const PATIENCE: Duration = Duration::from_secs(300);
/// Bytes of a piece of an upload.
const PIECE: usize = 1 << 20;

impl Line {
    /// What an operation that `who` began comes to.
    ///
    /// # Panics
    /// If it fails, or does not end.
    pub async fn outcome<M: prost::Message + Default>(
        &self,
        service: &str,
        who: &str,
        begun: Operation,
    ) -> M {
        let ended = within(PATIENCE, "the operation ends", || async {
            let request = GetOperationRequest { name: begun.name.clone() };
            self.by(who).operations(service).get_operation(request).await.told().result
        })
        .await;
        match ended {
            operation::Result::Response(any) => M::decode(any.value.as_slice()).expect("the response"),
            operation::Result::Error(error) => panic!("{service}: {} {}", error.code, error.message),
        }
    }

    /// Version 1.0.0 of the dataset, built from the line's source.
    ///
    /// # Panics
    /// If it cannot be built.
    pub async fn build(&self, csv: &[u8], plan: BuildPlan) -> DatasetVersion {
        let digest = digest(csv);
        let messages: Vec<_> = csv
            .chunks(PIECE)
            .enumerate()
            .map(|(at, chunk)| UploadDataRequest {
                digest: if at == 0 { digest.clone() } else { String::new() },
                size_bytes: if at == 0 { csv.len() as u64 } else { 0 },
                offset: 0,
                chunk: chunk.to_vec().into(),
            })
            .collect();
        self.by("data-engineer").uploads().upload_data(tokio_stream::iter(messages)).await.told();
        let request = BuildDatasetVersionRequest {
            parent: self.dataset(),
            version: "1.0.0".into(),
            inputs: vec![DataInput {
                data_source: self.source(),
                digest,
                format: DataFormat::Csv.into(),
                ..Default::default()
            }],
            plan: Some(plan),
            request_id: String::new(),
        };
        let begun = self.by("data-engineer").builds().build_dataset_version(request).await.told();
        self.outcome("data-pipeline", "data-engineer", begun).await
    }
}
