//! Typed resources over the generic records of `storage`, and the tables of windows beside them.

pub mod alerts;
pub mod cursors;
pub mod entity;
pub mod hosts;
pub mod labels;
pub mod migration;
pub mod objectives;
mod resources;
pub mod volumes;
pub mod windows;

use prost_types::Timestamp;
use std::ops::Deref;
use storage::{Draft, Query, Record, Records, Unit};

use crate::Error;

/// A message that is kept as a record.
pub trait Resource: prost::Message + Default + Clone + 'static {
    /// Kind of its records.
    const KIND: &'static str;
    /// Form of its name.
    const FORM: &'static str;
    /// Its resource name.
    fn name(&self) -> &str;
    /// What it is grouped under, for lists.
    fn parent(&self) -> &str;
    /// State of its life cycle without the prefix (`OPEN`); empty where there is none.
    fn state(&self) -> String;
    /// Writes what the record knows better than the body.
    fn stamp(&mut self, etag: String, create_time: Option<Timestamp>);
}

/// A resource as it was read: reads like the message, and remembers the record for the optimistic lock.
#[derive(Debug, Clone)]
pub struct Stored<R> {
    value: R,
    record: Record,
}

impl<R: Resource> Stored<R> {
    /// Decodes a record.
    ///
    /// # Errors
    /// [`Error::Damaged`].
    pub fn read(mut record: Record) -> Result<Self, Error> {
        let mut value = R::decode(record.body.as_slice())?;
        record.body = Vec::new();
        value.stamp(record.etag(), Some(contracts::time::to_wire(record.create_time)));
        Ok(Self { value, record })
    }

    /// The message, stamped.
    pub fn into_inner(self) -> R {
        self.value
    }

    /// The record without its body.
    pub fn record(&self) -> &Record {
        &self.record
    }
}

impl<R> Deref for Stored<R> {
    type Target = R;
    fn deref(&self) -> &R {
        &self.value
    }
}

fn body<R: Resource>(resource: &R) -> Vec<u8> {
    let mut bare = resource.clone();
    bare.stamp(String::new(), None);
    bare.encode_to_vec()
}

/// Inserts a resource and gives it back stamped. `action` is the audit log's word.
///
/// # Errors
/// ALREADY_EXISTS.
pub async fn insert<R: Resource>(unit: &mut Unit, resource: &R, action: &str) -> Result<R, Error> {
    let draft = Draft {
        kind: R::KIND.to_owned(),
        name: resource.name().to_owned(),
        parent: resource.parent().to_owned(),
        state: resource.state(),
        body: body(resource),
    };
    Ok(Stored::<R>::read(unit.insert(draft, action).await?)?.into_inner())
}

/// Puts `next` over what was `seen` and gives it back stamped.
///
/// # Errors
/// ABORTED / STALE_ETAG.
pub async fn save<R: Resource>(
    unit: &mut Unit,
    seen: &Stored<R>,
    next: &R,
    action: &str,
) -> Result<R, Error> {
    let record = unit.update(seen.record(), &next.state(), body(next), action).await?;
    Ok(Stored::<R>::read(record)?.into_inner())
}

/// Reads a resource inside a unit to change it; `etag` is the one of the request, empty for "whatever is there".
///
/// # Errors
/// NOT_FOUND, ABORTED / STALE_ETAG.
pub async fn open<R: Resource>(unit: &Unit, name: &str, etag: &str) -> Result<Stored<R>, Error> {
    let seen = Stored::<R>::read(unit.get(R::KIND, name).await?)?;
    seen.record().expect_etag(etag)?;
    Ok(seen)
}

/// Reads a resource outside a unit.
///
/// # Errors
/// NOT_FOUND.
pub async fn get<R: Resource>(records: &Records, name: &str) -> Result<R, Error> {
    Ok(Stored::<R>::read(records.get(R::KIND, name).await?)?.into_inner())
}

/// Every resource that a query matches.
///
/// # Errors
/// Of the database.
pub async fn all<R: Resource>(records: &Records, query: &Query) -> Result<Vec<R>, Error> {
    records
        .list_all(query)
        .await?
        .into_iter()
        .map(|record| Ok(Stored::<R>::read(record)?.into_inner()))
        .collect()
}
