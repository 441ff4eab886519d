//! True labels, in windows of the time at which they became known: a label that comes a week late still counts.

use contracts::monitor::v1::Label;
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait,
    IntoActiveModel, QueryFilter, QueryOrder, QuerySelect, sea_query::OnConflict,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::SystemTime;
use storage::time::{from_micros, to_micros};

use super::entity::label;
use crate::Error;
use crate::windows::Scope;

/// Outcomes whose order is remembered for each window; the sums count all.
const ORDERED: usize = 10_000;

/// Labels of one version in one window.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Labels {
    /// Rows with a true label.
    pub labelled: u64,
    /// Rows that were predicted rightly.
    pub right: u64,
    /// Generated texts that an annotator judged.
    pub judged: u64,
    /// Of those, hallucinated ones.
    pub hallucinated: u64,
    /// `1` for each wrong answer, `0` for each right one, in the order in which they became known.
    pub outcomes: String,
    /// Rows by group and prediction.
    pub groups: BTreeMap<String, BTreeMap<String, u64>>,
}

impl Labels {
    /// Takes one label.
    pub fn add(&mut self, one: &Label) {
        if let Some(hallucinated) = one.hallucination {
            self.judged += 1;
            self.hallucinated += u64::from(hallucinated);
        }
        if !one.label.is_empty() {
            let right = one.label == one.prediction;
            self.labelled += 1;
            self.right += u64::from(right);
            if self.outcomes.len() < ORDERED {
                self.outcomes.push(if right { '0' } else { '1' });
            }
        }
        if !one.group.is_empty() {
            *self.groups.entry(one.group.clone()).or_default().entry(one.prediction.clone()).or_default() +=
                1;
        }
    }

    /// Adds a later window.
    pub fn merge(&mut self, later: &Self) {
        self.labelled += later.labelled;
        self.right += later.right;
        self.judged += later.judged;
        self.hallucinated += later.hallucinated;
        self.outcomes.push_str(&later.outcomes);
        for (group, predictions) in &later.groups {
            let ours = self.groups.entry(group.clone()).or_default();
            for (prediction, rows) in predictions {
                *ours.entry(prediction.clone()).or_default() += rows;
            }
        }
    }

    /// Share of right answers; `None` without labels.
    pub fn accuracy(&self) -> Option<f64> {
        (self.labelled > 0).then(|| self.right as f64 / self.labelled as f64)
    }

    /// Share of hallucinated texts; `None` where nobody judged.
    pub fn hallucination(&self) -> Option<f64> {
        (self.judged > 0).then(|| self.hallucinated as f64 / self.judged as f64)
    }
}

/// Adds labels to the window that begins at `start`.
///
/// # Errors
/// Of the database.
pub async fn add(
    tx: &DatabaseTransaction,
    scope: &Scope,
    start: SystemTime,
    new: &[&Label],
) -> Result<(), Error> {
    let key = (scope.deployment.clone(), scope.version.clone(), to_micros(start));
    let empty = label::ActiveModel {
        deployment: Set(key.0.clone()),
        version: Set(key.1.clone()),
        start: Set(key.2),
        body: Set(serde_json::to_vec(&Labels::default())?),
    };
    let nothing =
        OnConflict::columns([label::Column::Deployment, label::Column::Version, label::Column::Start])
            .do_nothing()
            .to_owned();
    label::Entity::insert(empty).on_conflict(nothing).exec_without_returning(tx).await?;
    let row = label::Entity::find_by_id(key).lock_exclusive().one(tx).await?;
    let Some(row) = row else {
        return Err(Error::Damaged("a label window vanished while it was locked".into()));
    };
    let mut labels: Labels = serde_json::from_slice(&row.body)?;
    for one in new {
        labels.add(one);
    }
    let mut row = row.into_active_model();
    row.body = Set(serde_json::to_vec(&labels)?);
    row.update(tx).await?;
    Ok(())
}

/// Label windows of a version that begin in `[from, to)`, oldest first.
///
/// # Errors
/// Of the database.
pub async fn between(
    connection: &impl ConnectionTrait,
    scope: &Scope,
    from: SystemTime,
    to: SystemTime,
) -> Result<Vec<(SystemTime, Labels)>, Error> {
    let rows = label::Entity::find()
        .filter(label::Column::Deployment.eq(&scope.deployment))
        .filter(label::Column::Version.eq(&scope.version))
        .filter(label::Column::Start.gte(to_micros(from)))
        .filter(label::Column::Start.lt(to_micros(to)))
        .order_by_asc(label::Column::Start)
        .all(connection)
        .await?;
    rows.into_iter().map(|row| Ok((from_micros(row.start), serde_json::from_slice(&row.body)?))).collect()
}

/// Versions with labels in windows that begin at or after `from`.
///
/// # Errors
/// Of the database.
pub async fn scopes(connection: &impl ConnectionTrait, from: SystemTime) -> Result<Vec<Scope>, Error> {
    let rows: Vec<(String, String)> = label::Entity::find()
        .select_only()
        .column(label::Column::Deployment)
        .column(label::Column::Version)
        .filter(label::Column::Start.gte(to_micros(from)))
        .distinct()
        .into_tuple()
        .all(connection)
        .await?;
    Ok(rows.into_iter().map(|(deployment, version)| Scope { deployment, version }).collect())
}

/// Deletes what is older than it is kept.
///
/// # Errors
/// Of the database.
pub async fn prune(connection: &impl ConnectionTrait, before: SystemTime) -> Result<u64, Error> {
    let gone = label::Entity::delete_many()
        .filter(label::Column::Start.lt(to_micros(before)))
        .exec(connection)
        .await?;
    Ok(gone.rows_affected)
}
