//! A loaded model: its queue, its threads, its deadlines.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use bytes::Bytes;
use tokio::sync::oneshot;

use super::queue::{Job, Queue, Switch};
use super::{load, worker};
use crate::{
    Answer, EngineError, LoadOptions, ModelSignature, Provider, RunOptions, Session, Tensor, inspect, session,
};

pub(super) struct OnnxSession {
    signature: ModelSignature,
    digest: String,
    provider: Provider,
    instances: usize,
    in_flight: AtomicUsize,
    queue: Arc<Queue>,
}

impl std::fmt::Debug for OnnxSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OnnxSession").field("digest", &self.digest).field("provider", &self.provider).finish()
    }
}

impl OnnxSession {
    /// Inspects and loads on a thread of its own: loading takes seconds and cannot be awaited.
    pub async fn load(
        environment: ort::environment::Environment,
        model: Bytes,
        options: LoadOptions,
    ) -> Result<Self, EngineError> {
        let (send, receive) = oneshot::channel();
        let limit = options.load_limit;
        thread("engine-load", move || {
            // Nobody waits any more if this fails: the time was up.
            drop(send.send(Self::load_now(&environment, &model, &options)));
        })?;
        match tokio::time::timeout(limit, receive).await {
            Ok(Ok(loaded)) => loaded,
            Ok(Err(_)) => Err(EngineError::Load("the runtime failed while loading it".into())),
            Err(_) => Err(EngineError::Load(format!("it takes longer than {} s to load", limit.as_secs()))),
        }
    }

    fn load_now(
        environment: &ort::environment::Environment,
        model: &Bytes,
        options: &LoadOptions,
    ) -> Result<Self, EngineError> {
        let inspection =
            inspect(model, &options.limits).map_err(|error| EngineError::Load(error.to_string()))?;
        let (sessions, provider) = load::load(environment, model, &inspection.signature, options)?;
        let queue = Arc::new(Queue::new(options.queue_capacity));
        let loaded = Self {
            signature: inspection.signature,
            digest: inspection.file_digest,
            provider,
            instances: sessions.len(),
            in_flight: AtomicUsize::new(0),
            queue,
        };
        for session in sessions {
            let queue = loaded.queue.clone();
            // If one thread cannot start, dropping `loaded` closes the queue and ends those that did.
            thread("engine-run", move || worker::work(&queue, session))?;
        }
        Ok(loaded)
    }
}

fn thread(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), EngineError> {
    let started = std::thread::Builder::new().name(name.into()).spawn(work);
    started.map(drop).map_err(|error| EngineError::Host(error.to_string()))
}

impl Drop for OnnxSession {
    fn drop(&mut self) {
        self.queue.close();
    }
}

/// Counts a request while it lives and stops it when nobody waits for it any more.
struct Flight<'a> {
    count: &'a AtomicUsize,
    switch: Arc<Switch>,
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
        self.switch.stop();
    }
}

#[async_trait::async_trait]
impl Session for OnnxSession {
    fn signature(&self) -> &ModelSignature {
        &self.signature
    }

    fn digest(&self) -> &str {
        &self.digest
    }

    fn provider(&self) -> Provider {
        self.provider
    }

    fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    async fn run(
        &self,
        inputs: Vec<Tensor>,
        outputs: Vec<String>,
        options: RunOptions,
    ) -> Result<Answer, EngineError> {
        self.signature.check(&inputs, &outputs).map_err(EngineError::BadInput)?;
        let outputs = session::wanted(&self.signature, outputs);
        let switch = Arc::new(Switch::default());
        let (reply, mut receive) = oneshot::channel();
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        let flight = Flight { count: &self.in_flight, switch: switch.clone() };
        self.queue.push(Job { inputs, outputs, queued_at: Instant::now(), switch, reply })?;
        tokio::select! {
            biased;
            answer = &mut receive => answer.unwrap_or(Err(EngineError::Closed)),
            () = options.cancel.cancelled() => {
                flight.switch.stop();
                Err(EngineError::Cancelled)
            }
            () = session::until(options.deadline) => Err(EngineError::Deadline { running: flight.switch.stop() }),
        }
    }

    async fn warm_up(&self, options: RunOptions) -> Result<(), EngineError> {
        // As many at once as there are instances, so that each of them gets one.
        let mut runs = tokio::task::JoinSet::new();
        let inputs = session::made_up(&self.signature);
        for _ in 0..self.instances {
            let (reply, receive) = oneshot::channel();
            let switch = Arc::new(Switch::default());
            let outputs = session::wanted(&self.signature, Vec::new());
            let job = Job {
                inputs: inputs.clone(),
                outputs,
                queued_at: Instant::now(),
                switch: switch.clone(),
                reply,
            };
            self.queue.push(job)?;
            let options = options.clone();
            runs.spawn(async move {
                tokio::select! {
                    answer = receive => answer.map(drop).map_err(|_| EngineError::Closed),
                    () = options.cancel.cancelled() => { switch.stop(); Err(EngineError::Cancelled) }
                    () = session::until(options.deadline) => Err(EngineError::Deadline { running: switch.stop() }),
                }
            });
        }
        while let Some(run) = runs.join_next().await {
            run.map_err(|error| EngineError::Host(error.to_string()))??;
        }
        Ok(())
    }
}
