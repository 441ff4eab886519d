//! What the rules of §9.1 measure in labels that became known.

use lifecycle::alert::Metric;
use lifecycle::policy::monitoring::AlertRule;

use crate::store::labels::Labels;
use crate::windows::groups::largest_gap;

/// The value of a rule's metric and the rows behind it; nothing for metrics that do not come from labels. Disparity is that
/// of the predictions that are `favourable` to the person concerned: without such there is none.
pub fn measure(rule: &AlertRule, all: &Labels, favourable: &[String]) -> (Option<f64>, u64) {
    match rule.metric {
        Metric::Accuracy => (all.accuracy(), all.labelled),
        Metric::HallucinationRate => (all.hallucination(), all.judged),
        Metric::Disparity => {
            let groups = all.groups.iter().map(|(group, predictions)| {
                let good = predictions.iter().filter(|(prediction, _)| favourable.contains(prediction));
                (group.as_str(), predictions.values().sum(), good.map(|(_, rows)| rows).sum())
            });
            let (value, rows) = largest_gap(groups, rule.min_samples);
            (value.filter(|_| !favourable.is_empty()), rows)
        }
        Metric::LatencyP95
        | Metric::ErrorRate
        | Metric::GpuUtilization
        | Metric::OomEvents
        | Metric::VolumeDrop => (None, 0),
    }
}
