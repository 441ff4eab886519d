//! Incidents (§8.3 opens them, §11 reports them): states, clocks, and what must be known before one is closed.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use crate::approval::Approval;
use crate::kinds::kinds;
use crate::policy::{Policy, upkeep::IncidentPolicy};
use crate::refuse;
use crate::rejection::{Findings, Rejection};
use crate::role::Role;
use crate::rollback::{Timer, Trigger};

kinds! {
    /// How bad, the worst first.
    Severity {
        /// Users are harmed now.
        Critical = "critical",
        /// A version was taken off traffic.
        High = "high",
        /// A person must assess.
        Medium = "medium",
        /// To be looked at.
        Low = "low",
    }
}

kinds! {
    /// States, in their only order.
    State {
        /// Found.
        Open = "OPEN",
        /// Somebody looks at it.
        Acknowledged = "ACKNOWLEDGED",
        /// It harms nobody any more.
        Mitigated = "MITIGATED",
        /// Its cause is removed.
        Resolved = "RESOLVED",
        /// Its report is complete.
        Closed = "CLOSED",
    }
}

kinds! {
    /// Parts of TPL-INC that must be known before an incident is closed.
    Part {
        /// What happened.
        Summary = "summary",
        /// When what happened.
        Timeline = "timeline",
        /// Who was hit, and how.
        Impact = "impact",
        /// What fired.
        Trigger = "trigger",
        /// Why it happened.
        RootCause = "root-cause",
        /// What was done.
        Actions = "actions",
        /// What is done so that it does not happen again.
        Prevention = "prevention",
    }
}

/// How bad an incident is that says so neither itself nor by a trigger: somebody took a version off traffic.
pub const UNSTATED: Severity = Severity::High;

/// What is fixed about an incident when it is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opened {
    /// The worse of what was asked for and what the trigger is worth.
    pub severity: Severity,
    /// When it was detected; never later than it was opened.
    pub detected: SystemTime,
    /// Until when somebody must have answered: within the trigger's own time where a person acts on it (§8.3), and within that
    /// of the severity where a machine has acted already.
    pub respond_by: SystemTime,
}

/// Opens an incident at `now` (§8.3). `trigger` is none where a person decided without one of the four.
pub fn opened(
    trigger: Option<Trigger>,
    asked: Option<Severity>,
    detected: Option<SystemTime>,
    now: SystemTime,
    policy: &Policy,
) -> Opened {
    let row = trigger.and_then(|trigger| policy.rollout.triggers.iter().find(|row| row.trigger == trigger));
    let severity = asked.into_iter().chain(row.map(|row| row.severity)).min().unwrap_or(UNSTATED);
    let detected = detected.unwrap_or(now).min(now);
    let person = row.filter(|row| !row.action.is_automatic());
    let due = if let Some(row) = person {
        Timer::started(row.trigger, detected, &policy.rollout).due
    } else {
        let clock = policy.incidents.severities.iter().find(|row| row.severity == severity);
        clock.and_then(|row| detected.checked_add(row.acknowledge_within.get()))
    };
    Opened { severity, detected, respond_by: due.unwrap_or(detected) } // doubt never waits
}

/// One incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incident {
    /// How bad.
    pub severity: Severity,
    /// Where it stands.
    pub state: State,
    /// When it was opened.
    pub opened: SystemTime,
    /// When each later state was reached.
    pub reached: BTreeMap<State, SystemTime>,
    /// Text of each part of the report.
    pub parts: BTreeMap<Part, String>,
}

impl Incident {
    /// Opens an incident.
    pub fn open(severity: Severity, now: SystemTime) -> Self {
        Self { severity, state: State::Open, opened: now, reached: BTreeMap::new(), parts: BTreeMap::new() }
    }

    /// Writes a part of the report.
    /// # Errors
    /// `INCIDENT_CLOSED`, or `PART_EMPTY`.
    pub fn write(mut self, part: Part, text: &str) -> Result<Self, Rejection> {
        if self.state == State::Closed {
            return refuse::one(
                "INCIDENT_CLOSED",
                "incident report",
                "§11",
                part.as_str(),
                "open incident",
                "CLOSED",
            );
        }
        if text.trim().is_empty() {
            return refuse::one("PART_EMPTY", "incident report", "§11", part.as_str(), "present", "missing");
        }
        self.parts.insert(part, text.to_owned());
        Ok(self)
    }

    /// Moves to the next state; only on-call closes, and only a complete report.
    /// # Errors
    /// `OUT_OF_ORDER`, `REPORT_INCOMPLETE` with every missing part, `ROLE_MAY_NOT_CLOSE`.
    pub fn advance(
        mut self,
        to: State,
        by: &Approval,
        owner: Role,
        policy: &IncidentPolicy,
    ) -> Result<Self, Rejection> {
        let next = State::ALL.iter().copied().find(|state| *state > self.state);
        if next != Some(to) {
            let required = next.map_or("no further state", State::as_str);
            return refuse::one("OUT_OF_ORDER", "incident", "§11", "state", required, to.as_str());
        }
        if to == State::Closed {
            let mut found = Findings::new();
            for part in &policy.parts.value {
                let text = self.parts.get(part).map_or("", String::as_str);
                found.need_text(&policy.parts.clause, part.as_str(), text);
            }
            found.into_result("REPORT_INCOMPLETE", "incident")?;
            let mut found = Findings::new();
            by.check(&mut found, "§11", "incident report", &[owner], &[]);
            found.into_result("ROLE_MAY_NOT_CLOSE", "incident")?;
        }
        self.reached.insert(to, by.time);
        self.state = to;
        Ok(self)
    }

    /// The clocks that have run out, with how late each is at `now` or was when its state was reached.
    pub fn overdue(&self, now: SystemTime, policy: &IncidentPolicy) -> Vec<(State, Duration)> {
        let Some(row) = policy.severities.iter().find(|row| row.severity == self.severity) else {
            return Vec::new();
        };
        [
            (State::Acknowledged, row.acknowledge_within),
            (State::Mitigated, row.mitigate_within),
            (State::Closed, row.close_within),
        ]
        .into_iter()
        .filter_map(|(state, limit)| {
            let end = self.reached.get(&state).copied().unwrap_or(now);
            let late = end.duration_since(self.opened).ok()?.checked_sub(limit.get())?;
            (!late.is_zero()).then_some((state, late))
        })
        .collect()
    }

    /// That the clock of `state` ran out and the state was not reached, so that the incident `name` is escalated; gives how
    /// late it is.
    /// # Errors
    /// `TIMER_RUNNING` while it runs, and once the state was reached.
    pub fn run_out(
        &self,
        state: State,
        name: &str,
        now: SystemTime,
        policy: &IncidentPolicy,
    ) -> Result<Duration, Rejection> {
        const RUNNING: &str = "TIMER_RUNNING";
        if self.reached.contains_key(&state) {
            return refuse::one(RUNNING, name, "§8.3", "incident", format!("not {state}"), state.as_str());
        }
        let late = self.overdue(now, policy).into_iter().find(|(clock, _)| *clock == state);
        match late {
            Some((_, late)) => Ok(late),
            None => refuse::one(RUNNING, name, "§8.3", format!("time to {state}"), "run out", "running"),
        }
    }
}
