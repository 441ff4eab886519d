//! What a request says of shared memory: where an input lies, where an output shall go.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use contracts::inference::infer_parameter::ParameterChoice;
use contracts::inference::model_infer_request::{InferInputTensor, InferRequestedOutputTensor};
use contracts::inference::{InferParameter, ModelInferResponse};
use engine::FieldError;

use super::{Region, Regions};
use crate::Error;
use crate::wire::shown;

/// The parameter that says that a tensor lies in a region.
pub const REGION: &str = "shared_memory_region";
const SIZE: &str = "shared_memory_byte_size";
const OFFSET: &str = "shared_memory_offset";

type Parameters = HashMap<String, InferParameter>;
/// The parameter that is wrong, and how.
type Wrong = (&'static str, String);

/// A part of a region.
#[derive(Debug)]
struct Place {
    name: String,
    region: Arc<Region>,
    offset: u64,
    byte_size: u64,
}

impl Place {
    fn of(regions: &Regions, parameters: &Parameters) -> Result<Self, Wrong> {
        let Some(ParameterChoice::StringParam(name)) = choice(parameters, REGION) else {
            return Err((REGION, "must be a string".into()));
        };
        let byte_size = number(parameters, SIZE)?.ok_or((SIZE, "is missing".to_owned()))?;
        let offset = number(parameters, OFFSET)?.unwrap_or_default();
        let region = regions.get(name).ok_or_else(|| {
            (REGION, format!("unable to find shared memory region {:?}: it is not registered", shown(name)))
        })?;
        region.holds(offset, byte_size).map_err(|why| (SIZE, why))?;
        Ok(Self { name: name.clone(), region, offset, byte_size })
    }
}

fn choice<'a>(parameters: &'a Parameters, name: &str) -> Option<&'a ParameterChoice> {
    parameters.get(name)?.parameter_choice.as_ref()
}

/// A whole number, if it is given.
fn number(parameters: &Parameters, name: &'static str) -> Result<Option<u64>, Wrong> {
    match choice(parameters, name) {
        None => Ok(None),
        Some(ParameterChoice::Uint64Param(number)) => Ok(Some(*number)),
        Some(ParameterChoice::Int64Param(number)) if *number >= 0 => Ok(Some(number.unsigned_abs())),
        Some(_) => Err((name, "must be a whole number, 0 or more".into())),
    }
}

/// The bytes of an input that lies in a region; `None` for one that does not.
///
/// # Errors
/// The parameter that is wrong.
pub fn brought(regions: Option<&Regions>, parameters: &Parameters) -> Option<Result<Bytes, Wrong>> {
    if !parameters.contains_key(REGION) {
        return None;
    }
    let Some(regions) = regions else { return Some(Err((REGION, off().into()))) };
    let place = Place::of(regions, parameters);
    let read = |place: Place| place.region.read(place.offset, place.byte_size).map_err(|why| (REGION, why));
    Some(place.and_then(read))
}

/// The part of an input that one of these parameters is.
pub fn part(parameter: &str) -> &'static str {
    match parameter {
        SIZE => ".parameters[shared_memory_byte_size]",
        OFFSET => ".parameters[shared_memory_offset]",
        _ => ".parameters[shared_memory_region]",
    }
}

fn off() -> &'static str {
    "shared memory is not taken here; `wlp serve --shared-memory` takes it from callers on its own host"
}

/// Bytes that inputs say they have in regions: what a request will keep in memory beside its message.
pub fn declared(inputs: &[InferInputTensor]) -> usize {
    let shared = inputs.iter().filter(|input| input.parameters.contains_key(REGION));
    let sizes = shared.filter_map(|input| number(&input.parameters, SIZE).ok().flatten());
    sizes.fold(0_usize, |sum, size| sum.saturating_add(usize::try_from(size).unwrap_or(usize::MAX)))
}

/// The outputs that go to regions.
#[derive(Debug, Default)]
pub struct Targets(Vec<(String, Place)>);

impl Targets {
    /// Takes what outputs say of regions, with every parameter that is wrong.
    pub fn take(
        regions: Option<&Regions>,
        outputs: &mut [InferRequestedOutputTensor],
    ) -> (Self, Vec<FieldError>) {
        let (mut targets, mut bad) = (Vec::new(), Vec::new());
        for output in outputs.iter_mut().filter(|output| output.parameters.contains_key(REGION)) {
            let place = regions
                .ok_or_else(|| (REGION, off().to_owned()))
                .and_then(|regions| Place::of(regions, &output.parameters));
            for name in [REGION, SIZE, OFFSET] {
                output.parameters.remove(name);
            }
            match place {
                Ok(place) => targets.push((output.name.clone(), place)),
                Err((parameter, description)) => {
                    let field = field(&output.name, parameter);
                    bad.push(FieldError { field, description });
                }
            }
        }
        (Self(targets), bad)
    }

