//! Registering a model version: what is in the file, what changed, whether the number is the right one (§6.4).

use async_trait::async_trait;
use contracts::common::v1::ModelInterface;
use contracts::registry::v1::{model_version::State, *};
use engine::{Inspection, ModelSignature};
use lifecycle::separation::Action;
use lifecycle::training::{default_bump, feeds_version};
use lifecycle::version::{classify, next_model_version};
use lifecycle::{Finding, Rejection, Version};
use storage::Query;

use super::preprocessing::same;
use crate::convert::{dataset::number, model, training_run as run};
use crate::store::{Read, Resource, Stored, inspections};
use crate::work::{Verb, Work};
use crate::{Error, Registry, parse::Fields};

impl Registry {
    /// Inspects and loads the artifact of a version that is to be made, outside the unit of work.
    ///
    /// # Errors
    /// INVALID_ARGUMENT, NOT_FOUND, MODEL_REFUSED with every reason.
    pub(super) async fn try_artifact(&self, request: &CreateModelVersionRequest) -> Result<(), Error> {
        let mut fields = Fields::default();
        request.check(&mut fields);
        fields.done()?;
        let digest = request.model_version.as_ref().map(|version| version.artifact_digest.as_str());
        let artifact = self.read::<Artifact>(digest.unwrap_or_default()).await?;
        let inspection = self.inspections().of(&artifact.digest).await?;
        let given = request.model_version.clone().unwrap_or_default();
        self.try_preprocessing(&given, &inspection.signature).await
    }
}

#[async_trait]
impl Verb for CreateModelVersionRequest {
    type Answer = ModelVersion;

    fn check(&self, fields: &mut Fields) {
        fields.name("parent", &self.parent, Model::FORM);
        fields.version("version", &self.version);
        fields.message("model_version", self.model_version.as_ref(), |fields, version| {
            fields.digest("model_version.artifact_digest", &version.artifact_digest);
            fields.name("model_version.training_run", &version.training_run, TrainingRun::FORM);
            fields.optional_name(
                "model_version.training_data_version",
                &version.training_data_version,
                DatasetVersion::FORM,
            );
            fields.optional_digest("model_version.preprocessing_digest", &version.preprocessing_digest);
            fields.optional_text("model_version.base_model", &version.base_model);
            fields.optional_text("model_version.quantization", &version.quantization);
            fields.text("model_version.intended_use", &version.intended_use);
            fields.texts("model_version.contributors", &version.contributors);
            if let Some(interface) = &version.interface {
                fields.texts("model_version.interface.feature_columns", &interface.feature_columns);
                fields.texts("model_version.interface.classes", &interface.classes);
            }
        });
    }

    async fn decide(self, work: &mut Work) -> Result<ModelVersion, Error> {
        let parent = work.read::<Model>(&self.parent).await?;
        work.authorize(Action::RegisterModelVersion, &[])?;
        let given = self.model_version.unwrap_or_default();
        let artifact = work.read::<Artifact>(&given.artifact_digest).await?;
        not_revoked(work, &given.artifact_digest).await?;
        let inspection = inspected(work, &given.artifact_digest).await?;
        check_interface(given.interface.as_ref(), &inspection.signature)?;
        let (run, data) = feeding(work, &given).await?;
        same(&given, &data)?;
        let asked = self.version.parse().map_err(|_| Error::field("version", "major.minor.patch"))?;
        let raw = !given.preprocessing_digest.is_empty();
        let change = change(work, &parent, (&inspection, raw), &run, asked).await?;
        let contributors = contributors(work, &given, &run, &data).await?;
        let name = format!("{}/versions/{}", parent.name, self.version);
        work.contributes(&name, contributors.clone()).await?;
        let version = ModelVersion {
            model_id: contracts::name::model_id(contracts::name::last(&parent.name), &self.version),
            name,
            state: State::Draft.into(),
            size_bytes: artifact.size_bytes,
            training_data_version: data.name.clone(),
            technique: run.technique,
            inputs: model::tensors(&inspection.signature.inputs),
            outputs: model::tensors(&inspection.signature.outputs),
            topology_digest: inspection.topology_digest.clone(),
            weights_digest: inspection.weights_digest.clone(),
            signature_digest: inspection.io_digest.clone(),
            required_bump: change.required.into(),
            bump: change.bump.into(),
            created_by: work.principal(),
            contributors,
            predecessor: change.predecessor,
            gate_decisions: Vec::new(),
            revoke_reason: String::new(),
            metrics: Vec::new(),
            ..given
        };
        work.insert(version, "create").await
    }
}

