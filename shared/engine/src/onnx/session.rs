//! A loaded model: its queue, its threads, its deadlines.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::instance::Instance;
use super::pace::{self, Pace};
use super::padding::Padding;
use super::queue::{Job, Queue, Turn};
use super::seat::Seat;
use super::sizes::Sizes;
use super::switch::{Run, Switch};
use super::threads::RUNNING;
use super::{independence, load, worker};
use crate::{
    Answer, Batching, Counts, EngineError, LoadOptions, ModelSignature, Provider, RunOptions, Session,
    Tensor, TensorSpec, inspect, session,
};

/// A run on its caller's thread that has no limit of its own ends after this long.
const NO_LIMIT: Duration = Duration::from_secs(60);
/// Operators that may run as often as a request's values say: the last run tells nothing about the next.
const DECIDED_BY_DATA: [&str; 3] = ["If", "Loop", "Scan"];
/// Bytes of a request that a quick model is still quick with.
const LIGHT: usize = 256 << 10;

pub(super) struct OnnxSession {
    signature: ModelSignature,
    digest: String,
    provider: Provider,
    instances: usize,
    /// `None` where requests run alone.
    batching: Option<Batching>,
    in_flight: AtomicUsize,
    /// How long it takes does not depend on values.
    steady: bool,
    queue: Arc<Queue>,
    pace: Arc<Pace>,
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
        RUNNING.start("engine-load", move || {
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
        let (signature, digest) = (&inspection.signature, &inspection.file_digest);
        let (mut instances, provider) = load::load(environment, model, signature, digest, options)?;
        let tried = match options.batching.max_rows {
            0 | 1 => independence::Tried::default(),
            _ => independence::tried(&mut instances, signature)?,
        };
        let batching = tried.independent.then(|| options.batching.clone());
        let waiting = batching.clone().unwrap_or(Batching::ALONE);
        let (count, queue) = (instances.len(), Queue::new(options.queue_capacity, waiting, instances));
        let steady = is_steady(&inspection.operators);
        // Rows of many lengths, or with loops in them, cost what they cost by themselves.
        let comparable = steady && has_fixed_rows(&inspection.signature);
        let batches = || batching.as_ref().map(|batching| batching.max_rows);
        let compared = comparable && options.batching.preferred.is_empty();
        let sizes = batches().filter(|_| compared).map_or_else(Sizes::default, Sizes::up_to);
        let padding =
            batches().filter(|_| tried.change_is_dear).map_or_else(Padding::default, Padding::up_to);
        if tried.change_is_dear {
            tracing::info!(
                digest,
                "another number of rows takes much longer than a run: runs are filled up with rows"
            );
        }
        let loaded = Self {
            pace: Arc::new(Pace::of(sizes, padding)),
            signature: inspection.signature,
            digest: inspection.file_digest,
            provider,
            instances: count,
            batching,
            in_flight: AtomicUsize::new(0),
            steady,
            queue: Arc::new(queue),
        };
        for _ in 0..count {
            let (queue, pace) = (loaded.queue.clone(), loaded.pace.clone());
            // If one thread cannot start, dropping `loaded` closes the queue and ends those that did.
            RUNNING.start("engine-run", move || worker::work(&queue, &pace))?;
        }
        Ok(loaded)
    }

    /// Rows by which a request is put together with others; `None` runs alone.
    fn rows(&self, inputs: &[Tensor]) -> Option<usize> {
        self.batching.as_ref()?;
        let rows = inputs.first()?.shape().first()?;
        let same = inputs.iter().all(|input| input.shape().first() == Some(rows));
        usize::try_from(*rows).ok().filter(|rows| same && *rows > 0)
    }

    /// Runs the request here and now, if an instance is free, the model is quick, and nobody is waited for.
    fn at_once(
        &self,
        inputs: &[Tensor],
        rows: Option<usize>,
        outputs: &[String],
        options: &RunOptions,
    ) -> Option<Result<Answer, EngineError>> {
        if !self.is_quick(inputs) {
            return None;
        }
        let late = options.deadline.is_some_and(|deadline| deadline <= Instant::now());
        if late || options.cancel.as_ref().is_some_and(CancellationToken::is_cancelled) {
            return None; // the queue says which
        }
        let mut given = Given { instance: Some(self.queue.at_once()?), queue: &self.queue };
        let _seat = Seat::take()?;
        let run = Run::new(1).ok()?;
        let until = (Some(options.limit.unwrap_or(NO_LIMIT)), options.deadline);
        let instance = given.instance.as_mut()?;
        options.note_start();
        let answer = worker::alone(instance, (inputs, rows), outputs, &run, until, &self.pace);
        self.pace.ran_together(1);
        Some(answer)
    }

    /// Runs what came along with a request, all requests of this runtime that are at the same point: they share a run on
    /// its thread, and nobody is waited for.
    async fn lead(&self) {
        let _lead = Lead(&self.queue);
        // Everybody else who can go on does so first, and joins the queue.
        tokio::task::yield_now().await;
        let Some(_seat) = Seat::take() else { return };
        let began = Instant::now();
        while let Some(Turn { instance, jobs }) = self.queue.next(&self.pace) {
            let mut given = Given { instance: Some(instance), queue: &self.queue };
            self.pace.ran_together(jobs.len());
            if let Some(instance) = given.instance.as_mut() {
                worker::serve(instance, jobs, &self.pace);
            }
            if !self.pace.is_quick() || began.elapsed() > pace::QUICK {
                return; // the threads go on
            }
        }
    }

    fn push(
        &self,
        inputs: Vec<Tensor>,
        outputs: Vec<String>,
        rows: Option<usize>,
        options: &RunOptions,
        may_lead: bool,
    ) -> Result<(Flight, Reply, bool), EngineError> {
        let (switch, (reply, receive)) = (Arc::new(Switch::default()), oneshot::channel());
        let (options, queued_at, light) = (options.clone(), Instant::now(), self.is_quick(&inputs));
        let job = Job { inputs, outputs, rows, light, options, queued_at, switch: switch.clone(), reply };
        let leads = self.queue.push(job, may_lead)?;
        Ok((Flight(switch), receive, leads))
    }

    /// Whether a request may run on its caller's thread.
    fn is_quick(&self, inputs: &[Tensor]) -> bool {
        let light = || inputs.iter().map(Tensor::byte_len).sum::<usize>() <= LIGHT;
        self.steady
            && self.pace.is_quick()
            && light()
            && self.batching.as_ref().is_none_or(|batching| batching.delay_us == 0)
    }
}

/// Whether no operator is there whose length its values decide. Where there are so many that not all were noted, one may be.
fn is_steady(operators: &std::collections::BTreeMap<String, u64>) -> bool {
    operators.len() < inspect::MOST_OPERATORS
        && DECIDED_BY_DATA.iter().all(|operator| !operators.contains_key(*operator))
}

/// Whether all rows have the same shape.
fn has_fixed_rows(signature: &ModelSignature) -> bool {
    let fixed = |input: &TensorSpec| input.shape().iter().skip(1).all(|size| *size >= 0);
    signature.inputs.iter().all(|input| input.dims.is_some() && fixed(input))
}

type Reply = oneshot::Receiver<Result<Answer, EngineError>>;

/// An instance that goes back when it is not used any more.
struct Given<'a> {
    instance: Option<Instance>,
    queue: &'a Queue,
}

