//! Runs the copies of requests for versions in the shadow.

use runtime::Tasks;
use tonic::Status;

use crate::gateway::Gateway;

/// Runs them until the stop; those that wait then are let go of.
pub(super) fn start(tasks: &Tasks, gateway: &Gateway) {
    let gateway = gateway.clone();
    tasks.spawn("run-shadows", move |stop| {
        let gateway = gateway.clone();
        async move {
            tokio::select! { () = stop.cancelled() => {}, () = gateway.run_shadows() => {} }
            Ok::<_, Status>(())
        }
    });
}
