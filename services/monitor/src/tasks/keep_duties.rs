//! Duties of §10.1 for every deployment that serves: four clocks and one event rule. What is overdue is a nonconformity,
//! on record for good.

use contracts::monitor::v1::{Duty, duty::State};
use contracts::registry::v1::{
    Deployment, ListDeploymentsRequest, ListRolloutsRequest, Rollout, deployment, rollout,
};
use lifecycle::duty::{self, Duty as Period, after_change, schedule};
use lifecycle::policy::upkeep::DutyRow;
use prost::Message as _;
use std::time::SystemTime;
use storage::{Draft, Query};

use crate::monitor::derived_id;
use crate::store::{self, Resource, Stored, insert, save};
use crate::{Error, Monitor, convert};

const TASK: &str = "watch-clocks";
/// Kind of the records that keep what was overdue.
const NONCONFORMITY: &str = "nonconformity";

/// Makes the duties that have become due to begin, for every deployment that has ever served.
///
/// # Errors
/// Of the database, or if the registry cannot be reached.
pub async fn run_once(monitor: &Monitor) -> Result<(), Error> {
    let (now, policy) = (monitor.now(), monitor.policy());
    let ended = ended_rollouts(monitor).await?;
    for deployment in deployments(monitor).await? {
        // Its clocks start when its first version took all traffic.
        let of_it = format!("{}/", deployment.name);
        let changes: Vec<&(String, SystemTime)> =
            ended.iter().filter(|(name, _)| name.starts_with(&of_it)).collect();
        let served = changes.iter().map(|(_, at)| *at).min();
        let anchor = served.unwrap_or_else(|| convert::time(deployment.create_time.as_ref()));
        for row in &policy.duties.activities {
            let mut wanted: Vec<(String, Period)> = schedule(row, anchor, now)
                .into_iter()
                .enumerate()
                .map(|(count, period)| (format!("{count:05}"), period))
                .collect();
            for (rollout, at) in &changes {
                if let Some(period) = after_change(row, *at, &policy.duties) {
                    let id = contracts::name::last(rollout);
                    wanted.push((derived_id(&[id])[..8].to_owned(), period));
                }
            }
            make(monitor, &deployment.name, row, &wanted).await?;
        }
    }
    Ok(())
}

/// Deployments that serve a version for good.
///
/// # Errors
/// If the registry cannot be asked.
pub async fn deployments(monitor: &Monitor) -> Result<Vec<Deployment>, Error> {
    let all = active_deployments(monitor).await?;
    Ok(all.into_iter().filter(|one| !one.stable_version.is_empty()).collect())
}

/// Deployments that are there, those with a canary alone among them.
///
/// # Errors
/// If the registry cannot be asked.
pub async fn active_deployments(monitor: &Monitor) -> Result<Vec<Deployment>, Error> {
    let mut request = ListDeploymentsRequest { page_size: 1000, ..ListDeploymentsRequest::default() };
    let mut all = Vec::new();
    loop {
        let page = monitor.registry().deployments.list_deployments(request.clone()).await?.into_inner();
        let active = |one: &Deployment| one.state() == deployment::State::Active;
        all.extend(page.deployments.into_iter().filter(active));
        if page.next_page_token.is_empty() {
            return Ok(all);
        }
        request.page_token = page.next_page_token;
    }
}

/// Rollouts that changed what serves, with the time at which they did.
async fn ended_rollouts(monitor: &Monitor) -> Result<Vec<(String, SystemTime)>, Error> {
    let mut request = ListRolloutsRequest {
        parent: "deployments/-".into(),
        page_size: 1000,
        ..ListRolloutsRequest::default()
    };
    let mut all = Vec::new();
    loop {
        let page = monitor.registry().rollouts.list_rollouts(request.clone()).await?.into_inner();
        for one in page.rollouts {
            let done = matches!(one.state(), rollout::State::Succeeded | rollout::State::Closed);
            if let (true, Some(at)) = (done, end_of(&one)) {
                all.push((one.name, at));
            }
        }
        if page.next_page_token.is_empty() {
            return Ok(all);
        }
        request.page_token = page.next_page_token;
    }
}

