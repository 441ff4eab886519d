//! What is known of a rollout's canary, and what stands in the way of its next step.

use contracts::monitor::v1::Alert;
use contracts::registry::v1::Rollout;
use lifecycle::Finding;
use lifecycle::alert::Metric;
use lifecycle::gate::{self, Candidate, Evidence, Gate, GateDecision};
use lifecycle::health::{CanaryHealth, least_requests};
use lifecycle::policy::Policy;
use lifecycle::policy::rollout::TriggerPolicy;
use std::time::{Duration, SystemTime};

use super::{candidate, machines};
use crate::convert::{self, canary as wire};
use crate::store::{alerts::open_alerts, hosts, windows as rows};
use crate::windows::health::{Alerts, Step, canary, exceeded};
use crate::windows::{Scope, Window, floor, latency, replay, timed};
use crate::{Error, Monitor};

/// A canary at one moment.
#[derive(Debug, Clone)]
pub struct Look {
    /// Over the windows of this step that are over, and what speaks against the canary now: what the next step is decided on,
    /// here as in the registry.
    pub health: CanaryHealth,
    /// With the window that is still open: shown.
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
    /// The version as G4 looks at it; only at the first step.
    candidate: Option<Candidate>,
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
    let alerts = alerts(monitor, &scope, floor(since, monitor.window())).await?;
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
    let evidence = replay::evidence(&windows, &stable, &steps(rollout), &policy.rollout.breaker)?;
    let seen_now = canary(&windows, step, open_window_ends, &alerts, &policy)?;
    let mut health = canary(&windows, step, settled, &alerts, &policy)?;
    (health.triggers_now, health.breaker_log_e) = (seen_now.triggers_now, Some(evidence));
    let state = wire::rollout(rollout);
    let candidate =
        if at_first_step(state) { Some(candidate::fetch(monitor, &rollout.version).await?) } else { None };
    Ok(Look { health, now: seen_now, evidence, slow, from: since, to: now, state, candidate })
}

fn at_first_step(state: lifecycle::rollout::Rollout) -> bool {
    use lifecycle::rollout::Rollout;
    matches!(state, Rollout::Running { step: 0, .. } | Rollout::Paused { step: 0, .. })
}

/// Alerts that speak against a canary: those about it, and those about hosts that serve its deployment, whose trouble is that
/// of everything they serve.
async fn alerts(monitor: &Monitor, scope: &Scope, from: SystemTime) -> Result<Alerts, Error> {
    let connection = monitor.db().connection();
    let concerns = |alert: &Alert| {
        alert.deployment == scope.deployment && (alert.version == scope.version || !alert.host.is_empty())
    };
    let open = open_alerts(monitor.records()).await?.into_iter().filter(concerns).map(|alert| alert.name);
    let (open, policy, mut fired) = (open.collect(), monitor.policy(), Vec::new());
    for (host, deployment) in hosts::hosts(connection, from).await? {
        if deployment == scope.deployment {
            let to = monitor.now() + monitor.skew();
            let seen = hosts::between(connection, (&host, &deployment), from, to).await?;
            fired.extend(machines::fired(&host, &seen, &policy)?);
        }
    }
    Ok(Alerts { open, fired })
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
    /// What the registry would refuse the next step for; empty if nothing.
    pub fn stands_in_the_way(&self, policy: &Policy) -> Vec<Finding> {
        let g4 = self.candidate.as_ref().map(|candidate| {
            let evidence = Evidence::Canary { health: self.health.clone() };
            gate::decide(Gate::G4, candidate, &evidence, policy)
        });
        // The rule of the ladder speaks first, as in the registry: "soak too short" says more than "G4 not passed".
        let passed = g4.clone().map(|decision| GateDecision { passed: true, ..decision });
        let step = self.state.advance(&self.health, passed.as_ref(), self.to, policy);
        let mut findings = step.err().map(|why| why.findings().to_vec()).unwrap_or_default();
        for one in g4.into_iter().flat_map(|decision| decision.findings) {
            if !findings.iter().any(|known| known.subject == one.subject) {
                findings.push(one);
            }
        }
        findings
    }
}
