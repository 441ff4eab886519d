//! The six documents of §11: the same records give the same bytes; stale as soon as a record changed.

mod parts;
mod text;

use async_trait::async_trait;
use contracts::registry::v1::{document_service_server::DocumentService, *};
use lifecycle::documents::{Document as Template, Made, row};
use std::collections::BTreeMap;
use std::time::Duration;
use storage::Digest;
use tonic::{Request, Response, Status};

use crate::store::{Read, Resource, Stored};
use crate::work::{Verb, Work};
use crate::{Error, Registry, parse::Fields};
use lifecycle::Policy;
use std::sync::Arc;

#[tonic::async_trait]
impl DocumentService for Registry {
    async fn generate_document(
        &self,
        request: Request<GenerateDocumentRequest>,
    ) -> Result<Response<Document>, Status> {
        self.carry_out(request).await
    }

    async fn get_document(&self, request: Request<GetDocumentRequest>) -> Result<Response<Document>, Status> {
        let document = self.get::<Document>(&request.into_inner().name).await?.into_inner();
        Ok(Response::new(self.fresh_or_stale(document).await?))
    }

    async fn list_documents(
        &self,
        request: Request<ListDocumentsRequest>,
    ) -> Result<Response<ListDocumentsResponse>, Status> {
        let ListDocumentsRequest { page_size, page_token, subject } = request.into_inner();
        let mut fields = Fields::default();
        fields.optional_text("subject", &subject);
        let mut documents = Vec::new();
        if subject.is_empty() {
            let (found, next_page_token) =
                self.page::<Document>(page_size, &page_token, fields, |query| query).await?;
            for document in found {
                documents.push(self.fresh_or_stale(document).await?);
            }
            return Ok(Response::new(ListDocumentsResponse { documents, next_page_token }));
        }
        fields.done()?;
        // one for each template: never more than fit into a page
        for template in Template::ALL {
            match self.read::<Document>(&name_of(*template, &subject)).await {
                Ok(document) => documents.push(self.fresh_or_stale(document.into_inner()).await?),
                Err(Error::Storage(storage::Error::NotFound { .. })) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Response::new(ListDocumentsResponse { documents, next_page_token: String::new() }))
    }

    async fn sign_document(
        &self,
        request: Request<SignDocumentRequest>,
    ) -> Result<Response<Document>, Status> {
        self.carry_out(request).await
    }
}

impl Registry {
    async fn fresh_or_stale(&self, document: Document) -> Result<Document, Error> {
        let template = template(document.template()).ok_or_else(|| Error::Damaged(document.name.clone()))?;
        let policy = self.policies().active().await?;
        let now = Draft::make_under(self, template, &document.subject, &policy).await?;
        Ok(Document { stale: now.sources != document.sources, ..document })
    }
}

/// A document as the records would make it now.
pub struct Draft {
    template: Template,
    subject: String,
    owner: String,
    /// Text of each part, in the order of the policy.
    pub parts: Vec<(String, String)>,
    /// Every record that was read.
    pub sources: Vec<DocumentSource>,
}

impl Draft {
    /// Makes a document inside a unit of work, under the policy in force.
    ///
    /// # Errors
    /// NOT_FOUND for a subject that does not exist.
    pub async fn make(work: &Work, template: Template, subject: &str) -> Result<Self, Error> {
        let policy: Arc<Policy> = work.policy();
        Self::make_under(work, template, subject, &policy).await
    }

    async fn make_under(
        records: &impl Read,
        template: Template,
        subject: &str,
        policy: &Policy,
    ) -> Result<Self, Error> {
        let row = row(template, &policy.documents)?;
        let mut reader = Reader { records, sources: Vec::new() };
        let mut texts = parts::write(&mut reader, template, subject, policy).await?;
        let parts =
            row.parts.iter().map(|part| (part.clone(), texts.remove(part.as_str()).unwrap_or_default()));
        let parts = parts.collect();
        reader.sources.sort_by(|one, other| one.resource.cmp(&other.resource));
        reader.sources.dedup();
        Ok(Self {
            template,
            subject: subject.to_owned(),
            owner: row.owner.to_string(),
            parts,
            sources: reader.sources,
        })
    }

    /// The name of the document: one for each template and subject.
    pub fn name(&self) -> String {
        name_of(self.template, &self.subject)
    }

    fn markdown(&self) -> String {
        let mut text = format!("# {}: {}\n", text::title(self.template.as_str()), self.subject);
        for (part, body) in &self.parts {
            let body = if body.trim().is_empty() { "_missing_" } else { body.trim_end() };
            text.extend(["\n## ", &text::title(part), "\n\n", body, "\n"]);
        }
        text
    }

    fn missing(&self) -> Vec<String> {
        self.parts.iter().filter(|(_, text)| text.trim().is_empty()).map(|(part, _)| part.clone()).collect()
    }
}

/// The name of the document of that kind about `subject`.
pub fn name_of(template: Template, subject: &str) -> String {
    let id = Digest::of(subject.as_bytes()).to_hex();
    format!("documents/{template}-{}", &id[..16])
}

/// Reads records and remembers which.
pub struct Reader<'a, R> {
    records: &'a R,
    sources: Vec<DocumentSource>,
}

