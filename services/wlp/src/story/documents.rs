//! §11: documents made from records, signed by their owners, kept as Markdown.

use anyhow::Context;
use contracts::registry::v1::{Document, DocumentTemplate, GenerateDocumentRequest, SignDocumentRequest};

use super::Story;

/// Generates a document, has it signed by its owner, writes it as Markdown under the story's folder.
///
/// # Errors
/// If a part is missing or the signature was refused.
pub async fn document(
    story: &Story,
    template: DocumentTemplate,
    subject: &str,
    owner: &str,
) -> anyhow::Result<Document> {
    let request =
        GenerateDocumentRequest { template: template.into(), subject: subject.into(), ..Default::default() };
    let document = story.actors.documents(owner)?.generate_document(request).await?.into_inner();
    anyhow::ensure!(
        document.missing_parts.is_empty(),
        "{} lacks {}",
        document.name,
        document.missing_parts.join(", ")
    );
    keep(story, &document)?;
    let document = if document.signed_by.is_empty() {
        let request = SignDocumentRequest { name: document.name, ..Default::default() };
        story.actors.documents(owner)?.sign_document(request).await?.into_inner()
    } else {
        document // nothing changed since it was signed
    };
    Ok(document)
}

fn keep(story: &Story, document: &Document) -> anyhow::Result<()> {
    let folder = story.folder.join("documents");
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let kind = document.template().as_str_name().trim_start_matches("DOCUMENT_TEMPLATE_").to_lowercase();
    let subject = document.subject.replace('/', "-");
    let path = folder.join(format!("{}-{subject}.md", kind.replace('_', "-")));
    std::fs::write(&path, &document.markdown).with_context(|| format!("cannot write {}", path.display()))
}

/// The four documents that a version needs before it is deployed (§8.2).
///
/// # Errors
/// As [`document`].
pub async fn of_version(
    story: &Story,
    version: &contracts::registry::v1::ModelVersion,
    evaluation: &str,
) -> anyhow::Result<()> {
    story
        .step(&format!("four documents of {} generated and signed", version.model_id), "§11", async {
            let all = [
                (DocumentTemplate::DataCard, version.training_data_version.as_str(), "data-engineer"),
                (DocumentTemplate::TrainingReport, version.training_run.as_str(), "ml-engineer"),
                (DocumentTemplate::EvaluationReport, evaluation, "qa-engineer"),
                (DocumentTemplate::ModelCard, version.name.as_str(), "ml-engineer"),
            ];
            for (template, subject, owner) in all {
                document(story, template, subject, owner).await?;
            }
            Ok(((), "data card, training report, evaluation report, model card".to_owned()))
        })
        .await
}
