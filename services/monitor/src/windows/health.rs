//! A canary's health at one step of the ladder, from its windows: what G4 and every step are decided on.

use lifecycle::alert::{Judgement, Measurement, Metric, judge};
use lifecycle::health::CanaryHealth;
use lifecycle::policy::Policy;
use lifecycle::policy::monitoring::AlertRule;
use lifecycle::policy::rollout::TriggerPolicy;
use lifecycle::rollback::{Observed, fired};
use std::time::{Duration, SystemTime};

use super::groups::disparity;
use super::join::{Joined, Stretch, join};
use super::{Window, error_rate, judged, latency, merge, timed};
use crate::Error;
use contracts::monitor::v1::VersionObservation;

/// Metrics that the windows of requests speak of.
const OF_REQUESTS: [Metric; 3] = [Metric::LatencyP95, Metric::ErrorRate, Metric::Disparity];

/// The step that is looked at.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// When its traffic began, or went on after a pause.
    pub since: SystemTime,
    /// How long it has lasted since then.
    pub soaked: Duration,
    /// Percent of the traffic.
    pub traffic_percent: u32,
    /// How long it must last: the newest stretch of this length is judged.
    pub dwell: Duration,
    /// Requests that it must have seen: the stretch reaches further back until it has them.
    pub least: u64,
}

/// Alerts that speak against a canary.
#[derive(Debug, Clone, Default)]
pub struct Alerts {
    /// Names of those that are open now.
    pub open: Vec<String>,
    /// Ends of the windows in which a rule about machines fired over a host that serves the canary.
    pub fired: Vec<SystemTime>,
}

/// Health over the windows of one version, sorted by time, that are over at `until`: the newest stretch that is as long as
/// the step must last and has enough requests. A window that began before the step is looked at for triggers and alerts, and
/// not counted: its requests belong to the step before. Evidence of the sequential test is none of the windows: the health
/// has no number for it until somebody puts one in.
///
/// # Errors
/// If stored windows contradict each other.
pub fn canary(
    windows: &[Window],
    step: Step,
    until: SystemTime,
    alerts: &Alerts,
    policy: &Policy,
) -> Result<CanaryHealth, Error> {
    let (looked, from) = newest(windows, step, until);
    let counted: Vec<&Window> = looked.iter().copied().filter(|window| window.start >= step.since).collect();
    let mut all = VersionObservation::default();
    for window in &counted {
        merge::counters(&mut all, &window.seen)?;
    }
    let flags = Flags::of(&looked, policy)?;
    let of_machines = alerts.fired.iter().filter(|end| from < **end && **end <= until).count();
    let of_machines = u32::try_from(of_machines).unwrap_or(u32::MAX);
    Ok(CanaryHealth {
        requests: judged(&all),
        model_faults: all.model_faults,
        latency_p95_ms: latency(&all, 0.95),
        // What is not heard of yet is not watched yet.
        soaked: step.soaked.min(until.duration_since(step.since).unwrap_or_default()),
        windows: flags.windows,
        windows_with_trigger: flags.triggered,
        windows_with_alert: flags.alerted.max(of_machines).min(flags.windows),
        open_alerts: alerts.open.clone(),
        traffic_percent: step.traffic_percent,
        longest_silence: Some(longest_silence(&counted, from, until)),
        triggers_now: flags.triggered,
        breaker_log_e: None,
    })
}

/// The windows of the stretch, and when it begins: with the step itself unless later windows are enough.
fn newest(windows: &[Window], step: Step, until: SystemTime) -> (Vec<&Window>, SystemTime) {
    let (mut looked, mut requests): (Vec<&Window>, u64) = (Vec::new(), 0);
    let at_step = windows.iter().filter(|window| window.end() > step.since && window.end() <= until);
    let mut from = step.since;
    for window in at_step.rev() {
        if window.start >= step.since {
            requests += judged(&window.seen);
        }
        looked.push(window);
        let long = until.duration_since(window.start).is_ok_and(|reach| reach >= step.dwell);
        if long && requests >= step.least {
            from = window.start.max(step.since);
            break;
        }
    }
    looked.reverse();
    (looked, from)
}

/// The longest time between `from` and `until` without a window in which something was observed.
fn longest_silence(counted: &[&Window], from: SystemTime, until: SystemTime) -> Duration {
    let (mut heard, mut longest) = (from, Duration::ZERO);
    for window in counted.iter().filter(|window| window.seen.requests > 0) {
        longest = longest.max(window.start.duration_since(heard).unwrap_or_default());
        heard = heard.max(window.end());
    }
    longest.max(until.duration_since(heard).unwrap_or_default())
}

