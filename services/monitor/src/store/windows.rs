//! Windows in the database: a batch and everything it counts are one transaction, before it is acknowledged.

use contracts::monitor::v1::{SampledRequest, VersionObservation};
use lifecycle::Policy;
use prost::Message as _;
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait,
    IntoActiveModel, QueryFilter, QueryOrder, QuerySelect, sea_query::OnConflict,
};
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};
use storage::time::{from_micros, to_micros};
use storage::{Database, Digest};

use super::entity::{batch, profile, sample, window};
use super::{cursors, objectives};
use crate::Error;
use crate::convert::{sketch, time};
use crate::rules::alerts::cursors_behind;
use crate::windows::{Scope, Window, floor, merge, sketch_of};

/// What a batch is counted with.
#[derive(Debug, Clone, Copy)]
pub struct Counting<'a> {
    /// Length of a window.
    pub length: Duration,
    /// Its service levels, or those of a plan that are stricter, tell fast answers; its rules which windows must be judged
    /// again.
    pub policy: &'a Policy,
    /// The service's time.
    pub now: SystemTime,
}

/// Remembers a batch; false if it was seen before. The digest tells a repeat from another payload under the same id.
///
/// # Errors
/// [`storage::Error::RequestReused`] where `strict` and the payload differs.
pub async fn first_seen(
    tx: &DatabaseTransaction,
    (source, batch_id): (&str, &str),
    digest: Digest,
    strict: bool,
    now: SystemTime,
) -> Result<bool, Error> {
    let row = batch::ActiveModel {
        source: Set(source.to_owned()),
        batch_id: Set(batch_id.to_owned()),
        digest: Set(digest.0.to_vec()),
        time: Set(to_micros(now)),
    };
    let nothing =
        OnConflict::columns([batch::Column::Source, batch::Column::BatchId]).do_nothing().to_owned();
    let inserted = batch::Entity::insert(row).on_conflict(nothing).exec_without_returning(tx).await?;
    if inserted == 1 {
        return Ok(true);
    }
    let key = (source.to_owned(), batch_id.to_owned());
    let seen = batch::Entity::find_by_id(key).one(tx).await?;
    if strict && seen.is_some_and(|row| row.digest != digest.0) {
        return Err(storage::Error::RequestReused { request_id: batch_id.to_owned() }.into());
    }
    Ok(false)
}

/// Counts a gateway's batch once. False if it was counted before. What comes after its window was judged (a spool that was
/// full while this service or the gateway was away) moves the cursors back, so that it is judged all the same.
///
/// # Errors
/// Of the database; nothing is counted then.
pub async fn take(
    db: &Database,
    (gateway, batch_id, digest): (&str, &str, Digest),
    observations: Vec<VersionObservation>,
    samples: &[SampledRequest],
    how: Counting<'_>,
) -> Result<bool, Error> {
    let tx = db.begin_write().await?;
    if !first_seen(tx.connection(), (gateway, batch_id), digest, false, how.now).await? {
        return Ok(false);
    }
    // Sorted, so that two writers lock rows in the same order.
    let mut sums: BTreeMap<(String, String, SystemTime), (VersionObservation, VersionObservation)> =
        BTreeMap::new();
    for one in observations {
        let start = floor(time(one.start_time.as_ref()), how.length);
        let (counters, profiles) =
            sums.entry((one.deployment.clone(), one.version.clone(), start)).or_default();
        merge::counters(counters, &one)?;
        if !one.features.is_empty() || one.predictions.is_some() {
            merge::profiles(profiles, &one);
        }
    }
    let mut late: BTreeMap<String, SystemTime> = BTreeMap::new();
    for ((deployment, version, start), (counters, profiles)) in sums {
        if start + how.length <= how.now {
            let scope = Scope { deployment: deployment.clone(), version: version.clone() };
            for (name, time) in cursors_behind(how.policy, &scope, start) {
                late.entry(name).and_modify(|known| *known = time.min(*known)).or_insert(time);
            }
        }
        add_counters(tx.connection(), (&deployment, &version, start), counters, how).await?;
        if !profiles.features.is_empty() || profiles.predictions.is_some() {
            add_profiles(tx.connection(), (&deployment, &version, start), &profiles).await?;
        }
    }
    for (name, time) in late {
        cursors::pull_back(tx.connection(), &name, time).await?;
    }
    for one in samples {
        keep_sample(tx.connection(), one).await?;
    }
    tx.commit().await?;
    Ok(true)
}

