//! The path of a request: admit, route, validate, queue, batch, run, answer; then it is noted.

use std::sync::Arc;
use std::time::Instant;

use contracts::inference::infer_parameter::ParameterChoice;
use contracts::inference::{InferParameter, ModelInferRequest, ModelInferResponse};
use engine::{Answer, EngineError, FieldError, RunOptions, Tensor};
use runtime::trace::Stages;

use crate::Error;
use crate::backends::Backend;
use crate::cache::Looked;
use crate::flight::Flight;
use crate::gateway::Gateway;
use crate::observe::Detail;
use crate::preprocess;
use crate::shadow::Asked;
use crate::shared_memory::{self, Targets};
use crate::wire::{self, Classes, Parameters, Parsed};

/// Parameter of an answer that was not made for this request.
const CACHE_HIT: &str = "cache_hit";
/// Parameter of an answer: the execution provider that made it, `cpu`, `cuda` or `tensorrt`.
const PROVIDER: &str = "provider";

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
        let (began, stages) = (Instant::now(), runtime::trace::Stages::of_this_span());
        let shared =
            self.shared_bytes(&request).inspect_err(|error| self.meters().refused(refusal(error)))?;
        let permit = self
            .admission()
            .admit(wire::message_bytes(&request).saturating_add(shared))
            .inspect_err(|error| self.meters().refused(refusal(error)))?;
        self.quotas()
            .request(call.principal.as_deref().unwrap_or_default())
            .await
            .inspect_err(|error| self.meters().refused(refusal(error)))?;
        let admitted = Instant::now();
        stages.record("admit", began, admitted, Vec::new);
        let (mut parameters, mut bad) = Parameters::of(&request, call.key.as_deref());
        let (targets, wrong) = Targets::take(self.regions(), &mut request.outputs);
        bad.extend(wrong);
        if !bad.is_empty() {
            // It is routed only to name what else is wrong, and takes no turn of the split.
            parameters.key = Some(String::new());
        }
        let mut flight = self
            .route(&request, &parameters, call.principal.clone(), began)
            .inspect_err(|error| self.meters().refused(refusal(error)))?;
        let number = || vec![("version", flight.backend.number.clone())];
        stages.record("route", admitted, Instant::now(), number);
        // Where the version has a policy for its queue, `timeout` is about that alone.
        let whole = parameters.timeout.filter(|_| !flight.backend.serving.waiting.rules_timeouts());
        let caller_until = earliest(call.deadline, whole.and_then(|time| began.checked_add(time)));
        let answered =
            self.carry_out(&mut flight, &mut request, &parameters, bad, caller_until, &stages).await;
        let answered = answered.and_then(|answer| targets.deliver(answer));
        flight.end(&answered);
        drop(permit);
        if let Some(copied) = flight.copied.take() {
            self.shadows().hand_over(copied);
        }
        answered
    }

    /// Bytes that a request will take from shared memory.
    fn shared_bytes(&self, request: &ModelInferRequest) -> Result<usize, Error> {
        let bytes = self.regions().map_or(0, |_| shared_memory::declared(&request.inputs));
        let most = self.config().admission.bytes;
        if bytes as u64 > most {
            let description = format!("{bytes} bytes of shared memory, required at most {most}");
            return Err(Error::BadRequest(vec![FieldError { field: "inputs".into(), description }]));
        }
        Ok(bytes)
    }

    fn route(
        &self,
        request: &ModelInferRequest,
        parameters: &Parameters,
        principal: Option<String>,
        began: Instant,
    ) -> Result<Flight, Error> {
        let live = self.live();
        if !live.known {
            return Err(Error::NoRoutes);
        }
        let endpoint = live
            .endpoints
            .get(&request.model_name)
            .ok_or_else(|| Error::UnknownEndpoint(wire::shown(&request.model_name)))?;
        let target = endpoint.choose(&request.model_version, parameters.key.as_deref())?;
        Ok(Flight {
            gateway: self.clone(),
            backend: target.backend.clone(),
            breaker: endpoint.breaker.clone(),
            canary: target.canary,
            principal,
            began,
            rows: 1,
            ran: Arc::default(),
            ended: false,
            recalled: false,
            experiment: endpoint.experiment.clone(),
            shadow: endpoint.shadow.clone(),
            copied: None,
        })
    }

    async fn carry_out(
        &self,
        flight: &mut Flight,
        request: &mut ModelInferRequest,
        parameters: &Parameters,
        mut bad: Vec<FieldError>,
        caller_until: Option<Instant>,
        stages: &Stages,
    ) -> Result<ModelInferResponse, Error> {
        let (mut parsed, wrong) = wire::parse(request, self.regions());
        bad.extend(wrong);
        let backend = flight.backend.clone();
        let before = backend.serving.preprocessor.as_ref();
        parsed.inputs = preprocess::as_columns(before, parsed.inputs);
        flight.rows = self.validate(&backend, &parsed, parameters, bad)?;
        self.quotas().rows(flight.principal.as_deref().unwrap_or_default(), flight.rows).await?;
        // From here to the answer's message, tensors have the file's shapes: what is kept is the model's own.
        let sent = match (before, &backend.serving.stated) {
            (Some(before), _) => {
                let inputs = before.applied(&parsed.inputs).await?;
                Some(std::mem::replace(&mut parsed.inputs, inputs))
            }
            (None, Some(stated)) => {
                parsed.inputs = stated.for_model(std::mem::take(&mut parsed.inputs));
                None
            }
            (None, None) => None,
        };
        let looking = Instant::now();
        let looked = self.cache().look(flight, &parsed.inputs, &parsed.outputs).await;
        let keep = match looked {
            Looked::Found(outputs) => {
                stages.record("cache", looking, Instant::now(), Vec::new);
                let id = std::mem::take(&mut request.id);
                return recalled(flight, id, parameters, &parsed.classes, &outputs);
            }
            Looked::Keep(place) => Some(place),
            Looked::Off => None,
        };
        let details = backend.observer.reference().is_some();
        let sampled = backend.observer.samples();
        let seen = if details || sampled { parsed.inputs.clone() } else { Vec::new() };
        let classes = std::mem::take(&mut parsed.classes);
        let sent = sent.as_ref().unwrap_or(&parsed.inputs);
        let asked = Asked::of(flight.shadow.as_ref(), sent, &parsed.outputs);
        let answer = self.run(flight, parsed, parameters, caller_until, stages).await?;
        finite(&answer.outputs, self.config().infer.infinity_is_fault)?;
        if let Some(place) = keep {
            self.cache().keep(place, &backend, &answer.outputs);
        }
        flight.copied = asked.map(|asked| asked.answered(&answer.outputs, answer.timings.run()));
        let id = std::mem::take(&mut request.id);
        self.observing().trace_this();
        if details || sampled {
            let sample = sampled.then(|| (named(&id), runtime::trace::trace_id().unwrap_or_default()));
            let (time, outputs) = (self.clock().now(), answer.outputs.clone());
            let groups = parameters.groups.clone();
            let detail = Detail { backend: backend.clone(), time, inputs: seen, outputs, groups, sample };
            if !self.observing().hand_over(detail) {
                self.meters().dropped.inc();
            }
        }
        written(&backend, id, parameters, &classes, answer.outputs)
    }

    /// Rows of the request, once its tensors fit the version's signature; else every field that is wrong, with those that
    /// are known to be (`bad`).
    fn validate(
        &self,
        backend: &Backend,
        parsed: &Parsed,
        parameters: &Parameters,
        mut bad: Vec<FieldError>,
    ) -> Result<usize, Error> {
        bad.extend(backend.signature().faults(parsed.declared(), &parsed.outputs));
        // A request of no rows asks nothing, and many operators cannot take it: that would look like the model's fault.
        for tensor in backend.batched(&parsed.inputs).filter(|tensor| tensor.rows() == 0) {
            bad.push(FieldError {
                field: format!("inputs[{}].shape", wire::shown(tensor.name())),
                description: "dimension 0 is 0, required at least 1".into(),
            });
        }
        let (rows, most) = (backend.rows(&parsed.inputs), backend.serving.max_rows);
        bad.extend(wire::class_faults(&parsed.classes, backend.signature(), rows));
        if rows > most {
            let description = format!("{rows} rows, required at most {most} in one request");
            bad.push(FieldError { field: "inputs".into(), description });
        }
        if let Some(reference) = backend.observer.reference() {
            bad.extend(reference.bad_groups(&parameters.groups, rows));
        }
        if bad.is_empty() { Ok(rows) } else { Err(Error::BadRequest(bad)) }
    }

    /// Queues, batches and runs it in the engine, within the caller's time and ours.
    async fn run(
        &self,
        flight: &Flight,
        parsed: Parsed,
        parameters: &Parameters,
        caller_until: Option<Instant>,
        stages: &Stages,
    ) -> Result<Answer, Error> {
        let (backend, rows) = (&flight.backend, flight.rows);
        let place = backend.serving.waiting.place(parameters.priority, parameters.timeout);
        let empty = parsed.inputs.iter().find(|tensor| tensor.shape().contains(&0)).map(empty_input);
        let odd = empty.or_else(|| parsed.inputs.iter().find_map(wire::odd_text));
        let options = RunOptions {
            deadline: caller_until,
            limit: Some(self.config().infer.run_limit()),
            started: Some(flight.ran.clone()),
            ..RunOptions::default()
        };
        let outputs = backend.wanted(parsed.outputs);
        let inputs = parsed.inputs;
        let answer = match &backend.serving.sequences {
            None => place.run(&*backend.session, inputs, outputs, options).await,
            Some(sequences) => {
                let asked = &parameters.sequence;
                sequences.run(asked, place, &*backend.session, inputs, outputs, options).await
            }
        };
        let answer = answer.map_err(|cause| match (cause, odd) {
            // A model need not take tensors without elements, or bytes for text; a client could else take a canary off
            // with them.
            (EngineError::ModelFault(_), Some(bad)) => Error::BadRequest(vec![bad]),
            (cause, _) => Error::Engine(cause),
        })?;
        let timings = answer.timings;
        backend.stats.ran(rows, timings.queue(), timings.batch(), timings.run());
        backend.meters.queue.observe(timings.queue().as_secs_f64());
        if timings.lead {
            backend.meters.batch.observe(timings.batch().as_secs_f64());
            backend.meters.compute.observe(timings.run().as_secs_f64());
            backend.meters.rows.observe(timings.batch_rows as f64);
        }
        let of_run = || {
            let provider = backend.session.provider().to_string();
            vec![("rows", timings.batch_rows.to_string()), ("provider", provider)]
        };
        stages.record("queue", timings.queued_at, timings.batched_at, Vec::new);
        stages.record("batch", timings.batched_at, timings.started_at, || vec![("rows", rows.to_string())]);
        stages.record("run", timings.started_at, timings.ended_at, of_run);
        Ok(answer)
    }
}

