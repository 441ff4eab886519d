//! What each part of each document says, from the records (§5.4, §11).

use contracts::registry::v1::*;
use lifecycle::Policy;
use lifecycle::documents::Document as Template;
use std::collections::BTreeMap;

use super::Reader;
use super::text::{checklist, facts, findings, list, measurements, table, time};
use crate::Error;
use crate::store::{Read, Resource};

/// Text by part.
pub type Parts = BTreeMap<&'static str, String>;

/// Writes every part of a document that the records can fill.
///
/// # Errors
/// NOT_FOUND.
pub async fn write(
    reader: &mut Reader<'_, impl Read>,
    template: Template,
    subject: &str,
    policy: &Policy,
) -> Result<Parts, Error> {
    match template {
        Template::ModelCard => model_card(reader, subject, policy).await,
        Template::DataCard => data_card(reader, subject).await,
        Template::TrainingReport => Ok(training_report(&*reader.one::<TrainingRun>(subject).await?)),
        Template::EvaluationReport => Ok(evaluation_report(&*reader.one::<Evaluation>(subject).await?)),
        Template::DeploymentRecord => deployment_record(reader, subject).await,
        Template::IncidentReport => incident_report(reader, subject).await,
    }
}

async fn model_card(
    reader: &mut Reader<'_, impl Read>,
    subject: &str,
    policy: &Policy,
) -> Result<Parts, Error> {
    let version = reader.one::<ModelVersion>(subject).await?;
    let model = reader.one::<Model>(version.parent()).await?;
    let run = reader.one::<TrainingRun>(&version.training_run).await?;
    let data = reader.one::<DatasetVersion>(&version.training_data_version).await?;
    let evaluations = reader.children::<Evaluation>(&version.name).await?;
    let evaluation = evaluations.iter().max_by_key(|one| (one.record().create_time, one.name.clone()));
    let reviews = reader.children::<Review>(&version.name).await?;
    let ethics = reviews.iter().filter(|one| one.kind() == ReviewKind::Ethics);
    let ethics = ethics.max_by_key(|one| (one.record().create_time, one.name.clone()));
    let tensors = |specs: &[contracts::common::v1::TensorSpec]| {
        specs
            .iter()
            .map(|one| format!("{} {} {:?}", one.name, one.datatype, one.dims))
            .collect::<Vec<_>>()
            .join("; ")
    };
    let uses: Vec<String> =
        std::iter::once(&version.intended_use).chain(&model.intended_uses).cloned().collect();
    let mut parts = Parts::new();
    parts.insert(
        "overview",
        facts(&[
            ("id", version.model_id.clone()),
            ("name", model.display_name.clone()),
            ("description", model.description.clone()),
            ("task", model.task().as_str_name().trim_start_matches("TASK_").to_lowercase()),
            ("state", Resource::state(&*version)),
            ("artifact", version.artifact_digest.clone()),
            ("bytes", version.size_bytes.to_string()),
            ("base model", version.base_model.clone()),
            ("quantization", version.quantization.clone()),
            ("inputs", tensors(&version.inputs)),
            ("outputs", tensors(&version.outputs)),
            ("created by", version.created_by.clone()),
            ("created", time(version.create_time)),
        ]),
    );
    parts.insert("intended-use", list(&uses));
    parts.insert(
        "training-data",
        facts(&[
            ("dataset version", data.name.clone()),
            ("tag", data.tag.clone()),
            ("rows", data.rows.to_string()),
            ("manifest", data.manifest_digest.clone()),
            ("sources", data.data_sources.join(", ")),
        ]),
    );
    let mut training = facts(&[("run", run.name.clone()), ("search strategy", run.search_strategy.clone())]);
    training.push_str(&pairs(&run.hyperparameters));
    parts.insert("training", training);
    if let Some(evaluation) = evaluation {
        let whole = evaluation.measurements.iter().filter(|one| one.slice.is_empty());
        parts.insert("evaluation", format!("{}\n{}", measurements(whole), findings(&evaluation.findings)));
        parts.insert("fairness", fairness(evaluation));
    }
    parts.insert("limitations", list(&model.limitations));
    if let Some(review) = ethics {
        let votes = review
            .approvals
            .iter()
            .map(|vote| format!("{} ({}), {}", vote.principal, vote.role, time(vote.time)));
        let votes: Vec<String> = votes.collect();
        let state = facts(&[("review", review.name.clone()), ("state", Resource::state(&**review))]);
        parts.insert("ethics", format!("{state}{}{}", checklist(&review.items), list(&votes)));
    }
    let duty = |row: &lifecycle::policy::upkeep::DutyRow| {
        format!("{:?}: {:?}, {}", row.activity, row.frequency, row.role)
    };
    let duties: Vec<String> = policy.duties.activities.iter().map(duty).collect();
    let before = facts(&[("predecessor", version.predecessor.clone())]);
    parts.insert("maintenance", format!("{before}{}", list(&duties)));
    Ok(parts)
}

