//! A configuration beside the file that it is about: what it leaves out is filled in, what it says otherwise is an error.

use std::collections::BTreeSet;

use contracts::inference as wire;
use contracts::inference::model_config::SchedulingChoice;
use contracts::inference::model_instance_group::Kind;
use contracts::inference::model_version_policy::{Latest, PolicyChoice};
use contracts::inference::{ModelConfig, ModelDynamicBatching, ModelInstanceGroup, ModelVersionPolicy};
use engine::{DataType, Dim, FieldError, ModelSignature, Provider, TensorSpec, element_count};

use super::plan::is_silent;
use super::unsupported::{BACKEND, PLATFORM};
use crate::backends::Stated;
use crate::config::Infer;
use crate::sequence::{self, Own};
use crate::wire::{number, shown};

/// What an engine says of a loaded file.
#[derive(Debug, Clone, Copy)]
pub struct Loaded<'a> {
    /// What the file takes and gives.
    pub signature: &'a ModelSignature,
    /// Requests may run together.
    pub batches: bool,
    /// Where it runs.
    pub provider: Provider,
}

/// Fills in what `config` leaves out, and narrows the file's signature to what it says.
///
/// # Errors
/// Every field that the file contradicts.
pub fn complete(config: &ModelConfig, file: Loaded<'_>, infer: &Infer) -> Result<Stated, Vec<FieldError>> {
    let mut config = config.clone();
    if is_silent(&config) && has_rows(file.signature) {
        config.max_batch_size = i32::try_from(infer.max_rows).unwrap_or(i32::MAX);
        let together = file.batches && config.scheduling_choice.is_none();
        config.scheduling_choice = config.scheduling_choice.or_else(|| {
            let delay = infer.batching.delay_us;
            let batching = ModelDynamicBatching { max_queue_delay_microseconds: delay, ..Default::default() };
            together.then_some(SchedulingChoice::DynamicBatching(batching))
        });
    }
    let sequences = sequence::of(&config).cloned();
    let own = Own::of(sequences.as_ref());
    let sides = Sides { file: file.signature, own, rows: rows(&config, file.signature), bad: Vec::new() };
    let signature = sides.settle(&mut config)?;
    fill(&mut config, file.provider, infer);
    Ok(Stated { config, signature })
}

/// Whether every tensor's first dimension may have any size.
fn has_rows(signature: &ModelSignature) -> bool {
    let all = [&signature.inputs, &signature.optional_inputs, &signature.outputs];
    let free = |spec: &TensorSpec| matches!(&spec.dims, Some(dims) if dims.first().is_some_and(is_free));
    !signature.inputs.is_empty() && all.into_iter().flatten().all(free)
}

fn is_free(dim: &Dim) -> bool {
    !matches!(dim, Dim::Fixed(_))
}

/// The dimension of rows that all inputs have in common; `None` where the configuration has none.
fn rows(config: &ModelConfig, signature: &ModelSignature) -> Option<Dim> {
    let named = signature.inputs.iter().find_map(|spec| match spec.dims.as_deref()? {
        [first @ Dim::Symbol(_), ..] => Some(first.clone()),
        _ => None,
    });
    // No symbol of a file has a space in it by accident.
    (config.max_batch_size > 0).then(|| named.unwrap_or_else(|| Dim::Symbol("batch size".into())))
}

/// Both sides of the comparison.
struct Sides<'a> {
    file: &'a ModelSignature,
    /// What this server gives and takes by itself.
    own: Own<'a>,
    /// The first dimension of everything, which a configuration with rows leaves out.
    rows: Option<Dim>,
    bad: Vec<FieldError>,
}

/// The fields that inputs and outputs of a configuration have in common.
struct Said<'a> {
    side: &'static str,
    name: &'a str,
    data_type: &'a mut i32,
    dims: &'a mut Vec<i64>,
    reshape: Option<Vec<i64>>,
}

