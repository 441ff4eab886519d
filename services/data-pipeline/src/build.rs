//! What the operations do: building a version, registering it with its card, and building it again to compare.

use bytes::{Buf, Bytes};
use contracts::pipeline::v1::{BuildDatasetVersionRequest, ReplayDatasetVersionRequest, ReplayResult};
use contracts::registry::v1::{
    CreateDatasetVersionRequest, DatasetVersion, GetDatasetVersionRequest, GetUploadRequest,
    UploadArtifactRequest,
};
use prost::Message as _;
use storage::Digest;
use tonic::Code;

use crate::steps::{self, Built, Progress};
use crate::store::Build;
use crate::{Error, Pipeline, blocking, card, convert, number, quality, sketches};

/// Bytes of one piece of an upload.
const PIECE: usize = 256 << 10;
/// Times that a build whose number was taken meanwhile asks for another one.
const RACES: u32 = 5;
/// Media type of a preprocessing.
const PREPROCESSING: &str = "application/vnd.wlp.preprocessing+json";

/// Builds a version, registers it and keeps its record.
///
/// # Errors
/// Whatever makes the build impossible.
pub async fn build(
    pipeline: &Pipeline,
    request: &BuildDatasetVersionRequest,
    principal: &str,
    operation: &str,
    progress: &dyn Progress,
) -> Result<DatasetVersion, Error> {
    let built = steps::run(pipeline, request, true, progress).await?;
    progress.at("quality", 0.85).await?;
    let plan = request.plan.clone().unwrap_or_default();
    let now = pipeline.clock().now();
    let (built, measured) = blocking::run("quality", move || {
        let measured = quality::measure(&built, &plan, now)?;
        Ok((built, measured))
    })
    .await?;
    let (asked, who) = (request.clone(), principal.to_owned());
    let (built, mut version, sketches) = blocking::run("profiles", move || {
        let references = convert::references(&built)?;
        let sketches = sketches::of(&built, &references)?.encode_to_vec();
        let version = convert::version(&asked, &built, measured, &references, &who);
        Ok((built, version, sketches))
    })
    .await?;
    version.sketch_digest = pipeline.blobs().put(sketches.into()).await?.to_string();
    progress.at("registration", 0.95).await?;
    publish(pipeline, &version.transform_digest, built.files.transform.clone()).await?;
    let mut tries = 0;
    let (made, registered) = loop {
        let existing = number::settle(pipeline, request, &mut version).await?;
        let made = card(pipeline, request, &built, &version).await?;
        version.data_card_digest = pipeline.blobs().put(made.markdown.clone().into()).await?.to_string();
        version.data_card_missing.clone_from(&made.missing);
        let registered = match existing {
            Some(existing) => Ok(existing),
            None => register(pipeline, request, &version, operation).await,
        };
        match registered {
            Err(error) if request.version.is_empty() && tries < RACES && number::taken(&error) => tries += 1,
            other => break (made, other?),
        }
    };
    let number = contracts::name::last(&registered.name).to_owned();
    let record = Build {
        request: Some(BuildDatasetVersionRequest {
            version: number,
            inputs: built.inputs.clone(),
            ..request.clone()
        }),
        principal: principal.to_owned(),
        clean_digest: Digest::of(&built.files.clean).to_string(),
        card_digest: registered.data_card_digest.clone(),
        missing_sections: made.missing,
        page_digest: pipeline.blobs().put(made.html.into()).await?.to_string(),
        quarantine_digest: Digest::of(&built.raw.quarantine).to_string(),
        version: Some(registered.clone()),
    };
    pipeline.keep_build(&registered.name, &record).await?;
    Ok(registered)
}

/// The card, from the build and what the registry knows of dataset and sources.
async fn card(
    pipeline: &Pipeline,
    request: &BuildDatasetVersionRequest,
    built: &Built,
    version: &DatasetVersion,
) -> Result<card::Made, Error> {
    let (dataset, sources) = pipeline.described(&request.parent, &version.data_sources).await?;
    let targets = pipeline.targets().await?;
    let raw = card::Raw {
        rows: built.raw.rows,
        left: built.raw.left,
        missing: &built.raw.missing,
        invalid_rows: built.raw.invalid_rows,
        violations: &built.raw.violations,
        duplicates: built.raw.duplicates,
    };
    let (audit, targets) = (built.audit.as_slice(), targets.as_slice());
    Ok(card::make(&card::Facts { dataset: &dataset, sources: &sources, version, raw, audit, targets }))
}

