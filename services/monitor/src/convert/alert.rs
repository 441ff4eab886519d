//! Alerts: the life that `lifecycle` knows, inside the message that is stored.

use contracts::monitor::v1::{Alert as Wire, alert::State};
use lifecycle::alert::{Alert, Metric};

use super::{time, wire_time};

/// Where the alert stands.
pub fn life(wire: &Wire) -> Alert {
    let (since, quiet) = (time(wire.open_time.as_ref()), wire.quiet_windows);
    match wire.state() {
        State::Acknowledged => Alert::Acknowledged {
            since,
            by: wire.acknowledged_by.clone(),
            at: time(wire.acknowledge_time.as_ref()),
            quiet,
        },
        State::Closed => Alert::Closed { since, at: time(wire.close_time.as_ref()) },
        State::Open | State::Unspecified => Alert::Open { since, quiet },
    }
}

/// Writes where the alert stands into its message.
pub fn set_life(wire: &mut Wire, life: &Alert) {
    match life {
        Alert::Open { since, quiet } => {
            wire.set_state(State::Open);
            (wire.open_time, wire.quiet_windows) = (wire_time(*since), *quiet);
        }
        Alert::Acknowledged { since, by, at, quiet } => {
            wire.set_state(State::Acknowledged);
            (wire.open_time, wire.quiet_windows) = (wire_time(*since), *quiet);
            (wire.acknowledged_by, wire.acknowledge_time) = (by.clone(), wire_time(*at));
        }
        Alert::Closed { since, at } => {
            wire.set_state(State::Closed);
            (wire.open_time, wire.close_time) = (wire_time(*since), wire_time(*at));
        }
    }
}

/// The rule's word in the contract.
pub fn rule_word(metric: Metric) -> &'static str {
    match metric {
        Metric::LatencyP95 => "latency_p95",
        Metric::ErrorRate => "error_rate",
        Metric::Accuracy => "accuracy",
        Metric::HallucinationRate => "hallucination",
        Metric::Disparity => "disparity",
        Metric::GpuUtilization => "gpu_utilisation",
        Metric::OomEvents => "oom",
        Metric::VolumeDrop => "volume_drop",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, UNIX_EPOCH};

    #[test]
    fn a_life_survives_the_message() {
        let at = UNIX_EPOCH + Duration::from_mins(1);
        let lives = [
            Alert::Open { since: at, quiet: 2 },
            Alert::Acknowledged {
                since: at,
                by: "on-call".into(),
                at: at + Duration::from_secs(5),
                quiet: 1,
            },
            Alert::Closed { since: at, at: at + Duration::from_secs(9) },
        ];
        for one in lives {
            let mut wire = Wire::default();
            set_life(&mut wire, &one);
            assert_eq!(life(&wire), one);
        }
    }
}
