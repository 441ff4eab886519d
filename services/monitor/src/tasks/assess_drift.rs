//! `assess-drift`: data, prediction and concept drift of every version that serves, against its own references (§9.2).
//!
//! Each block of enough new rows is judged once: looking again and again at the same rows would only add false alarms.

use contracts::common::v1::{Finding as WireFinding, Measurement, Verdict};
use contracts::monitor::v1::{ColumnDrift, ColumnTest, DriftReport, VersionObservation};
use lifecycle::Finding;
use lifecycle::drift::{DriftKind, DriftVerdict};
use std::time::{Duration, SystemTime};

use crate::rules::drift::{self, Found};
use crate::rules::{concept, reference};
use crate::store::alerts::{AlertKey, Judged, apply};
use crate::store::cursors::{self, Moved};
use crate::store::{labels, windows as rows};
use crate::windows::{Scope, merge};
use crate::{Error, Monitor, convert};

const TASK: &str = "assess-drift";

/// Assesses every version with enough new rows or labels. One that cannot be assessed now does not hold up the others.
///
/// # Errors
/// Of the database.
pub async fn run_once(monitor: &Monitor) -> Result<(), Error> {
    let from = monitor
        .now()
        .checked_sub(super::prune_windows::profiles_kept(monitor))
        .unwrap_or(SystemTime::UNIX_EPOCH);
    for scope in rows::scopes(monitor.db().connection(), from).await? {
        if let Err(error) = inputs(monitor, &scope, from).await {
            tracing::warn!(version = %scope.version, %error, "drift could not be assessed, will retry");
        }
    }
    for scope in labels::scopes(monitor.db().connection(), from).await? {
        if let Err(error) = performance(monitor, &scope, from).await {
            tracing::warn!(version = %scope.version, %error, "concept drift could not be assessed, will retry");
        }
    }
    Ok(())
}

fn least(monitor: &Monitor, kind: DriftKind) -> u64 {
    drift::rule(&monitor.policy(), kind).map_or(u64::MAX, |rule| rule.min_samples)
}

async fn inputs(monitor: &Monitor, scope: &Scope, oldest: SystemTime) -> Result<(), Error> {
    let connection = monitor.db().connection();
    let name = format!("drift/{}/{}", scope.deployment, scope.version);
    let stood = cursors::cursor(connection, &name).await?;
    let from = stood.unwrap_or(oldest).max(oldest);
    let to = monitor.settled(monitor.window());
    let needed = least(monitor, DriftKind::Data).min(least(monitor, DriftKind::Prediction));
    if from >= to || rows::profiled_rows(connection, scope, from, to).await? < needed {
        return Ok(());
    }
    let mut seen = VersionObservation::default();
    for (_, window) in rows::profiles(connection, scope, from, to).await? {
        merge::profiles(&mut seen, &window);
    }
    let (policy, known) = (monitor.policy(), reference::known(monitor, &scope.version).await?);
    let mut said = Vec::new();
    if let Some(found) = drift::data(&seen, &known, &policy)? {
        said.push(saying("data_drift", scope, &found, to));
    }
    if let Some(found) = drift::predictions(&seen, &known, &policy)? {
        said.push(saying("prediction_drift", scope, &found, to));
    }
    apply(monitor, TASK, &said, &Moved { name, stood, to }).await
}

async fn performance(monitor: &Monitor, scope: &Scope, oldest: SystemTime) -> Result<(), Error> {
    let connection = monitor.db().connection();
    let name = format!("concept/{}/{}", scope.deployment, scope.version);
    let stood = cursors::cursor(connection, &name).await?;
    let to = monitor.settled(monitor.window());
    let judged = stood.unwrap_or(oldest);
    let known = labels::between(connection, scope, oldest, to).await?;
    if !known.iter().any(|(start, _)| *start >= judged) {
        return Ok(());
    }
    let mut all = labels::Labels::default();
    for (_, window) in &known {
        all.merge(window);
    }
    if (all.outcomes.len() as u64) < least(monitor, DriftKind::Concept) {
        return Ok(());
    }
    let reference = reference::known(monitor, &scope.version).await?;
    let found = concept::performance(&all, &reference, &monitor.policy())?;
    let said: Vec<_> = found.iter().map(|found| saying("concept_drift", scope, found, to)).collect();
    apply(monitor, TASK, &said, &Moved { name, stood, to }).await
}

