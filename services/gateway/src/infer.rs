//! The path of a request: admit, route, validate, queue, batch, run, answer; then it is noted.

use std::sync::Arc;
use std::time::{Duration, Instant};

use contracts::inference::{ModelInferRequest, ModelInferResponse};
use engine::{Answer, EngineError, RunOptions, Tensor};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, info_span};

use crate::Error;
use crate::backends::{Backend, Outcome};
use crate::breaker::Breaker;
use crate::gateway::Gateway;
use crate::observe::Detail;
use crate::wire::{self, Parameters, Parsed};

/// What a call brings beside its message.
#[derive(Debug, Clone, Default)]
pub struct Call {
    /// The header `wlp-key`.
    pub key: Option<String>,
    /// Who calls.
    pub principal: Option<String>,
    /// When the caller gives up.
    pub deadline: Option<Instant>,
}

impl Gateway {
    /// Answers one request.
    ///
    /// # Errors
    /// [`Error`]; what was routed is noted with whose fault it was.
    pub async fn infer(
        &self,
        mut request: ModelInferRequest,
        call: Call,
    ) -> Result<ModelInferResponse, Error> {
        let began = Instant::now();
        let (permit, parameters) = info_span!("admit")
            .in_scope(|| {
                let permit = self.admission().admit(wire::message_bytes(&request))?;
                Ok((permit, Parameters::of(&request, call.key.as_deref())?))
            })
            .inspect_err(|error| self.meters().refused(refusal(error)))?;
        let mut flight = info_span!("route", version = tracing::field::Empty)
            .in_scope(|| self.route(&request, &parameters, call.principal.clone(), began))
            .inspect_err(|error| self.meters().refused(refusal(error)))?;
        let caller_until =
            earliest(call.deadline, parameters.timeout.and_then(|time| began.checked_add(time)));
        let answered = self.carry_out(&mut flight, &mut request, &parameters, caller_until).await;
        flight.end(&answered);
        drop(permit);
        answered
    }

    fn route(
        &self,
        request: &ModelInferRequest,
        parameters: &Parameters,
        principal: Option<String>,
        began: Instant,
    ) -> Result<Flight, Error> {
        let live = self.live();
        if !live.is_ready() {
            return Err(Error::NoRoutes);
        }
        let endpoint = live
            .endpoints
            .get(&request.model_name)
            .ok_or_else(|| Error::UnknownEndpoint(wire::shown(&request.model_name)))?;
        let target = endpoint.choose(&request.model_version, parameters.key.as_deref())?;
        tracing::Span::current().record("version", target.backend.number.as_str());
        Ok(Flight {
            gateway: self.clone(),
            backend: target.backend.clone(),
            breaker: endpoint.breaker.clone(),
            canary: target.canary,
            principal,
            began,
            rows: 1,
            ended: false,
        })
    }

    async fn carry_out(
        &self,
        flight: &mut Flight,
        request: &mut ModelInferRequest,
        parameters: &Parameters,
        caller_until: Option<Instant>,
    ) -> Result<ModelInferResponse, Error> {
        let parsed = wire::parse(request)?;
        let backend = flight.backend.clone();
        flight.rows = self.validate(&backend, &parsed)?;
        let details = backend.observer.reference().is_some();
        let sampled = backend.observer.samples();
        let seen = if details || sampled { parsed.inputs.clone() } else { Vec::new() };
        let answer = self.run(&backend, parsed, caller_until, flight.rows).await?;
        if self.config().infer.non_finite_is_fault {
            finite(&answer.outputs)?;
        }
        let id = std::mem::take(&mut request.id);
        if details || sampled {
            let sample = sampled.then(|| (named(&id), runtime::trace::trace_id().unwrap_or_default()));
            let (time, outputs) = (self.clock().now(), answer.outputs.clone());
            let detail = Detail { backend: backend.clone(), time, inputs: seen, outputs, sample };
            if !self.observing().hand_over(detail) {
                self.meters().dropped.inc();
            }
        }
        wire::answer(&backend.endpoint, &backend.number, id, parameters, &answer.outputs)
    }

    /// Rows of the request, once its tensors fit the version's signature.
    fn validate(&self, backend: &Backend, parsed: &Parsed) -> Result<usize, Error> {
        backend.signature().check(&parsed.inputs, &parsed.outputs).map_err(Error::BadRequest)?;
        let rows = backend.rows(&parsed.inputs);
        let most = self.config().infer.max_rows;
        if rows > most {
            return Err(Error::field(
                "inputs",
                format!("{rows} rows, required at most {most} in one request"),
            ));
        }
        Ok(rows)
    }

