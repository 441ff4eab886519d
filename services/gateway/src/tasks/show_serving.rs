//! Shows what is served to Prometheus, where there is no registry to tell.

use std::time::Duration;

use contracts::gateway::v1::ServedBackend;
use contracts::name;
use runtime::Tasks;

use crate::gateway::Gateway;
use crate::metrics::Shown;

/// Longest time until what drains is looked at again, real time.
const PERIOD: Duration = Duration::from_secs(3);

/// Shows until the stop, after each change and every few seconds.
pub(super) fn start(tasks: &Tasks, gateway: &Gateway) {
    let gateway = gateway.clone();
    tasks.spawn("show-serving", move |stop| {
        let gateway = gateway.clone();
        async move {
            loop {
                gateway.show_serving(&gateway.served());
                let turn = tokio::time::timeout(PERIOD, gateway.changed());
                tokio::select! {
                    () = stop.cancelled() => return Ok::<_, std::convert::Infallible>(()),
                    _ = turn => {}
                }
            }
        }
    });
}

impl Gateway {
    /// Replaces what Prometheus sees of backends.
    pub(super) fn show_serving(&self, served: &[ServedBackend]) {
        let row = |served: &ServedBackend| {
            let state = match served.state.as_str() {
                "ready" => "ready",
                "tripped" => "tripped",
                "failed" => "failed",
                "draining" => "draining",
                _ => "loading",
            };
            Shown {
                endpoint: served.endpoint.clone(),
                version: name::last(&served.version).to_owned(),
                percent: served.traffic_percent,
                state,
                provider: served.provider.clone(),
            }
        };
        self.meters().show(&served.iter().map(row).collect::<Vec<_>>());
    }
}