impl Sides<'_> {
    fn settle(mut self, config: &mut ModelConfig) -> Result<ModelSignature, Vec<FieldError>> {
        let mut signature = ModelSignature::default();
        if config.input.is_empty() {
            let one = |spec: &TensorSpec, optional| wire::ModelInput {
                name: spec.name.clone(),
                optional,
                ..Default::default()
            };
            let own = |spec: &&TensorSpec| !self.own.inputs.contains(spec.name.as_str());
            let required = self.file.inputs.iter().filter(own).map(|spec| one(spec, false));
            let optional = self.file.optional_inputs.iter().filter(own).map(|spec| one(spec, true));
            config.input = required.chain(optional).collect();
        }
        if config.output.is_empty() {
            let one = |spec: &TensorSpec| wire::ModelOutput { name: spec.name.clone(), ..Default::default() };
            let own = |spec: &&TensorSpec| !self.own.outputs.contains(spec.name.as_str());
            config.output = self.file.outputs.iter().filter(own).map(one).collect();
        }
        self.names(config);
        for input in &mut config.input {
            let Some(spec) = self.file.input(&input.name) else { continue };
            let needed = self.file.inputs.iter().any(|needed| needed.name == input.name);
            if needed && input.optional {
                self.wrong("input", &input.name, ".optional", "the file requires this input".into());
            }
            let said = Said {
                side: "input",
                name: &input.name,
                data_type: &mut input.data_type,
                dims: &mut input.dims,
                reshape: input.reshape.as_ref().map(|reshape| reshape.shape.clone()),
            };
            let spec = self.tensor(spec, said);
            if input.optional { signature.optional_inputs.push(spec) } else { signature.inputs.push(spec) }
        }
        for output in &mut config.output {
            let Some(spec) = self.file.output(&output.name) else { continue };
            let said = Said {
                side: "output",
                name: &output.name,
                data_type: &mut output.data_type,
                dims: &mut output.dims,
                reshape: output.reshape.as_ref().map(|reshape| reshape.shape.clone()),
            };
            let spec = self.tensor(spec, said);
            signature.outputs.push(spec);
        }
        if self.bad.is_empty() { Ok(signature) } else { Err(self.bad) }
    }

    fn wrong(&mut self, side: &str, name: &str, part: &str, description: String) {
        let field = format!("{side}[{}]{part}", shown(name));
        self.bad.push(FieldError { field, description });
    }

    /// Every name is the file's, once, and no input that the file needs is missing.
    fn names(&mut self, config: &ModelConfig) {
        let file = self.file;
        let known = |specs: &[&TensorSpec]| -> String {
            specs.iter().take(8).map(|spec| shown(&spec.name)).collect::<Vec<_>>().join(", ")
        };
        let inputs: Vec<_> = file.inputs.iter().chain(&file.optional_inputs).collect();
        let outputs: Vec<_> = file.outputs.iter().collect();
        let given = config.input.iter().map(|input| ("input", &input.name, &inputs));
        let given = given.chain(config.output.iter().map(|output| ("output", &output.name, &outputs)));
        let mut seen = BTreeSet::new();
        for (side, name, specs) in given {
            if side == "input" && self.own.inputs.contains(name.as_str()) {
                self.wrong(side, name, "", "is a control or a state: no client gives it".into());
            } else if !seen.insert((side, name)) {
                self.wrong(side, name, "", "is given twice".into());
            } else if !specs.iter().any(|spec| spec.name == *name) {
                self.wrong(
                    side,
                    name,
                    "",
                    format!("the file has no such {side}, it has {}", known(specs.as_slice())),
                );
            }
        }
        for spec in &file.inputs {
            let own = self.own.inputs.contains(spec.name.as_str());
            if !own && !seen.contains(&("input", &spec.name)) {
                self.wrong("input", &spec.name, "", format!("is missing, the file requires {spec}"));
            }
        }
    }

    /// The tensor as both have it; what the configuration leaves out is filled in.
    fn tensor(&mut self, spec: &TensorSpec, said: Said<'_>) -> TensorSpec {
        let Said { side, name, data_type, dims, reshape } = said;
        let of_file: i32 = number(spec.datatype).into();
        if *data_type == 0 {
            *data_type = of_file;
        } else if *data_type != of_file {
            let given = type_name(*data_type);
            let why = format!("{given}, the file has {}", number(spec.datatype).as_str_name());
            self.wrong(side, name, ".data_type", why);
        }
        let narrowed = match reshape {
            None => self.dims(spec, dims),
            Some(shape) => self.reshaped(spec, dims, shape),
        };
        let narrowed = match narrowed {
            Ok(narrowed) => narrowed,
            Err(why) => {
                self.wrong(side, name, ".dims", why);
                None
            }
        };
        TensorSpec { name: spec.name.clone(), datatype: spec.datatype, dims: narrowed }
    }

    /// The dimensions as callers have them, the rows in front, of a tensor that is `shape` to the file.
    fn reshaped(
        &self,
        spec: &TensorSpec,
        said: &[i64],
        mut shape: Vec<i64>,
    ) -> Result<Option<Vec<Dim>>, String> {
        if said.is_empty() || said.iter().chain(&shape).any(|size| *size < 1) {
            return Err(format!("{said:?} with reshape {shape:?}: every size must be there, and 1 or more"));
        }
        if element_count(said).ok().is_none_or(|count| element_count(&shape) != Ok(count)) {
            return Err(format!("{said:?} with reshape {shape:?}: not the same number of elements"));
        }
        let rank = shape.len();
        self.dims(spec, &mut shape)?;
        if shape.len() != rank {
            // Without sizes, those of the file were filled in.
            return Err(format!("reshape [], required {} dimensions ({spec})", shape.len()));
        }
        let own = said.iter().map(|size| Dim::Fixed(*size));
        Ok(Some(self.rows.iter().cloned().chain(own).collect()))
    }

    /// The dimensions as both have them, the rows in front.
    fn dims(&self, spec: &TensorSpec, said: &mut Vec<i64>) -> Result<Option<Vec<Dim>>, String> {
        if let Some(bad) = said.iter().find(|dim| **dim == 0 || **dim < -1) {
            return Err(format!("{bad}, required 1 or more, or -1 for any size"));
        }
        let Some(of_file) = &spec.dims else {
            // The file says nothing, not even how many dimensions there are.
            let own = said.iter().map(|dim| if *dim < 0 { Dim::Any(()) } else { Dim::Fixed(*dim) });
            let all = || self.rows.iter().cloned().chain(own).collect();
            return Ok((!said.is_empty()).then(all));
        };
        let tail = match (&self.rows, of_file.split_first()) {
            (None, _) => of_file.as_slice(),
            (Some(_), Some((first, tail))) if is_free(first) => tail,
            (Some(_), _) => {
                return Err(format!(
                    "max_batch_size is not 0, but the first dimension is none of rows in the file: {spec}"
                ));
            }
        };
        if said.is_empty() {
            *said = tail.iter().map(Dim::as_i64).collect();
        }
        if said.len() != tail.len() {
            let rows = if self.rows.is_some() { " behind the rows" } else { "" };
            return Err(format!("{said:?}, required {} dimensions{rows} ({spec})", tail.len()));
        }
        let narrower = |(said, of_file): (&i64, &Dim)| match of_file {
            Dim::Fixed(size) if *said > 0 && said != size => {
                Err(format!("{said} where the file has {size} ({spec})"))
            }
            Dim::Symbol(_) | Dim::Any(()) if *said > 0 => Ok(Dim::Fixed(*said)),
            same => Ok(same.clone()),
        };
        let narrowed = said.iter().zip(tail).map(narrower).collect::<Result<Vec<_>, _>>()?;
        Ok(Some(self.rows.iter().cloned().chain(narrowed).collect()))
    }
}

