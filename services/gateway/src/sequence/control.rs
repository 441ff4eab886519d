//! Control inputs: what the model is told of the sequence that a row belongs to.

use std::collections::BTreeSet;

use bytes::Bytes;
use contracts::inference::model_sequence_batching::control::Kind;
use contracts::inference::model_sequence_batching::{Control, ControlInput};
use engine::{DataType, FieldError, ModelSignature, Tensor, TensorSpec};

use super::{Id, wrong};
use crate::local::datatype;
use crate::wire::shown;

/// The control inputs of a model.
#[derive(Debug)]
pub(super) struct Controls(Vec<One>);

#[derive(Debug)]
struct One {
    name: String,
    datatype: DataType,
    /// Of one element.
    shape: Vec<i64>,
    says: Says,
}

/// The element of a control.
#[derive(Debug)]
enum Says {
    /// Whether the sequence begins: the bytes of no and of yes.
    Start([Bytes; 2]),
    /// Whether it ends.
    End([Bytes; 2]),
    /// That there is a request.
    Ready(Bytes),
    /// Its name.
    Id,
}

impl Controls {
    /// Those of a configuration, held against the file.
    ///
    /// # Errors
    /// Every field that makes no sense.
    pub fn new(
        inputs: &[ControlInput],
        file: &ModelSignature,
        batched: bool,
    ) -> Result<Self, Vec<FieldError>> {
        let (mut all, mut bad, mut seen) = (Vec::new(), Vec::new(), BTreeSet::new());
        for input in inputs {
            let field = format!("sequence_batching.control_input[{}]", shown(&input.name));
            let made = one(input, file, batched).and_then(|made| {
                let kind = input.control.first().map(|control| control.kind);
                if seen.insert(kind) { Ok(made) } else { Err("another input is this control already".into()) }
            });
            match made {
                Ok(made) => all.push(made),
                Err(why) => bad.push(wrong(field, why)),
            }
        }
        if bad.is_empty() { Ok(Self(all)) } else { Err(bad) }
    }

    /// The tensors of one request.
    ///
    /// # Errors
    /// If the model takes numbers as names and the sequence has another.
    pub fn tensors(&self, id: &Id, start: bool, end: bool) -> Result<Vec<Tensor>, FieldError> {
        let one = |control: &One| {
            let element = match &control.says {
                Says::Start(values) => values[usize::from(start)].clone(),
                Says::End(values) => values[usize::from(end)].clone(),
                Says::Ready(yes) => yes.clone(),
                Says::Id => return control.id(id),
            };
            control.tensor(element)
        };
        self.0.iter().map(one).collect()
    }
}

impl One {
    fn tensor(&self, element: Bytes) -> Result<Tensor, FieldError> {
        let made = match self.datatype {
            DataType::Bytes => Tensor::strings(&self.name, self.shape.clone(), vec![element]),
            datatype => Tensor::raw(&self.name, datatype, self.shape.clone(), element),
        };
        made.map_err(|error| wrong(format!("inputs[{}]", shown(&self.name)), error.to_string()))
    }

    /// The name as this model takes it.
    fn id(&self, id: &Id) -> Result<Tensor, FieldError> {
        let field = "parameters[sequence_id]";
        let number = match id {
            _ if self.datatype == DataType::Bytes => {
                let text = match id {
                    Id::Number(number) => number.to_string(),
                    Id::Text(text) => text.clone(),
                };
                return self.tensor(text.into());
            }
            Id::Text(_) => return Err(wrong(field, "is a string, this model takes whole numbers")),
            Id::Number(number) => *number,
        };
        let bytes = match self.datatype {
            DataType::Uint64 => Some(number.to_le_bytes().to_vec()),
            DataType::Int64 => i64::try_from(number).ok().map(|number| number.to_le_bytes().to_vec()),
            DataType::Uint32 => u32::try_from(number).ok().map(|number| number.to_le_bytes().to_vec()),
            _ => i32::try_from(number).ok().map(|number| number.to_le_bytes().to_vec()),
        };
        let bytes =
            bytes.ok_or_else(|| wrong(field, format!("is {number}, too large for {}", self.datatype)))?;
        self.tensor(bytes.into())
    }
}

