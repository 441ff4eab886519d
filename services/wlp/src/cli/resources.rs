//! `wlp get` and `wlp list`: any resource by its name, as JSON.

use std::process::ExitCode;

use clap::Args;
use contracts::name;
use serde_json::{Value, json};

use super::Caller;
use crate::dynamic;
use crate::reach::To;

#[derive(Debug, Args)]
pub struct Get {
    /// A resource name, or `{model}-v1.2.0`, or an artifact's `sha256:…`.
    name: String,
    /// Prints only this field (a document's `markdown`, a policy's `yaml`), as text.
    #[arg(long)]
    field: Option<String>,
    #[command(flatten)]
    caller: Caller,
}

#[derive(Debug, Args)]
pub struct List {
    /// A collection: `models`, `models/digits/versions`, `deployments/digits/rollouts`, `alerts`.
    collection: String,
    /// Prints names only.
    #[arg(long)]
    names: bool,
    #[command(flatten)]
    caller: Caller,
}

/// `(form of the name, method)`
const GET: &[(&str, &str)] = &[
    ("projects/{p}", "/wlp.registry.v1.ProjectService/GetProject"),
    ("dataSources/{s}", "/wlp.registry.v1.DataSourceService/GetDataSource"),
    ("datasets/{d}", "/wlp.registry.v1.DatasetService/GetDataset"),
    ("datasets/{d}/versions/{version}", "/wlp.registry.v1.DatasetService/GetDatasetVersion"),
    ("trainingRuns/{r}", "/wlp.registry.v1.TrainingRunService/GetTrainingRun"),
    ("models/{m}", "/wlp.registry.v1.ModelService/GetModel"),
    ("models/{m}/versions/{version}", "/wlp.registry.v1.ModelService/GetModelVersion"),
    ("models/{m}/versions/{version}/evaluations/{e}", "/wlp.registry.v1.EvaluationService/GetEvaluation"),
    ("models/{m}/versions/{version}/reviews/{r}", "/wlp.registry.v1.ReviewService/GetReview"),
    ("models/{m}/versions/{version}/gateDecisions/{g}", "/wlp.registry.v1.GateService/GetGateDecision"),
    ("models/{m}/versions/{version}/retirement", "/wlp.registry.v1.RetirementService/GetRetirement"),
    ("deployments/{d}", "/wlp.registry.v1.DeploymentService/GetDeployment"),
    ("deployments/{d}/rollouts/{r}", "/wlp.registry.v1.RolloutService/GetRollout"),
    ("incidents/{i}", "/wlp.registry.v1.IncidentService/GetIncident"),
    ("documents/{d}", "/wlp.registry.v1.DocumentService/GetDocument"),
    ("policies/{policy}", "/wlp.registry.v1.PolicyService/GetPolicy"),
    ("alerts/{a}", "/wlp.monitor.v1.AlertService/GetAlert"),
    ("findings/{f}", "/wlp.monitor.v1.FeedbackService/GetFinding"),
];

/// `(form of the collection, method, field that names its parent)`
const LIST: &[(&str, &str, &str)] = &[
    ("projects", "/wlp.registry.v1.ProjectService/ListProjects", ""),
    ("dataSources", "/wlp.registry.v1.DataSourceService/ListDataSources", ""),
    ("datasets", "/wlp.registry.v1.DatasetService/ListDatasets", ""),
    ("datasets/{d}/versions", "/wlp.registry.v1.DatasetService/ListDatasetVersions", "parent"),
    ("trainingRuns", "/wlp.registry.v1.TrainingRunService/ListTrainingRuns", ""),
    ("trainingRuns/{r}/metrics", "/wlp.registry.v1.TrainingRunService/ListTrainingMetrics", "name"),
    ("models", "/wlp.registry.v1.ModelService/ListModels", ""),
    ("models/{m}/versions", "/wlp.registry.v1.ModelService/ListModelVersions", "parent"),
    (
        "models/{m}/versions/{version}/evaluations",
        "/wlp.registry.v1.EvaluationService/ListEvaluations",
        "parent",
    ),
    (
        "models/{m}/versions/{version}/testReports",
        "/wlp.registry.v1.EvaluationService/ListTestReports",
        "parent",
    ),
    ("models/{m}/versions/{version}/reviews", "/wlp.registry.v1.ReviewService/ListReviews", "parent"),
    (
        "models/{m}/versions/{version}/gateDecisions",
        "/wlp.registry.v1.GateService/ListGateDecisions",
        "parent",
    ),
    ("retirements", "/wlp.registry.v1.RetirementService/ListRetirements", ""),
    (
        "models/{m}/versions/{version}/serviceDays",
        "/wlp.registry.v1.RetirementService/ListServiceDays",
        "parent",
    ),
    ("deployments", "/wlp.registry.v1.DeploymentService/ListDeployments", ""),
    ("deployments/{d}/rollouts", "/wlp.registry.v1.RolloutService/ListRollouts", "parent"),
    ("deployments/{d}/windows", "/wlp.monitor.v1.ObservationService/ListWindows", "deployment"),
    ("incidents", "/wlp.registry.v1.IncidentService/ListIncidents", ""),
    ("documents", "/wlp.registry.v1.DocumentService/ListDocuments", ""),
    ("policies", "/wlp.registry.v1.PolicyService/ListPolicies", ""),
    ("trainingRecords", "/wlp.registry.v1.PolicyService/ListTrainingRecords", ""),
    ("auditEntries", "/wlp.registry.v1.AuditService/ListAuditEntries", ""),
    ("alerts", "/wlp.monitor.v1.AlertService/ListAlerts", ""),
    ("feedback", "/wlp.monitor.v1.FeedbackService/ListFeedback", ""),
    ("findings", "/wlp.monitor.v1.FeedbackService/ListFindings", ""),
    ("duties", "/wlp.monitor.v1.DutyService/ListDuties", ""),
    ("backends", "/wlp.gateway.v1.ServingService/ListBackends", ""),
    ("shadows", "/wlp.gateway.v1.ServingService/ListShadows", ""),
];

