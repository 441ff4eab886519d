//! `record-days`: whether a version in production was acceptable on each day (UTC) that is over, for the registry to count
//! (§10.2 "below acceptable for 30 days").
//!
//! A day is judged as a whole by the rules of §9.1 that speak of performance, on its requests and on the labels that became
//! known in it. A day with too few of both was not measured and leaves no record.

use contracts::common::v1::{Finding, Verdict};
use contracts::monitor::v1::VersionObservation;
use contracts::registry::v1::RecordServiceDayRequest;
use lifecycle::alert::Judgement;
use lifecycle::calendar::civil;
use lifecycle::retirement::{day, judges_performance};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tonic::Code;

use crate::monitor::derived_id;
use crate::rules::alerts::judged;
use crate::rules::labelled;
use crate::store::cursors::{self, Moved};
use crate::store::labels::{self, Labels};
use crate::store::windows as rows;
use crate::tasks::keep_duties;
use crate::windows::health::measure;
use crate::windows::{Scope, merge};
use crate::{Error, Monitor, convert};

const DAY: Duration = Duration::from_hours(24);

/// Records every day that is over and was not recorded yet. A version that fails does not hold up the others.
///
/// # Errors
/// If the registry cannot be asked which deployments there are.
pub async fn run_once(monitor: &Monitor) -> Result<(), Error> {
    let mut served: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for deployment in keep_duties::deployments(monitor).await? {
        served.entry(deployment.stable_version).or_default().insert(deployment.name);
    }
    for (version, deployments) in served {
        let scopes = deployments.into_iter().map(|deployment| Scope { deployment, version: version.clone() });
        if let Err(error) = record(monitor, &version, &scopes.collect::<Vec<_>>()).await {
            tracing::warn!(version, %error, "service days could not be recorded, will retry");
        }
    }
    Ok(())
}

/// The days of one version, wherever it serves.
async fn record(monitor: &Monitor, version: &str, scopes: &[Scope]) -> Result<(), Error> {
    let connection = monitor.db().connection();
    let name = format!("service-days/{version}");
    let over = monitor.settled(DAY);
    let Some(mut stood) = cursors::cursor(connection, &name).await? else {
        // The day on which it began to serve is the first.
        cursors::advance(connection, &Moved { name, stood: None, to: over }).await?;
        return Ok(());
    };
    while stood < over {
        let (judgements, findings) = judge(monitor, version, scopes, stood).await?;
        if let Some(below) = day(&judgements) {
            tell(monitor, version, stood, below, findings).await?;
        }
        let moved = Moved { name: name.clone(), stood: Some(stood), to: stood + DAY };
        if !cursors::advance(connection, &moved).await? {
            return Ok(()); // another monitor is at it
        }
        stood = moved.to;
    }
    Ok(())
}

/// Every rule that has enough samples of the day, for each deployment.
async fn judge(
    monitor: &Monitor,
    version: &str,
    scopes: &[Scope],
    from: SystemTime,
) -> Result<(Vec<Judgement>, Vec<Finding>), Error> {
    let (connection, policy, to) = (monitor.db().connection(), monitor.policy(), from + DAY);
    let (mut judgements, mut findings) = (Vec::new(), Vec::new());
    for scope in scopes {
        let mut seen = VersionObservation::default();
        for window in rows::between(connection, scope, from, to).await? {
            merge::counters(&mut seen, &window.seen)?;
        }
        let mut known = Labels::default();
        for (_, later) in labels::between(connection, scope, from, to).await? {
            known.merge(&later);
        }
        for rule in policy.monitoring.alerts.iter().filter(|rule| judges_performance(rule)) {
            let (of_requests, of_labels) = (measure(rule, &seen), labelled::measure(rule, &known, &[]));
            let (value, samples) = match of_requests.value {
                Some(value) => (Some(value), of_requests.samples),
                None => of_labels,
            };
            let said = judged(rule, value, samples, to, version);
            let verdict = match said.judgement {
                Judgement::Firing => Verdict::Fail,
                Judgement::Quiet => Verdict::Pass,
                Judgement::Inconclusive { .. } | Judgement::Undefined => continue,
            };
            judgements.push(said.judgement);
            findings.push(Finding { verdict: verdict.into(), ..convert::finding(&said.finding) });
        }
    }
    Ok((judgements, findings))
}

/// A refusal is an answer: the version left its place meanwhile, or the day is on record already.
async fn tell(
    monitor: &Monitor,
    version: &str,
    at: SystemTime,
    below_acceptable: bool,
    findings: Vec<Finding>,
) -> Result<(), Error> {
    let day = date(at);
    let request = RecordServiceDayRequest {
        parent: version.to_owned(),
        request_id: derived_id(&["service-day", version, &day]),
        day,
        below_acceptable,
        findings,
    };
    match monitor.registry().retirements.record_service_day(request).await {
        Ok(_) => Ok(()),
        Err(status)
            if matches!(status.code(), Code::FailedPrecondition | Code::AlreadyExists | Code::NotFound) =>
        {
            tracing::info!(version, why = status.message(), "a service day was not recorded");
            Ok(())
        }
        Err(status) => Err(status.into()),
    }
}

/// `2026-11-25`, UTC.
fn date(at: SystemTime) -> String {
    let days = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() / DAY.as_secs();
    let (year, month, day) = civil(i64::try_from(days).unwrap_or_default());
    format!("{year:04}-{month:02}-{day:02}")
}
