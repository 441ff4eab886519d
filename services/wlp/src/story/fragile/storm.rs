//! The storm as its clients see it: one request after the other, at the traffic that reading 5 speaks of.

use std::time::{Duration, Instant, SystemTime};

use anyhow::Context;
use contracts::registry::v1::Incident;
use contracts::time::from_wire;
use tokio::time::{Interval, MissedTickBehavior};

use super::super::{Burst, Shape, Story, names};

/// Reading 5, for a canary that fails every request: failed requests at most, ...
const FAILURES: usize = 5;
/// ... canary requests a second, ...
const RATE: f64 = 10.0;
/// ... and the time until it is off, in half of all cases. At that traffic five failures last four tenths of a second, so a
/// single storm must keep to it too.
const OFF: Duration = Duration::from_millis(500);
/// Pause between requests: a canary at 5 % gets ten of them a second.
const PAUSE: Duration = Duration::from_millis(5);

/// A moment, by the clients' clock and by the clock of the mesh.
#[derive(Debug, Clone, Copy)]
struct Moment {
    real: Instant,
    mesh: SystemTime,
    /// Requests sent by then.
    sent: u32,
}

/// A request that had no answer.
#[derive(Debug, Clone, Copy)]
struct Failure {
    sent: Moment,
    ended: Moment,
}

/// Requests that the canary cannot answer, and what came of them.
pub(super) struct Storm<'a> {
    story: &'a Story,
    canary: &'a str,
    percent: u32,
    pace: Interval,
    sent: u32,
    total: Burst,
    failures: Vec<Failure>,
    /// The first answer of another version after the last failure.
    back: Option<Moment>,
}

impl<'a> Storm<'a> {
    /// Begins against the canary of that number and share.
    pub(super) fn new(story: &'a Story, canary: &'a str, percent: u32) -> Self {
        let mut pace = tokio::time::interval(PAUSE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            story,
            canary,
            percent,
            pace,
            sent: 0,
            total: Burst::default(),
            failures: Vec::new(),
            back: None,
        }
    }

    /// Requests so far.
    pub(super) fn sent(&self) -> u32 {
        self.sent
    }

    /// Of them without an answer.
    pub(super) fn failed(&self) -> usize {
        self.failures.len()
    }

    /// Sends more.
    ///
    /// # Errors
    /// If the client has no key.
    pub(super) async fn go_on(&mut self, requests: u32) -> anyhow::Result<()> {
        let (actors, load) = (&self.story.actors, &self.story.load);
        for _ in 0..requests {
            self.pace.tick().await;
            self.sent += 1;
            let sent = self.moment();
            let one = load.send(actors, "client", names::ENDPOINT, 1, Shape::Saturated).await?;
            let ended = self.moment();
            if one.faults() > 0 {
                self.failures.push(Failure { sent, ended });
                self.back = None;
            } else if !one.answered.contains_key(self.canary) {
                self.back.get_or_insert(ended);
            }
            self.total.add(&one);
        }
        Ok(())
    }

    fn moment(&self) -> Moment {
        Moment { real: Instant::now(), mesh: self.story.pace.now(), sent: self.sent }
    }

    /// What the clients saw, held against reading 5, and what the incident says, held against what they saw.
    ///
    /// # Errors
    /// Whatever does not hold.
    pub(super) fn judge(&self, incident: &Incident) -> anyhow::Result<String> {
        let (first, last) = self.failures.first().zip(self.failures.last()).context("no request failed")?;
        let back = self.back.context("nothing was answered after the last failure")?;
        let failed = self.failures.len();
        anyhow::ensure!(failed <= FAILURES, "{failed} requests failed, required at most {FAILURES}");
        let took = back.real.duration_since(first.ended.real);
        let asked = f64::from((back.sent - first.sent.sent) * self.percent) / 100.0;
        let rate = asked / took.as_secs_f64();
        let (seen, off) = (took.as_secs_f64(), OFF.as_secs_f64());
        // A slow machine sends less: what counts is how much of the canary's traffic it took.
        anyhow::ensure!(
            seen * rate <= off * RATE,
            "off after {seen:.2} s at {rate:.1} canary requests a second, required {off} s at {RATE}"
        );
        let told = told(incident, *first, *last, back)?.as_secs_f64() * 1e3;
        Ok(format!(
            "{seen:.2} s from the first failed answer to the first of stable after the last, {failed} failed at \
             {rate:.1} canary requests a second (reading 5: at most {FAILURES}, half of all storms within {off} s, at \
             {RATE}); {told:.0} ms from detection to off traffic by the incident; {}",
            self.total
        ))
    }
}

/// From detection to no traffic as the incident says it. Detected while the first request failed, off while the last one
/// did or before the next was answered: anything else is not what happened to the clients.
fn told(incident: &Incident, first: Failure, last: Failure, back: Moment) -> anyhow::Result<Duration> {
    let at = |time: &Option<prost_types::Timestamp>| time.as_ref().and_then(from_wire);
    let detected = at(&incident.detect_time).context("the incident does not say when it was detected")?;
    let off =
        at(&incident.mitigate_time).context("the incident does not say when the canary was off traffic")?;
    anyhow::ensure!(
        first.sent.mesh <= detected && detected <= first.ended.mesh,
        "detected at {detected:?}; the first request failed from {:?} to {:?}",
        first.sent.mesh,
        first.ended.mesh
    );
    anyhow::ensure!(
        last.sent.mesh <= off && off <= back.mesh,
        "off traffic at {off:?}; the last request failed from {:?}, the next was answered at {:?}",
        last.sent.mesh,
        back.mesh
    );
    Ok(off.duration_since(detected)?)
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use contracts::time::to_wire;

    use super::*;

    fn at(millis: u64) -> Moment {
        let (real, since) = (Instant::now(), Duration::from_millis(millis));
        Moment { real, mesh: UNIX_EPOCH + Duration::from_hours(1) + since, sent: 0 }
    }

    fn incident(detected: u64, off: u64) -> Incident {
        let time = |millis| Some(to_wire(at(millis).mesh));
        Incident { detect_time: time(detected), mitigate_time: time(off), ..Incident::default() }
    }

    #[test]
    fn an_incident_must_say_what_the_clients_saw() {
        let first = Failure { sent: at(10), ended: at(12) };
        let last = Failure { sent: at(310), ended: at(313) };
        let told = |detected, off| told(&incident(detected, off), first, last, at(316));
        assert_eq!(told(11, 312).expect("it holds"), Duration::from_millis(301));
        for (detected, off) in [(312, 312), (9, 312), (11, 300), (11, 317)] {
            assert!(told(detected, off).is_err(), "{detected} {off}");
        }
        let silent = Incident { detect_time: None, ..incident(11, 312) };
        assert!(super::told(&silent, first, last, at(316)).is_err());
    }
}
