//! Requests that a configuration wants run before the first real one (`model_warmup`).

use std::path::Path;

use bytes::Bytes;
use contracts::inference::ModelWarmup;
use contracts::inference::model_warmup::Input;
use contracts::inference::model_warmup::input::InputDataType;
use engine::{DataType, FieldError, Tensor, TensorError, element_count, oip_bytes};

use super::complete::datatype;
use super::folder;
use crate::backends::Stated;
use crate::wire::shown;

/// Folder of the files of samples inside a model's folder.
const FOLDER: &str = "warmup";
/// Letters of made-up text.
const LETTERS: usize = 8;

/// One request of warming up.
#[derive(Debug, Clone)]
pub struct Sample {
    /// Its name, for what went wrong.
    pub name: String,
    /// Its tensors.
    pub inputs: Vec<Tensor>,
    /// Times that it runs.
    pub count: u32,
}

/// The samples of a configuration. `model` is the model's folder; a sample has at most `most` bytes, as every request.
///
/// # Errors
/// Every field that makes no sense or that the model does not take, and files that cannot be read.
pub fn samples(stated: &Stated, model: Option<&Path>, most: usize) -> Result<Vec<Sample>, Vec<FieldError>> {
    let (mut samples, mut bad) = (Vec::new(), Vec::new());
    // One without rows is no request, as in Triton.
    let asked = |sample: &&ModelWarmup| sample.batch_size > 0 || !stated.is_batched();
    for sample in stated.config.model_warmup.iter().filter(asked) {
        match one(sample, stated, model, most) {
            Ok(sample) => samples.push(sample),
            Err(wrong) => bad.extend(wrong.into_iter().map(|wrong| FieldError {
                field: format!("model_warmup[{}].{}", shown(&sample.name), wrong.field),
                ..wrong
            })),
        }
    }
    if bad.is_empty() { Ok(samples) } else { Err(bad) }
}

fn one(
    sample: &ModelWarmup,
    stated: &Stated,
    model: Option<&Path>,
    most: usize,
) -> Result<Sample, Vec<FieldError>> {
    // Each request of a sequence is one row.
    let several = crate::sequence::of(&stated.config).is_none();
    let rows = stated.is_batched().then_some(if several { sample.batch_size } else { 1 });
    let largest = stated.config.max_batch_size.max(1).unsigned_abs();
    if sample.batch_size > largest {
        let description = format!("{}, required at most {largest}", sample.batch_size);
        return Err(vec![FieldError { field: "batch_size".into(), description }]);
    }
    let (mut inputs, mut bad) = (Vec::new(), Vec::new());
    let mut names: Vec<_> = sample.inputs.keys().collect();
    names.sort();
    for name in names {
        match tensor(name, &sample.inputs[name], rows, model, most) {
            Ok(tensor) => inputs.push(tensor),
            Err(description) => {
                bad.push(FieldError { field: format!("inputs[{}]", shown(name)), description });
            }
        }
    }
    if bad.is_empty() {
        stated.signature.check(&inputs, &[])?;
        Ok(Sample { name: sample.name.clone(), inputs, count: sample.count.max(1) })
    } else {
        Err(bad)
    }
}