fn one(input: &ControlInput, file: &ModelSignature, batched: bool) -> Result<One, String> {
    let [control] = input.control.as_slice() else {
        return Err(format!("{} controls, required one for each input", input.control.len()));
    };
    let kind = Kind::try_from(control.kind).map_err(|_| format!("there is no kind {}", control.kind))?;
    let spec = file.input(&input.name).ok_or("the file has no such input")?;
    let values = values(control)?;
    let (datatype, says) = match (kind, values) {
        (Kind::ControlSequenceCorrid, None) => (of_id(control)?, Says::Id),
        (Kind::ControlSequenceCorrid, Some(_)) => {
            return Err("CONTROL_SEQUENCE_CORRID takes data_type, and no values of false and true".into());
        }
        (kind, None) => return Err(format!("{} needs values of false and true", kind.as_str_name())),
        (Kind::ControlSequenceStart, Some((datatype, values))) => (datatype, Says::Start(values)),
        (Kind::ControlSequenceEnd, Some((datatype, values))) => (datatype, Says::End(values)),
        (Kind::ControlSequenceReady, Some((datatype, [_, yes]))) => (datatype, Says::Ready(yes)),
    };
    if datatype != spec.datatype {
        return Err(format!("{datatype}, the file has {spec}"));
    }
    Ok(One { name: input.name.clone(), datatype, shape: shape(spec, batched)?, says })
}

/// The values of no and of yes, as the elements that they are; `None` where there are none.
fn values(control: &Control) -> Result<Option<(DataType, [Bytes; 2])>, String> {
    let whole = control.int32_false_true.iter().map(|value| Bytes::copy_from_slice(&value.to_le_bytes()));
    let real = control.fp32_false_true.iter().map(|value| Bytes::copy_from_slice(&value.to_le_bytes()));
    let truth = control.bool_false_true.iter().map(|value| Bytes::copy_from_slice(&[u8::from(*value)]));
    let lists: [(DataType, Vec<Bytes>); 3] = [
        (DataType::Int32, whole.collect()),
        (DataType::Fp32, real.collect()),
        (DataType::Bool, truth.collect()),
    ];
    let mut given = lists.into_iter().filter(|(_, list)| !list.is_empty());
    let Some((datatype, list)) = given.next() else { return Ok(None) };
    if given.next().is_some() {
        return Err("one of int32_false_true, fp32_false_true and bool_false_true is required".into());
    }
    let two: [Bytes; 2] =
        list.try_into().map_err(|list: Vec<_>| format!("{} values, required false and true", list.len()))?;
    Ok(Some((datatype, two)))
}

/// The type of a sequence's name.
fn of_id(control: &Control) -> Result<DataType, String> {
    let of = datatype(control.data_type).filter(|datatype| {
        use DataType::{Bytes, Int32, Int64, Uint32, Uint64};
        matches!(datatype, Uint64 | Int64 | Uint32 | Int32 | Bytes)
    });
    of.ok_or_else(|| {
        let given = control.data_type().as_str_name();
        format!("data_type {given}, required TYPE_UINT64, TYPE_INT64, TYPE_UINT32, TYPE_INT32 or TYPE_STRING")
    })
}

