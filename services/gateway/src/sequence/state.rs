//! State that goes from one run to the next: an output of the model that is an input of the next request of the sequence.

use contracts::inference::model_sequence_batching::State as Said;
use contracts::inference::model_sequence_batching::initial_state::StateData;
use engine::{DataType, Dim, EngineError, FieldError, ModelSignature, Tensor, TensorSpec, element_count};

use super::{Room, wrong};
use crate::local::{datatype, folder};
use crate::wire::shown;

/// Folder of the files of initial states inside a model's folder.
const FOLDER: &str = "initial_state";

/// The states of a model.
#[derive(Debug, Default)]
pub(super) struct States(Vec<One>);

#[derive(Debug)]
struct One {
    output: String,
    /// What the first request of a sequence meets, under the input's name.
    initial: Tensor,
}

impl States {
    /// Those of a configuration, held against the file.
    ///
    /// # Errors
    /// Every field that makes no sense.
    pub fn new(
        states: &[Said],
        file: &ModelSignature,
        batched: bool,
        room: Room<'_>,
    ) -> Result<Self, Vec<FieldError>> {
        let (mut all, mut bad) = (Vec::<One>::new(), Vec::new());
        for state in states {
            let field = format!("sequence_batching.state[{}]", shown(&state.input_name));
            if all.iter().any(|one| one.initial.name() == state.input_name || one.output == state.output_name)
            {
                bad.push(wrong(field, "is given twice"));
                continue;
            }
            match one(state, file, batched, room) {
                Ok(one) => all.push(one),
                Err(why) => bad.push(wrong(field, why)),
            }
        }
        if bad.is_empty() { Ok(Self(all)) } else { Err(bad) }
    }

    /// The inputs at the beginning of a sequence.
    pub fn initial(&self) -> Vec<Tensor> {
        self.0.iter().map(|one| one.initial.clone()).collect()
    }

    /// The outputs that are states and are not asked for already.
    pub fn not_among(&self, asked: &[String]) -> Vec<String> {
        let names = self.0.iter().map(|one| &one.output);
        names.filter(|name| !asked.contains(name)).cloned().collect()
    }

    /// The inputs of the next request, from the outputs of this one.
    ///
    /// # Errors
    /// [`EngineError::ModelFault`] if one of them is not there.
    pub fn taken(&self, outputs: &[Tensor]) -> Result<Vec<Tensor>, EngineError> {
        let one = |one: &One| {
            let made = outputs.iter().find(|tensor| tensor.name() == one.output);
            let made = made.ok_or_else(|| EngineError::ModelFault(format!("no state {}", one.output)))?;
            Ok(made.clone().named(one.initial.name()))
        };
        self.0.iter().map(one).collect()
    }
}

fn one(state: &Said, file: &ModelSignature, batched: bool, room: Room<'_>) -> Result<One, String> {
    let input = file.input(&state.input_name).ok_or("input_name: the file has no such input")?;
    let output = file.output(&state.output_name).ok_or("output_name: the file has no such output")?;
    if input.datatype != output.datatype {
        return Err(format!("the file has {input} and {output}"));
    }
    if state.data_type != 0 && datatype(state.data_type) != Some(input.datatype) {
        return Err(format!("data_type: {}, the file has {input}", state.data_type().as_str_name()));
    }
    let own = shape(&state.dims, input, batched)?;
    let (own, data) = match state.initial_state.as_slice() {
        [] => (own, None),
        [initial] => {
            if initial.data_type != 0 && datatype(initial.data_type) != Some(input.datatype) {
                let given = initial.data_type().as_str_name();
                return Err(format!("initial_state.data_type: {given}, the file has {input}"));
            }
            let own = if initial.dims.is_empty() { own } else { shape(&initial.dims, input, batched)? };
            match &initial.state_data {
                Some(StateData::ZeroData(true)) => (own, None),
                Some(StateData::DataFile(name)) => {
                    let folder = room.folder.ok_or("initial_state.data_file: there is no folder")?;
                    let folder = folder.join(FOLDER);
                    let bytes = folder::read(&folder::inside(&folder, name)?, room.most as u64)?;
                    (own, Some(bytes))
                }
                Some(StateData::ZeroData(false)) | None => {
                    return Err("initial_state: one of zero_data and data_file is required".into());
                }
            }
        }
        more => return Err(format!("{} initial states, at most 1 is taken", more.len())),
    };
    let initial = first(input, own, data, room.most)?;
    Ok(One { output: state.output_name.clone(), initial })
}

/// The shape of a state at the beginning: 1 for any size, one row where there are rows.
fn shape(said: &[i64], spec: &TensorSpec, batched: bool) -> Result<Vec<i64>, String> {
    let any = |size: i64| if size < 0 { 1 } else { size };
    let rows = usize::from(batched);
    let of_file = spec.dims.as_deref();
    let mut whole = vec![1; rows];
    match of_file {
        Some(dims) if said.is_empty() => whole.extend(dims.iter().skip(rows).map(|dim| any(dim.as_i64()))),
        _ => whole.extend(said.iter().copied().map(any)),
    }
    let fits = |(own, dim): (&i64, &Dim)| !matches!(dim, Dim::Fixed(size) if size != own);
    if of_file.is_some_and(|dims| dims.len() != whole.len() || !whole.iter().zip(dims).all(fits)) {
        return Err(format!("dims: {said:?} does not fit the file's {spec}"));
    }
    Ok(whole)
}

