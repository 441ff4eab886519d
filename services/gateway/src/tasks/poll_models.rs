//! Keeps what is served in step with a folder of models.

use runtime::Tasks;

use crate::gateway::Gateway;

/// Looks at the folder again and again, if that is asked for.
pub(super) fn start(tasks: &Tasks, gateway: &Gateway) {
    let Some(period) = gateway.local().and_then(crate::local::Local::poll) else { return };
    let gateway = gateway.clone();
    tasks.every_real("poll-models", period, move || {
        let gateway = gateway.clone();
        async move { gateway.follow_folder().await }
    });
}
