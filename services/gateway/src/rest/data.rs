//! A tensor's elements as JSON: one flat list in row-major order, as Triton writes them.

use engine::{DataType, Element, Tensor, TensorData};
use serde::Serialize;

/// Appends the list to `out`.
///
/// # Errors
/// What JSON cannot carry: the types that travel as binary data only, numbers that are not finite, text that is not UTF-8.
pub fn write(tensor: &Tensor, out: &mut Vec<u8>) -> Result<(), String> {
    let raw = match tensor.data() {
        TensorData::Raw(raw) => raw,
        TensorData::Strings(elements) => return texts(elements, out),
    };
    match tensor.datatype() {
        DataType::Bool => list(raw.iter().map(|byte| Ok(*byte != 0)), out),
        DataType::Uint8 => numbers::<u8>(raw, out),
        DataType::Uint16 => numbers::<u16>(raw, out),
        DataType::Uint32 => numbers::<u32>(raw, out),
        DataType::Uint64 => numbers::<u64>(raw, out),
        DataType::Int8 => numbers::<i8>(raw, out),
        DataType::Int16 => numbers::<i16>(raw, out),
        DataType::Int32 => numbers::<i32>(raw, out),
        DataType::Int64 => numbers::<i64>(raw, out),
        DataType::Fp32 => list(raw.chunks_exact(4).map(f32::get).map(|it| finite(it, f32::is_finite)), out),
        DataType::Fp64 => list(raw.chunks_exact(8).map(f64::get).map(|it| finite(it, f64::is_finite)), out),
        datatype @ (DataType::Fp16 | DataType::Bf16 | DataType::Bytes) => {
            Err(format!("{datatype} is no JSON"))
        }
    }
}

fn numbers<T: Element + Serialize>(raw: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
    list(raw.chunks_exact(size_of::<T>()).map(|bytes| Ok(T::get(bytes))), out)
}

fn finite<T: Copy + std::fmt::Display>(value: T, is_finite: impl Fn(T) -> bool) -> Result<T, String> {
    if is_finite(value) { Ok(value) } else { Err(format!("is {value}, which is no JSON")) }
}

fn texts(elements: &[bytes::Bytes], out: &mut Vec<u8>) -> Result<(), String> {
    let texts =
        elements.iter().map(|element| std::str::from_utf8(element).map_err(|_| "is not UTF-8".to_owned()));
    list(texts, out)
}

/// Elements between brackets; one that JSON cannot carry is named by its place.
fn list<T: Serialize>(
    elements: impl Iterator<Item = Result<T, String>>,
    out: &mut Vec<u8>,
) -> Result<(), String> {
    out.push(b'[');
    for (at, element) in elements.enumerate() {
        let element = element.map_err(|why| format!("element {at} {why}"))?;
        if at > 0 {
            out.push(b',');
        }
        serde_json::to_writer(&mut *out, &element).map_err(|error| error.to_string())?;
    }
    out.push(b']');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn json(tensor: &Tensor) -> Result<String, String> {
        let mut out = Vec::new();
        write(tensor, &mut out).map(|()| String::from_utf8(out).unwrap())
    }

    #[test]
    fn every_type_is_written_flat() {
        assert_eq!(json(&Tensor::of("x", vec![2, 2], &[1_i8, -2, 3, -4]).unwrap()).unwrap(), "[1,-2,3,-4]");
        assert_eq!(json(&Tensor::of("x", vec![2], &[true, false]).unwrap()).unwrap(), "[true,false]");
        let large = Tensor::of("x", vec![1], &[u64::MAX]).unwrap();
        assert_eq!(json(&large).unwrap(), "[18446744073709551615]");
        assert_eq!(json(&Tensor::of("x", vec![2], &[0.1_f32, 3.0]).unwrap()).unwrap(), "[0.1,3.0]");
        assert_eq!(json(&Tensor::of_text("x", vec![2], &["é", "\"\n"]).unwrap()).unwrap(), r#"["é","\"\n"]"#);
        assert_eq!(json(&Tensor::of::<f32>("x", vec![0, 3], &[]).unwrap()).unwrap(), "[]");
    }

    #[test]
    fn what_json_cannot_carry_is_named() {
        let infinite = Tensor::of("x", vec![2], &[1.0, f64::INFINITY]).unwrap();
        assert_eq!(json(&infinite).unwrap_err(), "element 1 is inf, which is no JSON");
        let text = Tensor::strings("x", vec![1], vec![vec![0xff].into()]).unwrap();
        assert_eq!(json(&text).unwrap_err(), "element 0 is not UTF-8");
        let half = Tensor::of("x", vec![1], &[half::f16::ONE]).unwrap();
        assert_eq!(json(&half).unwrap_err(), "FP16 is no JSON");
    }

    proptest! {
        /// Every finite float comes back as the same bits through text and this server's own reading of it.
        #[test]
        fn floats_come_back(values in proptest::collection::vec(any::<f32>(), 0..20)) {
            prop_assume!(values.iter().all(|it| it.is_finite()));
            let tensor = Tensor::of("x", vec![values.len() as i64], &values).unwrap();
            let text = json(&tensor).unwrap();
            let raw = super::super::elements::raw(&text, DataType::Fp32, values.len()).unwrap();
            prop_assert_eq!(raw, tensor.to_wire().unwrap().to_vec());
        }
    }
}