fn fairness(evaluation: &Evaluation) -> String {
    let by_group = evaluation.measurements.iter().filter(|one| {
        let named = ["parity", "opportunity", "odds", "disparity", "calibration"];
        !one.slice.is_empty() || named.iter().any(|name| one.metric.contains(name))
    });
    format!("{}{}", measurements(by_group), slots(evaluation, "fairness"))
}

fn pairs(map: &BTreeMap<String, String>) -> String {
    let rows: Vec<Vec<String>> = map.iter().map(|(name, value)| vec![name.clone(), value.clone()]).collect();
    table(&["name", "value"], &rows)
}

fn slots(evaluation: &Evaluation, dimension: &str) -> String {
    let of = evaluation.slots.iter().filter(|slot| slot.dimension == dimension);
    let line = |slot: &EvaluationSlot| {
        if slot.measured {
            format!("{}: {}", slot.slot, slot.metrics.join(", "))
        } else {
            format!("{}: not measured, {}", slot.slot, slot.reason)
        }
    };
    let lines: Vec<String> = of.map(line).collect();
    list(&lines)
}

async fn data_card(reader: &mut Reader<'_, impl Read>, subject: &str) -> Result<Parts, Error> {
    let version = reader.one::<DatasetVersion>(subject).await?;
    let dataset = reader.one::<Dataset>(version.parent()).await?;
    let mut sources = Vec::new();
    for name in &version.data_sources {
        sources.push(reader.one::<DataSource>(name).await?);
    }
    let of_sources: Vec<Vec<String>> = sources
        .iter()
        .map(|one| {
            vec![
                one.name.clone(),
                one.kind().as_str_name().to_lowercase(),
                one.origin.clone(),
                one.license.clone(),
                one.owner.clone(),
            ]
        })
        .collect();
    let flag = |flag: bool, word: &str| if flag { word.to_owned() } else { String::new() };
    let columns: Vec<Vec<String>> = version
        .columns
        .iter()
        .map(|one| {
            vec![
                one.name.clone(),
                one.r#type.clone(),
                flag(one.label, "label"),
                flag(one.sensitive, "sensitive"),
            ]
        })
        .collect();
    let steps: Vec<Vec<String>> = version
        .steps
        .iter()
        .map(|one| {
            let told = if one.not_applicable_reason.is_empty() {
                &one.parameters
            } else {
                &one.not_applicable_reason
            };
            vec![
                one.step.clone(),
                one.rows_in.to_string(),
                one.rows_out.to_string(),
                one.rejects.to_string(),
                told.clone(),
                one.output_digest.clone(),
            ]
        })
        .collect();
    let splits: Vec<Vec<String>> = version
        .splits
        .iter()
        .map(|one| vec![one.split.clone(), one.rows.to_string(), one.digest.clone()])
        .collect();
    let profiles: Vec<Vec<String>> = version
        .profiles
        .iter()
        .map(|one| vec![one.column.clone(), one.rows.to_string(), one.missing.to_string()])
        .collect();
    let groups: Vec<Vec<String>> = version
        .group_shares
        .iter()
        .map(|one| {
            vec![
                one.column.clone(),
                one.group.clone(),
                one.rows.to_string(),
                one.share.to_string(),
                one.reference_share.to_string(),
            ]
        })
        .collect();
    let unfair: Vec<String> = version
        .quality
        .iter()
        .filter(|one| one.dimension == "fairness" && !one.not_applicable_reason.is_empty())
        .map(|one| format!("fairness not applicable: {}", one.not_applicable_reason))
        .collect();
    let sensitive: Vec<&str> =
        version.columns.iter().filter(|one| one.sensitive).map(|one| one.name.as_str()).collect();
    let rows = [
        ("rows", version.rows.to_string()),
        ("rows before cleaning", version.rows_in.to_string()),
        ("manifest", version.manifest_digest.clone()),
    ];
    let purpose = [
        ("purpose", dataset.description.clone()),
        ("tag", version.tag.clone()),
        ("state", Resource::state(&*version)),
    ];
    Ok(Parts::from([
        (
            "overview",
            format!(
                "{}{}{}",
                facts(&purpose),
                facts(&rows),
                table(&["source", "kind", "origin", "licence", "owner"], &of_sources)
            ),
        ),
        ("composition", table(&["column", "type", "label", "sensitive"], &columns)),
        (
            "collection",
            format!(
                "{}{}",
                facts(&[("collection", dataset.collection_note.as_str())]),
                table(&["source", "kind", "origin", "licence", "owner"], &of_sources)
            ),
        ),
        ("preprocessing", table(&["step", "rows in", "rows out", "rejects", "parameters", "output"], &steps)),
        (
            "distribution",
            format!(
                "{}\n{}",
                table(&["split", "rows", "digest"], &splits),
                table(&["column", "rows", "missing"], &profiles)
            ),
        ),
        (
            "bias-analysis",
            format!(
                "{}{}",
                table(&["column", "group", "rows", "share", "reference"], &groups),
                list(&unfair)
            ),
        ),
        (
            "ethical-review",
            facts(&[
                ("privacy and consent", dataset.privacy_note.clone()),
                ("sensitive columns", sensitive.join(", ")),
            ]),
        ),
        (
            "maintenance",
            facts(&[
                ("update frequency", dataset.update_frequency.clone()),
                ("version", version.name.clone()),
                ("relevance signed by", version.relevance_signed_by.clone()),
            ]),
        ),
    ]))
}

