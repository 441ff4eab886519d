//! Files become a dataset version: source, its approvals, the build, an audit against the file itself, the release.

mod build;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, ValueEnum};
use contracts::common::v1::Task;
use contracts::registry::v1::data_source_service_client::DataSourceServiceClient;
use contracts::registry::v1::dataset_service_client::DatasetServiceClient;
use contracts::registry::v1::{
    ApproveDataSourceRequest, ConfirmDataSourceCurrentRequest, CreateDataSourceRequest, CreateDatasetRequest,
    DataSource, Dataset as WireDataset, DatasetVersion, ReleaseDatasetVersionRequest,
    SignDatasetRelevanceRequest, SourceKind,
};

use super::{Caller, TaskName, audit, project, unless_there};
use crate::reach::To;
use crate::story::finding_line;

#[derive(Debug, Args)]
#[allow(clippy::struct_field_names)] // the option is called so
pub struct Dataset {
    /// CSV, TSV, JSON lines, Parquet or Arrow files, plain or as gzip or zstd, recognised by their content.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Id of the dataset; made if it is not there.
    #[arg(long)]
    dataset: String,
    /// Number of the version; without it, the one that follows from what differs from the latest version.
    #[arg(long, default_value = "")]
    version: String,
    /// Id of the project; made as a draft if it is not there.
    #[arg(long, default_value = "imported")]
    project: String,
    /// What models of the project do.
    #[arg(long, value_enum, default_value = "binary-classification")]
    task: TaskName,
    /// Id of the data source; registered and approved by the roles that its kind asks for, if it is not there.
    #[arg(long)]
    source: String,
    /// Kind of the source.
    #[arg(long, value_enum, default_value = "public")]
    kind: Kind,
    /// SPDX id of its licence.
    #[arg(long, default_value = "CC-BY-4.0")]
    license: String,
    /// Contract of a third party's source.
    #[arg(long, default_value = "")]
    contract: String,
    /// JSON file of a wlp.pipeline.v1.BuildPlan; the flags below add to it.
    #[arg(long)]
    plan: Option<PathBuf>,
    /// Label column.
    #[arg(long)]
    label: Option<String>,
    /// Favourable label; may be given again.
    #[arg(long = "favourable")]
    favourable: Vec<String>,
    /// Sensitive column, kept for fairness; may be given again.
    #[arg(long = "group")]
    groups: Vec<String>,
    /// Text that means missing; may be given again.
    #[arg(long = "missing")]
    missing: Vec<String>,
    /// Removes rows that stand twice.
    #[arg(long)]
    drop_duplicates: bool,
    /// Removes rows with a missing cell.
    #[arg(long)]
    drop_missing: bool,
    /// Seed of splits and samples.
    #[arg(long, default_value_t = 2026)]
    seed: u64,
    /// Compares so many rows with the files themselves, read apart (CSV only), signs the relevance and releases.
    #[arg(long)]
    audit: Option<u32>,
    #[command(flatten)]
    caller: Caller,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    Internal,
    Public,
    Synthetic,
    ThirdParty,
}

impl Kind {
    fn wire(self) -> SourceKind {
        match self {
            Self::Internal => SourceKind::Internal,
            Self::Public => SourceKind::Public,
            Self::Synthetic => SourceKind::Synthetic,
            Self::ThirdParty => SourceKind::ThirdParty,
        }
    }
}

