//! Keeps what is served in step with the newest table.

use futures::StreamExt;
use runtime::Tasks;
use tokio_util::sync::CancellationToken;

use crate::backends::Reconciler;
use crate::gateway::Gateway;

/// Reconciles until the stop.
pub(super) fn start(tasks: &Tasks, gateway: &Gateway) {
    let gateway = gateway.clone();
    tasks.spawn("reconcile-backends", move |stop| {
        let gateway = gateway.clone();
        async move {
            reconcile(gateway, stop).await;
            Ok::<_, std::convert::Infallible>(())
        }
    });
}

async fn reconcile(gateway: Gateway, stop: CancellationToken) {
    let mut wanted = gateway.wanted().subscribe();
    let mut reconciler = Reconciler::new(gateway.clone());
    loop {
        let accepted = wanted.borrow_and_update().clone();
        if let Some(accepted) = &accepted {
            reconciler.step(accepted);
        }
        let retry = reconciler.next_retry().map(tokio::time::Instant::from_std);
        let due = async {
            match retry {
                Some(at) if accepted.is_some() => tokio::time::sleep_until(at).await,
                _ => std::future::pending().await,
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            changed = wanted.changed() => if changed.is_err() { return },
            Some((digest, result)) = reconciler.loading.next() => reconciler.loaded(digest, result),
            () = due => {}
        }
    }
}