impl<R: Read> Reader<'_, R> {
    async fn one<T: Resource>(&mut self, name: &str) -> Result<Stored<T>, Error> {
        let found = self.records.children::<T>(contracts::name::parent(name)).await?;
        let found = found.into_iter().find(|one| one.name() == name);
        let found = found.ok_or_else(|| Error::Missing(format!("{} {name:?}", T::KIND)))?;
        self.note(&found);
        Ok(found)
    }

    async fn children<T: Resource>(&mut self, parent: &str) -> Result<Vec<Stored<T>>, Error> {
        let found = self.records.children::<T>(parent).await?;
        for one in &found {
            self.note(one);
        }
        Ok(found)
    }

    fn note<T: Resource>(&mut self, seen: &Stored<T>) {
        self.sources.push(DocumentSource { resource: seen.name().to_owned(), etag: seen.record().etag() });
    }
}

/// The documents that a version needs (§11): of itself, its data, its training and its newest evaluation.
pub fn subjects_of(version: &ModelVersion, evaluation: Option<&Evaluation>) -> Vec<(Template, String)> {
    let mut all = vec![
        (Template::ModelCard, version.name.clone()),
        (Template::DataCard, version.training_data_version.clone()),
        (Template::TrainingReport, version.training_run.clone()),
    ];
    all.extend(evaluation.map(|one| (Template::EvaluationReport, one.name.clone())));
    all
}

fn template(wire: DocumentTemplate) -> Option<Template> {
    Some(match wire {
        DocumentTemplate::Unspecified => return None,
        DocumentTemplate::ModelCard => Template::ModelCard,
        DocumentTemplate::DataCard => Template::DataCard,
        DocumentTemplate::TrainingReport => Template::TrainingReport,
        DocumentTemplate::EvaluationReport => Template::EvaluationReport,
        DocumentTemplate::DeploymentRecord => Template::DeploymentRecord,
        DocumentTemplate::IncidentReport => Template::IncidentReport,
    })
}

/// Form of the name of a template's subject.
fn form(template: DocumentTemplate) -> &'static str {
    match template {
        DocumentTemplate::Unspecified | DocumentTemplate::ModelCard => ModelVersion::FORM,
        DocumentTemplate::DataCard => DatasetVersion::FORM,
        DocumentTemplate::TrainingReport => TrainingRun::FORM,
        DocumentTemplate::EvaluationReport => Evaluation::FORM,
        DocumentTemplate::DeploymentRecord => Rollout::FORM,
        DocumentTemplate::IncidentReport => Incident::FORM,
    }
}

#[async_trait]
impl Verb for GenerateDocumentRequest {
    type Answer = Document;

    fn check(&self, fields: &mut Fields) {
        fields.choice::<DocumentTemplate>("template", self.template);
        fields.name("subject", &self.subject, form(self.template()));
    }

    async fn decide(self, work: &mut Work) -> Result<Document, Error> {
        let template = template(self.template()).ok_or_else(|| Error::field("template", "required"))?;
        let draft = Draft::make(work, template, &self.subject).await?;
        let markdown = draft.markdown();
        let document = Document {
            name: draft.name(),
            template: self.template,
            digest: Digest::of(markdown.as_bytes()).to_string(),
            missing_parts: draft.missing(),
            markdown,
            owner_role: draft.owner.clone(),
            sources: draft.sources,
            subject: self.subject,
            ..Document::default()
        };
        match work.find::<Document>(&document.name).await? {
            None => work.insert(document, "generate").await,
            // nothing changed: the signature, if there is one, still holds
            Some(seen) if seen.digest == document.digest && seen.sources == document.sources => {
                Ok(seen.into_inner())
            }
            Some(seen) => work.save(&seen, document, "generate").await,
        }
    }
}

#[async_trait]
impl Verb for SignDocumentRequest {
    type Answer = Document;

    fn check(&self, fields: &mut Fields) {
        fields.name("name", &self.name, Document::FORM);
    }

    async fn decide(self, work: &mut Work) -> Result<Document, Error> {
        let seen = work.open::<Document>(&self.name, &self.etag).await?;
        let template = template(seen.template()).ok_or_else(|| Error::Damaged(seen.name.clone()))?;
        let policy = work.policy();
        let draft = Draft::make(work, template, &seen.subject).await?;
        let stale = draft.sources != seen.sources;
        let when = seen.record().update_time;
        let missing: Vec<&String> = seen.missing_parts.iter().collect();
        let kept = draft.parts.iter().filter(|(part, _)| !missing.contains(&part)).cloned();
        let made = Made {
            document: template,
            parts: kept.collect::<BTreeMap<_, _>>(),
            digest: seen.digest.clone(),
            when,
            newest_record: if stale { when + Duration::from_micros(1) } else { when },
        };
        let by = work.approval(&[row(template, &policy.documents)?.owner])?;
        made.sign(&by, &policy.documents)?;
        let next = Document { signed_by: by.principal, sign_time: work.wire_now(), ..(*seen).clone() };
        work.save(&seen, next, "sign").await
    }
}
