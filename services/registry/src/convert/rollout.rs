//! Rollouts: the ladder, the three checklists and the sixteen activities (§8.1, §8.2).

use contracts::common::v1::ChecklistItem;
use contracts::time::{duration_from_wire, duration_to_wire, to_wire};
use lifecycle::checklist::Checklist;
use lifecycle::deployment::{Activity, ActivityRecord, DeployItem, Done, Pipeline, PostItem};
use lifecycle::policy::deployment::DeploymentPolicy;
use lifecycle::policy::rollout::RolloutPolicy;
use lifecycle::rollback::Trigger;
use lifecycle::rollout::Rollout as Ladder;
use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::SystemTime;

use super::time;
use crate::Error;
use crate::wire::{RollbackTrigger, Rollout, RolloutStep, rollout::State};

/// Where a rollout stands on the ladder.
pub fn ladder(rollout: &Rollout) -> Ladder {
    let step = rollout.step as usize;
    let soaked = rollout.step_soaked.as_ref().and_then(duration_from_wire).unwrap_or_default();
    match rollout.state() {
        State::Unspecified | State::Preparing => Ladder::Pending,
        State::Running => Ladder::Running { step, since: time(rollout.step_start_time.as_ref()) },
        State::Paused => Ladder::Paused { step, soaked },
        State::Succeeded | State::Closed => Ladder::Succeeded,
        State::RolledBack => Ladder::RolledBack,
    }
}

/// Writes a new place on the ladder into the record. A change of traffic goes into the history with its cause.
pub fn move_to(
    next: &mut Rollout,
    ladder: Ladder,
    now: SystemTime,
    cause: &str,
    decision: &str,
    policy: &RolloutPolicy,
) {
    let (state, step, since, soaked) = match ladder {
        Ladder::Pending => (State::Preparing, 0, None, None),
        Ladder::Running { step, since } => (State::Running, step, Some(since), None),
        Ladder::Paused { step, soaked } => (State::Paused, step, None, Some(soaked)),
        Ladder::Succeeded => (State::Succeeded, policy.steps.len().saturating_sub(1), None, None),
        Ladder::Aborted | Ladder::RolledBack => (State::RolledBack, next.step as usize, None, None),
    };
    next.set_state(state);
    next.shadow_percent = 0; // only a version that waits for its start is in the shadow
    next.step = u32::try_from(step).unwrap_or(u32::MAX);
    next.step_start_time = since.map(to_wire).or(next.step_start_time);
    next.step_soaked = soaked.map(duration_to_wire);
    if ladder.is_over() {
        next.end_time = Some(to_wire(now));
    }
    let traffic_percent = ladder.traffic_percent(policy);
    if traffic_percent != next.traffic_percent {
        next.traffic_percent = traffic_percent;
        next.history.push(RolloutStep {
            traffic_percent,
            time: Some(to_wire(now)),
            cause: cause.to_owned(),
            gate_decision: decision.to_owned(),
        });
    }
}

/// The proof of a ticked item.
pub fn done(item: &ChecklistItem) -> Done {
    let evidence = if item.evidence_digest.is_empty() { &item.note } else { &item.evidence_digest };
    Done { evidence: evidence.clone(), who: item.principal.clone(), when: time(item.time.as_ref()) }
}

/// A ticked item. Evidence that is a digest stands where digests stand, the name of a record in the note.
pub fn item(name: &str, done: &Done, role: &str) -> ChecklistItem {
    let digest = contracts::name::is_digest(&done.evidence);
    let (evidence_digest, note) =
        if digest { (done.evidence.clone(), String::new()) } else { (String::new(), done.evidence.clone()) };
    ChecklistItem {
        item: name.to_owned(),
        done: true,
        principal: done.who.clone(),
        time: Some(to_wire(done.when)),
        evidence_digest,
        note,
        role: role.to_owned(),
        failed: false,
    }
}

/// A list with every item still open.
pub fn open(names: impl Iterator<Item = &'static str>) -> Vec<ChecklistItem> {
    names.map(|name| ChecklistItem { item: name.to_owned(), ..ChecklistItem::default() }).collect()
}

/// Puts an item in the place of the open one of its name.
pub fn put(list: &mut Vec<ChecklistItem>, item: ChecklistItem) {
    match list.iter_mut().find(|one| one.item == item.item) {
        Some(place) => *place = item,
        None => list.push(item),
    }
}

fn ticked<T: FromStr<Err = String> + Ord>(list: &[ChecklistItem]) -> Result<BTreeMap<T, Done>, Error> {
    let done_ones = list.iter().filter(|item| item.done);
    done_ones.map(|item| Ok((item.item.parse().map_err(Error::Damaged)?, done(item)))).collect()
}

/// The deployment and post-deployment lists.
///
/// # Errors
/// [`Error::Damaged`].
pub fn checklist(rollout: &Rollout) -> Result<Checklist, Error> {
    let deploy = ticked::<DeployItem>(&rollout.deployment_items)?;
    Ok(Checklist::restore(deploy, ticked::<PostItem>(&rollout.post_deployment)?))
}

/// The pipeline of §8.1.
///
/// # Errors
/// [`Error::Damaged`].
pub fn pipeline(rollout: &Rollout) -> Result<Pipeline, Error> {
    let recorded = rollout.activities.iter().filter(|item| item.done || item.failed);
    let read = |item: &ChecklistItem| {
        let record = ActivityRecord { passed: !item.failed, done: done(item) };
        Ok((item.item.parse().map_err(Error::Damaged)?, record))
    };
    Ok(Pipeline::restore(recorded.map(read).collect::<Result<_, Error>>()?))
}

/// Ticks a deployment item by the rules.
///
/// # Errors
/// As [`Checklist::deploy_done`].
pub fn tick_deploy(
    next: &mut Rollout,
    item: DeployItem,
    entry: ChecklistItem,
    now: SystemTime,
    policy: &DeploymentPolicy,
) -> Result<(), Error> {
    checklist(next)?.deploy_done(item, done(&entry), now, policy)?;
    put(&mut next.deployment_items, entry);
    Ok(())
}

/// Ticks a post-deployment item by the rules.
///
/// # Errors
/// As [`Checklist::post_done`].
pub fn tick_post(
    next: &mut Rollout,
    item: PostItem,
    entry: ChecklistItem,
    now: SystemTime,
    policy: &DeploymentPolicy,
) -> Result<(), Error> {
    checklist(next)?.post_done(item, done(&entry), now, policy)?;
    put(&mut next.post_deployment, entry);
    Ok(())
}

/// Records an activity by the rules.
///
/// # Errors
/// As [`Pipeline::record`].
pub fn tick_activity(
    next: &mut Rollout,
    activity: Activity,
    entry: ChecklistItem,
    now: SystemTime,
    policy: &DeploymentPolicy,
) -> Result<(), Error> {
    let record = ActivityRecord { passed: !entry.failed, done: done(&entry) };
    pipeline(next)?.record(activity, record, now, policy)?;
    put(&mut next.activities, entry);
    Ok(())
}

/// The trigger of §8.3; a person's own decision has no row there.
pub fn trigger(trigger: RollbackTrigger) -> Option<Trigger> {
    Some(match trigger {
        RollbackTrigger::Unspecified | RollbackTrigger::Manual => return None,
        RollbackTrigger::ErrorRate => Trigger::ErrorRate,
        RollbackTrigger::Latency => Trigger::LatencyP95,
        RollbackTrigger::UserComplaints => Trigger::UserComplaints,
        RollbackTrigger::Security => Trigger::SecurityIssue,
    })
}