fn saying(rule: &'static str, scope: &Scope, found: &Found, at: SystemTime) -> (AlertKey, Vec<Judged>) {
    let of = |column: &ColumnDrift| -> Vec<Measurement> {
        column.tests.iter().filter(|test| test.drifted).map(|test| measured(column, test)).collect()
    };
    let subject = format!("{} of {}", rule.replace('_', " "), scope.version);
    let required = "no column changed beyond chance and the policy's limit";
    let key = AlertKey {
        rule,
        deployment: scope.deployment.clone(),
        version: scope.version.clone(),
        host: String::new(),
    };
    let said = Judged {
        judgement: found.judgement(),
        at,
        finding: Finding::new("§9.2", subject, required, found.drifted()),
        measurements: found.columns.iter().flat_map(of).collect(),
    };
    (key, vec![said])
}

fn measured(column: &ColumnDrift, test: &ColumnTest) -> Measurement {
    Measurement {
        metric: test.test.replace('-', "_"),
        value: test.statistic,
        sample_size: column.rows,
        slice: column.column.clone(),
        convention: if test.missing { "missing values" } else { "two samples" }.into(),
        ..Measurement::default()
    }
}

/// What a caller sees: the newest rows of a version, enough of them to be judged, against its references.
///
/// # Errors
/// Of the database, or if the registry cannot be asked for the references and none are kept.
pub async fn report(monitor: &Monitor, scope: &Scope) -> Result<DriftReport, Error> {
    let (policy, known) = (monitor.policy(), reference::known(monitor, &scope.version).await?);
    let (seen, start) = newest(monitor, scope).await?;
    let data = drift::data(&seen, &known, &policy)?;
    let predictions = drift::predictions(&seen, &known, &policy)?;
    let drifts = |found: &Option<Found>| {
        found.as_ref().is_some_and(|found| matches!(found.verdict, DriftVerdict::Drift { .. }))
    };
    let rows = seen.rows;
    Ok(DriftReport {
        version: scope.version.clone(),
        data_drift: drifts(&data),
        prediction_drift: drifts(&predictions),
        not_applicable: left_out("data", data.as_ref())
            .chain(left_out("prediction", predictions.as_ref()))
            .collect(),
        columns: data.map(|found| found.columns).unwrap_or_default(),
        predictions: predictions.and_then(|found| found.columns.into_iter().next()),
        rows,
        window_start_time: convert::wire_time(start),
        reference_digest: known.digest,
    })
}

/// Tests of the policy that fit no column, said of each kind of drift.
fn left_out(kind: &str, found: Option<&Found>) -> impl Iterator<Item = WireFinding> {
    let left = found.into_iter().flat_map(|found| &found.not_applicable);
    left.map(move |one| WireFinding {
        subject: format!("{kind} drift, {}", one.subject),
        verdict: Verdict::NotApplicable.into(),
        ..convert::finding(one)
    })
}

/// Histograms of the newest windows, back to twice the rows that a verdict needs, at most a day.
async fn newest(monitor: &Monitor, scope: &Scope) -> Result<(VersionObservation, SystemTime), Error> {
    let to = monitor.now() + monitor.skew();
    let from = to.checked_sub(Duration::from_hours(24)).unwrap_or(SystemTime::UNIX_EPOCH);
    let enough = least(monitor, DriftKind::Data).saturating_mul(2);
    let (mut seen, mut start) = (VersionObservation::default(), to);
    for (at, window) in rows::profiles(monitor.db().connection(), scope, from, to).await?.into_iter().rev() {
        if seen.rows >= enough {
            break;
        }
        merge::profiles(&mut seen, &window);
        start = at;
    }
    Ok((seen, start))
}