/// One tensor: what is given is one row of it, and each row is the same.
fn tensor(
    name: &str,
    input: &Input,
    rows: Option<u32>,
    model: Option<&Path>,
    most: usize,
) -> Result<Tensor, String> {
    let text = |error: TensorError| error.to_string();
    let datatype = datatype(input.data_type).ok_or("data_type is missing")?;
    let shape: Vec<i64> = rows.map(i64::from).into_iter().chain(input.dims.iter().copied()).collect();
    let all = element_count(&shape).map_err(text)?;
    let bytes = all.checked_mul(datatype.size().unwrap_or(size_of::<Bytes>() + LETTERS));
    if bytes.is_none_or(|bytes| bytes > most) {
        return Err(format!("{shape:?} of {datatype} is more than the {most} bytes that a request may have"));
    }
    let row = element_count(&input.dims).map_err(text)?;
    let elements = match &input.input_data_type {
        Some(InputDataType::ZeroData(true)) => Elements::zeros(datatype, row),
        Some(InputDataType::RandomData(true)) => Elements::random(datatype, row),
        Some(InputDataType::InputDataFile(file)) => {
            let folder = model.ok_or("there is no folder with its file")?.join(FOLDER);
            let bytes = folder::read(&folder::inside(&folder, file)?, most as u64)?;
            Elements::read(datatype, row, bytes.into())
                .map_err(|error| format!("{}: {error}", shown(file)))?
        }
        Some(InputDataType::ZeroData(false) | InputDataType::RandomData(false)) | None => {
            return Err("one of zero_data, random_data and input_data_file is required".into());
        }
    };
    elements.tensor(name, datatype, shape, rows.unwrap_or(1) as usize).map_err(text)
}

/// The elements of one row.
enum Elements {
    Raw(Vec<u8>),
    Text(Vec<Bytes>),
}

impl Elements {
    fn zeros(datatype: DataType, count: usize) -> Self {
        match datatype.size() {
            Some(size) => Self::Raw(vec![0; count * size]),
            None => Self::Text(vec![Bytes::new(); count]),
        }
    }

    /// Whole numbers are 0 or 1, so that they are good indices; fractions are 0..1. The same ones each time.
    fn random(datatype: DataType, count: usize) -> Self {
        let mut noise = Noise(count as u64);
        let mut raw = Vec::new();
        for _ in 0..count {
            let (bit, part) = ((noise.next() & 1) as u8, (noise.next() >> 40) as f32 / (1_u32 << 24) as f32);
            match datatype {
                DataType::Bytes => break,
                DataType::Fp16 => raw.extend(half::f16::from_f32(part).to_le_bytes()),
                DataType::Bf16 => raw.extend(half::bf16::from_f32(part).to_le_bytes()),
                DataType::Fp32 => raw.extend(part.to_le_bytes()),
                DataType::Fp64 => raw.extend(f64::from(part).to_le_bytes()),
                _ => {
                    raw.push(bit);
                    raw.resize(raw.len() + datatype.size().unwrap_or(1) - 1, 0);
                }
            }
        }
        if datatype == DataType::Bytes {
            let letter = |noise: &mut Noise| b'a' + (noise.next() % 26) as u8;
            let word = |_| Bytes::from((0..LETTERS).map(|_| letter(&mut noise)).collect::<Vec<u8>>());
            return Self::Text((0..count).map(word).collect());
        }
        Self::Raw(raw)
    }

    /// The protocol's raw form.
    fn read(datatype: DataType, count: usize, bytes: Bytes) -> Result<Self, TensorError> {
        match datatype.size() {
            Some(size) if size * count != bytes.len() => {
                Err(TensorError::Length { expected: size * count, actual: bytes.len(), unit: "bytes" })
            }
            Some(_) => Ok(Self::Raw(bytes.into())),
            None => oip_bytes::decode(&bytes, count).map(Self::Text),
        }
    }

    fn tensor(
        self,
        name: &str,
        datatype: DataType,
        shape: Vec<i64>,
        rows: usize,
    ) -> Result<Tensor, TensorError> {
        match self {
            Self::Raw(row) => Tensor::raw(name, datatype, shape, row.repeat(rows).into()),
            Self::Text(row) => Tensor::strings(name, shape, vec![row; rows].concat()),
        }
    }
}