/// How many joined windows there are, and how many of them speak against the canary. Each metric has its own windows;
/// the largest numbers count.
#[derive(Debug, Default, PartialEq, Eq)]
struct Flags {
    windows: u32,
    triggered: u32,
    alerted: u32,
}

impl Flags {
    fn of(windows: &[&Window], policy: &Policy) -> Result<Self, Error> {
        let mut flags = Self::default();
        for rule in policy.monitoring.alerts.iter().filter(|rule| OF_REQUESTS.contains(&rule.metric)) {
            let parts = windows.iter().map(|window| Stretch::from(*window));
            let all = by_rule(rule, parts)?.whole(merge::counters)?;
            let count = |speaks: &dyn Fn(&VersionObservation) -> bool| {
                u32::try_from(all.iter().filter(|one| speaks(&one.seen)).count()).unwrap_or(u32::MAX)
            };
            flags.windows = flags.windows.max(count(&|_| true));
            flags.triggered =
                flags.triggered.max(count(&|seen| trigger(rule.metric, seen, policy).is_some()));
            flags.alerted = flags.alerted.max(count(&|seen| fires(rule, seen)));
        }
        Ok(flags)
    }
}

/// Joins windows until they have as many samples as the rule asks for.
///
/// # Errors
/// If stored windows contradict each other.
pub fn by_rule(
    rule: &AlertRule,
    parts: impl IntoIterator<Item = Stretch<VersionObservation>>,
) -> Result<Joined<VersionObservation>, Error> {
    join(parts, merge::counters, |seen| measure(rule, seen).samples >= rule.min_samples)
}

/// Whether a rule fires over what was seen. A rule with a longer window sees it as a part of one: what fires in a canary's
/// window is an alert of reading 7.
fn fires(rule: &AlertRule, seen: &VersionObservation) -> bool {
    let measured = Measurement { window: rule.window.get(), ..measure(rule, seen) };
    judge(rule, &measured) == Judgement::Firing
}

/// The row of §8.3 that a metric's value exceeds.
pub fn trigger<'a>(
    metric: Metric,
    seen: &VersionObservation,
    policy: &'a Policy,
) -> Option<&'a TriggerPolicy> {
    let observed = match metric {
        Metric::ErrorRate => Observed { error_rate: error_rate(seen), ..Observed::default() },
        Metric::LatencyP95 => Observed { latency_p95_ms: latency(seen, 0.95), ..Observed::default() },
        _ => return None,
    };
    fired(&observed, &policy.rollout).into_iter().next()
}

/// The newest joined window in which a metric exceeds its row of §8.3. Too few samples exceed nothing (reading 4).
///
/// # Errors
/// If stored windows contradict each other.
pub fn exceeded<'a>(
    metric: Metric,
    windows: &[&Window],
    policy: &'a Policy,
) -> Result<Option<(&'a TriggerPolicy, VersionObservation)>, Error> {
    for rule in policy.monitoring.alerts.iter().filter(|rule| rule.metric == metric) {
        let parts = windows.iter().map(|window| Stretch::from(*window));
        for one in by_rule(rule, parts)?.whole(merge::counters)?.into_iter().rev() {
            if let Some(row) = trigger(metric, &one.seen, policy) {
                return Ok(Some((row, one.seen)));
            }
        }
    }
    Ok(None)
}

