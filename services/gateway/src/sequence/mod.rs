//! Sequences (`sequence_batching` of a model's configuration): requests that belong together run one after the other, the
//! model is told where a sequence begins and ends, and what it gives as state comes back to it with the next request.
//!
//! - `plan.rs` reads the strategy; `control.rs` and `state.rs` make the inputs that no client sends.
//! - `turns.rs` is whose turn it is: order within a sequence, slots for so many sequences, and the end of idle ones.
//!
//! A model is a function of its inputs here, so a sequence is bound to no instance: every instance takes the row of any
//! sequence, and rows of different sequences run together as all rows do. A slot without a request does not run at all.

mod control;
mod plan;
mod state;
mod turns;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use contracts::inference::model_config::SchedulingChoice;
use contracts::inference::{ModelConfig, ModelSequenceBatching};
use engine::{Answer, EngineError, FieldError, ModelSignature, RunOptions, Session, Tensor};

use crate::backends::Place;
use control::Controls;
pub use plan::{batching, fill, refused};
use state::States;
use turns::Turns;

/// The name of a sequence.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Id {
    /// Never 0.
    Number(u64),
    /// Never empty.
    Text(String),
}

impl std::fmt::Display for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => f.write_str(&crate::wire::shown(text)),
        }
    }
}

/// What a request says of its sequence.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asked {
    /// Which; `None`: it belongs to none.
    pub id: Option<Id>,
    /// It is the first of the sequence.
    pub start: bool,
    /// It is the last one.
    pub end: bool,
}

/// What fits into the field of a request, or of a configuration.
fn wrong(field: impl Into<String>, description: impl Into<String>) -> FieldError {
    FieldError { field: field.into(), description: description.into() }
}

/// The part of a configuration that is about sequences.
pub fn of(config: &ModelConfig) -> Option<&ModelSequenceBatching> {
    match &config.scheduling_choice {
        Some(SchedulingChoice::SequenceBatching(sequences)) => Some(sequences),
        _ => None,
    }
}

/// Inputs and outputs of the file that are between the model and this server: no client gives or gets them, unless the
/// configuration lists such an output.
#[derive(Debug, Default)]
pub struct Own<'a> {
    /// Controls and states.
    pub inputs: BTreeSet<&'a str>,
    /// States.
    pub outputs: BTreeSet<&'a str>,
}

impl<'a> Own<'a> {
    /// Those of a configuration.
    pub fn of(config: Option<&'a ModelSequenceBatching>) -> Self {
        let Some(config) = config else { return Self::default() };
        let controls = config.control_input.iter().map(|control| control.name.as_str());
        let states = config.state.iter().map(|state| state.input_name.as_str());
        let outputs = config.state.iter().map(|state| state.output_name.as_str());
        Self { inputs: controls.chain(states).collect(), outputs: outputs.collect() }
    }
}

/// The sequences of one version.
#[derive(Debug)]
pub struct Sequences {
    controls: Controls,
    states: States,
    turns: Arc<Turns>,
    /// Rows are the first dimension, and every request has one of them.
    batched: bool,
}

/// What sequences of a version are made for.
#[derive(Debug, Clone, Copy)]
pub struct Room<'a> {
    /// Copies of the model.
    pub instances: usize,
    /// Sequences that may wait for a slot.
    pub waiting: usize,
    /// The model's folder.
    pub folder: Option<&'a Path>,
    /// Bytes of a file of an initial state at most.
    pub most: usize,
}

impl Sequences {
    /// Those of a complete configuration, if it has any.
    ///
    /// # Errors
    /// Every field that the file contradicts or that makes no sense.
    pub fn new(
        config: &ModelConfig,
        file: &ModelSignature,
        room: Room<'_>,
    ) -> Result<Option<Arc<Self>>, Vec<FieldError>> {
        let Some(sequences) = of(config) else { return Ok(None) };
        let batched = config.max_batch_size > 0;
        let controls = Controls::new(&sequences.control_input, file, batched);
        let states = States::new(&sequences.state, file, batched, room);
        let (controls, states) = match (controls, states) {
            (Ok(controls), Ok(states)) => (controls, states),
            (controls, states) => {
                return Err(controls.err().into_iter().chain(states.err()).flatten().collect());
            }
        };
        let idle = Duration::from_micros(sequences.max_sequence_idle_microseconds);
        let turns = Arc::new(Turns::new(plan::slots(config, sequences, room.instances), room.waiting, idle));
        Ok(Some(Arc::new(Self { controls, states, turns, batched })))
    }

    /// Inputs of a request with all that the model takes beside them, as at the beginning of a sequence.
    ///
    /// # Errors
    /// If a control cannot carry that name.
    pub fn fresh(&self, mut inputs: Vec<Tensor>) -> Result<Vec<Tensor>, FieldError> {
        inputs.extend(self.controls.tensors(&Id::Number(1), true, false)?);
        inputs.extend(self.states.initial());
        Ok(inputs)
    }

    /// Runs a request when it is its turn. What it says of its sequence takes effect in the order of the first polls: two
    /// requests that were begun one after the other run one after the other.
    ///
    /// # Errors
    /// [`EngineError::BadInput`] if it belongs to no sequence, or to one that has not begun; [`EngineError::Busy`] if too
    /// many sequences wait for a slot; [`EngineError::Deadline`]; what the model says.
    pub async fn run(
        &self,
        asked: &Asked,
        place: Place,
        session: &dyn Session,
        mut inputs: Vec<Tensor>,
        mut outputs: Vec<String>,
        options: RunOptions,
    ) -> Result<Answer, EngineError> {
        let refuse = |bad: FieldError| EngineError::BadInput(vec![bad]);
        let id = asked.id.clone().ok_or_else(|| refuse(no_sequence()))?;
        if let Some(rows) = inputs.iter().map(Tensor::rows).find(|rows| self.batched && *rows != 1) {
            let why = format!("{rows} rows, required 1: each request of a sequence is one step of it");
            return Err(refuse(wrong("inputs", why)));
        }
        let controls = self.controls.tensors(&id, asked.start, asked.end).map_err(refuse)?;
        let mut turn = self.turns.enter(id, asked.start, asked.end)?;
        turn.come(options.deadline).await?;
        if asked.start {
            turn.put(self.states.initial());
        }
        inputs.extend(controls);
        inputs.extend(turn.state().iter().cloned());
        let asked_for = outputs.len();
        outputs.extend(self.states.not_among(&outputs));
        let mut answer = place.run(session, inputs, outputs, options).await?;
        let next = self.states.taken(&answer.outputs)?;
        answer.outputs.truncate(asked_for);
        turn.done(next);
        Ok(answer)
    }
}

fn no_sequence() -> FieldError {
    let why = "is missing: requests of this model must specify a non-zero or non-empty correlation ID";
    wrong("parameters[sequence_id]", why)
}
