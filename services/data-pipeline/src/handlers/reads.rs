//! Reading what was built: splits as files, audit samples, data card, profile.

use bytes::Bytes;
use contracts::pipeline::v1::dataset_read_service_server::DatasetReadService;
use contracts::pipeline::v1::{
    AuditSample, Croissant, DataCard, DataFormat, DatasetDifference, DatasetProfile,
    DiffDatasetVersionsRequest, DrawAuditSampleRequest, GetCroissantRequest, GetDataCardRequest,
    GetProfileRequest, ReadSplitRequest, ReadSplitResponse,
};
use contracts::registry::v1::{DatasetVersion, GetDatasetVersionRequest};
use futures::{Stream, StreamExt, stream};
use std::pin::Pin;
use storage::Digest;
use tonic::{Request, Response, Status};

use crate::parse::{Fields, SAMPLE_ROWS, VERSION};
use crate::store::Build;
use crate::{Error, Pipeline, blocking, croissant, export};

/// Bytes of one piece of a file.
const PIECE: usize = 256 << 10;

type Pieces = Pin<Box<dyn Stream<Item = Result<ReadSplitResponse, Status>> + Send>>;

#[tonic::async_trait]
impl DatasetReadService for Pipeline {
    type ReadSplitStream = Pieces;

    async fn read_split(&self, request: Request<ReadSplitRequest>) -> Result<Response<Pieces>, Status> {
        Ok(Response::new(self.split(request.into_inner()).await?))
    }

    async fn draw_audit_sample(
        &self,
        request: Request<DrawAuditSampleRequest>,
    ) -> Result<Response<AuditSample>, Status> {
        Ok(Response::new(self.sample(request.into_inner()).await?))
    }

    async fn get_data_card(
        &self,
        request: Request<GetDataCardRequest>,
    ) -> Result<Response<DataCard>, Status> {
        Ok(Response::new(self.card(&request.into_inner().name).await?))
    }

    async fn get_croissant(
        &self,
        request: Request<GetCroissantRequest>,
    ) -> Result<Response<Croissant>, Status> {
        Ok(Response::new(self.croissant(request.into_inner()).await?))
    }

    async fn get_profile(
        &self,
        request: Request<GetProfileRequest>,
    ) -> Result<Response<DatasetProfile>, Status> {
        Ok(Response::new(self.profile(request.into_inner()).await?))
    }

    async fn diff_dataset_versions(
        &self,
        request: Request<DiffDatasetVersionsRequest>,
    ) -> Result<Response<DatasetDifference>, Status> {
        Ok(Response::new(self.difference(request.into_inner()).await?))
    }
}

impl Pipeline {
    pub(super) async fn built(&self, name: &str) -> Result<(Build, DatasetVersion), Error> {
        let mut fields = Fields::default();
        fields.name("name", name, VERSION);
        fields.done()?;
        let mut record = self.build_record(name).await?;
        let version =
            record.version.take().ok_or_else(|| Error::Damaged(format!("{name} has no version")))?;
        Ok((record, version))
    }

    async fn split(&self, request: ReadSplitRequest) -> Result<Pieces, Error> {
        let mut fields = Fields::default();
        fields.name("name", &request.name, VERSION);
        let known = ["train", "validation", "test"].contains(&request.split.as_str());
        fields.require(known, "split", "must be train, validation or test");
        fields.require(DataFormat::try_from(request.format).is_ok(), "format", "is no value of this enum");
        fields.done()?;
        let (_, version) = self.built(&request.name).await?;
        let split = version.splits.iter().find(|one| one.split == request.split);
        let split =
            split.ok_or_else(|| Error::Missing(format!("split {} of {}", request.split, request.name)))?;
        let digest = digest(&split.digest)?;
        let format = match request.format() {
            DataFormat::Csv => export::Text::Csv,
            DataFormat::Tsv => export::Text::Tsv,
            DataFormat::Jsonl => export::Text::Jsonl,
            DataFormat::Arrow => {
                let bytes = self.blobs().read(&digest).await?;
                return Ok(pieces(blocking::run("split", move || export::arrow(bytes)).await?));
            }
            DataFormat::Parquet | DataFormat::Unspecified => {
                let bytes = self.blobs().get(&digest).await?;
                return Ok(bytes
                    .map(|chunk| {
                        let chunk = chunk.map_err(|error| Status::from(Error::from(error)))?;
                        Ok(ReadSplitResponse { chunk })
                    })
                    .boxed());
            }
        };
        let bytes = self.blobs().read(&digest).await?;
        let text = blocking::run("split", move || export::text(bytes, format)).await?;
        Ok(pieces(text))
    }

