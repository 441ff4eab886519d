//! Build records: what was asked for and what came of it, one for each version that was built here.

use contracts::pipeline::v1::{BuildDatasetVersionRequest, ReplayDatasetVersionRequest};
use contracts::registry::v1::DatasetVersion;
use prost::Message as _;
use storage::{Cause, Digest, Draft};

use crate::{Error, Pipeline};

const KIND: &str = "build";

/// A version that was built here: enough to read it, to audit it and to build it again.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Build {
    /// What was asked for.
    #[prost(message, optional, tag = "1")]
    pub request: Option<BuildDatasetVersionRequest>,
    /// Who asked.
    #[prost(string, tag = "2")]
    pub principal: String,
    /// As it was registered.
    #[prost(message, optional, tag = "3")]
    pub version: Option<DatasetVersion>,
    /// Rows before transformation, as Parquet.
    #[prost(string, tag = "4")]
    pub clean_digest: String,
    /// The data card as Markdown.
    #[prost(string, tag = "5")]
    pub card_digest: String,
    /// Sections of the card that lack their facts.
    #[prost(string, repeated, tag = "6")]
    pub missing_sections: Vec<String>,
    /// Violations, as JSON lines.
    #[prost(string, tag = "7")]
    pub quarantine_digest: String,
    /// The data card as a page; empty for versions of before there were pages.
    #[prost(string, tag = "20")]
    pub page_digest: String,
}

/// What an operation does; stored with it, so that it can be started again.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Job {
    /// Builds a version.
    #[prost(message, optional, tag = "1")]
    pub build: Option<BuildDatasetVersionRequest>,
    /// Builds one again and compares.
    #[prost(message, optional, tag = "2")]
    pub replay: Option<ReplayDatasetVersionRequest>,
    /// Who asked.
    #[prost(string, tag = "3")]
    pub principal: String,
    /// Resource that is made or looked at.
    #[prost(string, tag = "4")]
    pub subject: String,
    /// Step that runs.
    #[prost(string, tag = "5")]
    pub step: String,
    /// Times that it was taken up after a restart of the service.
    #[prost(uint32, tag = "6")]
    pub restarts: u32,
}

impl Pipeline {
    /// The build record of a version.
    ///
    /// # Errors
    /// [`Error::Missing`] if it was not built here.
    pub async fn build_record(&self, name: &str) -> Result<Build, Error> {
        let found = self.records().find(KIND, name).await?;
        let record = found.ok_or_else(|| Error::Missing(name.to_owned()))?;
        Ok(Build::decode(record.body.as_slice())?)
    }

    /// Keeps a build record; one that is there already stays.
    ///
    /// # Errors
    /// Of the database.
    pub async fn keep_build(&self, name: &str, build: &Build) -> Result<(), Error> {
        let body = build.encode_to_vec();
        storage::with_retry(async || {
            let cause = Cause {
                principal: build.principal.clone(),
                roles: Vec::new(),
                method: "build-dataset-version".into(),
                request_id: None,
                request_digest: Digest::of(&body),
                reason: String::new(),
                time: self.clock().now(),
                trace_id: runtime::trace::trace_id().unwrap_or_default(),
            };
            let mut unit = self.records().begin(cause).await?;
            if unit.find(KIND, name).await?.is_some() {
                return Ok(());
            }
            let (kind, parent) = (KIND.to_owned(), contracts::name::parent(name).to_owned());
            let draft =
                Draft { kind, name: name.to_owned(), parent, state: "BUILT".into(), body: body.clone() };
            unit.insert(draft, "build").await?;
            unit.commit(&[]).await?;
            Ok(())
        })
        .await
    }
}
