//! Incidents, as far as their clocks are looked at.

use contracts::registry::v1::{Incident as Wire, incident};
use lifecycle::incident::{Incident, Severity, State};

use super::time;

/// The incident with the times at which its states were reached.
pub fn clocks(wire: &Wire) -> Incident {
    let mut made = Incident::open(severity(wire.severity()), time(wire.detect_time.as_ref()));
    let reached = [
        (State::Acknowledged, &wire.acknowledge_time),
        (State::Mitigated, &wire.mitigate_time),
        (State::Resolved, &wire.resolve_time),
        (State::Closed, &wire.close_time),
    ];
    let times = reached.into_iter().filter_map(|(state, at)| {
        let at = at.as_ref().and_then(contracts::time::from_wire)?;
        Some((state, at))
    });
    made.reached.extend(times);
    made
}

/// Without a severity it is as bad as the registry takes it to be.
fn severity(severity: incident::Severity) -> Severity {
    match severity {
        incident::Severity::Low => Severity::Low,
        incident::Severity::Medium => Severity::Medium,
        incident::Severity::High | incident::Severity::Unspecified => Severity::High,
        incident::Severity::Critical => Severity::Critical,
    }
}