    /// A seeded draw without replacement, in the order of the input's lines.
    async fn sample(&self, request: DrawAuditSampleRequest) -> Result<AuditSample, Error> {
        let mut fields = Fields::default();
        fields.name("name", &request.name, VERSION);
        fields.require((1..=SAMPLE_ROWS).contains(&request.rows), "rows", "must be 1 to 100000");
        fields.done()?;
        let (record, _) = self.built(&request.name).await?;
        let bytes = self.blobs().read(&digest(&record.clean_digest)?).await?;
        blocking::run("audit sample", move || export::sample(bytes, request.rows as usize, request.seed))
            .await
    }

    async fn card(&self, name: &str) -> Result<DataCard, Error> {
        let (record, version) = self.built(name).await?;
        let text = async |stored: &str| {
            let bytes = self.blobs().read(&digest(stored)?).await?;
            String::from_utf8(bytes.into()).map_err(|_| Error::Damaged(format!("card of {name}")))
        };
        let markdown = text(&record.card_digest).await?;
        let html =
            if record.page_digest.is_empty() { String::new() } else { text(&record.page_digest).await? };
        Ok(DataCard {
            name: name.to_owned(),
            markdown,
            digest: record.card_digest,
            missing_sections: record.missing_sections,
            create_time: version.create_time,
            html,
        })
    }

    /// From the version as the registry has it now: what was signed and found since the build stands in it too.
    async fn croissant(&self, request: GetCroissantRequest) -> Result<Croissant, Error> {
        let GetCroissantRequest { name, url } = request;
        let mut fields = Fields::default();
        fields.name("name", &name, VERSION);
        fields.require(url.is_empty() || croissant::is_web(&url), "url", "must be an http or https address");
        fields.done()?;
        let (record, built) = self.built(&name).await?;
        if !record.missing_sections.is_empty() {
            return Err(Error::CardIncomplete { name, sections: record.missing_sections });
        }
        let (dataset, sources) = self.described(contracts::name::parent(&name), &built.data_sources).await?;
        let asked = GetDatasetVersionRequest { name: name.clone() };
        let version = self.deps().datasets.clone().get_dataset_version(asked).await;
        let version = version.map_err(Error::Registry)?.into_inner();
        let facts = croissant::Facts { dataset: &dataset, sources: &sources, version: &version, url: &url };
        let json = croissant::write(&facts);
        let digest = Digest::of(json.as_bytes()).to_string();
        Ok(Croissant { name, json, digest, media_type: croissant::MEDIA_TYPE.to_owned() })
    }
}

pub(super) fn digest(text: &str) -> Result<Digest, Error> {
    text.parse().map_err(|_| Error::Damaged(format!("digest {text:?}")))
}

fn pieces(text: Vec<u8>) -> Pieces {
    let text = Bytes::from(text);
    let cut = move |at: usize| {
        let end = (at + PIECE).min(text.len());
        (at < text.len()).then(|| (Ok(ReadSplitResponse { chunk: text.slice(at..end) }), end))
    };
    stream::unfold(0, move |at| std::future::ready(cut(at))).boxed()
}