fn training_report(run: &TrainingRun) -> Parts {
    let data = run.training_data.clone().unwrap_or_default();
    let compute = run.compute.clone().unwrap_or_default();
    let checkpoints = run.checkpointing.clone().unwrap_or_default();
    let seconds = compute.duration.map(|span| format!("{} s", span.seconds)).unwrap_or_default();
    let seeds: BTreeMap<String, String> =
        run.seeds.iter().map(|(name, seed)| (name.clone(), seed.to_string())).collect();
    let devices = [
        ("device", compute.device_type.clone()),
        ("count", compute.device_count.to_string()),
        ("duration", seconds),
    ];
    let data = [
        ("dataset version", data.dataset_version.clone()),
        ("splits", data.splits.join(", ")),
        ("sampling", data.sampling),
    ];
    let ended = [
        ("state", Resource::state(run)),
        ("failure", run.failure.clone()),
        ("points", run.points.to_string()),
        ("ended", time(run.end_time)),
        ("code", run.code_digest.clone()),
    ];
    Parts::from([
        (
            "hyperparameters",
            format!(
                "{}{}",
                facts(&[("search strategy", run.search_strategy.as_str())]),
                pairs(&run.hyperparameters)
            ),
        ),
        ("training-data", facts(&data)),
        ("compute-resources", if compute.device_type.is_empty() { String::new() } else { facts(&devices) }),
        ("random-seeds", pairs(&seeds)),
        ("checkpointing", facts(&[("frequency", checkpoints.frequency), ("location", checkpoints.location)])),
        (
            "monitoring",
            format!(
                "{}{}",
                facts(&[("tracker", run.experiment_tracker.as_str())]),
                list(&run.metrics_logged)
            ),
        ),
        ("results", facts(&ended)),
    ])
}

fn evaluation_report(evaluation: &Evaluation) -> Parts {
    let mut parts = Parts::new();
    for dimension in ["performance", "fairness", "robustness", "safety", "explainability"] {
        let named: Vec<&String> = evaluation
            .slots
            .iter()
            .filter(|slot| slot.dimension == dimension)
            .flat_map(|slot| &slot.metrics)
            .collect();
        let own = evaluation.measurements.iter().filter(|one| named.contains(&&one.metric));
        parts.insert(dimension, format!("{}{}", slots(evaluation, dimension), measurements(own)));
    }
    let head = facts(&[
        ("artifact", evaluation.artifact_digest.clone()),
        (
            "dataset version",
            format!("{} ({}, {} rows)", evaluation.dataset_version, evaluation.split, evaluation.rows),
        ),
        ("evaluator", evaluation.evaluator_version.clone()),
        ("engine", format!("{} {}", evaluation.engine, evaluation.provider)),
        ("seed", evaluation.seed.to_string()),
        ("signed off by", evaluation.sign_off_by.clone()),
        ("policy", evaluation.policy_digest.clone()),
    ]);
    parts.insert("acceptance", format!("{head}{}", findings(&evaluation.findings)));
    parts
}

