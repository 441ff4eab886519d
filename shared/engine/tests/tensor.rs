//! Tensors whose shape and data always agree.
#![allow(clippy::unwrap_used)]

use engine::{DataType, Tensor, TensorError, oip_bytes};
use proptest::prelude::*;
use prost::bytes::Bytes;

#[test]
fn sizes_are_checked_products() {
    let raw = |shape: &[i64]| Tensor::raw("x", DataType::Fp32, shape.to_vec(), Bytes::from_static(&[0; 8]));
    assert!(raw(&[2]).is_ok());
    assert_eq!(raw(&[i64::MAX, 4]), Err(TensorError::Overflow));
    assert_eq!(raw(&[1 << 31, 1 << 31, 4]), Err(TensorError::Overflow));
    assert_eq!(raw(&[-1]), Err(TensorError::NegativeDim { at: 0, value: -1 }));
    assert_eq!(raw(&[1; 9]), Err(TensorError::Rank(9)));
    assert_eq!(raw(&[3]), Err(TensorError::Length { expected: 12, actual: 8, unit: "bytes" }));
    assert!(Tensor::raw("x", DataType::Fp32, vec![0, i64::MAX, i64::MAX], Bytes::new()).is_ok());
    assert_eq!(raw(&[2]).unwrap().values::<i32>().unwrap_err().to_string(), "the tensor is FP32, not INT32");
}

#[test]
fn raw_strings_are_read_to_the_last_byte() {
    let decode = |raw: &[u8], count| oip_bytes::decode(&Bytes::copy_from_slice(raw), count);
    assert_eq!(decode(&[1, 0, 0, 0, b'a', 0, 0, 0, 0], 2).unwrap(), [&b"a"[..], b""]);
    for (raw, count) in [
        (&[1, 0, 0, 0][..], 1),
        (&[255, 255, 255, 255, 1, 2, 3, 4], 1),
        (&[0, 0, 0, 0, 9], 1),
        (&[0, 0, 0, 0], usize::MAX),
        (&[0, 0, 0], 0),
    ] {
        assert!(matches!(decode(raw, count), Err(TensorError::RawBytes { .. })), "{raw:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Rows that are joined and cut again are the same, and the wire form comes back.
    #[test]
    fn rows_come_back(parts in prop::collection::vec(prop::collection::vec(any::<[f32; 2]>(), 0..5), 1..5)) {
        let tensors: Vec<_> = parts.iter().map(|rows| {
            Tensor::of("x", vec![rows.len() as i64, 2], rows.as_flattened()).unwrap()
        }).collect();
        let joined = Tensor::concat(&tensors).unwrap();
        let rows: Vec<_> = parts.iter().map(Vec::len).collect();
        prop_assert_eq!(joined.split(&rows).unwrap(), tensors);
        let wire = Tensor::from_wire("x", DataType::Fp32, joined.shape().to_vec(), joined.to_wire().unwrap()).unwrap();
        prop_assert_eq!(wire, joined);
    }

    #[test]
    fn strings_come_back(words in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..9), 1..9)) {
        let elements: Vec<Bytes> = words.iter().cloned().map(Bytes::from).collect();
        let tensor = Tensor::strings("s", vec![words.len() as i64], elements).unwrap();
        let wire = Tensor::from_wire("s", DataType::Bytes, tensor.shape().to_vec(), tensor.to_wire().unwrap()).unwrap();
        prop_assert_eq!(&wire, &tensor);
        let ones = vec![1; words.len()];
        prop_assert_eq!(Tensor::concat(&tensor.split(&ones).unwrap()).unwrap(), tensor);
    }
}