/// The shape of one element in the file's rank.
fn shape(spec: &TensorSpec, batched: bool) -> Result<Vec<i64>, String> {
    let given = spec.shape();
    if given.iter().any(|size| *size > 1 || *size == 0) {
        return Err(format!("a control has one element for each sequence, the file has {spec}"));
    }
    let rank = if spec.dims.is_some() { given.len() } else { 1 + usize::from(batched) };
    if batched && rank == 0 {
        return Err(format!("a control has a row for each sequence, the file has {spec}"));
    }
    Ok(vec![1; rank])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local::parsed;
    use engine::Dim;

    fn file() -> ModelSignature {
        let spec = |name: &str, datatype, dims: &[Dim]| TensorSpec {
            name: name.into(),
            datatype,
            dims: Some(dims.to_vec()),
        };
        let rows = || Dim::Symbol("rows".into());
        ModelSignature {
            inputs: vec![
                spec("start", DataType::Int32, &[rows(), Dim::Fixed(1)]),
                spec("ready", DataType::Fp32, &[rows(), Dim::Any(())]),
                spec("end", DataType::Bool, &[rows()]),
                spec("id", DataType::Int32, &[rows(), Dim::Fixed(1)]),
                spec("name", DataType::Bytes, &[rows()]),
                spec("wide", DataType::Int32, &[rows(), Dim::Fixed(2)]),
            ],
            ..ModelSignature::default()
        }
    }

    fn controls(text: &str) -> Result<Controls, Vec<String>> {
        let config = parsed(&format!("max_batch_size: 4 sequence_batching {{ {text} }}"));
        let inputs = &super::super::of(&config).unwrap().control_input;
        Controls::new(inputs, &file(), true)
            .map_err(|bad| bad.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    const START: &str = "control_input { name: \"start\"
        control { kind: CONTROL_SEQUENCE_START int32_false_true: [ 5, 6 ] } }";
    const REST: &str = "control_input { name: \"ready\"
            control { kind: CONTROL_SEQUENCE_READY fp32_false_true: [ 0, 1 ] } }
        control_input { name: \"end\" control { kind: CONTROL_SEQUENCE_END bool_false_true: [ false, true ] } }";
    const ID: &str =
        "control_input { name: \"id\" control { kind: CONTROL_SEQUENCE_CORRID data_type: TYPE_INT32 } }";

    #[test]
    fn every_control_says_what_it_is_for() {
        let controls = controls(&format!("{START} {REST} {ID}")).unwrap();
        let made = controls.tensors(&Id::Number(9), true, false).unwrap();
        assert_eq!((made[0].values::<i32>().unwrap(), made[0].shape()), (vec![6], &[1, 1][..]));
        assert_eq!(made[1].values::<f32>().unwrap(), [1.0]);
        assert_eq!((made[2].values::<bool>().unwrap(), made[2].shape()), (vec![false], &[1][..]));
        assert_eq!(made[3].values::<i32>().unwrap(), [9]);
        let made = controls.tensors(&Id::Number(9), false, true).unwrap();
        assert_eq!(
            (made[0].values::<i32>().unwrap(), made[2].values::<bool>().unwrap()),
            (vec![5], vec![true])
        );
    }

    #[test]
    fn a_name_that_the_tensor_cannot_hold_is_refused() {
        let number = controls(ID).unwrap();
        let wrong = |id: Id| number.tensors(&id, true, false).unwrap_err().to_string();
        assert_eq!(
            wrong(Id::Number(1 << 40)),
            "parameters[sequence_id]: is 1099511627776, too large for INT32"
        );
        assert!(wrong(Id::Text("a".into())).contains("is a string"));
        let text = "control_input { name: \"name\"
            control { kind: CONTROL_SEQUENCE_CORRID data_type: TYPE_STRING } }";
        let text = controls(text).unwrap();
        let made = |id: Id| text.tensors(&id, true, false).unwrap()[0].elements().unwrap()[0].clone();
        assert_eq!((made(Id::Text("a".into())), made(Id::Number(7))), ("a".into(), "7".into()));
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        let one = |name: &str, control: &str| {
            let text = format!("control_input {{ name: \"{name}\" {control} }}");
            controls(&text).unwrap_err().join("; ")
        };
        let start = "control { kind: CONTROL_SEQUENCE_START";
        assert!(one("start", "").contains("control_input[start]: 0 controls"));
        assert!(one("none", &format!("{start} int32_false_true: [ 0, 1 ] }}")).contains("no such input"));
        assert!(one("start", &format!("{start} }}")).contains("needs values"));
        assert!(one("start", &format!("{start} int32_false_true: [ 0 ] }}")).contains("1 values"));
        assert!(
            one("start", &format!("{start} fp32_false_true: [ 0, 1 ] }}")).contains("FP32, the file has")
        );
        let both = format!("{start} int32_false_true: [ 0, 1 ] fp32_false_true: [ 0, 1 ] }}");
        assert!(one("start", &both).contains("one of int32_false_true"));
        assert!(one("wide", &format!("{start} int32_false_true: [ 0, 1 ] }}")).contains("one element"));
        let id = "control { kind: CONTROL_SEQUENCE_CORRID data_type: TYPE_FP32 }";
        assert!(one("id", id).contains("required TYPE_UINT64"));
        let twice = controls(&format!("{START} {}", START.replace("\"start\"", "\"id\""))).unwrap_err();
        assert_eq!(twice, ["sequence_batching.control_input[id]: another input is this control already"]);
    }
}
