//! The route table: what gateways serve, built from the records, signed, streamed as it changes.

mod table;

pub use table::Routing;

use contracts::registry::v1::{route_service_server::RouteService, *};
use futures::{Stream, StreamExt, stream};
use runtime::{Caller, Clock};
use std::pin::Pin;
use tonic::{Request, Response, Status};

use super::rollouts::advance_rehearsals;
use crate::store::serving;
use crate::work::Verb;
use crate::{Error, Registry, parse::Fields};

/// What the staging endpoint of a deployment ends with.
pub const STAGING: &str = "-staging";

#[tonic::async_trait]
impl RouteService for Registry {
    type WatchRouteTableStream = Pin<Box<dyn Stream<Item = Result<RouteTable, Status>> + Send>>;

    async fn get_route_table(
        &self,
        _: Request<GetRouteTableRequest>,
    ) -> Result<Response<RouteTable>, Status> {
        Ok(Response::new(self.route_table().await?.table))
    }

    async fn watch_route_table(
        &self,
        request: Request<WatchRouteTableRequest>,
    ) -> Result<Response<Self::WatchRouteTableStream>, Status> {
        let seen = request.into_inner().after_sequence;
        let log = self.records().audit();
        // from before the first look, so that nothing falls in between
        let from = log.head().await.map_err(Error::from)?.map_or(0, |head| head.size);
        let first = self.route_table().await?;
        let told = first.sequence;
        let shown = (told != seen).then_some(Ok(first.table));
        let registry = self.clone();
        let grown = log.watch(from);
        let changes =
            stream::unfold((Box::pin(grown), registry, told), |(mut grown, registry, told)| async move {
                loop {
                    let entry = grown.next().await?;
                    let now = match entry {
                        Ok(_) => registry.route_table().await,
                        Err(error) => Err(Error::from(error)),
                    };
                    match now {
                        Ok(now) if now.sequence == told => {}
                        Ok(now) => return Some((Ok(now.table), (grown, registry, now.sequence))),
                        Err(error) => return Some((Err(Status::from(error)), (grown, registry, told))),
                    }
                }
            });
        // driven apart from its client: one that does not read must not hold the table that all others wait for
        Ok(Response::new(self.forward("watch-route-table", stream::iter(shown).chain(changes)).boxed()))
    }

    async fn report_serving(
        &self,
        request: Request<ReportServingRequest>,
    ) -> Result<Response<ReportServingResponse>, Status> {
        let caller = Caller::of(&request)?;
        let report = request.into_inner();
        let mut fields = Fields::default();
        report.check(&mut fields);
        fields.done()?;
        self.keep_report(&report).await?;
        advance_rehearsals(self, &caller, &report).await?;
        Ok(Response::new(ReportServingResponse { sequence: self.route_table().await?.sequence }))
    }
}

impl Registry {
    /// Keeps what a gateway says; no record changes, so nothing is audited.
    async fn keep_report(&self, report: &ReportServingRequest) -> Result<(), Error> {
        let turn = self.records().database().begin_write().await?;
        serving::keep(turn.connection(), report, Clock::real().now()).await?;
        Ok(turn.commit().await?)
    }
}