    /// Waits for a lane, lays the batch out and runs it, within the caller's time and ours.
    async fn run(
        &self,
        backend: &Backend,
        parsed: Parsed,
        caller_until: Option<Instant>,
        rows: usize,
    ) -> Result<Answer, Error> {
        let queued = Instant::now();
        let lane = queue(backend, caller_until).instrument(info_span!("queue")).await?;
        let left_queue = Instant::now();
        // A batch of one: what is laid out is the request itself.
        let (inputs, outputs) = info_span!("batch", rows).in_scope(|| (parsed.inputs, parsed.outputs));
        let own_until = left_queue.checked_add(self.config().infer.run_limit());
        let own_limit = match (caller_until, own_until) {
            (Some(caller), Some(own)) => own < caller,
            (caller, _) => caller.is_none(),
        };
        let cancel = CancellationToken::new();
        let _gone = cancel.clone().drop_guard(); // the caller's cancellation drops this future
        let options = RunOptions { deadline: earliest(caller_until, own_until), cancel };
        let span = info_span!("run", rows, provider = backend.session.provider().as_str());
        let answer = backend.session.run(inputs, outputs, options).instrument(span).await;
        drop(lane);
        let answer = answer.map_err(|cause| Error::Engine { cause, own_limit })?;
        let timings = answer.timings;
        let waited = left_queue - queued + timings.queue();
        backend.stats.ran(rows, waited, timings.batch(), timings.run());
        backend.meters.queue.observe(waited.as_secs_f64());
        backend.meters.batch.observe(timings.batch().as_secs_f64());
        backend.meters.compute.observe(timings.run().as_secs_f64());
        Ok(answer)
    }
}

/// A lane to the engine: at once where one is free, else in turn, until the caller gives up.
async fn queue(
    backend: &Backend,
    until: Option<Instant>,
) -> Result<tokio::sync::OwnedSemaphorePermit, Error> {
    if let Ok(lane) = backend.lanes.clone().try_acquire_owned() {
        return Ok(lane);
    }
    let refuse = |cause| Error::Engine { cause, own_limit: false };
    let waiting = backend.stats.wait();
    if waiting.before >= backend.queue as u64 {
        return Err(refuse(EngineError::Busy { capacity: backend.queue }));
    }
    let lane = backend.lanes.clone().acquire_owned();
    let lane = match until {
        None => lane.await,
        Some(until) => tokio::time::timeout_at(until.into(), lane)
            .await
            .map_err(|_| refuse(EngineError::Deadline { running: false }))?,
    };
    lane.map_err(|_| refuse(EngineError::Closed))
}

fn earliest(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, other) => one.or(other),
    }
}

fn finite(outputs: &[Tensor]) -> Result<(), Error> {
    let bad =
        |tensor: &&Tensor| tensor.to_f64().is_ok_and(|values| values.iter().any(|value| !value.is_finite()));
    outputs.iter().find(bad).map_or(Ok(()), |tensor| Err(Error::NonFinite(tensor.name().to_owned())))
}

/// Label of a request that reached no version.
fn refusal(error: &Error) -> &'static str {
    match error {
        Error::Full { .. } => "full",
        Error::UnknownEndpoint(_) => "unknown_endpoint",
        Error::UnknownVersion { .. } | Error::NoTraffic { .. } => "version",
        Error::NoStableVersion(_) => "no_stable_version",
        Error::NoBackend(_) | Error::NoRoutes => "no_backend",
        Error::BadRequest(_)
        | Error::Unsupported(_)
        | Error::Engine { .. }
        | Error::NonFinite(_)
        | Error::Files(_) => "bad_request",
    }
}

/// A request on its way through a version; noted when it ends, also when its caller goes away in the middle.
struct Flight {
    gateway: Gateway,
    backend: Arc<Backend>,
    breaker: Option<Arc<Breaker>>,
    canary: bool,
    principal: Option<String>,
    began: Instant,
    rows: usize,
    ended: bool,
}

impl Flight {
    fn end<T>(&mut self, result: &Result<T, Error>) {
        self.ended = true;
        let outcome = match result {
            Ok(_) => Outcome::Answered,
            Err(error) => Outcome::Failed(error.fault()),
        };
        self.note(outcome, self.began.elapsed());
    }

    fn note(&self, outcome: Outcome, took: Duration) {
        use crate::breaker::Fault;
        let (backend, now) = (&self.backend, self.gateway.clock().now());
        let (fault, counter) = match outcome {
            Outcome::Answered => (None, &backend.meters.ok),
            Outcome::Failed(fault @ Fault::Model) => (Some(fault), &backend.meters.model),
            Outcome::Failed(fault @ (Fault::Client | Fault::Deadline)) => {
                (Some(fault), &backend.meters.client)
            }
            Outcome::Failed(fault @ Fault::Platform) => (Some(fault), &backend.meters.server),
        };
        // The breaker first: the next request must already be routed by what this one showed.
        if let Some(breaker) = &self.breaker
            && breaker.note(self.canary, fault, now)
        {
            self.gateway.meters().tripped(breaker.rollout());
            self.gateway.note_change();
        }
        counter.inc();
        backend.meters.total.observe(took.as_secs_f64());
        backend.stats.ended(outcome, took, now);
        backend.observer.note(now, outcome, self.rows, took, self.principal.as_deref());
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if !self.ended {
            self.note(Outcome::Failed(crate::breaker::Fault::Deadline), self.began.elapsed());
        }
    }
}

/// The id that a sampled request is kept under: the client's own, or a new one where it gave none that can be kept.
fn named(id: &str) -> String {
    let kept = !id.is_empty() && id.len() <= 128 && id.bytes().all(|byte| byte.is_ascii_graphic());
    if kept { id.to_owned() } else { uuid::Uuid::now_v7().to_string() }
}