    /// Puts outputs where they were asked for; the answer says so in place of their bytes. Where one does not fit, nothing
    /// is put anywhere.
    ///
    /// # Errors
    /// [`Error::BadRequest`] with every output that does not fit, or a region that has been cut meanwhile.
    pub fn deliver(self, mut answer: ModelInferResponse) -> Result<ModelInferResponse, Error> {
        let mut bad = Vec::new();
        let mut all = Vec::new();
        for (name, place) in self.0 {
            let Some(at) = answer.outputs.iter().position(|output| output.name == name) else { continue };
            let Some(raw) = answer.raw_output_contents.get(at) else { continue };
            let needed = raw.len() as u64;
            let fits = if needed > place.byte_size {
                Err(format!("{}, the output needs at least {needed}", place.byte_size))
            } else {
                place.region.holds(place.offset, needed)
            };
            match fits {
                Ok(()) => all.push((at, place)),
                Err(description) => bad.push(FieldError { field: field(&name, SIZE), description }),
            }
        }
        for (at, place) in all.iter().filter(|_| bad.is_empty()) {
            if let Err(description) = place.region.write(place.offset, &answer.raw_output_contents[*at]) {
                let field = field(&answer.outputs[*at].name, REGION);
                return Err(Error::BadRequest(vec![FieldError { field, description }]));
            }
        }
        if !bad.is_empty() {
            return Err(Error::BadRequest(bad));
        }
        for (at, place) in all {
            // Its entry stays, so that outputs and entries are in step.
            let raw = std::mem::take(&mut answer.raw_output_contents[at]);
            answer.outputs[at].parameters.extend(place.told(raw.len() as u64));
        }
        Ok(answer)
    }
}

impl Place {
    /// What an answer says of an output that lies here.
    fn told(self, length: u64) -> impl Iterator<Item = (String, InferParameter)> {
        let number = |number: u64| ParameterChoice::Int64Param(i64::try_from(number).unwrap_or(i64::MAX));
        let offset = (self.offset > 0).then(|| (OFFSET, number(self.offset)));
        let all = [(REGION, ParameterChoice::StringParam(self.name)), (SIZE, number(length))];
        let parameter = |choice| InferParameter { parameter_choice: Some(choice) };
        all.into_iter().chain(offset).map(move |(name, choice)| (name.to_owned(), parameter(choice)))
    }
}

fn field(output: &str, parameter: &str) -> String {
    format!("outputs[{}].parameters[{parameter}]", shown(output))
}

#[cfg(test)]
mod tests {
    use super::*;
    use contracts::inference::SystemSharedMemoryRegisterRequest;
    use contracts::inference::model_infer_response::InferOutputTensor;

