//! The shared parts of the service: what every handler holds a clone of.

use crate::handlers::{Routing, Uploads};
use crate::store::{Read, Resource, Stored, inspections::Inspections, policies::PolicyStore};
use crate::{Error, parse::Fields};
use async_trait::async_trait;
use futures::{Stream, StreamExt};
use runtime::{Clock, Metrics, Tasks};
use std::sync::Arc;
use storage::{Blobs, Query, Record, Records, Signer};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Response, Status};

/// Messages of a stream that wait for a slow client.
const AHEAD: usize = 64;

/// The registry's parts. Clones are cheap.
#[derive(Clone)]
pub struct Registry(Arc<Parts>);

pub(crate) struct Parts {
    pub(crate) records: Records,
    pub(crate) blobs: Blobs,
    pub(crate) clock: Clock,
    pub(crate) signer: Arc<Signer>,
    pub(crate) policies: PolicyStore,
    pub(crate) inspections: Inspections,
    pub(crate) uploads: Uploads,
    pub(crate) routing: Routing,
    pub(crate) tasks: Tasks,
    pub(crate) metrics: Metrics,
}

impl Registry {
    pub(crate) fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// The records; inside a verb use [`crate::work::Work`] instead.
    pub fn records(&self) -> &Records {
        &self.0.records
    }

    /// Bytes by digest.
    pub fn blobs(&self) -> &Blobs {
        &self.0.blobs
    }

    /// The service's clock.
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// The Ed25519 key of the audit log, of gate decisions and of the route table.
    pub fn signer(&self) -> &Arc<Signer> {
        &self.0.signer
    }

    /// Policies: the one in force, and any by its digest.
    pub fn policies(&self) -> &PolicyStore {
        &self.0.policies
    }

    /// What artifacts turned out to be.
    pub fn inspections(&self) -> &Inspections {
        &self.0.inspections
    }

    /// Uploads that are going on.
    pub(crate) fn uploads(&self) -> &Uploads {
        &self.0.uploads
    }

    /// Drives a stream that reads the database from a task of its own. Left to the client, one that stops reading in the
    /// middle of a query would keep a connection from everybody else.
    pub fn forward<T: Send + 'static>(
        &self,
        name: &'static str,
        stream: impl Stream<Item = Result<T, Status>> + Send + 'static,
    ) -> ReceiverStream<Result<T, Status>> {
        let (sender, receiver) = tokio::sync::mpsc::channel(AHEAD);
        let stopping = self.0.tasks.stopping();
        self.0.tasks.once(name, async move {
            let mut stream = std::pin::pin!(stream);
            loop {
                let next = tokio::select! {
                    () = sender.closed() => return,
                    () = stopping.cancelled() => return,
                    next = stream.next() => next,
                };
                let Some(next) = next else { return };
                tokio::select! {
                    () = stopping.cancelled() => return,
                    sent = sender.send(next) => if sent.is_err() { return }, // the client has gone
                }
            }
        });
        ReceiverStream::new(receiver)
    }

    /// The route table that was signed last.
    pub(crate) fn routing(&self) -> &Routing {
        &self.0.routing
    }

    /// Metrics of the service.
    pub fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// Reads a resource outside a unit.
    ///
    /// # Errors
    /// NOT_FOUND.
    pub async fn read<R: Resource>(&self, name: &str) -> Result<Stored<R>, Error> {
        Stored::read(self.records().get(R::KIND, name).await?)
    }

    /// The answer to a Get call: the name is checked first.
    ///
    /// # Errors
    /// INVALID_ARGUMENT, NOT_FOUND.
    pub async fn get<R: Resource>(&self, name: &str) -> Result<Response<R>, Status> {
        let mut fields = Fields::default();
        fields.name("name", name, R::FORM);
        fields.done()?;
        Ok(Response::new(self.read::<R>(name).await?.into_inner()))
    }

    /// One page of a List call and the token of the next; `narrow` adds parent or states to the query.
    ///
    /// # Errors
    /// INVALID_ARGUMENT.
    pub async fn page<R: Resource>(
        &self,
        page_size: i32,
        page_token: &str,
        mut fields: Fields,
        narrow: impl FnOnce(Query) -> Query,
    ) -> Result<(Vec<R>, String), Error> {
        let page = fields.page(page_size, page_token);
        fields.done()?;
        let query = narrow(Query::kind(R::KIND)).after(page.after.clone()).limit(page.size.into());
        let records = self.records().list(&query).await?;
        let token = page.next_token(records.iter().map(|record| record.name.as_str()));
        let resources: Result<Vec<R>, Error> =
            records.into_iter().map(|record| Ok(Stored::<R>::read(record)?.into_inner())).collect();
        Ok((resources?, token))
    }

    /// As [`Registry::page`], of the children of a parent whose name has the form `form`.
    ///
    /// # Errors
    /// INVALID_ARGUMENT.
    pub async fn page_below<R: Resource>(
        &self,
        (parent, form): (&str, &str),
        page_size: i32,
        page_token: &str,
    ) -> Result<(Vec<R>, String), Error> {
        let mut fields = Fields::default();
        fields.name("parent", parent, form);
        self.page(page_size, page_token, fields, |query| query.parent(parent)).await
    }
}

#[async_trait]
impl Read for Registry {
    async fn records_of(&self, query: &Query) -> Result<Vec<Record>, Error> {
        Ok(self.records().list(query).await?)
    }
}
