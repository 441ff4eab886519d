//! Tells the registry what is served, after each change and every few seconds; shows the same to Prometheus.

use std::time::Duration;

use contracts::registry::v1::{ReportServingRequest, ServingBackend};
use runtime::Tasks;

use crate::gateway::Gateway;

/// Reports until the stop.
pub(super) fn start(tasks: &Tasks, gateway: &Gateway) {
    let gateway = gateway.clone();
    tasks.spawn("report-serving", move |stop| {
        let gateway = gateway.clone();
        async move {
            let period = Duration::from_secs(gateway.config().routes.report_s.max(1));
            loop {
                let turn = async {
                    let _ = tokio::time::timeout(period, gateway.changed()).await;
                    gateway.report_serving().await;
                };
                tokio::select! { () = stop.cancelled() => return Ok::<_, tonic::Status>(()), () = turn => {} }
            }
        }
    });
}

impl Gateway {
    async fn report_serving(&self) {
        let served = self.served();
        self.show_serving(&served);
        let live = self.live().clone();
        if !live.known {
            return;
        }
        let one = |served: contracts::gateway::v1::ServedBackend| ServingBackend {
            endpoint: served.endpoint,
            version: served.version,
            artifact_digest: served.artifact_digest,
            traffic_percent: served.traffic_percent,
            state: served.state,
            error: served.error,
        };
        let request = ReportServingRequest {
            gateway: self.id().to_owned(),
            sequence: live.sequence,
            backends: served.into_iter().filter(|served| served.state != "draining").map(one).collect(),
        };
        match self.clients().routes.clone().report_serving(request).await {
            Ok(_) => self.note_registry(true),
            Err(status) => {
                tracing::debug!(%status, "the registry does not take the report, the next one follows");
            }
        }
    }
}
