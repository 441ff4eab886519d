//! Datasets and their versions: seven steps (§5.3), eight quality dimensions (§5.2).

use async_trait::async_trait;
use contracts::registry::v1::{dataset_service_server::DatasetService, *};
use lifecycle::dataset::{missing_steps, release};
use lifecycle::documents::{Document as Template, card_complete};
use lifecycle::quality::judge;
use lifecycle::separation::Action;
use lifecycle::source::missing_for_use;
use lifecycle::{Finding, Findings, Rejection};
use tonic::{Request, Response, Status};

use super::dataset_numbers;
use super::documents::name_of;
use crate::convert::{self, data_source::source, dataset};
use crate::store::{Resource, Stored};
use crate::work::{Verb, Work};
use crate::{Error, Registry, parse::Fields};

#[tonic::async_trait]
impl DatasetService for Registry {
    async fn create_dataset(
        &self,
        request: Request<CreateDatasetRequest>,
    ) -> Result<Response<Dataset>, Status> {
        self.carry_out(request).await
    }

    async fn get_dataset(&self, request: Request<GetDatasetRequest>) -> Result<Response<Dataset>, Status> {
        self.get(&request.into_inner().name).await
    }

    async fn list_datasets(
        &self,
        request: Request<ListDatasetsRequest>,
    ) -> Result<Response<ListDatasetsResponse>, Status> {
        let ListDatasetsRequest { page_size, page_token } = request.into_inner();
        let (datasets, next_page_token) =
            self.page(page_size, &page_token, Fields::default(), |query| query).await?;
        Ok(Response::new(ListDatasetsResponse { datasets, next_page_token }))
    }

    async fn create_dataset_version(
        &self,
        request: Request<CreateDatasetVersionRequest>,
    ) -> Result<Response<DatasetVersion>, Status> {
        self.carry_out(request).await
    }

    async fn get_dataset_version(
        &self,
        request: Request<GetDatasetVersionRequest>,
    ) -> Result<Response<DatasetVersion>, Status> {
        self.get(&request.into_inner().name).await
    }

    async fn list_dataset_versions(
        &self,
        request: Request<ListDatasetVersionsRequest>,
    ) -> Result<Response<ListDatasetVersionsResponse>, Status> {
        let ListDatasetVersionsRequest { parent, page_size, page_token } = request.into_inner();
        let (dataset_versions, next_page_token) =
            self.page_below((&parent, Dataset::FORM), page_size, &page_token).await?;
        Ok(Response::new(ListDatasetVersionsResponse { dataset_versions, next_page_token }))
    }

    async fn number_dataset_version(
        &self,
        request: Request<NumberDatasetVersionRequest>,
    ) -> Result<Response<DatasetNumber>, Status> {
        Ok(Response::new(self.number_version(request.into_inner()).await?))
    }

    async fn record_dataset_audit(
        &self,
        request: Request<RecordDatasetAuditRequest>,
    ) -> Result<Response<DatasetVersion>, Status> {
        self.carry_out(request).await
    }

    async fn sign_dataset_relevance(
        &self,
        request: Request<SignDatasetRelevanceRequest>,
    ) -> Result<Response<DatasetVersion>, Status> {
        self.carry_out(request).await
    }

    async fn release_dataset_version(
        &self,
        request: Request<ReleaseDatasetVersionRequest>,
    ) -> Result<Response<DatasetVersion>, Status> {
        self.carry_out(request).await
    }
}

#[async_trait]
impl Verb for CreateDatasetRequest {
    type Answer = Dataset;

    fn check(&self, fields: &mut Fields) {
        fields.id("dataset_id", &self.dataset_id);
        fields.message("dataset", self.dataset.as_ref(), |fields, dataset| {
            fields.name("dataset.project", &dataset.project, Project::FORM);
            for (field, text) in [
                ("dataset.display_name", &dataset.display_name),
                ("dataset.description", &dataset.description),
                ("dataset.update_frequency", &dataset.update_frequency),
                ("dataset.privacy_note", &dataset.privacy_note),
                ("dataset.collection_note", &dataset.collection_note),
            ] {
                fields.optional_text(field, text);
            }
        });
    }

    async fn decide(self, work: &mut Work) -> Result<Dataset, Error> {
        let dataset =
            Dataset { name: format!("datasets/{}", self.dataset_id), ..self.dataset.unwrap_or_default() };
        work.read::<Project>(&dataset.project).await?;
        work.insert(dataset, "create").await
    }
}

#[async_trait]
impl Verb for CreateDatasetVersionRequest {
    type Answer = DatasetVersion;

    fn check(&self, fields: &mut Fields) {
        fields.name("parent", &self.parent, Dataset::FORM);
        fields.version("version", &self.version);
        fields.message("dataset_version", self.dataset_version.as_ref(), check_version);
    }

