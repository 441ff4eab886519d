//! Results of experiments, on the wire.

use contracts::gateway::v1::experiment_result::Verdict;
use contracts::gateway::v1::{ArmResult, ExperimentResult};
use contracts::registry::v1::experiment::Metric;
use contracts::time::to_wire;
use statistics::Interval;
use statistics::confidence_sequence::{mean_difference, rate_difference};

use super::Running;
use super::arm::Seen;
use crate::gateway::Gateway;

impl Gateway {
    /// Every step of every experiment that is known.
    pub fn experiment_results(&self, endpoint: &str) -> Vec<ExperimentResult> {
        let mut steps = self.experiments().steps();
        steps.retain(|(one, _)| endpoint.is_empty() || one.endpoint == endpoint);
        steps.iter().map(|(one, running)| result(one, *running)).collect()
    }
}

fn result(of: &Running, running: bool) -> ExperimentResult {
    let (stable, canary) = (of.stable.seen(), of.canary.seen());
    let metric = of.declared.primary_metric();
    let interval = difference(metric, &stable, &canary, of.declared.confidence);
    ExperimentResult {
        endpoint: of.endpoint.clone(),
        rollout: of.rollout.clone(),
        experiment: Some(of.declared.clone()),
        canary_percent: of.percent,
        running,
        start_time: Some(to_wire(of.since)),
        stable: Some(arm(&of.stable_version, &stable)),
        canary: Some(arm(&of.canary_version, &canary)),
        difference: value(metric, &canary).zip(value(metric, &stable)).map(|(b, a)| b - a),
        lower: interval.map(|interval| interval.lower),
        upper: interval.map(|interval| interval.upper),
        verdict: verdict(interval).into(),
    }
}

/// Canary less stable; `None` where there is too little of either.
fn difference(metric: Metric, stable: &Seen, canary: &Seen, confidence: f64) -> Option<Interval> {
    let faults = |seen: &Seen| (seen.model_faults, seen.requests);
    match metric {
        Metric::Unspecified => None,
        Metric::ModelFaultRate => rate_difference(faults(stable), faults(canary), confidence).ok(),
        Metric::Latency => mean_difference(&stable.latency, &canary.latency, confidence).ok(),
    }
}

fn value(metric: Metric, seen: &Seen) -> Option<f64> {
    match metric {
        Metric::Unspecified => None,
        Metric::ModelFaultRate => fault_rate(seen),
        Metric::Latency => seen.latency.mean().ok(),
    }
}

/// Of both metrics less is better.
fn verdict(interval: Option<Interval>) -> Verdict {
    match interval {
        None => Verdict::TooFew,
        Some(interval) if interval.upper < 0.0 => Verdict::CanaryBetter,
        Some(interval) if interval.lower > 0.0 => Verdict::CanaryWorse,
        Some(_) => Verdict::Undecided,
    }
}

fn arm(version: &str, seen: &Seen) -> ArmResult {
    ArmResult {
        version: version.to_owned(),
        requests: seen.requests,
        model_faults: seen.model_faults,
        model_fault_rate: fault_rate(seen),
        mean_latency_ms: seen.latency.mean().ok(),
        p95_latency_ms: seen.sketch.quantile(0.95).ok(),
    }
}

fn fault_rate(seen: &Seen) -> Option<f64> {
    (seen.requests > 0).then(|| seen.model_faults as f64 / seen.requests as f64)
}
