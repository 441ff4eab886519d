//! Shadow traffic (§8.1 STAGE): the staged version gets copies of production's requests, and its answers reach nobody.

use async_trait::async_trait;
use contracts::registry::v1::{rollout::State, *};
use lifecycle::separation::Action;
use lifecycle::version_state::State as VersionState;
use lifecycle::{Finding, Rejection};

use super::{active, may_roll_out, wrong_state};
use crate::convert::model;
use crate::store::Resource;
use crate::work::{Verb, Work};
use crate::{Error, parse::Fields};

#[async_trait]
impl Verb for StartShadowRequest {
    type Answer = Rollout;

    fn check(&self, fields: &mut Fields) {
        fields.name("name", &self.name, Rollout::FORM);
        fields.require((1..=100).contains(&self.percent), "percent", "must be 1 to 100");
    }

    async fn decide(self, work: &mut Work) -> Result<Rollout, Error> {
        let seen = work.open::<Rollout>(&self.name, &self.etag).await?;
        let deployment = work.read::<Deployment>(contracts::name::parent(&self.name)).await?;
        active(&deployment)?;
        if seen.state() != State::Preparing || !seen.staged {
            return Err(wrong_state(&seen, "PREPARING and staged").into());
        }
        let version = work.read::<ModelVersion>(&seen.version).await?;
        model::state(&version).require(VersionState::may_be_prepared, &version.name)?;
        may_roll_out(work, &version).await?;
        if deployment.stable_version.is_empty() {
            let finding = Finding::new("§8.1", "version whose requests are copied", "a stable one", "none");
            return Err(Rejection::one("NO_STABLE_VERSION", deployment.name.clone(), finding).into());
        }
        let next = Rollout { shadow_percent: self.percent, ..(*seen).clone() };
        work.save(&seen, next, "start-shadow").await
    }
}

#[async_trait]
impl Verb for StopShadowRequest {
    type Answer = Rollout;

    fn check(&self, fields: &mut Fields) {
        fields.name("name", &self.name, Rollout::FORM);
    }

    async fn decide(self, work: &mut Work) -> Result<Rollout, Error> {
        let seen = work.open::<Rollout>(&self.name, &self.etag).await?;
        // Whoever contributed may not start one, and may well stop one.
        work.authorize(Action::RollOut, &[])?;
        if seen.shadow_percent == 0 {
            return Ok(seen.into_inner());
        }
        let next = Rollout { shadow_percent: 0, ..(*seen).clone() };
        work.save(&seen, next, "stop-shadow").await
    }
}