fn serving(method: &str) -> anyhow::Result<To> {
    let package =
        method.trim_start_matches('/').rsplit_once('/').and_then(|(service, _)| service.rsplit_once('.'));
    package
        .and_then(|(package, _)| To::serving(package))
        .ok_or_else(|| anyhow::anyhow!("{method}: nobody serves it"))
}

impl Get {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let (method, request) = find(&self.name)?;
        let peer = self.caller.peer(serving(method)?, "auditor")?;
        let answer = dynamic::call(peer, method, request).await?;
        match &self.field {
            None => println!("{}", serde_json::to_string_pretty(&answer)?),
            Some(field) => match &answer[field] {
                Value::Null => anyhow::bail!("{} has no field {field:?}", self.name),
                Value::String(text) => println!("{text}"),
                other => println!("{}", serde_json::to_string_pretty(other)?),
            },
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The method that gets what `text` names, and its request.
fn find(text: &str) -> anyhow::Result<(&'static str, Value)> {
    if name::is_digest(text) {
        return Ok(("/wlp.registry.v1.ArtifactService/GetArtifact", json!({ "digest": text })));
    }
    let full = name::model_version("name", text).unwrap_or_else(|_| text.to_owned());
    if let Some((_, method)) = GET.iter().find(|(form, _)| name::parse("name", &full, form).is_ok()) {
        return Ok((method, json!({ "name": full })));
    }
    let forms: Vec<_> = GET.iter().map(|(form, _)| *form).collect();
    anyhow::bail!("{text:?} is no resource name; there are {}", forms.join(", "))
}

impl List {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let Some((method, parent)) = collection(&self.collection) else {
            let forms: Vec<_> = LIST.iter().map(|(form, ..)| *form).collect();
            anyhow::bail!("{:?} is no collection; there are {}", self.collection, forms.join(", "))
        };
        let peer = self.caller.peer(serving(method)?, "auditor")?;
        let mut request = parent.map_or_else(|| json!({}), |(field, text)| json!({ field: text }));
        if method.ends_with("/ListWindows") {
            request["page_size"] = json!(1000); // one page is all that there is
        }
        if let Some((.., first)) = following(method) {
            request[first] = json!(true);
        }
        loop {
            let answer = dynamic::call(peer.clone(), method, request.clone()).await?;
            let items = items(&answer);
            print(&items, self.names)?;
            let next = match following(method) {
                Some((asked, told, first)) => {
                    request[first] = Value::Null;
                    items.last().map(|last| (asked, last[told].clone()))
                }
                None => Some(("page_token", answer["next_page_token"].clone())),
            };
            match next {
                Some((field, next)) if !next.is_null() && next != json!("") => request[field] = next,
                _ => return Ok(ExitCode::SUCCESS),
            }
        }
    }
}

/// How a list without page tokens goes on: the field of the request that takes a field of the last item, and the field that
/// asks for the first page.
fn following(method: &str) -> Option<(&'static str, &'static str, &'static str)> {
    method.ends_with("/ListAuditEntries").then_some(("after_sequence", "sequence", "from_start"))
}

/// The items of a page: the one field of the answer that is a list.
fn items(answer: &Value) -> Vec<&Value> {
    answer
        .as_object()
        .into_iter()
        .flat_map(|fields| fields.values())
        .filter_map(Value::as_array)
        .flatten()
        .collect()
}

fn print(items: &[&Value], names: bool) -> anyhow::Result<()> {
    for item in items {
        match item["name"].as_str() {
            Some(name) if names => println!("{name}"),
            _ => println!("{}", serde_json::to_string_pretty(item)?),
        }
    }
    Ok(())
}

/// The method that lists a collection, and the field and name of its parent.
fn collection(text: &str) -> Option<(&'static str, Option<(&'static str, String)>)> {
    LIST.iter().find_map(|(form, method, field)| {
        if field.is_empty() {
            return (text == *form).then_some((*method, None));
        }
        let (parent_form, kind) = form.rsplit_once('/')?;
        let (parent, asked) = text.rsplit_once('/')?;
        let fits = asked == kind && name::parse("parent", parent, parent_form).is_ok();
        fits.then(|| (*method, Some((*field, parent.to_owned()))))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_of_the_tables_exists_and_has_a_service() {
        let methods = GET.iter().map(|(_, method)| *method).chain(LIST.iter().map(|(_, method, _)| *method));
        for method in methods {
            assert!(!contracts::access::roles(method).is_empty(), "{method}");
            serving(method).expect("a service");
        }
    }

    #[test]
    fn the_procedures_id_is_a_name_too() {
        let (method, fields) = find("digits-v1.2.0").expect("a name");
        assert!(method.ends_with("/GetModelVersion"));
        assert_eq!(fields, json!({ "name": "models/digits/versions/1.2.0" }));
    }

    #[test]
    fn collections_are_told_apart() {
        assert!(collection("models").expect("one").1.is_none());
        let (method, parent) = collection("deployments/digits/rollouts").expect("one");
        assert!(method.ends_with("/ListRollouts"));
        assert_eq!(parent, Some(("parent", "deployments/digits".to_owned())));
        assert!(collection("deployments/digits/nothing").is_none());
    }
}