async fn add_counters(
    tx: &DatabaseTransaction,
    (deployment, version, start): (&str, &str, SystemTime),
    counters: VersionObservation,
    how: Counting<'_>,
) -> Result<(), Error> {
    let key = (deployment.to_owned(), version.to_owned(), to_micros(start));
    let empty = window::ActiveModel {
        deployment: Set(key.0.clone()),
        version: Set(key.1.clone()),
        start: Set(key.2),
        length: Set(i64::try_from(how.length.as_micros()).unwrap_or(i64::MAX)),
        requests: Set(0),
        counted: Set(0),
        bad: Set(0),
        fast: Set(0),
        body: Set(Vec::new()),
    };
    let nothing =
        OnConflict::columns([window::Column::Deployment, window::Column::Version, window::Column::Start])
            .do_nothing()
            .to_owned();
    window::Entity::insert(empty).on_conflict(nothing).exec_without_returning(tx).await?;
    // The row is there now; on PostgreSQL the lock keeps a second monitor from counting over us.
    let row = window::Entity::find_by_id(key).lock_exclusive().one(tx).await?;
    let Some(row) = row else { return Err(Error::Damaged("a window vanished while it was locked".into())) };
    let mut seen = VersionObservation::decode(row.body.as_slice())?;
    merge::counters(&mut seen, &counters)?;
    let counted = seen.requests.saturating_sub(seen.client_faults);
    let bad = seen.model_faults.saturating_add(seen.server_faults).min(counted);
    // Asked for while the row is locked: a promise that changes meanwhile finds the row afterwards.
    let objective = objectives::of(tx, deployment, how.policy).await?;
    let fast = sketch_of(&seen).map_or(0, |all| sketch::good(&all, &objective));
    let mut row = row.into_active_model();
    row.requests = Set(seen.requests.cast_signed());
    row.counted = Set(counted.cast_signed());
    row.bad = Set(bad.cast_signed());
    row.fast = Set(fast.cast_signed());
    row.body = Set(seen.encode_to_vec());
    row.update(tx).await?;
    Ok(())
}

async fn add_profiles(
    tx: &DatabaseTransaction,
    (deployment, version, start): (&str, &str, SystemTime),
    profiles: &VersionObservation,
) -> Result<(), Error> {
    let key = (deployment.to_owned(), version.to_owned(), to_micros(start));
    let empty = profile::ActiveModel {
        deployment: Set(key.0.clone()),
        version: Set(key.1.clone()),
        start: Set(key.2),
        rows: Set(0),
        body: Set(Vec::new()),
    };
    let nothing =
        OnConflict::columns([profile::Column::Deployment, profile::Column::Version, profile::Column::Start])
            .do_nothing()
            .to_owned();
    profile::Entity::insert(empty).on_conflict(nothing).exec_without_returning(tx).await?;
    let row = profile::Entity::find_by_id(key).lock_exclusive().one(tx).await?;
    let Some(row) = row else { return Err(Error::Damaged("a profile vanished while it was locked".into())) };
    let mut seen = VersionObservation::decode(row.body.as_slice())?;
    merge::profiles(&mut seen, profiles);
    let mut row = row.into_active_model();
    row.rows = Set(seen.rows.cast_signed());
    row.body = Set(seen.encode_to_vec());
    row.update(tx).await?;
    Ok(())
}

async fn keep_sample(tx: &DatabaseTransaction, one: &SampledRequest) -> Result<(), Error> {
    let row = sample::ActiveModel {
        request_id: Set(one.request_id.clone()),
        deployment: Set(one.deployment.clone()),
        version: Set(one.version.clone()),
        time: Set(to_micros(time(one.time.as_ref()))),
        body: Set(one.encode_to_vec()),
    };
    let nothing = OnConflict::column(sample::Column::RequestId).do_nothing().to_owned();
    sample::Entity::insert(row).on_conflict(nothing).exec_without_returning(tx).await?;
    Ok(())
}

fn read(row: window::Model) -> Result<Window, Error> {
    Ok(Window {
        scope: Scope { deployment: row.deployment, version: row.version },
        start: from_micros(row.start),
        length: Duration::from_micros(row.length.unsigned_abs()),
        seen: VersionObservation::decode(row.body.as_slice())?,
    })
}

/// Windows of a version that begin in `[from, to)`, oldest first.
///
/// # Errors
/// Of the database.
pub async fn between(
    connection: &impl ConnectionTrait,
    scope: &Scope,
    from: SystemTime,
    to: SystemTime,
) -> Result<Vec<Window>, Error> {
    let rows = window::Entity::find()
        .filter(window::Column::Deployment.eq(&scope.deployment))
        .filter(window::Column::Version.eq(&scope.version))
        .filter(window::Column::Start.gte(to_micros(from)))
        .filter(window::Column::Start.lt(to_micros(to)))
        .order_by_asc(window::Column::Start)
        .all(connection)
        .await?;
    rows.into_iter().map(read).collect()
}

/// Windows of a deployment after a time, of one version or (`""`) of all; for lists.
///
/// # Errors
/// Of the database.
pub async fn list(
    connection: &impl ConnectionTrait,
    deployment: &str,
    version: &str,
    after: Option<SystemTime>,
    limit: u64,
) -> Result<Vec<Window>, Error> {
    let mut query = window::Entity::find().filter(window::Column::Deployment.eq(deployment));
    if !version.is_empty() {
        query = query.filter(window::Column::Version.eq(version));
    }
    if let Some(after) = after {
        query = query.filter(window::Column::Start.gt(to_micros(after)));
    }
    let rows = query
        .order_by_asc(window::Column::Start)
        .order_by_asc(window::Column::Version)
        .limit(limit)
        .all(connection)
        .await?;
    rows.into_iter().map(read).collect()
}

