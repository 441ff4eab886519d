//! Looks at requests, collects the seconds that are over, delivers them.

use std::time::Duration;

use runtime::Tasks;
use tonic::Status;

use super::Patience;
use crate::gateway::Gateway;

/// How often seconds that are over are collected, virtual time.
const COLLECT: Duration = Duration::from_secs(1);

/// Three loops: looking never waits for the disk, collecting never for the monitor.
pub(super) fn start(tasks: &Tasks, gateway: &Gateway) {
    let (look, collect, deliver) = (gateway.clone(), gateway.clone(), gateway.clone());
    tasks.spawn("look-at-requests", move |stop| {
        let gateway = look.clone();
        async move {
            tokio::select! { () = stop.cancelled() => {}, () = gateway.look_at_requests() => {} }
            Ok::<_, Status>(())
        }
    });
    tasks.every("collect-observations", COLLECT, move || {
        let gateway = collect.clone();
        async move { gateway.collect_observations(false).await }
    });
    tasks.spawn("deliver-observations", move |stop| {
        let gateway = deliver.clone();
        async move {
            let mut patience = Patience::new();
            loop {
                let turn = async {
                    match gateway.deliver_observations().await {
                        Ok(()) => patience.reset(),
                        Err(status) => {
                            tracing::debug!(%status, "the monitor does not take observations, they wait on disk");
                            patience.wait().await;
                        }
                    }
                    gateway.spool_filled().await;
                };
                tokio::select! { () = stop.cancelled() => return Ok::<_, Status>(()), () = turn => {} }
            }
        }
    });
}
