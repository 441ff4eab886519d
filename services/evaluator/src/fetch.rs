//! What an evaluation needs of other services: version, model bytes, dataset version, rows, policy. Bytes are checked
//! against the digests that the records name.

use crate::{Deps, Error, Limits, preprocess::Before, table::Table};
use bytes::{Bytes, BytesMut};
use contracts::pipeline::v1::{DataFormat, ReadSplitRequest};
use contracts::registry::v1 as wire;
use features::Preprocessing;
use features::preprocessing::ARTIFACT_BYTES;
use lifecycle::policy::Policy;
use storage::Digest;
use tonic::{Code, Status, Streaming};

/// What is evaluated over what, by which rules.
pub struct Facts {
    /// The model: it names the task.
    pub model: wire::Model,
    /// The version.
    pub version: wire::ModelVersion,
    /// The dataset version.
    pub dataset: wire::DatasetVersion,
    /// The policy in force.
    pub policy: Policy,
}

/// Reads the records.
pub async fn facts(deps: &Deps, model_version: &str, dataset_version: &str) -> Result<Facts, Error> {
    let (mut models, mut datasets, mut policies) =
        (deps.models.clone(), deps.datasets.clone(), deps.policies.clone());
    let model = contracts::name::parent(model_version).to_owned();
    let version = wire::GetModelVersionRequest { name: model_version.to_owned() };
    let version = models.get_model_version(version).await.map_err(Error::peer("model version"))?.into_inner();
    let model = models
        .get_model(wire::GetModelRequest { name: model })
        .await
        .map_err(Error::peer("model"))?
        .into_inner();
    let dataset = wire::GetDatasetVersionRequest { name: dataset_version.to_owned() };
    let dataset =
        datasets.get_dataset_version(dataset).await.map_err(Error::peer("dataset version"))?.into_inner();
    let policy = policies
        .get_policy(wire::GetPolicyRequest::default())
        .await
        .map_err(Error::peer("policy"))?
        .into_inner();
    let parsed = Policy::parse(&policy.yaml).map_err(|error| Error::Policy(error.to_string()))?;
    if parsed.digest() != policy.digest {
        return Err(Error::Policy(format!(
            "its digest is {}, the registry says {}",
            parsed.digest(),
            policy.digest
        )));
    }
    Ok(Facts { model, version, dataset, policy: parsed })
}

/// The evaluation of that name, if the registry has one.
pub async fn existing(deps: &Deps, name: &str) -> Result<Option<wire::Evaluation>, Error> {
    let request = wire::GetEvaluationRequest { name: name.to_owned() };
    match deps.evaluations.clone().get_evaluation(request).await {
        Ok(found) => Ok(Some(found.into_inner())),
        Err(status) if status.code() == Code::NotFound => Ok(None),
        Err(status) => Err(Error::peer("evaluation")(status)),
    }
}

/// The model's bytes, checked against their digest.
pub async fn artifact(deps: &Deps, digest: &str, limits: &Limits) -> Result<Bytes, Error> {
    let request = wire::DownloadArtifactRequest { digest: digest.to_owned(), offset: 0 };
    let stream = deps.artifacts.clone().download_artifact(request).await.map_err(Error::peer("artifact"))?;
    let bytes = collect(stream.into_inner(), |piece| piece.chunk, "artifact", limits.model_bytes).await?;
    check(&bytes, digest, "the model")?;
    Ok(bytes)
}

/// The preprocessing of that digest, its golden rows replayed; none where there is no digest.
pub async fn preprocessing(deps: &Deps, digest: &str) -> Result<Option<Before>, Error> {
    if digest.is_empty() {
        return Ok(None);
    }
    let request = wire::DownloadArtifactRequest { digest: digest.to_owned(), offset: 0 };
    let stream = deps.artifacts.clone().download_artifact(request).await;
    let stream = stream.map_err(Error::peer("preprocessing"))?.into_inner();
    let bytes = collect(stream, |piece| piece.chunk, "preprocessing", ARTIFACT_BYTES).await?;
    check(&bytes, digest, "the preprocessing")?;
    let read = tokio::task::spawn_blocking(move || Preprocessing::read(&bytes)).await;
    let read = read.map_err(|error| Error::Damaged(format!("the preprocessing cannot be read: {error}")))?;
    let read = read.map_err(|error| Error::unfit(format!("preprocessing {digest}"), error.to_string()))?;
    Ok(Some(Before::new(read)))
}

/// The rows of a split, checked against its digest.
pub async fn split(
    deps: &Deps,
    dataset: &wire::DatasetVersion,
    split: &str,
    limits: &Limits,
) -> Result<Table, Error> {
    let known = dataset.splits.iter().find(|one| one.split == split).ok_or_else(|| {
        let splits: Vec<&str> = dataset.splits.iter().map(|one| one.split.as_str()).collect();
        Error::unfit(format!("split {split:?}"), format!("{} has {}", dataset.name, splits.join(", ")))
    })?;
    let request = ReadSplitRequest {
        name: dataset.name.clone(),
        split: split.to_owned(),
        format: DataFormat::Parquet as i32,
    };
    let stream = deps.splits.clone().read_split(request).await.map_err(Error::peer("split"))?;
    let bytes = collect(stream.into_inner(), |piece| piece.chunk, "split", limits.split_bytes).await?;
    if !known.digest.is_empty() {
        check(&bytes, &known.digest, "the split")?;
    }
    let limits = limits.clone();
    let table = tokio::task::spawn_blocking(move || Table::from_parquet(bytes, &limits)).await;
    table.map_err(|error| Error::Damaged(format!("the split cannot be read: {error}")))?
}

/// Hands the report over; the answer is the evaluation as the registry judged it.
pub async fn hand_over(
    deps: &Deps,
    parent: &str,
    evaluation_id: &str,
    evaluation: wire::Evaluation,
    request_id: &str,
) -> Result<wire::Evaluation, Error> {
    let request = wire::CreateEvaluationRequest {
        parent: parent.to_owned(),
        evaluation_id: evaluation_id.to_owned(),
        evaluation: Some(evaluation),
        request_id: request_id.to_owned(),
    };
    let made = deps
        .evaluations
        .clone()
        .create_evaluation(request)
        .await
        .map_err(Error::peer("create evaluation"))?;
    Ok(made.into_inner())
}

async fn collect<M>(
    mut stream: Streaming<M>,
    chunk: impl Fn(M) -> Bytes,
    call: &'static str,
    most: usize,
) -> Result<Bytes, Error> {
    let mut all = BytesMut::new();
    while let Some(piece) = stream.message().await.map_err(|status: Status| Error::peer(call)(status))? {
        let piece = chunk(piece);
        if most - all.len() < piece.len() {
            return Err(Error::TooLarge {
                what: format!("bytes of the {call}"),
                observed: format!("more than {most}"),
                allowed: most,
            });
        }
        all.extend_from_slice(&piece);
    }
    Ok(all.freeze())
}

fn check(bytes: &[u8], digest: &str, what: &str) -> Result<(), Error> {
    let observed = Digest::of(bytes).to_string();
    if observed == digest {
        return Ok(());
    }
    Err(Error::Damaged(format!("{what} has the digest {observed}, required {digest}")))
}
