//! Puts answers that are kept into the store that gateways share.

use std::convert::Infallible;

use runtime::Tasks;

use crate::gateway::Gateway;

pub(super) fn start(tasks: &Tasks, gateway: &Gateway) {
    let gateway = gateway.clone();
    tasks.spawn("share-answers", move |stop| {
        let gateway = gateway.clone();
        async move {
            tokio::select! { () = stop.cancelled() => {}, () = gateway.cache().share() => {} }
            Ok::<_, Infallible>(())
        }
    });
}