async fn deployment_record(reader: &mut Reader<'_, impl Read>, subject: &str) -> Result<Parts, Error> {
    let rollout = reader.one::<Rollout>(subject).await?;
    let version = reader.one::<ModelVersion>(&rollout.version).await?;
    let decisions = reader.children::<GateDecision>(&version.name).await?;
    let rows: Vec<Vec<String>> = decisions
        .iter()
        .map(|one| {
            let passed = if one.passed { "passed" } else { "refused" };
            vec![
                one.name.clone(),
                passed.to_owned(),
                one.decided_by.clone(),
                time(one.create_time),
                one.evidence_digest.clone(),
            ]
        })
        .collect();
    let steps: Vec<Vec<String>> = rollout
        .history
        .iter()
        .map(|one| {
            vec![
                format!("{} %", one.traffic_percent),
                time(one.time),
                one.cause.clone(),
                one.gate_decision.clone(),
            ]
        })
        .collect();
    let plan = rollout.rehearsal.clone().map(|one| {
        let took = one
            .rollback_duration
            .map(|span| format!("{}.{:09} s", span.seconds, span.nanos))
            .unwrap_or_default();
        facts(&[
            ("rehearsed by", one.principal),
            ("rolled back", time(one.rolled_back_time)),
            ("took", took),
            ("restored", time(one.restored_time)),
        ])
    });
    let head = [
        ("version", version.model_id.clone()),
        ("artifact", version.artifact_digest.clone()),
        ("before it", rollout.previous_version.clone()),
        ("state", Resource::state(&*rollout)),
        ("cause", rollout.cause.clone()),
        ("incident", rollout.incident.clone()),
    ];
    let during = [
        checklist(&rollout.activities),
        checklist(&rollout.deployment_items),
        table(&["traffic", "time", "cause", "gate decision"], &steps),
    ];
    Ok(Parts::from([
        ("version", facts(&head)),
        ("gates", table(&["decision", "outcome", "by", "time", "evidence"], &rows)),
        ("pre-deployment", checklist(&rollout.pre_deployment)),
        ("deployment", during.join("\n")),
        ("post-deployment", checklist(&rollout.post_deployment)),
        ("rollback-plan", plan.unwrap_or_default()),
    ]))
}

async fn incident_report(reader: &mut Reader<'_, impl Read>, subject: &str) -> Result<Parts, Error> {
    let incident = reader.one::<Incident>(subject).await?;
    let mut hit = facts(&[("subject", incident.subject.as_str())]);
    if incident.subject.contains("/rollouts/") {
        let rollout = reader.one::<Rollout>(&incident.subject).await?;
        let reached = rollout.history.iter().map(|step| step.traffic_percent).max().unwrap_or(0);
        hit.push_str(&facts(&[
            ("version", rollout.version.clone()),
            ("traffic at most", format!("{reached} %")),
        ]));
    }
    let severity = incident.severity().as_str_name().trim_start_matches("SEVERITY_").to_lowercase();
    let fired = incident.trigger().as_str_name().trim_start_matches("ROLLBACK_TRIGGER_").to_lowercase();
    let answered = facts(&[
        ("acknowledged by", incident.acknowledged_by.clone()),
        ("off traffic", time(incident.mitigate_time)),
        ("resolved by", incident.resolved_by.clone()),
    ]);
    let when = facts(&[
        ("detected", time(incident.detect_time)),
        ("off traffic", time(incident.mitigate_time)),
        ("answer due", time(incident.respond_by_time)),
        ("acknowledged", time(incident.acknowledge_time)),
        ("escalated", time(incident.escalate_time)),
        ("resolved", time(incident.resolve_time)),
    ]);
    let told = [
        ("title", incident.title.clone()),
        ("severity", severity),
        ("state", Resource::state(&*incident)),
        ("reported by", incident.reported_by.clone()),
    ];
    Ok(Parts::from([
        ("summary", facts(&told)),
        ("timeline", when),
        ("impact", hit),
        ("trigger", format!("{}{}", facts(&[("trigger", fired)]), findings(&incident.findings))),
        ("root-cause", facts(&[("root cause", incident.root_cause.as_str())])),
        ("actions", answered),
        ("prevention", facts(&[("corrective action", incident.corrective_action.as_str())])),
    ]))
}
