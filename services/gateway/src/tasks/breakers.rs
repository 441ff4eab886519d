//! Breakers: kept on disk, shared with the other gateways, trips told to the registry.

use std::time::Duration;

use runtime::Tasks;
use tokio_util::sync::CancellationToken;

use super::Patience;
use crate::gateway::Gateway;

/// How often changed breakers are written down, real time. A crash forgets no more than that.
const KEEP: Duration = Duration::from_millis(100);
/// How often gateways hear each other, real time: half of "off traffic in half a second".
const SHARE: Duration = Duration::from_millis(250);

/// Three loops: a slow store or registry holds no other one up.
pub(super) fn start(tasks: &Tasks, gateway: &Gateway) {
    let (keep, share, tell) = (gateway.clone(), gateway.clone(), gateway.clone());
    tasks.spawn("keep-breakers", move |stop| {
        let gateway = keep.clone();
        async move {
            loop {
                gateway.keep_breakers().await?;
                tokio::select! {
                    () = stop.cancelled() => return gateway.keep_breakers().await,
                    () = tokio::time::sleep(KEEP) => {}
                }
            }
        }
    });
    tasks.spawn("share-breakers", move |stop| {
        let gateway = share.clone();
        async move {
            loop {
                tokio::select! {
                    () = stop.cancelled() => return Ok::<_, storage::KvError>(()),
                    () = tokio::time::sleep(SHARE) => gateway.share_breakers().await?,
                }
            }
        }
    });
    tasks.spawn("tell-rollbacks", move |stop| {
        let gateway = tell.clone();
        async move {
            tell_rollbacks(&gateway, &stop).await;
            Ok::<_, tonic::Status>(())
        }
    });
}

/// First written down, then told, until it is acknowledged.
async fn tell_rollbacks(gateway: &Gateway, stop: &CancellationToken) {
    let mut patience = Patience::new();
    loop {
        let owed = gateway.breakers().all().iter().any(|breaker| breaker.owes_rollback());
        if !owed {
            tokio::select! { () = stop.cancelled() => return, () = gateway.breakers().tripped() => {} }
            patience.reset();
        }
        let turn = async {
            if let Err(error) = gateway.keep_breakers().await {
                tracing::error!(%error, "a trip cannot be written down, telling the registry all the same");
            }
            if let Err(status) = gateway.tell_rollbacks().await {
                tracing::warn!(%status, "the registry does not acknowledge a rollback, will tell it again");
                patience.wait().await;
            }
        };
        tokio::select! { () = stop.cancelled() => return, () = turn => {} }
    }
}
