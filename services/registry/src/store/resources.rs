//! Which messages are resources: kind, form of the name, what the record stamps on them, where their state is.

use contracts::registry::v1::*;

use super::{Resource, Stamp};

macro_rules! stamp {
    (etag, $resource:ident, $stamp:ident) => {
        $resource.etag = $stamp.etag.clone()
    };
    ($time:ident, $resource:ident, $stamp:ident) => {
        $resource.$time = $stamp.$time
    };
}

/// `Message "kind" "form" [fields to stamp] state;`
macro_rules! resources {
    ($($message:ident $kind:literal $form:literal [$($field:ident)*] $state:expr;)+) => {$(
        impl Resource for $message {
            const KIND: &'static str = $kind;
            const FORM: &'static str = $form;

            fn name(&self) -> &str {
                &self.name
            }

            fn state(&self) -> String {
                let state: fn(&Self) -> &'static str = $state;
                let text = state(self);
                ["STATE_", "PHASE_"].iter().find_map(|prefix| text.strip_prefix(prefix)).unwrap_or(text).to_owned()
            }

            fn stamp(&mut self, stamp: Stamp) {
                $(stamp!($field, self, stamp);)*
                let _ = stamp;
            }
        }
    )+

        const FORMS: &[(&str, &str)] = &[$(($kind, $form)),+];
    };
}

/// The kind of the resource that a name names.
pub fn kind_of(name: &str) -> Option<&'static str> {
    if contracts::name::is_digest(name) {
        return Some(Artifact::KIND);
    }
    let own = [(TrainingRecord::KIND, TrainingRecord::FORM)];
    FORMS
        .iter()
        .chain(&own)
        .find(|(_, form)| contracts::name::parse("name", name, form).is_ok())
        .map(|(kind, _)| *kind)
}

resources! {
    Project "project" "projects/{project}" [etag create_time update_time] |it| it.phase().as_str_name();
    DataSource "dataSource" "dataSources/{data_source}" [etag create_time update_time] |it| it.state().as_str_name();
    Dataset "dataset" "datasets/{dataset}" [etag create_time update_time] |_| "";
    DatasetVersion "datasetVersion" "datasets/{dataset}/versions/{version}" [etag create_time update_time] |it| it.state().as_str_name();
    TrainingRun "trainingRun" "trainingRuns/{training_run}" [etag create_time update_time] |it| it.state().as_str_name();
    Model "model" "models/{model}" [etag create_time update_time] |_| "";
    ModelVersion "modelVersion" "models/{model}/versions/{version}" [etag create_time update_time] |it| it.state().as_str_name();
    PolicyVersion "policy" "policies/{policy}" [etag create_time update_time] |it| it.state().as_str_name();
    Evaluation "evaluation" "models/{model}/versions/{version}/evaluations/{evaluation}" [etag create_time] |_| "";
    TestReport "testReport" "models/{model}/versions/{version}/testReports/{test_report}" [create_time] |_| "";
    Review "review" "models/{model}/versions/{version}/reviews/{review}" [etag create_time update_time] |it| it.state().as_str_name();
    GateDecision "gateDecision" "models/{model}/versions/{version}/gateDecisions/{gate_decision}" [] |_| "";
    Deployment "deployment" "deployments/{deployment}" [etag create_time update_time] |it| it.state().as_str_name();
    Rollout "rollout" "deployments/{deployment}/rollouts/{rollout}" [etag create_time update_time] |it| it.state().as_str_name();
    Incident "incident" "incidents/{incident}" [etag create_time update_time] |it| it.state().as_str_name();
    Document "document" "documents/{document}" [etag create_time update_time] |_| "";
    ServiceDay "serviceDay" "models/{model}/versions/{version}/serviceDays/{service_day}" [create_time] |_| "";
    Retirement "retirement" "models/{model}/versions/{version}/retirement" [etag create_time update_time] |_| "";
}

/// Its state column holds the principal, by which the records are listed.
impl Resource for TrainingRecord {
    const KIND: &'static str = "trainingRecord";
    const FORM: &'static str = "trainingRecords/{training_record}";

    fn name(&self) -> &str {
        &self.name
    }

    fn state(&self) -> String {
        self.principal.clone()
    }

    fn stamp(&mut self, stamp: Stamp) {
        self.etag = stamp.etag;
    }
}

impl Resource for Artifact {
    const KIND: &'static str = "artifact";
    const FORM: &'static str = "sha256:<64 hex>";

    fn name(&self) -> &str {
        &self.digest
    }

    fn state(&self) -> String {
        String::new()
    }

    fn stamp(&mut self, stamp: Stamp) {
        self.create_time = stamp.create_time;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_stored_without_its_prefix() {
        let mut version = ModelVersion { name: "models/m/versions/1.0.0".into(), ..ModelVersion::default() };
        version.set_state(model_version::State::Draft);
        assert_eq!((Resource::state(&version), version.parent()), ("DRAFT".to_owned(), "models/m"));
        let mut project = Project::default();
        project.set_phase(Phase::Plan);
        assert_eq!(Resource::state(&project), "PLAN");
    }
}
