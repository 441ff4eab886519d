//! Follows the registry's route table: by the watch, and by asking where the watch is silent or not to be had.

use std::time::Duration;

use contracts::registry::v1::{GetRouteTableRequest, GetTreeHeadRequest, RouteTable, WatchRouteTableRequest};
use runtime::Tasks;
use storage::audit::VerifyingKey;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::Patience;
use crate::gateway::Gateway;

/// Follows until the stop.
pub(super) fn start(tasks: &Tasks, gateway: &Gateway) {
    let gateway = gateway.clone();
    tasks.spawn("follow-routes", move |stop| {
        let gateway = gateway.clone();
        async move {
            gateway.follow_routes(stop).await;
            Ok::<_, Status>(())
        }
    });
}

impl Gateway {
    async fn follow_routes(&self, stop: CancellationToken) {
        let mut patience = Patience::new();
        loop {
            let turn = async {
                if let Err(status) = self.watch_routes(&mut patience).await {
                    tracing::debug!(%status, "the watch of the route table ended");
                }
                match self.ask_routes().await {
                    Ok(()) => patience.reset(),
                    Err(status) => {
                        self.note_registry(false);
                        tracing::warn!(%status, "the registry does not give its route table, serving on with the last");
                    }
                }
                patience.wait().await;
            };
            tokio::select! { () = stop.cancelled() => return, () = turn => {} }
        }
    }

    /// Takes tables from the watch until it breaks; asks in between, so that a silent connection is noticed.
    async fn watch_routes(&self, patience: &mut Patience) -> Result<(), Status> {
        let known = self.wanted().borrow().as_ref().map_or(0, |accepted| accepted.routes.sequence);
        let request = WatchRouteTableRequest { after_sequence: known };
        let mut tables = self.clients().routes.clone().watch_route_table(request).await?.into_inner();
        self.note_registry(true);
        patience.reset();
        let period = Duration::from_secs(self.config().routes.poll_s.max(1));
        loop {
            match tokio::time::timeout(period, tables.message()).await {
                Ok(Ok(Some(table))) => self.take(&table).await?,
                Ok(Ok(None)) => return Ok(()),
                Ok(Err(status)) => return Err(status),
                Err(_) => self.ask_routes().await?,
            }
        }
    }

    /// Asks for the table once.
    pub(crate) async fn ask_routes(&self) -> Result<(), Status> {
        let table =
            self.clients().routes.clone().get_route_table(GetRouteTableRequest {}).await?.into_inner();
        self.note_registry(true);
        self.take(&table).await
    }

    async fn take(&self, table: &RouteTable) -> Result<(), Status> {
        let key = self.registry_key().await?;
        match self.accept(table, key) {
            Ok(true) => {
                if let Err(error) = self.files().keep_route_table(table).await {
                    tracing::error!(%error, "the route table cannot be kept on disk");
                }
            }
            Ok(false) => {}
            Err(error) => {
                self.meters().refused("route_table");
                tracing::error!(%error, "a route table is refused, the last one stays in force");
            }
        }
        Ok(())
    }

    /// The registry's key: configured, kept, or shown at the first contact and pinned from then on.
    async fn registry_key(&self) -> Result<VerifyingKey, Status> {
        let kept = self.files().registry_key(&self.config().routes.registry_key_file);
        if let Some(key) = kept.map_err(|error| Status::failed_precondition(error.to_string()))? {
            return Ok(key);
        }
        let head =
            self.clients().audit.clone().get_tree_head(GetTreeHeadRequest { size: 0 }).await?.into_inner();
        tracing::warn!(key = %head.key_id, "the registry's key was not known and is trusted from now on");
        self.files()
            .pin_registry_key(&head.public_key_pem)
            .map_err(|error| Status::data_loss(error.to_string()))
    }
}
