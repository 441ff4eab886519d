//! Answers that were given before: per version, where its operator says that the same inputs have the same answer.
//!
//! - An answer is kept once it passed all checks, so a fault never is; the outputs of the model are kept, and what a request
//!   makes of them (classes, its id) is made anew.
//! - It is looked for after validation and before the queue: in this process, then in the store that gateways share.
//! - What comes from here says nothing of the model. The breaker and the monitor are not told of it, and a canary always
//!   runs: its runs are what it is judged by.

mod kept;
mod key;
mod settings;
mod stored;

use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::Tensor;
use kept::Kept;
pub use kept::copied;
pub use key::Key;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use runtime::Metrics;
pub use settings::Settings;
use storage::Kv;
use tokio::sync::{Mutex, mpsc};

use crate::backends::Backend;
use crate::flight::Flight;
use crate::store::Shared;

/// Answers that wait to be put into the store; beyond, they are kept in this process alone.
const WAITING: usize = 256;

/// The answers.
pub struct Cache {
    settings: Settings,
    kept: Kept,
    store: Option<Store>,
    meters: Meters,
}

/// The store that gateways share.
struct Store {
    shared: Shared,
    put: mpsc::Sender<(Key, Arc<[Tensor]>)>,
    waiting: Mutex<mpsc::Receiver<(Key, Arc<[Tensor]>)>>,
}

/// The place of a request's answer.
#[derive(Debug)]
pub struct Place {
    key: Key,
    /// Time that looking took.
    looked: Duration,
}

/// What came of looking for an answer.
pub enum Looked {
    /// It is here.
    Found(Arc<[Tensor]>),
    /// It is to be kept there once the model has run.
    Keep(Place),
    /// Answers of this request are not kept.
    Off,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Lookup {
    endpoint: String,
    version: String,
    found: &'static str,
}

#[derive(Clone, Debug, Default)]
struct Meters {
    lookups: Family<Lookup, Counter>,
    entries: Gauge,
    bytes: Gauge,
    shared: Gauge,
}

impl Cache {
    /// An empty cache of this process; with `kv` in front of what gateways share.
    ///
    /// # Errors
    /// Names the field of the configuration that cannot be used.
    pub fn new(settings: &Settings, kv: Option<Arc<dyn Kv>>, metrics: &Metrics) -> anyhow::Result<Self> {
        settings.check()?;
        let meters = Meters::default();
        metrics.register(|to| {
            let help = "Looks into the response cache";
            to.register("wlp_gateway_cache_lookups", help, meters.lookups.clone());
            to.register("wlp_gateway_cache_entries", "Answers in memory", meters.entries.clone());
            to.register("wlp_gateway_cache_bytes", "Bytes of answers in memory", meters.bytes.clone());
            let help = "1 while answers are shared with other gateways";
            to.register("wlp_gateway_cache_shared", help, meters.shared.clone());
        });
        let store = kv.map(|kv| {
            let (put, waiting) = mpsc::channel(WAITING);
            let shared = Shared::new(kv, "response cache", meters.shared.clone());
            Store { shared, put, waiting: Mutex::new(waiting) }
        });
        let kept = Kept::new(settings.bytes, Duration::from_secs(settings.ttl_s));
        Ok(Self { settings: settings.clone(), kept, store, meters })
    }

    /// Looks for the answer to a request that was validated.
    pub async fn look(&self, flight: &Flight, inputs: &[Tensor], outputs: &[String]) -> Looked {
        let (backend, began) = (&flight.backend, Instant::now());
        if !self.is_on(backend)
            || self.settings.entry_bytes < inputs.iter().map(Tensor::byte_len).sum::<usize>()
        {
            return Looked::Off;
        }
        let key = Key::of(backend, inputs, &backend.wanted(outputs.to_vec()));
        if !flight.canary
            && let Some(found) = self.find(&key).await
        {
            backend.stats.hit(began.elapsed());
            self.count(backend, "hit");
            return Looked::Found(found);
        }
        Looked::Keep(Place { key, looked: began.elapsed() })
    }

    /// Keeps an answer of the model that passed all checks.
    pub fn keep(&self, place: Place, backend: &Backend, outputs: &[Tensor]) {
        let began = Instant::now();
        if outputs.iter().map(Tensor::byte_len).sum::<usize>() <= self.settings.entry_bytes
            && let Some(outputs) = kept::copied(outputs)
        {
            self.put(place.key, outputs.clone());
            if let Some(store) = &self.store {
                let _full_or_kept = store.put.try_send((place.key, outputs));
            }
        }
        backend.stats.missed(place.looked + began.elapsed());
        self.count(backend, "miss");
    }

    /// Puts what was kept here into the store, for ever.
    pub async fn share(&self) {
        let Some(store) = &self.store else { return std::future::pending().await };
        let mut waiting = store.waiting.lock().await;
        while let Some((key, outputs)) = waiting.recv().await {
            let Some(bytes) = stored::written(&outputs) else { continue };
            let ttl = Some(Duration::from_secs(self.settings.ttl_s));
            let name = key.shared();
            // While it is away there is nothing to do.
            let _away = store.shared.ask(|kv| async move { kv.set(&name, bytes, ttl).await }).await;
        }
    }

    /// Whether answers of a version are kept. A model with memory of its own answers each time anew.
    fn is_on(&self, backend: &Backend) -> bool {
        let serving = &backend.serving;
        self.settings.bytes > 0
            && serving.sequences.is_none()
            && (serving.cache || self.settings.endpoints.contains(&backend.endpoint))
    }

    async fn find(&self, key: &Key) -> Option<Arc<[Tensor]>> {
        let here = self.kept.get(key, Instant::now());
        let Some(store) = self.store.as_ref().filter(|_| here.is_none()) else { return here };
        let name = key.shared();
        let bytes = store.shared.ask(|kv| async move { kv.get(&name).await }).await??;
        match stored::read(bytes) {
            Ok(outputs) => {
                let outputs: Arc<[Tensor]> = outputs.into();
                self.put(*key, outputs.clone());
                Some(outputs)
            }
            Err(why) => {
                tracing::warn!(why, "a cached answer in the shared store is damaged, the model runs");
                None
            }
        }
    }

    fn put(&self, key: Key, outputs: Arc<[Tensor]>) {
        self.kept.put(key, outputs, Instant::now());
        let (entries, bytes) = self.kept.size();
        self.meters.entries.set(entries as i64);
        self.meters.bytes.set(bytes as i64);
    }

    fn count(&self, backend: &Backend, found: &'static str) {
        let (endpoint, version) = (backend.endpoint.clone(), backend.number.clone());
        self.meters.lookups.get_or_create(&Lookup { endpoint, version, found }).inc();
    }
}
