//! Background work: named, supervised, stopped when told. The only place that spawns.

use std::fmt::Display;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures::FutureExt;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::clock::Clock;
use crate::layers::catch_panic::panic_text;
use crate::telemetry::SERVICE;

/// First pause after a failure of a supervised task, in real time; doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// However fast the virtual clock runs, a periodic task leaves the processor alone for this long: ten turns a second are what the
/// next service, too, has to keep up with.
const BREATH: Duration = Duration::from_millis(100);

/// The background tasks of one service; clones share them. They wait for [`Tasks::start`].
#[derive(Clone, Debug)]
pub struct Tasks {
    service: &'static str,
    clock: Clock,
    tracker: TaskTracker,
    started: Arc<watch::Sender<bool>>,
    stop: CancellationToken,
    kill: CancellationToken,
}

impl Tasks {
    /// No tasks yet; periods are virtual time of `clock`.
    pub fn new(service: &'static str, clock: Clock) -> Self {
        Self {
            service,
            clock,
            tracker: TaskTracker::new(),
            started: Arc::new(watch::Sender::new(false)),
            stop: CancellationToken::new(),
            kill: CancellationToken::new(),
        }
    }

    /// Runs `work` at once after the start and then every `period` of virtual time; turns that were missed are skipped.
    /// An error or a panic is logged and the next turn comes as usual. Never runs twice at a time.
    pub fn every<W, F, E>(&self, name: &'static str, period: Duration, work: W)
    where
        W: FnMut() -> F + Send + 'static,
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Display + Send,
    {
        self.repeat(name, work, move |clock, turn| async move {
            clock.sleep_until(turn + period).await;
            if !clock.is_manual() {
                tokio::time::sleep(BREATH).await;
            }
        });
    }

    /// As [`Tasks::every`], but `period` is real time: work does not come more often because the virtual clock runs fast.
    /// On a manual clock it is virtual time, so that a test turns it.
    pub fn every_real<W, F, E>(&self, name: &'static str, period: Duration, work: W)
    where
        W: FnMut() -> F + Send + 'static,
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Display + Send,
    {
        self.repeat(name, work, move |clock, turn| async move {
            if clock.is_manual() {
                clock.sleep_until(turn + period).await;
            } else {
                tokio::time::sleep(period.max(BREATH)).await;
            }
        });
    }

    /// Runs `work` again and again; `pause` is given the clock and the time at which the turn began.
    fn repeat<W, F, E, P, S>(&self, name: &'static str, mut work: W, pause: P)
    where
        W: FnMut() -> F + Send + 'static,
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Display + Send,
        P: Fn(Clock, SystemTime) -> S + Send + 'static,
        S: Future<Output = ()> + Send,
    {
        let (service, clock, stop) = (self.service, self.clock.clone(), self.stop.clone());
        self.launch(async move {
            loop {
                let turn = clock.now();
                let span =
                    tracing::info_span!(parent: None, "task", otel.name = name, service.name = service);
                if let Err(error) = guarded(&mut work).instrument(span).await {
                    tracing::warn!(%error, task = name, "periodic task failed, will retry");
                }
                tokio::select! { () = stop.cancelled() => return, () = pause(clock.clone(), turn) => {} }
            }
        });
    }

    /// Keeps `work` running until it returns `Ok` or the service stops; after an error or a panic it is started again,
    /// with growing pauses. `work` gets a token that is cancelled at the stop and should return soon after.
    pub fn spawn<W, F, E>(&self, name: &'static str, mut work: W)
    where
        W: FnMut(CancellationToken) -> F + Send + 'static,
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Display + Send,
    {
        let stop = self.stop.clone();
        self.launch(async move {
            let mut pause = FIRST_PAUSE;
            loop {
                let began = tokio::time::Instant::now();
                let Err(error) = guarded(|| work(stop.clone())).await else { return };
                if stop.is_cancelled() {
                    return;
                }
                if LONGEST_PAUSE < began.elapsed() {
                    pause = FIRST_PAUSE; // it ran well for a while
                }
                tracing::warn!(%error, task = name, ?pause, "task failed, will start again");
                tokio::select! { () = stop.cancelled() => return, () = tokio::time::sleep(pause) => {} }
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        });
    }

    /// Runs one piece of work at once, without waiting for the start; it is waited for at the stop. A panic is logged.
    pub fn once<F>(&self, name: &'static str, work: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let kill = self.kill.clone();
        let supervised = async move {
            let work = AssertUnwindSafe(work).catch_unwind();
            tokio::select! {
                () = kill.cancelled() => {}
                ended = work => if let Err(panic) = ended {
                    tracing::error!(task = name, panic = panic_text(panic.as_ref()), "task panicked");
                },
            }
        };
        self.tracker.spawn(SERVICE.scope(self.service, supervised));
    }

    /// Lets the tasks run; those added later run at once. [`crate::serve`] calls this.
    pub fn start(&self) {
        self.started.send_replace(true);
    }

    /// Cancelled when the tasks should stop; for loops inside [`Tasks::once`].
    pub fn stopping(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Tells the tasks to stop, waits up to `grace` and drops those that still run. Returns false if some did.
    pub async fn stop(&self, grace: Duration) -> bool {
        self.stop.cancel();
        self.tracker.close();
        if tokio::time::timeout(grace, self.tracker.wait()).await.is_ok() {
            return true;
        }
        tracing::warn!(service = self.service, left = self.tracker.len(), "tasks did not stop in time");
        self.kill.cancel();
        false
    }

    fn launch(&self, work: impl Future<Output = ()> + Send + 'static) {
        let (mut started, stop, kill) = (self.started.subscribe(), self.stop.clone(), self.kill.clone());
        let run = async move {
            tokio::select! {
                () = stop.cancelled() => return,
                started = started.wait_for(|started| *started) => if started.is_err() { return },
            }
            tokio::select! { () = kill.cancelled() => {}, () = work => {} }
        };
        self.tracker.spawn(SERVICE.scope(self.service, run));
    }
}

/// One run of some work, with a panic as an error.
async fn guarded<F, E>(work: impl FnOnce() -> F) -> Result<(), String>
where
    F: Future<Output = Result<(), E>>,
    E: Display,
{
    match AssertUnwindSafe(async { work().await }).catch_unwind().await {
        Ok(ended) => ended.map_err(|error| error.to_string()),
        Err(panic) => Err(format!("panicked: {}", panic_text(panic.as_ref()))),
    }
}