impl Drop for Given<'_> {
    fn drop(&mut self) {
        if let Some(instance) = self.instance.take() {
            self.queue.give_back(instance);
        }
    }
}

impl Drop for OnnxSession {
    fn drop(&mut self) {
        self.queue.close();
    }
}

/// A request that takes the next turn; dropped before it did, the threads take it.
struct Lead<'a>(&'a Queue);

impl Drop for Lead<'_> {
    fn drop(&mut self) {
        self.0.step_down();
    }
}

/// Counts a request while it lives.
struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Stops a request when nobody waits for it any more.
struct Flight(Arc<Switch>);

impl Drop for Flight {
    fn drop(&mut self) {
        self.0.stop();
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

    fn batches(&self) -> bool {
        self.batching.is_some()
    }

    fn counts(&self) -> Counts {
        self.pace.counts()
    }

    async fn run(
        &self,
        inputs: Vec<Tensor>,
        outputs: Vec<String>,
        options: RunOptions,
    ) -> Result<Answer, EngineError> {
        self.signature.check(&inputs, &outputs).map_err(EngineError::BadInput)?;
        let outputs = session::wanted(&self.signature, outputs);
        let _counted = Counted::new(&self.in_flight);
        let rows = self.rows(&inputs);
        let together = rows.is_some() && self.pace.has_company() && self.is_quick(&inputs);
        if !together && let Some(answer) = self.at_once(&inputs, rows, &outputs, &options) {
            return answer;
        }
        let (flight, mut receive, leads) = self.push(inputs, outputs, rows, &options, together)?;
        if leads {
            self.lead().await;
        }
        tokio::select! {
            biased;
            answer = &mut receive => answer.unwrap_or(Err(EngineError::Closed)),
            () = options.cancelled() => {
                flight.0.stop();
                Err(EngineError::Cancelled)
            }
            () = session::until(options.deadline) => Err(EngineError::Deadline { running: flight.0.stop() }),
        }
    }

    async fn warm_up(&self, options: RunOptions) -> Result<(), EngineError> {
        // As many at once as there are instances, so that each of them gets one; the second round tells the pace.
        // What is too large to be made up no request can bring either.
        let Some(inputs) = session::made_up(&self.signature) else { return Ok(()) };
        for _ in 0..2 {
            let mut runs = tokio::task::JoinSet::new();
            for _ in 0..self.instances {
                let outputs = session::wanted(&self.signature, Vec::new());
                let (flight, receive, _) = self.push(inputs.clone(), outputs, None, &options, false)?;
                let options = options.clone();
                runs.spawn(async move {
                    tokio::select! {
                        answer = receive => answer.map(drop).map_err(|_| EngineError::Closed),
                        () = options.cancelled() => { flight.0.stop(); Err(EngineError::Cancelled) }
                        () = session::until(options.deadline) => Err(EngineError::Deadline { running: flight.0.stop() }),
                    }
                });
            }
            while let Some(run) = runs.join_next().await {
                run.map_err(|error| EngineError::Host(error.to_string()))??;
            }
        }
        Ok(())
    }
}