    /// One region `r` of 16 bytes behind 4 others.
    fn regions() -> (tempfile::TempDir, Regions) {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("k"), (0..20).collect::<Vec<u8>>()).unwrap();
        let regions = Regions::below(root.path());
        let name = |text: &str| text.to_owned();
        let asked =
            SystemSharedMemoryRegisterRequest { name: name("r"), key: name("/k"), offset: 4, byte_size: 16 };
        regions.register(&asked).unwrap();
        (root, regions)
    }

    fn parameters(region: &str, numbers: &[(&str, i64)]) -> Parameters {
        let parameter = |choice| InferParameter { parameter_choice: Some(choice) };
        let numbers = numbers
            .iter()
            .map(|(name, number)| ((*name).to_owned(), parameter(ParameterChoice::Int64Param(*number))));
        let region = (REGION.to_owned(), parameter(ParameterChoice::StringParam(region.into())));
        std::iter::once(region).chain(numbers).collect()
    }

    #[test]
    fn an_input_is_read_from_its_place() {
        let (_root, regions) = regions();
        let read = |parameters: &Parameters| brought(Some(&regions), parameters).unwrap();
        assert_eq!(read(&parameters("r", &[(SIZE, 3)])).unwrap().as_ref(), [4, 5, 6]);
        assert_eq!(read(&parameters("r", &[(SIZE, 2), (OFFSET, 14)])).unwrap().as_ref(), [18, 19]);
        assert!(brought(Some(&regions), &Parameters::new()).is_none());
        let wrong = |numbers: &[(&str, i64)]| read(&parameters("r", numbers)).unwrap_err();
        assert_eq!(wrong(&[]), (SIZE, "is missing".into()));
        assert_eq!(wrong(&[(SIZE, -1)]).0, SIZE);
        assert_eq!(wrong(&[(SIZE, 17)]), (SIZE, "17 bytes from offset 0, the region has 16".into()));
        assert_eq!(wrong(&[(SIZE, 1), (OFFSET, i64::MAX)]).0, SIZE);
        assert_eq!(read(&parameters("s", &[(SIZE, 1)])).unwrap_err().0, REGION);
        let off = brought(None, &parameters("r", &[(SIZE, 3)])).unwrap().unwrap_err();
        assert!(off.1.contains("--shared-memory"), "{off:?}");
        let input =
            |size| InferInputTensor { parameters: parameters("r", &[(SIZE, size)]), ..Default::default() };
        assert_eq!(declared(&[input(3), InferInputTensor::default(), input(4), input(-1)]), 7);
    }

    fn answer() -> ModelInferResponse {
        let output = |name: &str| InferOutputTensor { name: name.into(), ..Default::default() };
        ModelInferResponse {
            outputs: vec![output("y"), output("z")],
            raw_output_contents: vec![Bytes::from_static(&[1, 2, 3, 4]), Bytes::from_static(&[5])],
            ..Default::default()
        }
    }

    fn targets(regions: &Regions, all: &[(&str, &[(&str, i64)])]) -> (Targets, Vec<FieldError>) {
        let one = |(name, numbers): &(&str, &[(&str, i64)])| InferRequestedOutputTensor {
            name: (*name).to_owned(),
            parameters: parameters("r", numbers),
        };
        let mut outputs: Vec<_> = all.iter().map(one).collect();
        let taken = Targets::take(Some(regions), &mut outputs);
        assert!(outputs.iter().all(|output| output.parameters.is_empty()));
        taken
    }

    #[test]
    fn outputs_go_to_their_places_and_the_answer_says_so() {
        let (root, regions) = regions();
        let (all, bad) = targets(&regions, &[("y", &[(SIZE, 8), (OFFSET, 2)]), ("none", &[(SIZE, 1)])]);
        assert!(bad.is_empty());
        let told = all.deliver(answer()).unwrap();
        assert_eq!((told.raw_output_contents[0].len(), told.raw_output_contents[1].len()), (0, 1));
        let said = |name: &str| told.outputs[0].parameters[name].parameter_choice.clone().unwrap();
        assert_eq!(said(SIZE), ParameterChoice::Int64Param(4));
        assert_eq!(said(OFFSET), ParameterChoice::Int64Param(2));
        assert_eq!(said(REGION), ParameterChoice::StringParam("r".into()));
        assert!(told.outputs[1].parameters.is_empty());
        assert_eq!(std::fs::read(root.path().join("k")).unwrap()[4..12], [4, 5, 1, 2, 3, 4, 10, 11]);
    }

    #[test]
    fn where_one_output_does_not_fit_none_is_written() {
        let (root, regions) = regions();
        let before = std::fs::read(root.path().join("k")).unwrap();
        let (all, bad) = targets(&regions, &[("z", &[(SIZE, 1)]), ("y", &[(SIZE, 3), (OFFSET, 1)])]);
        assert!(bad.is_empty());
        let Error::BadRequest(bad) = all.deliver(answer()).unwrap_err() else { panic!("it does not fit") };
        let wanted = "outputs[y].parameters[shared_memory_byte_size]: 3, the output needs at least 4";
        assert_eq!(bad.iter().map(ToString::to_string).collect::<Vec<_>>(), [wanted]);
        assert_eq!(std::fs::read(root.path().join("k")).unwrap(), before);
        let (_, bad) = targets(&regions, &[("y", &[(SIZE, 17)]), ("z", &[])]);
        assert_eq!(bad.len(), 2);
        let mut outputs =
            [InferRequestedOutputTensor { name: "y".into(), parameters: parameters("r", &[(SIZE, 1)]) }];
        let (_, bad) = Targets::take(None, &mut outputs);
        assert!(bad[0].description.contains("is not taken here"), "{bad:?}");
    }
}
