//! A/B experiments: what a rollout's canary is compared with stable for is declared once, before it is looked at.

use async_trait::async_trait;
use contracts::registry::v1::experiment::Metric;
use contracts::registry::v1::{rollout::State, *};
use lifecycle::{Finding, Rejection};

use super::{may_roll_out, wrong_state};
use crate::store::Resource;
use crate::work::{Verb, Work};
use crate::{Error, parse::Fields};

#[async_trait]
impl Verb for DeclareExperimentRequest {
    type Answer = Rollout;

    fn check(&self, fields: &mut Fields) {
        fields.name("name", &self.name, Rollout::FORM);
        fields.message("experiment", self.experiment.as_ref(), |fields, experiment| {
            fields.text("experiment.hypothesis", &experiment.hypothesis);
            fields.choice::<Metric>("experiment.primary_metric", experiment.primary_metric);
            let confidence = experiment.confidence;
            let open = confidence > 0.5 && confidence < 1.0;
            fields.require(open, "experiment.confidence", "must be above 0.5 and below 1");
        });
    }

    async fn decide(self, work: &mut Work) -> Result<Rollout, Error> {
        let seen = work.open::<Rollout>(&self.name, &self.etag).await?;
        if !matches!(seen.state(), State::Preparing | State::Running | State::Paused) {
            return Err(wrong_state(&seen, "PREPARING, RUNNING or PAUSED").into());
        }
        let version = work.read::<ModelVersion>(&seen.version).await?;
        let by = may_roll_out(work, &version).await?;
        if seen.previous_version.is_empty() {
            let finding = Finding::new("§8.2", "version to compare with", "a stable one", "none");
            return Err(Rejection::one("NO_STABLE_VERSION", seen.name.clone(), finding).into());
        }
        if let Some(declared) = &seen.experiment {
            // What is asked after the answer is known is no hypothesis.
            let finding = Finding::new("§8.2", "experiment", "none", declared.hypothesis.clone());
            return Err(Rejection::one("EXPERIMENT_DECLARED", seen.name.clone(), finding).into());
        }
        let experiment = Experiment {
            declared_by: by.principal,
            declare_time: work.wire_now(),
            ..self.experiment.unwrap_or_default()
        };
        let next = Rollout { experiment: Some(experiment), ..(*seen).clone() };
        work.save(&seen, next, "declare-experiment").await
    }
}
