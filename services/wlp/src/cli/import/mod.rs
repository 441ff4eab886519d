//! `wlp import`: models and data that were made elsewhere.

mod audit;
mod dataset;
mod model;

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Subcommand, ValueEnum};
use contracts::common::v1::Task;
use contracts::registry::v1::project_service_client::ProjectServiceClient;
use contracts::registry::v1::{CreateProjectRequest, MetricDirection, Project};
use storage::Digest;
use tonic::Code;

use super::Caller;
use crate::reach::To;

/// Bytes of a piece of an upload.
const PIECE: usize = 1 << 18;

#[derive(Debug, Subcommand)]
pub enum Import {
    /// Registers an ONNX file as a version of a model, with a training run that says what the importer declares of it.
    Model(model::Model),
    /// Builds a dataset version from files of data and shows what was measured of it.
    Dataset(dataset::Dataset),
}

impl Import {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Model(model) => model.run().await,
            Self::Dataset(dataset) => dataset.run().await,
        }
    }
}

/// What a model does.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum TaskName {
    BinaryClassification,
    MulticlassClassification,
    Regression,
    TextClassification,
    TextGeneration,
}

/// Which way a metric is better.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum DirectionName {
    Higher,
    Lower,
}

impl From<DirectionName> for MetricDirection {
    fn from(name: DirectionName) -> Self {
        match name {
            DirectionName::Higher => Self::Higher,
            DirectionName::Lower => Self::Lower,
        }
    }
}

impl From<TaskName> for Task {
    fn from(name: TaskName) -> Self {
        match name {
            TaskName::BinaryClassification => Self::BinaryClassification,
            TaskName::MulticlassClassification => Self::MulticlassClassification,
            TaskName::Regression => Self::Regression,
            TaskName::TextClassification => Self::TextClassification,
            TaskName::TextGeneration => Self::TextGeneration,
        }
    }
}

/// The project that an import belongs to, made as a draft if it is not there.
async fn project(caller: &Caller, id: &str, task: Task, primary_metric: &str) -> anyhow::Result<String> {
    let project = Project {
        display_name: format!("{id} (imported)"),
        task: task.into(),
        primary_metric: primary_metric.into(),
        ..Default::default()
    };
    let request =
        CreateProjectRequest { project_id: id.into(), project: Some(project), ..Default::default() };
    let mut projects = ProjectServiceClient::new(caller.peer(To::Registry, "ml-engineer")?);
    unless_there(projects.create_project(request).await)?;
    Ok(format!("projects/{id}"))
}

/// What exists already is taken as it is.
fn unless_there<T>(answer: Result<T, tonic::Status>) -> Result<Option<T>, tonic::Status> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(status) if status.code() == Code::AlreadyExists => Ok(None),
        Err(status) => Err(status),
    }
}

/// The bytes of a file and their digest.
fn read(path: &Path) -> anyhow::Result<(Vec<u8>, String)> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let digest = Digest::of(&bytes).to_string();
    Ok((bytes, digest))
}

/// The pieces of an upload: `(offset, bytes)`.
fn pieces(bytes: &[u8]) -> impl Iterator<Item = (usize, Vec<u8>)> + '_ {
    (0..bytes.len().max(1))
        .step_by(PIECE)
        .map(|offset| (offset, bytes[offset..(offset + PIECE).min(bytes.len())].to_vec()))
}

/// `name=value`
fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or_else(|| format!("{text:?} is no name=value"))?;
    Ok((name.to_owned(), value.to_owned()))
}

/// `name=number`
fn number(text: &str) -> Result<(String, f64), String> {
    let (name, value) = pair(text)?;
    let value = value.parse().map_err(|_| format!("{value:?} is no number"))?;
    Ok((name, value))
}
