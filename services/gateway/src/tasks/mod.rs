//! The loops of the gateway, one file each. None of them is on a request's path.

mod breakers;
mod follow_routes;
mod observations;
mod policy;
mod poll_models;
mod reconcile;
mod references;
mod report_serving;
mod resources;
mod shadows;
mod share_answers;
mod show_serving;

use std::time::Duration;

use runtime::Tasks;

use crate::gateway::Gateway;

/// First and longest pause of a loop that waits for a peer, real time.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// Starts all of them with the service.
pub fn start(tasks: &Tasks, gateway: &Gateway) {
    follow_routes::start(tasks, gateway);
    reconcile::start(tasks, gateway);
    report_serving::start(tasks, gateway);
    breakers::start(tasks, gateway);
    observations::start(tasks, gateway);
    references::start(tasks, gateway);
    policy::start(tasks, gateway);
    resources::start(tasks, gateway);
    share_answers::start(tasks, gateway);
    shadows::start(tasks, gateway);
}

/// Starts those of a gateway that serves a folder: it has no peers.
pub fn start_local(tasks: &Tasks, gateway: &Gateway) {
    show_serving::start(tasks, gateway);
    share_answers::start(tasks, gateway);
    poll_models::start(tasks, gateway);
}

/// A pause that doubles while a peer stays away.
struct Patience(Duration);

impl Patience {
    fn new() -> Self {
        Self(PAUSE.0)
    }

    fn reset(&mut self) {
        self.0 = PAUSE.0;
    }

    async fn wait(&mut self) {
        tokio::time::sleep(self.0).await;
        self.0 = (self.0 * 2).min(PAUSE.1);
    }
}