/// What the configuration leaves to the server.
fn fill(config: &mut ModelConfig, provider: Provider, infer: &Infer) {
    config.platform = PLATFORM.into();
    config.backend = BACKEND.into();
    if let Some(SchedulingChoice::SequenceBatching(sequences)) = &mut config.scheduling_choice {
        sequence::fill(sequences);
    }
    if config.default_model_filename.is_empty() {
        config.default_model_filename = super::sheet::MODEL_FILE.into();
    }
    let latest =
        || ModelVersionPolicy { policy_choice: Some(PolicyChoice::Latest(Latest { num_versions: 1 })) };
    config.version_policy.get_or_insert_with(latest);
    if config.instance_group.is_empty() {
        let count = i32::try_from(infer.instances.max(1)).unwrap_or(i32::MAX);
        config.instance_group.push(ModelInstanceGroup { count, ..Default::default() });
    }
    let here = match provider {
        Provider::Cpu => Kind::Cpu,
        Provider::Cuda | Provider::TensorRt => Kind::Gpu,
    };
    for (at, group) in config.instance_group.iter_mut().enumerate() {
        if group.name.is_empty() {
            group.name = format!("{}_{at}", config.name);
        }
        if group.kind() == Kind::Auto {
            group.set_kind(here);
        }
        group.count = group.count.max(1);
    }
}

fn type_name(number: i32) -> String {
    wire::DataType::try_from(number)
        .map_or_else(|_| format!("type {number}"), |known| known.as_str_name().to_owned())
}

/// The type of a configuration's number; `None` for one that no tensor has.
pub fn datatype(of: i32) -> Option<DataType> {
    DataType::ALL.into_iter().find(|datatype| i32::from(number(*datatype)) == of)
}

#[cfg(test)]
#[path = "complete_tests.rs"]
mod tests;