    async fn decide(self, work: &mut Work) -> Result<DatasetVersion, Error> {
        let parent = work.read::<Dataset>(&self.parent).await?;
        work.authorize(Action::RegisterDatasetVersion, &[])?;
        let policy = work.policy();
        let given = self.dataset_version.unwrap_or_default();
        let asked = self.version.parse().map_err(|_| Error::field("version", "major.minor.patch"))?;
        let name = format!("{}/versions/{}", parent.name, self.version);
        usable(work, &given, &name).await?;
        let (content, first) = (dataset::content(&given), policy.quality.first_version.value);
        dataset_numbers::check(work, &parent.name, &content, asked, first).await?;
        let mut contributors = given.contributors.clone();
        contributors.extend([given.built_by.clone(), work.principal()]);
        contributors.sort();
        contributors.dedup();
        contributors.retain(|one| !one.is_empty());
        work.contributes(&name, contributors.clone()).await?;
        let version = DatasetVersion {
            name,
            tag: format!("ds-v{}", self.version),
            state: dataset_version::State::Draft.into(),
            findings: Vec::new(),
            audit: None,
            relevance_signed_by: String::new(),
            relevance_signed_role: String::new(),
            relevance_note: String::new(),
            relevance_sign_time: None,
            contributors,
            policy_digest: policy.digest().to_owned(),
            ..given
        };
        work.insert(version, "create").await
    }
}

/// Every source approved and in date, every step there (§5.1, §5.3).
async fn usable(work: &Work, given: &DatasetVersion, name: &str) -> Result<(), Error> {
    sources_hold(work, given, name).await?;
    let mut found = Findings::new();
    found.extend(missing_steps(&dataset::steps(given)?, &work.policy().quality));
    Ok(found.into_result("DATASET_STEPS_INCOMPLETE", name)?)
}

/// The sources of a version, each approved and in date (§5.1).
async fn sources_hold(work: &Work, version: &DatasetVersion, name: &str) -> Result<Vec<DataSource>, Error> {
    let policy = work.policy();
    let (mut sources, mut found) = (Vec::new(), Findings::new());
    for source_name in &version.data_sources {
        let seen = work.read::<DataSource>(source_name).await?;
        for finding in missing_for_use(&source(&seen)?, work.now(), &policy.sources) {
            let subject = format!("{source_name}: {}", finding.subject);
            found.add(finding.clause, subject, finding.required, finding.observed);
        }
        sources.push(seen.into_inner());
    }
    found.into_result("SOURCE_NOT_APPROVED", name)?;
    Ok(sources)
}

/// Looks at every field of a version that the data-pipeline hands in.
pub(super) fn check_version(fields: &mut Fields, version: &DatasetVersion) {
    fields.require(!version.data_sources.is_empty(), "dataset_version.data_sources", "required");
    fields.each("dataset_version.data_sources", &version.data_sources, |fields, at, name| {
        fields.name(at, name, DataSource::FORM);
    });
    fields.each("dataset_version.steps", &version.steps, |fields, at, step| {
        let known = step.step.parse::<lifecycle::dataset::Step>().is_ok();
        fields.require(known, &format!("{at}.step"), "is none of the seven steps");
        fields.optional_digest(&format!("{at}.input_digest"), &step.input_digest);
        fields.optional_digest(&format!("{at}.output_digest"), &step.output_digest);
        fields.optional_digest(&format!("{at}.code_digest"), &step.code_digest);
        fields.optional_text(&format!("{at}.parameters"), &step.parameters);
        fields.optional_text(&format!("{at}.not_applicable_reason"), &step.not_applicable_reason);
    });
    fields.each("dataset_version.quality", &version.quality, |fields, at, one| {
        let known = one.dimension.parse::<lifecycle::dataset::Dimension>().is_ok();
        fields.require(known, &format!("{at}.dimension"), "is none of the eight dimensions");
        fields.require(one.bad <= one.all, &format!("{at}.bad"), "must be at most `all`");
        fields.optional_text(&format!("{at}.not_applicable_reason"), &one.not_applicable_reason);
        fields.optional_time(&format!("{at}.newest_event_time"), one.newest_event_time.as_ref());
    });
    fields.each("dataset_version.splits", &version.splits, |fields, at, split| {
        fields.text(&format!("{at}.split"), &split.split);
        fields.digest(&format!("{at}.digest"), &split.digest);
    });
    fields.each("dataset_version.group_shares", &version.group_shares, |fields, at, group| {
        fields.share(&format!("{at}.share"), group.share);
        fields.share(&format!("{at}.reference_share"), group.reference_share);
    });
    fields.each("dataset_version.columns", &version.columns, |fields, at, column| {
        fields.text(&format!("{at}.name"), &column.name);
    });
    fields.digest("dataset_version.manifest_digest", &version.manifest_digest);
    fields.digest("dataset_version.schema_digest", &version.schema_digest);
    fields.optional_digest("dataset_version.transform_digest", &version.transform_digest);
    fields.optional_digest("dataset_version.data_card_digest", &version.data_card_digest);
    fields.texts("dataset_version.data_card_missing", &version.data_card_missing);
    fields.optional_digest("dataset_version.sketch_digest", &version.sketch_digest);
    fields.text("dataset_version.built_by", &version.built_by);
    fields.texts("dataset_version.contributors", &version.contributors);
}