/// What was seen of a rule's metric; nothing for metrics that come from elsewhere than requests.
pub fn measure(rule: &AlertRule, seen: &VersionObservation) -> Measurement {
    let (value, samples) = match rule.metric {
        Metric::ErrorRate => (error_rate(seen), judged(seen)),
        Metric::LatencyP95 => (latency(seen, 0.95), timed(seen)),
        Metric::Disparity => disparity(seen, rule.min_samples),
        Metric::Accuracy
        | Metric::HallucinationRate
        | Metric::GpuUtilization
        | Metric::OomEvents
        | Metric::VolumeDrop => (None, 0),
    };
    Measurement { value, samples, window: Duration::ZERO }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::windows::Scope;
    use std::time::UNIX_EPOCH;

    const MINUTE: Duration = Duration::from_mins(1);

    fn window(minute: u32, requests: u64, model_faults: u64) -> Window {
        Window {
            scope: Scope { deployment: "deployments/d".into(), version: "models/m/versions/1.0.0".into() },
            start: UNIX_EPOCH + MINUTE * minute,
            length: MINUTE,
            seen: VersionObservation { requests, model_faults, ..VersionObservation::default() },
        }
    }

    fn at_five(windows: &[Window], minutes: u32) -> CanaryHealth {
        let step = Step {
            since: UNIX_EPOCH,
            soaked: MINUTE * minutes,
            traffic_percent: 5,
            dwell: MINUTE * 60,
            least: 100,
        };
        canary(windows, step, UNIX_EPOCH + MINUTE * minutes, &Alerts::default(), Policy::builtin())
            .expect("sound windows")
    }

    /// A machine that was in trouble within the stretch counts like an alert of the canary's own windows.
    #[test]
    fn alerts_of_machines_count_while_they_are_within_the_stretch() {
        let windows: Vec<Window> = (0..90).map(|minute| window(minute, 100, 0)).collect();
        let alerts = Alerts { open: Vec::new(), fired: vec![UNIX_EPOCH + MINUTE * 11] };
        let alerted = |minutes: u32| {
            let dwell = MINUTE * 60;
            let step =
                Step { since: UNIX_EPOCH, soaked: MINUTE * minutes, traffic_percent: 5, dwell, least: 100 };
            let until = UNIX_EPOCH + MINUTE * minutes;
            canary(&windows, step, until, &alerts, Policy::builtin())
                .expect("sound windows")
                .windows_with_alert
        };
        assert_eq!([10, 11, 70, 71].map(alerted), [0, 1, 1, 0]);
    }

    /// 30 requests a minute: no minute says anything by itself, four of them do.
    #[test]
    fn few_requests_a_minute_are_judged_together() {
        let three_percent: Vec<Window> =
            (0..60).map(|minute| window(minute, 30, u64::from(minute % 10 != 0))).collect();
        let health = at_five(&three_percent, 60);
        assert_eq!((health.windows, health.windows_with_alert, health.windows_with_trigger), (15, 15, 0));
        let one_in_fifty: Vec<Window> = (0..60).map(|minute| window(minute, 2, 0)).collect();
        assert_eq!((at_five(&one_in_fifty, 60).windows, at_five(&one_in_fifty, 60).requests), (1, 120));
    }

    #[test]
    fn the_stretch_is_the_last_hour_and_longer_where_requests_are_few() {
        let mut windows: Vec<Window> = (0..90).map(|minute| window(minute, 100, 0)).collect();
        windows[10] = window(10, 100, 3);
        assert_eq!(at_five(&windows[..70], 70).windows_with_alert, 1, "minute 10 is within the last hour");
        assert_eq!(at_five(&windows[..71], 71).windows_with_alert, 0, "and then no more");
        let few: Vec<Window> = (0..90).map(|minute| window(minute, 1, 0)).collect();
        assert_eq!(at_five(&few, 90).requests, 90);
    }

    #[test]
    fn time_whose_observations_may_still_come_is_not_watched_yet() {
        let windows: Vec<Window> = (0..60).map(|minute| window(minute, 100, 0)).collect();
        let step = Step {
            since: UNIX_EPOCH,
            soaked: MINUTE * 60,
            traffic_percent: 5,
            dwell: MINUTE * 60,
            least: 100,
        };
        let settled = UNIX_EPOCH + MINUTE * 58;
        let health =
            canary(&windows, step, settled, &Alerts::default(), Policy::builtin()).expect("sound windows");
        assert_eq!((health.soaked, health.requests), (MINUTE * 58, 5_800));
    }

    #[test]
    fn silence_is_measured_at_both_ends_and_between() {
        let of = |minutes: &[u32], until| {
            let windows: Vec<Window> = minutes.iter().map(|minute| window(*minute, 100, 0)).collect();
            at_five(&windows, until).longest_silence.expect("looked at").as_secs() / 60
        };
        assert_eq!(of(&(0..60).collect::<Vec<_>>(), 60), 0);
        assert_eq!(of(&[0], 60), 59, "a hundred requests in the first minute, then nothing");
        assert_eq!(of(&[0, 1, 2, 30, 31], 32), 27);
        assert_eq!(of(&[20, 21], 22), 20);
        let after_twenty: Vec<u32> = (20..80).collect();
        assert_eq!(of(&after_twenty, 80), 0, "an hour without silence is enough, whatever was before");
        assert_eq!(of(&[], 60), 60);
    }
}