impl Dataset {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let task: Task = self.task.into();
        let project = project(&self.caller, &self.project, task, "accuracy").await?;
        self.source().await?;
        self.dataset(&project).await?;
        let version = self.build().await?;
        show(&version);
        if let Some(rows) = self.audit {
            println!("{}", audit::record(&self.caller, &version.name, &self.files, rows, self.seed).await?);
            let version = self.release(&version.name).await?;
            println!("{} {}", version.name, version.state().as_str_name());
            for finding in &version.findings {
                println!("  {}", finding_line(finding));
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    /// The source with what §5.1 asks to consider, approved by every role of its kind.
    async fn source(&self) -> anyhow::Result<()> {
        let policy = lifecycle::Policy::builtin();
        let word = self.kind.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
        let row =
            policy.sources.types.iter().find(|row| row.kind.as_str() == word).context("a kind of §5.1")?;
        let declared =
            |what: &dyn std::fmt::Display| (what.to_string(), "declared by the importer".to_owned());
        let source = DataSource {
            display_name: self.source.clone(),
            kind: self.kind.wire().into(),
            origin: self.files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(", "),
            license: self.license.clone(),
            contract: self.contract.clone(),
            considerations: row.considerations.iter().map(|one| declared(one)).collect(),
            ..Default::default()
        };
        let client =
            |who: &str| anyhow::Ok(DataSourceServiceClient::new(self.caller.peer(To::Registry, who)?));
        let request = CreateDataSourceRequest {
            data_source_id: self.source.clone(),
            data_source: Some(source),
            ..Default::default()
        };
        if unless_there(client("data-engineer")?.create_data_source(request).await)?.is_none() {
            return Ok(());
        }
        let name = format!("dataSources/{}", self.source);
        for role in &row.approvals {
            let request =
                ApproveDataSourceRequest { name: name.clone(), role: role.to_string(), ..Default::default() };
            client(role.as_str())?.approve_data_source(request).await?;
        }
        let current_time = Some(contracts::time::to_wire(runtime::Clock::real().now()));
        let request = ConfirmDataSourceCurrentRequest { name, current_time, ..Default::default() };
        client("data-owner")?.confirm_data_source_current(request).await?;
        Ok(())
    }

    async fn dataset(&self, project: &str) -> anyhow::Result<()> {
        let dataset = WireDataset {
            display_name: self.dataset.clone(),
            project: project.into(),
            description: "imported".into(),
            update_frequency: "declared by the importer: none".into(),
            privacy_note: "declared by the importer: none".into(),
            collection_note: "declared by the importer: see the source".into(),
            ..Default::default()
        };
        let request = CreateDatasetRequest {
            dataset_id: self.dataset.clone(),
            dataset: Some(dataset),
            ..Default::default()
        };
        let mut datasets = DatasetServiceClient::new(self.caller.peer(To::Registry, "data-engineer")?);
        unless_there(datasets.create_dataset(request).await)?;
        Ok(())
    }

    async fn release(&self, name: &str) -> anyhow::Result<DatasetVersion> {
        let client = |who: &str| anyhow::Ok(DatasetServiceClient::new(self.caller.peer(To::Registry, who)?));
        let note = "declared by the importer: made for this task".to_owned();
        let request = SignDatasetRelevanceRequest { name: name.into(), note, ..Default::default() };
        client("ml-lead")?.sign_dataset_relevance(request).await?;
        let request = ReleaseDatasetVersionRequest { name: name.into(), ..Default::default() };
        Ok(client("data-engineer")?.release_dataset_version(request).await?.into_inner())
    }
}

/// What was measured, dimension by dimension.
fn show(version: &DatasetVersion) {
    println!(
        "{} {}: {} rows in, {} rows",
        version.name,
        version.state().as_str_name(),
        version.rows_in,
        version.rows
    );
    for split in &version.splits {
        println!("  {:12} {} rows {}", split.split, split.rows, split.digest);
    }
    for one in &version.quality {
        let value = one
            .value
            .as_ref()
            .map_or_else(|| "not measured".to_owned(), |value| format!("{:.5}", value.value));
        let why = if one.not_applicable_reason.is_empty() { &one.method } else { &one.not_applicable_reason };
        println!("  {:12} {value} ({} of {}) {why}", one.dimension, one.bad, one.all);
        for detail in one.details.iter().filter(|detail| detail.value != 0.0).take(20) {
            println!(
                "    {:24} {:.5} n={}",
                format!("{} {}", detail.metric, detail.slice),
                detail.value,
                detail.sample_size
            );
        }
    }
}