#[async_trait]
impl Verb for RecordDatasetAuditRequest {
    type Answer = DatasetVersion;

    fn check(&self, fields: &mut Fields) {
        fields.name("name", &self.name, DatasetVersion::FORM);
        fields.message("audit", self.audit.as_ref(), |fields, audit| {
            fields.digest("audit.sample_digest", &audit.sample_digest);
            fields.require(0 < audit.rows, "audit.rows", "must be above 0");
            fields.require(audit.wrong_rows <= audit.rows, "audit.wrong_rows", "must be at most rows");
            fields.text("audit.method", &audit.method);
            fields.texts("audit.wrong", &audit.wrong);
        });
    }

    async fn decide(self, work: &mut Work) -> Result<DatasetVersion, Error> {
        let seen = work.open::<DatasetVersion>(&self.name, &self.etag).await?;
        draft(&seen)?;
        not_a_contributor(work, &seen, "audit", "§5.2").await?;
        let by = work.approval(&work.policy().quality.auditors.value)?;
        let given = self.audit.unwrap_or_default();
        let audit = DatasetAudit { auditor: by.principal, time: work.wire_now(), ..given };
        let next = DatasetVersion { audit: Some(audit), ..(*seen).clone() };
        work.save(&seen, next, "record-audit").await
    }
}

#[async_trait]
impl Verb for SignDatasetRelevanceRequest {
    type Answer = DatasetVersion;

    fn check(&self, fields: &mut Fields) {
        fields.name("name", &self.name, DatasetVersion::FORM);
        fields.text("note", &self.note);
    }

    async fn decide(self, work: &mut Work) -> Result<DatasetVersion, Error> {
        let seen = work.open::<DatasetVersion>(&self.name, &self.etag).await?;
        draft(&seen)?;
        not_a_contributor(work, &seen, "relevance", "§5.2").await?;
        let approval = work.approval(&work.policy().quality.signers.value)?;
        work.approves(&self.name, "relevance", &approval).await?;
        let next = DatasetVersion {
            relevance_signed_by: approval.principal,
            relevance_signed_role: approval.role.to_string(),
            relevance_note: self.note,
            relevance_sign_time: work.wire_now(),
            ..(*seen).clone()
        };
        work.save(&seen, next, "sign-relevance").await
    }
}

#[async_trait]
impl Verb for ReleaseDatasetVersionRequest {
    type Answer = DatasetVersion;

    fn check(&self, fields: &mut Fields) {
        fields.name("name", &self.name, DatasetVersion::FORM);
    }

    async fn decide(self, work: &mut Work) -> Result<DatasetVersion, Error> {
        let seen = work.open::<DatasetVersion>(&self.name, &self.etag).await?;
        let policy = work.policy();
        let sources = sources_hold(work, &seen, &self.name).await?; // as they are now: one may have been revoked
        card_complete(&self.name, &unwritten(work, &seen).await?, &policy.documents)?;
        let contributors = work.contributors(&self.name).await?;
        let evidence = dataset::evidence(&seen, &sources, contributors, &policy.quality);
        let judgement = judge(&evidence, work.now(), &policy.quality);
        let steps = dataset::steps(&seen)?;
        let state = release(dataset::state(&seen), &steps, seen.leaked_rows, &judgement, &policy.quality)?;
        let findings = judgement.dimensions.iter();
        let mut next = DatasetVersion {
            findings: findings
                .map(|row| convert::finding(&row.finding, convert::verdict(row.verdict.as_ref())))
                .collect(),
            policy_digest: policy.digest().to_owned(),
            ..(*seen).clone()
        };
        next.set_state(dataset::to_state(state));
        work.save(&seen, next, "release").await
    }
}

/// Sections that the version's card lacks, unless a whole card was made of its records since.
async fn unwritten(work: &Work, version: &Stored<DatasetVersion>) -> Result<Vec<String>, Error> {
    let made = name_of(Template::DataCard, &version.name);
    let made = work.find::<Document>(&made).await?;
    let whole = made.is_some_and(|card| card.missing_parts.is_empty());
    Ok(if whole { Vec::new() } else { version.data_card_missing.clone() })
}

fn draft(version: &Stored<DatasetVersion>) -> Result<(), Rejection> {
    if version.state() == dataset_version::State::Draft {
        return Ok(());
    }
    let finding = Finding::new("§5.3", "dataset version", "DRAFT", Resource::state(&**version));
    Err(Rejection::one("DATASET_NOT_DRAFT", version.name.clone(), finding))
}

/// Who built a version neither audits it nor signs it off.
async fn not_a_contributor(
    work: &Work,
    version: &Stored<DatasetVersion>,
    what: &str,
    clause: &str,
) -> Result<(), Error> {
    let principal = work.principal();
    if work.contributors(&version.name).await?.contains(&principal) {
        let finding = Finding::new(clause, format!("{what} by"), "someone who did not contribute", principal);
        return Err(Rejection::one("CONTRIBUTOR_MAY_NOT_APPROVE", version.name.clone(), finding).into());
    }
    Ok(())
}