/// A state of zeros and of empty text, or of a file's bytes in the protocol's raw form.
fn first(spec: &TensorSpec, shape: Vec<i64>, data: Option<Vec<u8>>, most: usize) -> Result<Tensor, String> {
    let count = element_count(&shape).map_err(|error| format!("dims: {error}"))?;
    let bytes = count.checked_mul(spec.datatype.size().unwrap_or(size_of::<bytes::Bytes>()));
    let bytes = bytes.filter(|bytes| *bytes <= most).ok_or_else(|| {
        format!("dims: {shape:?} of {} is more than {most} bytes for each sequence", spec.datatype)
    })?;
    let made = match (data, spec.datatype) {
        (Some(data), datatype) => Tensor::from_wire(&spec.name, datatype, shape, data.into()),
        (None, DataType::Bytes) => Tensor::strings(&spec.name, shape, vec![bytes::Bytes::new(); count]),
        (None, datatype) => Tensor::raw(&spec.name, datatype, shape, vec![0; bytes].into()),
    };
    made.map_err(|error| format!("initial_state: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local::parsed;

    fn file() -> ModelSignature {
        let spec = |name: &str, datatype, dims: &[Dim]| TensorSpec {
            name: name.into(),
            datatype,
            dims: Some(dims.to_vec()),
        };
        let rows = || Dim::Symbol("rows".into());
        ModelSignature {
            inputs: vec![
                spec("sum", DataType::Fp32, &[rows(), Dim::Fixed(2)]),
                spec("past", DataType::Bytes, &[rows(), Dim::Any(())]),
            ],
            outputs: vec![
                spec("sum_out", DataType::Fp32, &[rows(), Dim::Fixed(2)]),
                spec("past_out", DataType::Bytes, &[rows(), Dim::Any(())]),
            ],
            ..ModelSignature::default()
        }
    }

    fn states(text: &str, folder: Option<&std::path::Path>) -> Result<States, Vec<String>> {
        let config = parsed(&format!("max_batch_size: 4 sequence_batching {{ {text} }}"));
        let room = Room { instances: 1, waiting: 1, folder, most: 1 << 10 };
        States::new(&super::super::of(&config).unwrap().state, &file(), true, room)
            .map_err(|bad| bad.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    const SUM: &str = "input_name: \"sum\" output_name: \"sum_out\"";

    #[test]
    fn a_state_begins_with_zeros_or_with_a_file() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(FOLDER)).unwrap();
        let bytes: Vec<u8> = [1.5_f32, 2.5].iter().flat_map(|value| value.to_le_bytes()).collect();
        std::fs::write(folder.path().join(FOLDER).join("sum.bin"), bytes).unwrap();
        let both = format!(
            "state {{ {SUM} data_type: TYPE_FP32 dims: [ 2 ] }}
             state {{ input_name: \"past\" output_name: \"past_out\" dims: [ -1 ] }}"
        );
        let zeros = states(&both, None).unwrap().initial();
        assert_eq!((zeros[0].shape(), zeros[0].values::<f32>().unwrap()), (&[1, 2][..], vec![0.0, 0.0]));
        assert_eq!((zeros[1].shape(), zeros[1].elements().unwrap()[0].len()), (&[1, 1][..], 0));
        let read = format!("state {{ {SUM} initial_state {{ dims: [ 2 ] data_file: \"sum.bin\" }} }}");
        let read = states(&read, Some(folder.path())).unwrap();
        assert_eq!(read.initial()[0].values::<f32>().unwrap(), [1.5, 2.5]);
        let next = Tensor::of("sum_out", vec![1, 2], &[3.0_f32, 4.0]).unwrap();
        assert_eq!(read.taken(std::slice::from_ref(&next)).unwrap(), [next.named("sum")]);
        assert!(read.taken(&[]).is_err());
        assert_eq!(read.not_among(&["y".into()]), ["sum_out"]);
    }

    #[test]
    fn what_the_file_contradicts_is_named() {
        let wrong = |text: &str| states(&format!("state {{ {text} }}"), None).unwrap_err().join("; ");
        assert!(wrong("input_name: \"x\" output_name: \"sum_out\"").contains("no such input"));
        assert!(wrong("input_name: \"sum\" output_name: \"y\"").contains("no such output"));
        assert!(wrong("input_name: \"sum\" output_name: \"past_out\"").contains("the file has sum FP32"));
        assert!(wrong(&format!("{SUM} data_type: TYPE_INT32")).contains("data_type: TYPE_INT32"));
        assert!(wrong(&format!("{SUM} dims: [ 3 ]")).contains("dims: [3] does not fit"));
        assert!(wrong(&format!("{SUM} initial_state {{ }}")).contains("one of zero_data"));
        let out = format!("{SUM} initial_state {{ data_file: \"../config.pbtxt\" }}");
        assert!(states(&format!("state {{ {out} }}"), Some("/models/net".as_ref())).is_err());
        let huge = "input_name: \"past\" output_name: \"past_out\" dims: [ 1000000 ]";
        assert!(wrong(huge).contains("more than 1024 bytes"));
        let twice = states(&format!("state {{ {SUM} }} state {{ {SUM} }}"), None).unwrap_err();
        assert_eq!(twice, ["sequence_batching.state[sum]: is given twice"]);
    }
}