/// Versions with windows that begin at or after `from`.
///
/// # Errors
/// Of the database.
pub async fn scopes(connection: &impl ConnectionTrait, from: SystemTime) -> Result<Vec<Scope>, Error> {
    let rows: Vec<(String, String)> = window::Entity::find()
        .select_only()
        .column(window::Column::Deployment)
        .column(window::Column::Version)
        .filter(window::Column::Start.gte(to_micros(from)))
        .distinct()
        .into_tuple()
        .all(connection)
        .await?;
    Ok(rows.into_iter().map(|(deployment, version)| Scope { deployment, version }).collect())
}

/// Whether a version was ever seen to serve in a deployment.
///
/// # Errors
/// Of the database.
pub async fn is_known(connection: &impl ConnectionTrait, scope: &Scope) -> Result<bool, Error> {
    let one: Option<i64> = window::Entity::find()
        .select_only()
        .column(window::Column::Start)
        .filter(window::Column::Deployment.eq(&scope.deployment))
        .filter(window::Column::Version.eq(&scope.version))
        .limit(1)
        .into_tuple()
        .one(connection)
        .await?;
    Ok(one.is_some())
}

/// Windows of a version that begin at or after `from`, in one deployment or (`""`) in all, oldest first.
///
/// # Errors
/// Of the database.
pub async fn of_version(
    connection: &impl ConnectionTrait,
    (version, deployment): (&str, &str),
    from: SystemTime,
) -> Result<Vec<Window>, Error> {
    let mut query = window::Entity::find()
        .filter(window::Column::Version.eq(version))
        .filter(window::Column::Start.gte(to_micros(from)));
    if !deployment.is_empty() {
        query = query.filter(window::Column::Deployment.eq(deployment));
    }
    let rows = query.order_by_asc(window::Column::Start).all(connection).await?;
    rows.into_iter().map(read).collect()
}

/// Histograms of a version's windows that begin in `[from, to)`: start, rows, body.
///
/// # Errors
/// Of the database.
pub async fn profiles(
    connection: &impl ConnectionTrait,
    scope: &Scope,
    from: SystemTime,
    to: SystemTime,
) -> Result<Vec<(SystemTime, VersionObservation)>, Error> {
    let rows = profile::Entity::find()
        .filter(profile::Column::Deployment.eq(&scope.deployment))
        .filter(profile::Column::Version.eq(&scope.version))
        .filter(profile::Column::Start.gte(to_micros(from)))
        .filter(profile::Column::Start.lt(to_micros(to)))
        .order_by_asc(profile::Column::Start)
        .all(connection)
        .await?;
    rows.into_iter()
        .map(|row| Ok((from_micros(row.start), VersionObservation::decode(row.body.as_slice())?)))
        .collect()
}

/// Rows with histograms of a version in `[from, to)`, without reading them.
///
/// # Errors
/// Of the database.
pub async fn profiled_rows(
    connection: &impl ConnectionTrait,
    scope: &Scope,
    from: SystemTime,
    to: SystemTime,
) -> Result<u64, Error> {
    let rows: Vec<i64> = profile::Entity::find()
        .select_only()
        .column(profile::Column::Rows)
        .filter(profile::Column::Deployment.eq(&scope.deployment))
        .filter(profile::Column::Version.eq(&scope.version))
        .filter(profile::Column::Start.gte(to_micros(from)))
        .filter(profile::Column::Start.lt(to_micros(to)))
        .into_tuple()
        .all(connection)
        .await?;
    Ok(rows.into_iter().map(i64::unsigned_abs).sum())
}

/// How many windows are stored.
///
/// # Errors
/// Of the database.
pub async fn count(connection: &impl ConnectionTrait) -> Result<u64, Error> {
    use sea_orm::PaginatorTrait as _;
    Ok(window::Entity::find().count(connection).await?)
}

/// Deletes what is older than it is kept.
///
/// # Errors
/// Of the database.
pub async fn prune(
    connection: &impl ConnectionTrait,
    windows_before: SystemTime,
    profiles_before: SystemTime,
) -> Result<u64, Error> {
    let (old, older) = (to_micros(profiles_before), to_micros(windows_before));
    let windows = window::Entity::delete_many()
        .filter(window::Column::Start.lt(older))
        .exec(connection)
        .await?
        .rows_affected;
    let profiles = profile::Entity::delete_many()
        .filter(profile::Column::Start.lt(old))
        .exec(connection)
        .await?
        .rows_affected;
    // A batch cannot come again once its observations are too old to be taken.
    batch::Entity::delete_many().filter(batch::Column::Time.lt(older)).exec(connection).await?;
    sample::Entity::delete_many().filter(sample::Column::Time.lt(old)).exec(connection).await?;
    Ok(windows + profiles)
}