/// Puts the version's preprocessing where gateways and evaluators fetch artifacts.
async fn publish(pipeline: &Pipeline, digest: &str, bytes: Bytes) -> Result<(), Error> {
    let mut artifacts = pipeline.deps().artifacts.clone();
    let asked = GetUploadRequest { digest: digest.to_owned() };
    let known = artifacts.get_upload(asked).await.map_err(Error::Registry)?.into_inner();
    if known.complete {
        return Ok(());
    }
    let (mut rest, offset) = (bytes.clone(), known.received_bytes);
    rest.advance(usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len()));
    let mut first = Some(UploadArtifactRequest {
        digest: digest.to_owned(),
        size_bytes: bytes.len() as u64,
        offset,
        media_type: PREPROCESSING.to_owned(),
        chunk: Bytes::new(),
    });
    let pieces = std::iter::from_fn(move || {
        let chunk = rest.split_to(rest.len().min(PIECE));
        match first.take() {
            Some(first) => Some(UploadArtifactRequest { chunk, ..first }),
            None if chunk.is_empty() => None,
            None => Some(UploadArtifactRequest { chunk, ..UploadArtifactRequest::default() }),
        }
    });
    artifacts.upload_artifact(futures::stream::iter(pieces)).await.map_err(Error::Registry)?;
    Ok(())
}

/// Registers the version; the same content registered before is the same version.
async fn register(
    pipeline: &Pipeline,
    request: &BuildDatasetVersionRequest,
    version: &DatasetVersion,
    operation: &str,
) -> Result<DatasetVersion, Error> {
    let mut datasets = pipeline.deps().datasets.clone();
    let asked = CreateDatasetVersionRequest {
        parent: request.parent.clone(),
        version: contracts::name::last(&version.name).to_owned(),
        dataset_version: Some(version.clone()),
        request_id: operation.trim_start_matches("operations/").to_owned(),
    };
    let refused = match datasets.create_dataset_version(asked).await {
        Ok(registered) => return Ok(registered.into_inner()),
        Err(status) => status,
    };
    // An earlier run of this operation may have come this far; its times differ, so the registry sees another request.
    let again = matches!(refused.code(), Code::AlreadyExists | Code::FailedPrecondition);
    if again {
        let asked = GetDatasetVersionRequest { name: version.name.clone() };
        if let Ok(existing) = datasets.get_dataset_version(asked).await {
            let existing = existing.into_inner();
            if existing.manifest_digest == version.manifest_digest && existing.built_by == version.built_by {
                return Ok(existing);
            }
            return Err(Error::Conflict {
                name: version.name.clone(),
                existing: existing.manifest_digest,
                built: version.manifest_digest.clone(),
            });
        }
    }
    Err(Error::Registry(refused))
}

/// Builds a version again and compares what came of it.
///
/// # Errors
/// As [`build`].
pub async fn replay(
    pipeline: &Pipeline,
    request: &ReplayDatasetVersionRequest,
    progress: &dyn Progress,
) -> Result<ReplayResult, Error> {
    let record = pipeline.build_record(&request.name).await?;
    let asked = record.request.ok_or_else(|| Error::Damaged(format!("{} has no request", request.name)))?;
    let recorded = record.version.unwrap_or_default();
    let built = steps::run(pipeline, &asked, false, progress).await?;
    let mut differences = Vec::new();
    let mut compare = |what: &str, was: &str, is: &str| {
        if was != is {
            differences.push(format!("{what}: {was} is {is}"));
        }
    };
    let count = |what: &str, was: usize, is: usize| (was != is).then(|| format!("{what}: {was} is {is}"));
    let counts = [
        count("number of steps", recorded.steps.len(), built.steps.len()),
        count("number of splits", recorded.splits.len(), built.files.splits.len()),
    ];
    for (was, is) in recorded.steps.iter().zip(&built.steps) {
        compare(&was.step, &was.output_digest, &is.output_digest);
    }
    for (was, (is, _)) in recorded.splits.iter().zip(&built.files.splits) {
        compare(&format!("split {}", was.split), &was.digest, &is.digest);
    }
    compare("schema", &recorded.schema_digest, &built.schema.digest());
    compare("transform", &recorded.transform_digest, &built.serving.digest());
    differences.extend(counts.into_iter().flatten());
    Ok(ReplayResult { name: request.name.clone(), same: differences.is_empty(), differences })
}
