//! Every clock of the procedure around its moment: 5 and 15 minutes of §8.3, the hour of §8.2, days of §9.3 and §10.

use std::time::UNIX_EPOCH;

use lifecycle::calendar::add_months;
use lifecycle::checklist::{PreFacts, Rehearsal, check_pre};
use lifecycle::feedback::{Analysis, Decision, FindingKind, Item};
use lifecycle::incident::{Incident, Severity, State, opened};
use lifecycle::rollback::{Standing, Timer, Trigger};
use lifecycle::training::{RunState, checkpoint_overdue, reap};

use super::given::rollout::facts;
use super::*;

proptest! {
    /// §8.3: immediate, 5 minutes, 15 minutes, immediate. An answer at the last moment is in time, one later is not.
    #[test]
    fn each_trigger_is_answered_in_its_time(trigger in select(Trigger::ALL), nanos in nanos(), answered in any::<bool>()) {
        let within = match trigger {
            Trigger::ErrorRate | Trigger::SecurityIssue => 0,
            Trigger::LatencyP95 => 5 * 60,
            Trigger::UserComplaints => 15 * 60,
        };
        let moment = at(0) + around(within, nanos);
        let started = Timer::started(trigger, at(0), &policy().rollout);
        prop_assert_eq!(started.due, Some(at(within)));
        let timer = Timer { answered: answered.then_some(moment), ..started };
        let now = if answered { at(10 * DAY) } else { moment };
        let seen = timer.standing(now);
        let late = moment.duration_since(at(within)).unwrap_or_default();
        let want = match () {
            () if !late.is_zero() => Standing::Escalated { late },
            () if answered => Standing::Answered,
            () => Standing::Waiting { left: at(within).duration_since(moment).unwrap_or_default() },
        };
        prop_assert_eq!(seen, want);
        let told = timer.run_out("incidents/one", now);
        prop_assert_eq!(told.as_ref().ok(), (!answered && !late.is_zero()).then_some(&late), "{:?}", told);
        prop_assert!(told.err().is_none_or(|why| why.reason() == "TIMER_RUNNING"));
        let undated = Timer { due: None, answered: None };
        prop_assert_eq!(undated.run_out("incidents/one", now).ok(), Some(Duration::ZERO), "doubt never waits");
    }

    /// An incident is as bad as the worse of what was asked for and its trigger; where a person acts, the trigger says when,
    /// where a machine has acted the severity does; nothing is detected after now.
    #[test]
    fn an_incident_opens_by_the_rules(
        trigger in prop::option::of(select(Trigger::ALL)), asked in prop::option::of(select(Severity::ALL)),
        detected in prop::option::of(0u64..2_000),
    ) {
        let ruled = trigger.map(|trigger| match trigger {
            Trigger::ErrorRate => Severity::High,
            Trigger::LatencyP95 | Trigger::UserComplaints => Severity::Medium,
            Trigger::SecurityIssue => Severity::Critical,
        });
        let rank = |severity: Severity| match severity {
            Severity::Critical => 3, Severity::High => 2, Severity::Medium => 1, Severity::Low => 0,
        };
        let worst = asked.into_iter().chain(ruled).max_by_key(|one| rank(*one)).unwrap_or(Severity::High);
        let by_severity = match worst {
            Severity::Critical | Severity::High => 5,
            Severity::Medium => 15,
            Severity::Low => 1_440,
        };
        let minutes = match trigger {
            Some(Trigger::LatencyP95) => 5,
            Some(Trigger::UserComplaints) => 15,
            Some(Trigger::ErrorRate | Trigger::SecurityIssue) | None => by_severity,
        };
        let since = detected.unwrap_or(1_000).min(1_000);
        let made = opened(trigger, asked, detected.map(at), at(1_000), policy());
        prop_assert_eq!((made.severity, made.detected), (worst, at(since)));
        prop_assert_eq!(made.respond_by, at(since + 60 * minutes));
    }

    /// §8.2 "rollback plan verified": rehearsed within 5 minutes, and timed.
    #[test]
    fn a_rehearsal_takes_at_most_five_minutes(nanos in nanos(), restored in any::<bool>()) {
        let rehearsed = |took| Some(Rehearsal { done: done(0), took, restored });
        let with = |took| PreFacts { rollback_plan: rehearsed(took), ..facts() };
        let holds = |took| check_pre(&with(took), at(1), &policy().deployment).is_ok();
        let took = around(5 * 60, nanos);
        prop_assert_eq!(holds(took), nanos <= 0 && !took.is_zero() && restored);
        prop_assert!(!holds(Duration::ZERO));
    }

    /// §6.2: silent for more than 15 minutes, or a checkpoint older than one and a half intervals.
    #[test]
    fn a_silent_run_is_noticed(nanos in nanos(), interval in 1u64..100_000) {
        let training = &policy().training;
        let reaped = reap(RunState::Running, at(0), at(0) + around(15 * 60, nanos), training);
        prop_assert_eq!(reaped.is_some(), nanos > 0);
        let every = Duration::from_secs(2 * interval);
        let overdue = |state, every, age| checkpoint_overdue(state, every, at(0), at(0) + age, training).is_some();
        let age = around(3 * interval, nanos);
        prop_assert_eq!(overdue(RunState::Running, every, age), nanos > 0);
        prop_assert!(!overdue(RunState::Completed, every, age) && !overdue(RunState::Running, Duration::ZERO, age));
    }

    /// §9.3: a week to analyze, two to decide, thirty days to act and thirty to close; closed is never late.
    #[test]
    fn an_open_loop_ages(step in 0usize..5, nanos in nanos()) {
        let finding = Analysis { kind: FindingKind::Trends, text: "slower".into() };
        let (item, days) = match step {
            0 => (Item::Collected { at: at(0) }, 7),
            1 => (Item::Analyzed { at: at(0), finding }, 14),
            2 => (Item::Decided { decision: Decision::Adjust, by: by(Role::MlLead, 0) }, 30),
            3 => (Item::Acted { at: at(0), link: "models/m".into() }, 30),
            _ => (Item::Closed { at: at(0) }, 0),
        };
        let late = item.overdue(at(0) + around(days * DAY, nanos), &policy().monitoring.feedback);
        let want = (nanos > 0 && step < 4).then(|| Duration::from_nanos(nanos.unsigned_abs()));
        prop_assert_eq!(late, want);
    }

    /// The clocks of an incident run out strictly after their time, and stop when the state is reached.
    #[test]
    fn an_incident_is_overdue_after_its_time(severity in select(Severity::ALL), nanos in nanos(), clock in 0usize..3) {
        let (states, minutes) = ([State::Acknowledged, State::Mitigated, State::Closed], match severity {
            Severity::Critical => [5, 15, 5 * 1_440],
            Severity::High => [5, 60, 5 * 1_440],
            Severity::Medium => [15, 240, 10 * 1_440],
            Severity::Low => [1_440, 5 * 1_440, 30 * 1_440],
        });
        let incident = Incident::open(severity, at(0));
        let now = around(minutes[clock] * 60, nanos);
        let late = |incident: &Incident, now| incident.overdue(now, &policy().incidents);
        let want: Vec<(State, Duration)> = states.into_iter().zip(minutes)
            .map(|(state, minutes)| (state, now.saturating_sub(Duration::from_secs(minutes * 60))))
            .filter(|(_, late)| !late.is_zero()).collect();
        prop_assert_eq!(&late(&incident, at(0) + now), &want);
        for state in states {
            let late = want.iter().find(|(one, _)| *one == state).map(|(_, late)| *late);
            let told = incident.run_out(state, "incidents/one", at(0) + now, &policy().incidents);
            prop_assert_eq!(told.ok(), late, "{}", state);
        }
        let mut answered = incident;
        answered.reached = states.into_iter().map(|state| (state, at(0))).collect();
        prop_assert!(late(&answered, at(0) + now).is_empty());
        for state in states {
            let over = answered.run_out(state, "incidents/one", at(10 * 365 * DAY), &policy().incidents);
            prop_assert_eq!(over.expect_err("it was reached").reason(), "TIMER_RUNNING");
        }
    }
}

/// A month is a month: the day is cut to the last one that there is.
#[test]
fn a_month_has_its_own_last_day() {
    let leap = UNIX_EPOCH + Duration::from_hours(474_072); // 2024-01-31
    assert_eq!(add_months(leap, 1), Some(leap + Duration::from_hours(29 * 24))); // 2024-02-29
    assert_eq!(add_months(leap, 2), Some(leap + Duration::from_hours(60 * 24))); // 2024-03-31
}
