//! Whether a model's rows are independent of each other, so that requests may run together.
//!
//! The signature says only that axis 0 may have any size. What it means is found by trying: each of a few made-up rows
//! alone, then all of them in one run, then some in another order. A model whose answers differ, or that cannot be tried,
//! runs every request alone.

use std::time::{Duration, Instant};

use super::instance::Instance;
use super::padding;
use super::switch::Run;
use super::watch::watch;
use crate::probe::out_of_memory;
use crate::{DataType, Dim, EngineError, ModelSignature, Tensor, TensorData, TensorSpec, session};

/// Sizes that are tried for dimensions that may have any: the first that the model takes.
const SIZES: [i64; 3] = [1, 8, 64];
/// Rows that are tried.
const ROWS: usize = 3;
/// A model that takes longer for a few rows is not tried any further.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of one made-up row at most; a larger one is not tried.
const ROW_BYTES: usize = 64 << 20;
/// Two roundings of the same sum differ by less, as a share of the largest value of the output. A sum of thousands of
/// single-precision products, in another order, differs by some 1e-6.
const CLOSE: f64 = 1e-4;
/// The same for 16-bit floats.
const CLOSE_HALF: f64 = 2e-2;

/// What was found.
#[derive(Default)]
pub(super) struct Tried {
    /// Requests may run together.
    pub independent: bool,
    /// A run that has another number of rows than the run before takes much longer.
    pub change_is_dear: bool,
}

/// Tries the model.
///
/// # Errors
/// If it asks for more memory than there is: of a few small rows that is no accident.
pub(super) fn tried(instances: &mut [Instance], signature: &ModelSignature) -> Result<Tried, EngineError> {
    let Some(instance) = instances.first_mut() else { return Ok(Tried::default()) };
    if !declared(signature) {
        return Ok(Tried::default());
    }
    let wanted = session::wanted(signature, Vec::new());
    for size in SIZES {
        let Some(rows) = rows(signature, size) else { return Ok(Tried::default()) };
        let (mut as_before, mut changed, mut last) = (Vec::new(), Vec::new(), 0);
        let mut run = |order: &[usize]| {
            let requests: Vec<&[Tensor]> = order.iter().map(|at| rows[*at].as_slice()).collect();
            let began = Instant::now();
            let outputs = infer(instance, &requests, &wanted);
            if last == order.len() { &mut as_before } else { &mut changed }.push(began.elapsed());
            last = order.len();
            outputs
        };
        let began = Instant::now();
        let alone = match (0..ROWS).map(|at| run(&[at])).collect::<Result<Vec<_>, _>>() {
            Ok(alone) => alone,
            Err(EngineError::ModelFault(why)) if out_of_memory(&why) => return Err(EngineError::Load(why)),
            Err(_) if began.elapsed() >= PATIENCE => break,
            Err(_) => continue,
        };
        let holds = [[0, 1, 2].as_slice(), &[2, 0]]
            .iter()
            .all(|order| run(order).is_ok_and(|outputs| same(&outputs, order.iter().map(|at| &alone[*at]))));
        // A model that answers differently when asked the same again is not one whose rows can be told apart.
        let steady = run(&[0]).is_ok_and(|again| same(&again, std::iter::once(&alone[0])));
        if !(holds && steady) {
            tracing::info!("the model's rows are not independent: every request runs alone");
        }
        // The first of all runs changed nothing, and had to begin everything.
        let dear = padding::is_dear(&as_before, changed.get(1..).unwrap_or_default());
        return Ok(Tried { independent: holds && steady, change_is_dear: dear });
    }
    tracing::info!("the model does not take made-up rows: every request runs alone");
    Ok(Tried::default())
}

/// Axis 0 of every input and output may have any size.
fn declared(signature: &ModelSignature) -> bool {
    let free = |spec: &TensorSpec| {
        spec.dims.as_ref().and_then(|dims| dims.first()).is_some_and(|dim| !matches!(dim, Dim::Fixed(_)))
    };
    !signature.inputs.is_empty()
        && signature.inputs.iter().chain(&signature.optional_inputs).all(free)
        && signature.outputs.iter().all(free)
}

fn infer(
    instance: &mut Instance,
    requests: &[&[Tensor]],
    wanted: &[String],
) -> Result<Vec<Tensor>, EngineError> {
    let run = Run::new(1)?;
    let _watched = watch(&run, Instant::now() + PATIENCE);
    instance.run(instance.lay_out(requests)?, wanted, &run)
}

