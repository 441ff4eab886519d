//! What is known of a rollout's canary, and what stands in the way of its next step.

use contracts::registry::v1::Rollout;
use lifecycle::Finding;
use lifecycle::acceptance::Task;
use lifecycle::gate::{self, Candidate, EarlierDecision, Evidence, Gate, GateDecision};
use lifecycle::health::CanaryHealth;
use lifecycle::policy::Policy;
use std::time::SystemTime;

use crate::convert::{self, canary as wire};
use crate::store::{alerts::open_alerts, windows as rows};
use crate::windows::Scope;
use crate::windows::health::{Step, canary, replayed_evidence};
use crate::{Error, Monitor};

/// A canary at one moment.
#[derive(Debug, Clone)]
pub struct Look {
    /// Over the windows of this step that are over: what the next step is decided on.
    pub health: CanaryHealth,
    /// With the window that is still open: what a rollback is decided on.
    pub now: CanaryHealth,
    /// Evidence of the breaker's test, replayed over the whole ladder.
    pub evidence: f64,
    /// When the step began.
    pub from: SystemTime,
    /// When it was looked at.
    pub to: SystemTime,
    state: lifecycle::rollout::Rollout,
    version: String,
}

/// Looks at the canary of a rollout.
///
/// # Errors
/// Of the database, or if stored windows contradict each other.
pub async fn look(monitor: &Monitor, rollout: &Rollout) -> Result<Look, Error> {
    let (now, policy) = (monitor.now(), monitor.policy());
    let scope = Scope {
        deployment: contracts::name::parse("rollout", &rollout.name, crate::parse::form::ROLLOUT)
            .map(|parts| format!("deployments/{}", parts[0]))
            .map_err(|bad| Error::Damaged(bad.to_string()))?,
        version: rollout.version.clone(),
    };
    let since = convert::time(rollout.step_start_time.as_ref());
    let first = rollout.history.iter().map(|step| convert::time(step.time.as_ref())).min().unwrap_or(since);
    let windows = rows::between(
        monitor.db().connection(),
        &scope,
        first.min(since) - monitor.window(),
        now + monitor.skew(),
    )
    .await?;
    let open: Vec<String> = open_alerts(monitor.records())
        .await?
        .into_iter()
        .filter(|alert| alert.version == scope.version && alert.deployment == scope.deployment)
        .map(|alert| alert.name)
        .collect();
    let step = Step { since, soaked: wire::soaked(rollout, now), traffic_percent: rollout.traffic_percent };
    let settled = now.checked_sub(monitor.lag()).unwrap_or(now);
    let over: Vec<_> = windows.iter().filter(|window| window.end() <= settled).cloned().collect();
    Ok(Look {
        health: canary(&over, step, open.clone(), &policy)?,
        now: canary(&windows, step, open, &policy)?,
        evidence: replayed_evidence(&windows, &policy)?,
        from: since,
        to: now,
        state: wire::rollout(rollout),
        version: rollout.version.clone(),
    })
}

impl Look {
    /// What the registry would refuse the next step for; empty if nothing.
    pub fn stands_in_the_way(&self, policy: &Policy) -> Vec<Finding> {
        let gate = self.gate(policy);
        let step = self.state.advance(
            &self.health,
            Some(&GateDecision { passed: true, ..gate.clone() }),
            self.to,
            &policy.rollout,
        );
        let mut findings = step.err().map(|why| why.findings().to_vec()).unwrap_or_default();
        if self.at_first_step() {
            for one in gate.findings {
                if !findings.iter().any(|known| known.subject == one.subject) {
                    findings.push(one);
                }
            }
        }
        findings
    }

    fn at_first_step(&self) -> bool {
        use lifecycle::rollout::Rollout;
        matches!(self.state, Rollout::Running { step: 0, .. } | Rollout::Paused { step: 0, .. })
    }

    /// G4 on this health. G1 to G3 hold: without them the registry would not have started the rollout.
    fn gate(&self, policy: &Policy) -> GateDecision {
        let digest = format!("sha256:{}", hex::encode(storage::Digest::of(self.version.as_bytes()).0));
        let passed = |gate| EarlierDecision { gate, passed: true, artifact_digest: digest.clone() };
        let candidate = Candidate {
            name: self.version.clone(),
            artifact_digest: digest.clone(),
            task: Task::BinaryClassification,
            contributors: Vec::new(),
            decided: vec![passed(Gate::G1), passed(Gate::G2), passed(Gate::G3)],
        };
        gate::decide(Gate::G4, &candidate, &Evidence::Canary { health: self.health.clone() }, policy)
    }
}