/// Numbers that look like chance (SplitMix64; Steele, Lea and Flood, 2014).
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local::text::parse;
    use engine::{Dim, ModelSignature, TensorSpec};
    use std::fs;

    fn stated(text: &str) -> Stated {
        let spec = |name: &str, datatype, dims| TensorSpec { name: name.into(), datatype, dims: Some(dims) };
        let rows = || Dim::Symbol("rows".into());
        let signature = ModelSignature {
            inputs: vec![
                spec("x", DataType::Fp32, vec![rows(), Dim::Fixed(2)]),
                spec("text", DataType::Bytes, vec![rows()]),
            ],
            ..ModelSignature::default()
        };
        Stated { config: parse(text).unwrap(), signature }
    }

    const TEXT: &str = "inputs { key: \"text\" value { data_type: TYPE_STRING random_data: true } }";

    #[test]
    fn samples_are_made_of_zeros_of_chance_and_of_files() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("warmup")).unwrap();
        let row: Vec<u8> = [1.5_f32, 2.5].iter().flat_map(|value| value.to_le_bytes()).collect();
        fs::write(folder.path().join("warmup/x.bin"), &row).unwrap();
        let x =
            |data: &str| format!("inputs {{ key: \"x\" value {{ data_type: TYPE_FP32 dims: 2 {data} }} }}");
        let text = format!(
            "max_batch_size: 4
             model_warmup {{ name: \"a\" batch_size: 3 count: 2 {} {TEXT} }}
             model_warmup {{ name: \"b\" batch_size: 1 {} {TEXT} }}
             model_warmup {{ name: \"c\" batch_size: 1 {} {TEXT} }}
             model_warmup {{ name: \"no rows\" batch_size: 0 {TEXT} }}",
            x("input_data_file: \"x.bin\""),
            x("zero_data: true"),
            x("random_data: true"),
        );
        let samples = samples(&stated(&text), Some(folder.path()), 1 << 20).unwrap();
        assert_eq!(samples.iter().map(|sample| sample.name.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!((samples[0].count, samples[1].count), (2, 1));
        let values =
            |at: usize| samples[at].inputs.iter().find(|it| it.name() == "x").unwrap().values::<f32>();
        assert_eq!(values(0).unwrap(), [1.5, 2.5, 1.5, 2.5, 1.5, 2.5]);
        assert_eq!(values(1).unwrap(), [0.0, 0.0]);
        assert!(values(2).unwrap().iter().all(|value| (0.0..1.0).contains(value) && *value != 0.0));
        let text = samples[0].inputs.iter().find(|it| it.name() == "text").unwrap();
        assert_eq!(text.shape(), [3]);
        assert!(text.elements().unwrap().iter().all(|word| word.len() == LETTERS));
    }

    #[test]
    fn samples_that_the_model_does_not_take_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let wrong = |sample: &str| {
            let text = format!("max_batch_size: 4 model_warmup {{ name: \"s\" {sample} }}");
            let bad = samples(&stated(&text), Some(folder.path()), 1 << 20).unwrap_err();
            bad.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
        };
        let x = |data: &str| format!("batch_size: 1 {TEXT} inputs {{ key: \"x\" value {{ {data} }} }}");
        assert_eq!(wrong("batch_size: 5"), "model_warmup[s].batch_size: 5, required at most 4");
        assert!(wrong(&format!("batch_size: 1 {TEXT}")).contains("model_warmup[s].inputs[x]: missing"));
        assert!(wrong(&x("dims: 2 zero_data: true")).contains("inputs[x]: data_type is missing"));
        assert!(wrong(&x("data_type: TYPE_FP32 dims: 2")).contains("one of zero_data"));
        assert!(wrong(&x("data_type: TYPE_FP32 dims: -1 zero_data: true")).contains("dimension 1 is -1"));
        assert!(wrong(&x("data_type: TYPE_FP32 dims: [ 3 ] zero_data: true")).contains("required 2"));
        let huge = "data_type: TYPE_FP32 dims: [ 1000000, 1000000 ] zero_data: true";
        assert!(wrong(&x(huge)).contains("than the 1048576 bytes"));
        let file = "data_type: TYPE_FP32 dims: 2 input_data_file:";
        assert!(wrong(&x(&format!("{file} \"none\""))).contains("warmup/none"));
        assert!(wrong(&x(&format!("{file} \"../config.pbtxt\""))).contains("is no file below"));
    }
}