/// A few requests of one row each, all different; `None` if they are too large.
fn rows(signature: &ModelSignature, size: i64) -> Option<Vec<Vec<Tensor>>> {
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let mut one = |spec: &TensorSpec, row: usize| {
        let mut shape: Vec<i64> =
            spec.shape().into_iter().map(|dim| if dim < 0 { size } else { dim }).collect();
        *shape.first_mut()? = 1;
        let count = crate::element_count(&shape).ok()?;
        if count.checked_mul(spec.datatype.size().unwrap_or(32))? > ROW_BYTES {
            return None;
        }
        numbers.tensor(spec, shape, count, row)
    };
    (0..ROWS).map(|row| signature.inputs.iter().map(|spec| one(spec, row)).collect()).collect()
}

/// A stream of numbers that look random and are always the same (Vigna, *xorshift64\**).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Between -1 and 1 for floats; 0 or 1 for whole numbers, which may be indices; a word or two for text.
    fn tensor(&mut self, spec: &TensorSpec, shape: Vec<i64>, count: usize, row: usize) -> Option<Tensor> {
        let name = spec.name.as_str();
        let mut unit = || (self.next() >> 40) as f32 / (1_u32 << 23) as f32 - 1.0;
        let made = match spec.datatype {
            DataType::Fp32 => Tensor::of(name, shape, &(0..count).map(|_| unit()).collect::<Vec<_>>()),
            DataType::Fp64 => {
                Tensor::of(name, shape, &(0..count).map(|_| f64::from(unit())).collect::<Vec<_>>())
            }
            DataType::Fp16 => {
                Tensor::of(name, shape, &(0..count).map(|_| half::f16::from_f32(unit())).collect::<Vec<_>>())
            }
            DataType::Bf16 => {
                Tensor::of(name, shape, &(0..count).map(|_| half::bf16::from_f32(unit())).collect::<Vec<_>>())
            }
            DataType::Bytes => {
                let word =
                    |at: usize| format!("{} {}", ["free", "call", "hello"][(row + at) % 3], self.next() % 9);
                Tensor::of_text(name, shape, &(0..count).map(word).collect::<Vec<_>>())
            }
            whole => {
                let width = whole.size()?;
                let mut bytes = vec![0; count.checked_mul(width)?];
                bytes.iter_mut().step_by(width).for_each(|low| *low = (self.next() >> 63) as u8);
                Tensor::raw(name, whole, shape, bytes.into())
            }
        };
        made.ok()
    }
}

/// Whether outputs of one run are those of single rows, one after the other.
fn same<'a>(outputs: &[Tensor], alone: impl Iterator<Item = &'a Vec<Tensor>>) -> bool {
    let alone: Vec<&Vec<Tensor>> = alone.collect();
    outputs.iter().enumerate().all(|(at, output)| {
        let Ok(parts) = output.split(&vec![1; alone.len()]) else { return false };
        parts.iter().zip(&alone).all(|(part, own)| own.get(at).is_some_and(|own| close(part, own)))
    })
}

/// The same values; floats may be rounded differently, since a product of matrices is summed in another order.
fn close(one: &Tensor, other: &Tensor) -> bool {
    if one.shape() != other.shape() || one.datatype() != other.datatype() {
        return false;
    }
    if same_bits(one, other) {
        return true;
    }
    let limit = match one.datatype() {
        DataType::Fp32 | DataType::Fp64 => CLOSE,
        DataType::Fp16 | DataType::Bf16 => CLOSE_HALF,
        _ => return false,
    };
    let (Ok(a), Ok(b)) = (one.to_f64(), other.to_f64()) else { return false };
    let largest = a.iter().map(|value| value.abs()).fold(0.0, f64::max);
    a.iter().zip(&b).all(|(a, b)| (a - b).abs() <= limit * largest || (a.is_nan() && b.is_nan()))
}

fn same_bits(one: &Tensor, other: &Tensor) -> bool {
    match (one.data(), other.data()) {
        (TensorData::Raw(a), TensorData::Raw(b)) => a == b,
        (TensorData::Strings(a), TensorData::Strings(b)) => a == b,
        _ => false,
    }
}