/// Bytes that were revoked under any version are not registered again: no gateway would load them (§8.3).
async fn not_revoked(work: &Work, digest: &str) -> Result<(), Error> {
    let revoked = Query::kind(ModelVersion::KIND).state("REVOKED");
    let known: Vec<Stored<ModelVersion>> = work.all(revoked).await?;
    let Some(same) = known.iter().find(|one| one.artifact_digest == digest) else { return Ok(()) };
    let observed = format!("revoked as {}: {}", same.name, same.revoke_reason);
    let finding = Finding::new("§8.3", format!("artifact {digest}"), "never revoked", observed);
    Err(Rejection::one("ARTIFACT_REVOKED", "model version", finding).into())
}

/// The training run and dataset version that a model version comes from: the run complete, the data fit (§5.2, §6.2).
async fn feeding(
    work: &Work,
    given: &ModelVersion,
) -> Result<(Stored<TrainingRun>, Stored<DatasetVersion>), Error> {
    let run = work.read::<TrainingRun>(&given.training_run).await?;
    feeds_version(run::state(&run), &run::record(&run)?, &work.policy().training)?;
    let data_name = run.training_data.as_ref().map_or("", |data| data.dataset_version.as_str());
    if !given.training_data_version.is_empty() && given.training_data_version != data_name {
        let why = format!("{} was trained on {data_name}", run.name);
        return Err(Error::field("model_version.training_data_version", why));
    }
    let data = work.read::<DatasetVersion>(data_name).await?;
    if data.state() != dataset_version::State::Ready {
        let finding = Finding::new(
            "§5.2, reading 13",
            format!("training data {}", data.name),
            "READY",
            Resource::state(&*data),
        );
        return Err(Rejection::one("DATASET_NOT_READY", "model version", finding).into());
    }
    Ok((run, data))
}

struct Change {
    required: Bump,
    bump: Bump,
    predecessor: String,
}

/// What changed against the predecessor, and whether `asked` is the number that this asks for. Callers of a version send raw
/// columns or tensors: another of the two is another signature.
async fn change(
    work: &Work,
    parent: &Stored<Model>,
    (inspection, raw): (&Inspection, bool),
    run: &Stored<TrainingRun>,
    asked: Version,
) -> Result<Change, Error> {
    let policy = work.policy();
    let first = policy.versioning.first_version.value;
    let known = work.children::<ModelVersion>(&parent.name).await?;
    let mut numbered = Vec::new();
    for version in &known {
        numbered.push((number(&version.name)?, version));
    }
    numbered.sort_by_key(|(number, _)| *number);
    let numbers: Vec<Version> = numbered.iter().map(|(number, _)| *number).collect();
    // the newest below the number asked for: an older line is patched from its own last version
    let base = numbered.iter().rev().find(|(number, _)| *number < asked).or(numbered.last());
    let Some((base_number, base)) = base else {
        next_model_version(&numbers, None, asked, first)?;
        return Ok(Change { required: Bump::First, bump: Bump::First, predecessor: String::new() });
    };
    let older = inspected(work, &base.artifact_digest).await?;
    let before = model::makeup(&older, &base.training_run, None);
    let mut after = model::makeup(inspection, &run.name, Some(&older));
    after.signature_compatible &= raw != base.preprocessing_digest.is_empty();
    let mut least = classify(&before, &after);
    if base.training_run != run.name
        && let Some(technique) = run::technique(run.technique())
    {
        least = least.max(default_bump(technique, &policy.training));
    }
    let bump = next_model_version(&numbers, Some((*base_number, least)), asked, first)?;
    Ok(Change { required: model::bump(least), bump: model::bump(bump), predecessor: base.name.clone() })
}

/// Who made the model, who ran the training, who built the data: nobody of them approves.
async fn contributors(
    work: &Work,
    given: &ModelVersion,
    run: &Stored<TrainingRun>,
    data: &Stored<DatasetVersion>,
) -> Result<Vec<String>, Error> {
    let mut all = given.contributors.clone();
    all.push(work.principal());
    all.push(run.owner.clone());
    all.extend(work.contributors(&data.name).await?);
    all.sort();
    all.dedup();
    Ok(all)
}

async fn inspected(work: &Work, digest: &str) -> Result<Inspection, Error> {
    let found = inspections::stored(work.connection(), digest).await?;
    found.ok_or_else(|| Error::Missing(format!("inspection of {digest}")))
}

fn check_interface(interface: Option<&ModelInterface>, signature: &ModelSignature) -> Result<(), Error> {
    let Some(interface) = interface else { return Ok(()) };
    let mut fields = Fields::default();
    let known_input = interface.input_tensor.is_empty() || signature.input(&interface.input_tensor).is_some();
    fields.require(known_input, "model_version.interface.input_tensor", "the model has no such input");
    for (field, name) in [
        ("model_version.interface.label_output", &interface.label_output),
        ("model_version.interface.score_output", &interface.score_output),
    ] {
        fields.require(
            name.is_empty() || signature.output(name).is_some(),
            field,
            "the model has no such output",
        );
    }
    fields.done()
}
