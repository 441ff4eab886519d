//! What was seen of shadows, on the wire.

use contracts::gateway::v1::{OutputComparison, RunTime, ShadowComparison};
use contracts::time::to_wire;
use statistics::LatencySketch;

use super::compare::OutputTally;
use super::known::{Row, Standing};
use super::meters::share;
use crate::gateway::Gateway;

impl Gateway {
    /// Every version that is or was last in the shadow of an endpoint.
    pub fn shadow_comparisons(&self, endpoint: &str) -> Vec<ShadowComparison> {
        let mut rows = self.shadows().known().rows();
        rows.retain(|row| endpoint.is_empty() || row.endpoint == endpoint);
        rows.iter().map(of_row).collect()
    }
}

fn of_row(row: &Row) -> ShadowComparison {
    let seen = row.tally.seen();
    let (state, error) = match &row.standing {
        Standing::Loading => ("loading", String::new()),
        Standing::Ready => ("ready", String::new()),
        Standing::Failed(why) => ("failed", why.clone()),
        Standing::Ended => ("ended", String::new()),
    };
    ShadowComparison {
        endpoint: row.endpoint.clone(),
        version: row.version.clone(),
        artifact_digest: row.artifact_digest.clone(),
        rollout: row.rollout.clone(),
        percent: row.percent,
        state: state.into(),
        error,
        start_time: Some(to_wire(row.since)),
        compared: seen.compared,
        model_faults: seen.model_faults,
        host_faults: seen.host_faults,
        incompatible: seen.incompatible,
        dropped: seen.dropped,
        outputs: seen.outputs.iter().map(of_output).collect(),
        production: Some(of_times(&seen.production)),
        shadow: Some(of_times(&seen.shadow)),
    }
}

fn of_output((output, seen): (&String, &OutputTally)) -> OutputComparison {
    OutputComparison {
        output: output.clone(),
        requests: seen.requests,
        equal_requests: seen.equal_requests,
        incomparable: seen.incomparable,
        elements: seen.elements,
        equal_elements: seen.equal_elements,
        equal_share: share(seen.equal_elements, seen.elements),
        max_difference: (seen.numbers > 0).then_some(seen.max_difference),
        mean_difference: seen.mean_difference(),
        not_finite: seen.not_finite,
        labels: seen.labels,
        label_agreement: share(seen.agreed_labels, seen.labels),
    }
}

fn of_times(sketch: &LatencySketch) -> RunTime {
    let at = |quantile| sketch.quantile(quantile).ok();
    RunTime { requests: sketch.count(), p50_ms: at(0.5), p95_ms: at(0.95), p99_ms: at(0.99) }
}
