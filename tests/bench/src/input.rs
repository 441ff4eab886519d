//! What is sent: the same values in every program and run, ready as the bytes of a gRPC message.

use anyhow::Context;
use bytes::{BufMut, Bytes, BytesMut};
use contracts::inference::ModelInferRequest;
use contracts::inference::model_infer_request::InferInputTensor;
use prost::Message;

/// Bytes before each message of gRPC: a flag and a length.
pub const PREFIX: usize = 5;

/// `rows` and the sizes of one row, `64` or `3,64,64`, as a shape.
///
/// # Errors
/// If a size is no number above zero, or all of them together do not fit.
pub fn shape(rows: i64, row: &str) -> anyhow::Result<Vec<i64>> {
    let mut shape = vec![rows];
    for size in row.split(',') {
        shape.push(size.trim().parse().with_context(|| format!("{row:?}: {size:?} is no size"))?);
    }
    anyhow::ensure!(shape.iter().all(|size| *size > 0), "{shape:?}: every size must be above zero");
    let count = shape.iter().try_fold(1_i64, |product, size| product.checked_mul(*size));
    anyhow::ensure!(count.is_some_and(|count| count <= 1 << 28), "{shape:?}: more than 1 GiB of values");
    Ok(shape)
}

/// Values of a tensor of that shape in -1..1, row-major; each `variant` has its own.
///
/// Source: Steele, Lea, Flood, *Fast splittable pseudorandom number generators*, 2014 (`SplitMix64`).
pub fn values(shape: &[i64], variant: u64) -> Vec<f32> {
    let mut state = variant.wrapping_mul(0x2545_f491_4f6c_dd1d);
    let count: i64 = shape.iter().product();
    let next = |_| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        // 24 bits fill the mantissa: every value is exact.
        (mixed >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
    };
    (0..count).map(next).collect()
}

/// Values as the protocol carries them: little-endian.
pub fn raw(values: &[f32]) -> Bytes {
    let mut raw = BytesMut::with_capacity(size_of_val(values));
    for value in values {
        raw.put_f32_le(*value);
    }
    raw.freeze()
}

/// Values of raw little-endian bytes; what is left over at the end is dropped.
pub fn values_of(raw: &[u8]) -> Vec<f32> {
    raw.chunks_exact(4).map(|one| f32::from_le_bytes([one[0], one[1], one[2], one[3]])).collect()
}

/// A whole `ModelInfer` message of gRPC with one FP32 input in the raw form.
pub fn frame(model: &str, input: &str, shape: &[i64], values: &[f32]) -> Bytes {
    let tensor = InferInputTensor {
        name: input.to_owned(),
        datatype: "FP32".to_owned(),
        shape: shape.to_vec(),
        ..InferInputTensor::default()
    };
    let request = ModelInferRequest {
        model_name: model.to_owned(),
        inputs: vec![tensor],
        raw_input_contents: vec![raw(values)],
        ..ModelInferRequest::default()
    };
    let mut frame = BytesMut::with_capacity(PREFIX + request.encoded_len());
    frame.put_u8(0);
    frame.put_u32(request.encoded_len() as u32);
    frame.extend_from_slice(&request.encode_to_vec());
    frame.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_repeat_and_variants_differ() {
        let shape = shape(2, "3,4").expect("a shape");
        assert_eq!(shape, [2, 3, 4]);
        let first = values(&shape, 1);
        assert_eq!(first.len(), 24);
        assert_eq!(first, values(&shape, 1));
        assert_ne!(first, values(&shape, 2));
        assert!(first.iter().all(|value| (-1.0..1.0).contains(value)));
        assert_eq!(values_of(&raw(&first)), first);
    }

    #[test]
    fn bad_shapes_are_refused() {
        for row in ["", "x", "0", "-1", "4294967296,4294967296"] {
            assert!(shape(1, row).is_err(), "{row:?}");
        }
    }

    #[test]
    fn a_frame_is_a_length_and_a_message() {
        let frame = frame("mlp", "X", &[1, 2], &[0.5, -0.5]);
        let length = u32::from_be_bytes([frame[1], frame[2], frame[3], frame[4]]) as usize;
        assert_eq!((frame[0], length), (0, frame.len() - PREFIX));
        let request = ModelInferRequest::decode(frame.slice(PREFIX..)).expect("a message");
        assert_eq!(request.inputs[0].shape, [1, 2]);
        assert_eq!(values_of(&request.raw_input_contents[0]), [0.5, -0.5]);
    }
}
