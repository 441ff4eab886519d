//! What is known of a rollout's canary, and what stands in the way of its next step.

use contracts::registry::v1::Rollout;
use lifecycle::Finding;
use lifecycle::acceptance::Task;
use lifecycle::alert::Metric;
use lifecycle::gate::{self, Candidate, EarlierDecision, Evidence, Gate, GateDecision};
use lifecycle::health::{CanaryHealth, least_requests};
use lifecycle::policy::Policy;
use lifecycle::policy::rollout::TriggerPolicy;
use lifecycle::rollback::{Breaker, breaker};
use std::time::{Duration, SystemTime};

use crate::convert::{self, canary as wire};
use crate::store::{alerts::open_alerts, windows as rows};
use crate::windows::health::{Step, canary, exceeded};
use crate::windows::{Scope, Window, floor, latency, replay, timed};
use crate::{Error, Monitor};

/// A canary at one moment.
#[derive(Debug, Clone)]
pub struct Look {
    /// Over the windows of this step that are over: what the next step is decided on.
    pub health: CanaryHealth,
    /// With the window that is still open: shown, and a reason to stay where it is.
    pub now: CanaryHealth,
    /// Evidence of the gateway's breaker, reported or replayed over the whole ladder: the only thing that takes a canary off traffic.
    pub evidence: f64,
    /// The row of §8.3 for latency, if a window of this step exceeded it, and what was seen.
    pub slow: Option<(TriggerPolicy, Finding)>,
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
    let windows = of_rollout(monitor, rollout, &scope).await?;
    let stable = Scope { version: rollout.previous_version.clone(), ..scope.clone() };
    let stable =
        if stable.version.is_empty() { Vec::new() } else { of_rollout(monitor, rollout, &stable).await? };
    let open: Vec<String> = open_alerts(monitor.records())
        .await?
        .into_iter()
        .filter(|alert| alert.version == scope.version && alert.deployment == scope.deployment)
        .map(|alert| alert.name)
        .collect();
    let rules = policy.rollout.steps.get(rollout.step as usize);
    let step = Step {
        since,
        soaked: wire::soaked(rollout, now),
        traffic_percent: rollout.traffic_percent,
        dwell: rules.map_or(Duration::MAX, |step| step.dwell.get()),
        least: least_requests(rules.map_or(u64::MAX, |step| step.min_requests), &policy),
    };
    let settled = now.checked_sub(monitor.lag()).unwrap_or(now);
    let open_window_ends = now + monitor.skew() + monitor.window();
    let at_step: Vec<&Window> = windows.iter().filter(|window| window.start >= since).collect();
    let slow = exceeded(Metric::LatencyP95, &at_step, &policy)?.map(|(row, seen)| {
        let observed = format!("{:.0} ms (n={})", latency(&seen, 0.95).unwrap_or(f64::NAN), timed(&seen));
        let subject = format!("canary {}", row.trigger);
        (row.clone(), Finding::new(row.clause.clone(), subject, format!("<= {}", row.above), observed))
    });
    Ok(Look {
        health: canary(&windows, step, settled, open.clone(), &policy)?,
        now: canary(&windows, step, open_window_ends, open, &policy)?,
        evidence: replay::evidence(&windows, &stable, &steps(rollout), &policy.rollout.breaker)?,
        slow,
        from: since,
        to: now,
        state: wire::rollout(rollout),
        version: rollout.version.clone(),
    })
}

/// When the canary's share of the traffic changed.
fn steps(rollout: &Rollout) -> Vec<SystemTime> {
    let mut steps: Vec<SystemTime> =
        rollout.history.iter().map(|step| convert::time(step.time.as_ref())).collect();
    steps.sort_unstable();
    steps
}

/// Windows of a version since the canary got its first request.
async fn of_rollout(monitor: &Monitor, rollout: &Rollout, scope: &Scope) -> Result<Vec<Window>, Error> {
    let step = convert::time(rollout.step_start_time.as_ref());
    let first = rollout.history.iter().map(|step| convert::time(step.time.as_ref())).min().unwrap_or(step);
    let (from, to) = (floor(first.min(step), monitor.window()), monitor.now() + monitor.skew());
    rows::between(monitor.db().connection(), scope, from, to).await
}

impl Look {
    /// What the registry would refuse the next step for, and what the window that is still open says against it; empty if
    /// nothing.
    pub fn stands_in_the_way(&self, policy: &Policy) -> Vec<Finding> {
        let gate = self.gate(policy);
        let step = self.state.advance(
            &self.health,
            Some(&GateDecision { passed: true, ..gate.clone() }),
            self.to,
            policy,
        );
        let mut findings = step.err().map(|why| why.findings().to_vec()).unwrap_or_default();
        let fresh = self.fresh(policy);
        for one in fresh.into_iter().chain(gate.findings.into_iter().filter(|_| self.at_first_step())) {
            if !findings.iter().any(|known| known.subject == one.subject) {
                findings.push(one);
            }
        }
        findings
    }

    /// A rate above the limit of §8.3 takes nothing off traffic by itself (reading 5: the sequential test does), but the
    /// canary stays where it is; so it does where the test has no number to say.
    fn fresh(&self, policy: &Policy) -> Vec<Finding> {
        let mut found = Vec::new();
        if self.now.windows_with_trigger > 0 {
            let seen = format!(
                "{} of {} failed, P95 {:.0} ms",
                self.now.model_faults,
                self.now.requests,
                self.now.latency_p95_ms.unwrap_or(f64::NAN)
            );
            found.push(Finding::new("§8.3", "windows with a rollback trigger", "0", seen));
        }
        if breaker(self.evidence, &policy.rollout.breaker) != Breaker::Hold {
            let clause = policy.rollout.breaker.max_error_rate.clause.clone();
            let seen = format!("log e-value {}", self.evidence);
            found.push(Finding::new(clause, "evidence against the canary", "a number below the limit", seen));
        }
        found
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