/// An answer that was given before, and says so.
fn recalled(
    flight: &mut Flight,
    id: String,
    parameters: &Parameters,
    classes: &[Classes],
    outputs: &[Tensor],
) -> Result<ModelInferResponse, Error> {
    flight.recalled = true;
    let mut answer = written(&flight.backend, id, parameters, classes, outputs.to_vec())?;
    let hit = InferParameter { parameter_choice: Some(ParameterChoice::BoolParam(true)) };
    answer.parameters.insert(CACHE_HIT.to_owned(), hit);
    Ok(answer)
}

/// The answer of a version as a message.
fn written(
    backend: &Backend,
    id: String,
    parameters: &Parameters,
    classes: &[Classes],
    outputs: Vec<Tensor>,
) -> Result<ModelInferResponse, Error> {
    let labels = &backend.serving.labels;
    let outputs = match &backend.serving.stated {
        Some(stated) => stated.for_caller(outputs),
        None => outputs,
    };
    let outputs = wire::classified(outputs, classes, |name| backend.has_rows(name), labels)?;
    let mut answer = wire::answer(&backend.endpoint, &backend.number, id, parameters, &outputs)?;
    let provider = ParameterChoice::StringParam(backend.session.provider().as_str().to_owned());
    answer.parameters.insert(PROVIDER.to_owned(), InferParameter { parameter_choice: Some(provider) });
    Ok(answer)
}

