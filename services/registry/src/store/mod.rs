//! Typed resources over the generic records of `storage`.
//!
//! A resource is a message of the contracts that implements [`Resource`]; `resources.rs` lists them all. Inside a unit
//! they are read and written through [`crate::work::Work`], outside through [`crate::Registry`].

pub mod approvals;
pub mod entity;
pub mod inspections;
pub mod metric_points;
pub mod migration;
mod migration_serving;
pub mod policies;
mod resources;
pub mod serving;

pub use resources::kind_of;

use async_trait::async_trait;
use contracts::time::to_wire;
use prost_types::Timestamp;
use std::ops::Deref;
use storage::{Draft, Query, Record};

use crate::Error;

/// A message that is kept as a record.
pub trait Resource: prost::Message + Default + Clone + 'static {
    /// Kind of its records, `modelVersion`.
    const KIND: &'static str;
    /// Form of its name, `models/{model}/versions/{version}`.
    const FORM: &'static str;

    /// Its resource name.
    fn name(&self) -> &str;

    /// State of its life cycle in the contract's spelling without the prefix (`DRAFT`); empty where there is none.
    fn state(&self) -> String;

    /// Writes what the record knows better than the body.
    fn stamp(&mut self, stamp: Stamp);

    /// Resource name of its parent; empty at the top.
    fn parent(&self) -> &str {
        if Self::FORM.ends_with('}') {
            contracts::name::parent(self.name())
        } else {
            self.name().rsplit_once('/').map_or("", |(parent, _)| parent) // the one of its kind below its parent
        }
    }
}

/// What the columns of a record say about a resource; default: nothing, as it is stored.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Stamp {
    /// `W/<revision>`
    pub etag: String,
    /// When it was made.
    pub create_time: Option<Timestamp>,
    /// When it was last changed.
    pub update_time: Option<Timestamp>,
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
        value.stamp(Stamp {
            etag: record.etag(),
            create_time: Some(to_wire(record.create_time)),
            update_time: Some(to_wire(record.update_time)),
        });
        Ok(Self { value, record })
    }

    /// The message, stamped with etag and times.
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

/// The bytes that are stored: without what the columns know.
pub fn body<R: Resource>(resource: &R) -> Vec<u8> {
    let mut bare = resource.clone();
    bare.stamp(Stamp::default());
    bare.encode_to_vec()
}

/// A record to be inserted.
pub fn draft<R: Resource>(resource: &R) -> Draft {
    Draft {
        kind: R::KIND.to_owned(),
        name: resource.name().to_owned(),
        parent: resource.parent().to_owned(),
        state: resource.state(),
        body: body(resource),
    }
}

/// Reading many resources, inside a unit of work or outside.
#[async_trait]
pub trait Read: Sync {
    /// One page of records.
    async fn records_of(&self, query: &Query) -> Result<Vec<Record>, Error>;

    /// Every resource that a query matches, ascending by name, page by page.
    async fn all<R: Resource>(&self, mut query: Query) -> Result<Vec<Stored<R>>, Error> {
        let mut all = Vec::new();
        loop {
            let page = self.records_of(&query).await?;
            let Some(last) = page.last() else { return Ok(all) };
            query = query.after(last.name.clone());
            for record in page {
                all.push(Stored::read(record)?);
            }
        }
    }

    /// Every child of `parent`; `""` for every resource of the kind.
    async fn children<R: Resource>(&self, parent: &str) -> Result<Vec<Stored<R>>, Error> {
        let query = Query::kind(R::KIND);
        self.all(if parent.is_empty() { query } else { query.parent(parent) }).await
    }
}