fn end_of(rollout: &Rollout) -> Option<SystemTime> {
    rollout.end_time.as_ref().and_then(contracts::time::from_wire)
}

fn name(deployment: &str, row: &DutyRow, period: &str) -> String {
    let id = contracts::name::last(deployment);
    let short: String = id.chars().take(16).collect();
    let hash = &derived_id(&[deployment])[..6];
    format!("duties/{}-{}-{hash}-{period}", row.activity, short.trim_end_matches('-'))
}

async fn make(
    monitor: &Monitor,
    deployment: &str,
    row: &DutyRow,
    wanted: &[(String, Period)],
) -> Result<(), Error> {
    let known: std::collections::HashSet<String> = monitor
        .records()
        .list_all(&Query::kind(Duty::KIND).parent(deployment))
        .await?
        .into_iter()
        .map(|record| record.name)
        .collect();
    for (period, due) in wanted {
        let name = name(deployment, row, period);
        if known.contains(&name) {
            continue;
        }
        let mut duty = Duty {
            name,
            activity: row.activity.as_str().replace('-', "_"),
            subject: deployment.to_owned(),
            role: row.role.to_string(),
            due_time: convert::wire_time(due.due),
            create_time: convert::wire_time(due.from),
            ..Duty::default()
        };
        duty.set_state(State::Due);
        let mut unit = monitor.act(TASK, "").await?;
        if unit.find(Duty::KIND, &duty.name).await?.is_none() {
            insert(&mut unit, &duty, "create").await?;
            unit.commit(&[]).await?;
        }
    }
    Ok(())
}

/// A stored duty as `lifecycle` knows it.
///
/// # Errors
/// [`Error::Damaged`] for an activity that is none.
pub fn period(wire: &Duty) -> Result<Period, Error> {
    let activity =
        wire.activity.parse().map_err(|why: String| Error::Damaged(format!("{}: {why}", wire.name)))?;
    Ok(Period {
        activity,
        from: convert::time(wire.create_time.as_ref()),
        due: convert::time(wire.due_time.as_ref()),
        done: None,
    })
}

/// Records every duty that is past its time as a nonconformity.
///
/// # Errors
/// Of the database.
pub async fn overdue(monitor: &Monitor) -> Result<(), Error> {
    let (now, policy) = (monitor.now(), monitor.policy());
    for duty in store::all::<Duty>(monitor.records(), &Query::kind(Duty::KIND).state("DUE")).await? {
        let period = period(&duty)?;
        if period.standing(now) != duty::Standing::Overdue {
            continue;
        }
        let mut unit = monitor.act(TASK, "").await?;
        let seen = Stored::<Duty>::read(unit.get(Duty::KIND, &duty.name).await?)?;
        if seen.state() != State::Due {
            continue; // somebody did it meanwhile
        }
        let mut next = (*seen).clone();
        next.set_state(State::Overdue);
        save(&mut unit, &seen, &next, "overdue").await?;
        if let Some(found) = period.nonconformity(now, &policy.duties) {
            let draft = Draft {
                kind: NONCONFORMITY.into(),
                name: format!("nonconformities/{}", contracts::name::last(&duty.name)),
                parent: duty.name.clone(),
                state: String::new(),
                body: convert::finding(&found).encode_to_vec(),
            };
            unit.insert(draft, "record").await?;
            tracing::warn!(duty = %duty.name, finding = %found, "a duty is overdue");
        }
        unit.commit(&[]).await?;
    }
    let open = monitor.records().count_by_state(Duty::KIND).await?;
    monitor.metrics().duties_overdue.set(open.get("OVERDUE").copied().unwrap_or(0).cast_signed());
    Ok(())
}