fn earliest(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, other) => one.or(other),
    }
}

fn empty_input(tensor: &Tensor) -> FieldError {
    FieldError {
        field: format!("inputs[{}].shape", wire::shown(tensor.name())),
        description: format!("{:?} has no elements, and the model cannot take that", tensor.shape()),
    }
}

/// NaN is no answer; infinity is one where a model may mean it (a logarithm of 0).
pub(crate) fn finite(outputs: &[Tensor], infinity_is_fault: bool) -> Result<(), Error> {
    let is_bad = |value: f64| value.is_nan() || (infinity_is_fault && value.is_infinite());
    let bad = outputs.iter().find(|tensor| tensor.any_float(is_bad));
    bad.map_or(Ok(()), |tensor| Err(Error::NonFinite(tensor.name().to_owned())))
}

/// Label of a request that reached no version.
fn refusal(error: &Error) -> &'static str {
    match error {
        Error::Full { .. } => "full",
        Error::Limited { .. } => "limited",
        Error::UnknownEndpoint(_) => "unknown_endpoint",
        Error::UnknownVersion { .. } | Error::NoTraffic { .. } => "version",
        Error::NoStableVersion(_) => "no_stable_version",
        Error::NoBackend(_) | Error::NoRoutes => "no_backend",
        Error::BadRequest(_)
        | Error::NotInRepository(_)
        | Error::NotLoaded { .. }
        | Error::Unsupported(_)
        | Error::Region(_)
        | Error::Engine(_)
        | Error::NonFinite(_)
        | Error::Files(_) => "bad_request",
    }
}

/// The id that a sampled request is kept under: the client's own, or a new one where it gave none that can be kept.
fn named(id: &str) -> String {
    let kept = !id.is_empty() && id.len() <= 128 && id.bytes().all(|byte| byte.is_ascii_graphic());
    if kept { id.to_owned() } else { uuid::Uuid::now_v7().to_string() }
}
