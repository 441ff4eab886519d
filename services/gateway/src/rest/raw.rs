//! A request that is the bytes of one tensor and nothing else (`Inference-Header-Content-Length: 0`): the model says what
//! they are. Outputs are bytes too.

use bytes::{BufMut, Bytes, BytesMut};
use contracts::inference::model_infer_request::InferInputTensor;
use contracts::inference::{ModelInferRequest, ModelMetadataResponse};
use engine::DataType;
use runtime::{FieldViolation, bad_request};
use tonic::Status;

use super::request::Wanted;

/// The request that `body` is to the model.
///
/// # Errors
/// INVALID_ARGUMENT if the model has not one input, or the bytes do not say its shape.
pub fn read(body: Bytes, model: &ModelMetadataResponse) -> Result<(ModelInferRequest, Wanted), Status> {
    let refused = |why: String| bad_request(vec![FieldViolation::new("the body", why)]);
    let [input] = model.inputs.as_slice() else {
        let why = format!("is one tensor without JSON, and {} has {} inputs", model.name, model.inputs.len());
        return Err(refused(why));
    };
    let datatype = DataType::parse(&input.datatype).ok_or_else(|| Status::internal("unknown data type"))?;
    let (shape, raw) = match datatype.size() {
        Some(size) => (numeric(&input.shape, size, body.len()).map_err(refused)?, body),
        None => (text(&input.shape).map_err(refused)?, prefixed(&body).map_err(refused)?),
    };
    let tensor = InferInputTensor {
        name: input.name.clone(),
        datatype: input.datatype.clone(),
        shape,
        ..InferInputTensor::default()
    };
    let request =
        ModelInferRequest { inputs: vec![tensor], raw_input_contents: vec![raw], ..Default::default() };
    Ok((request, Wanted { binary: true, ..Wanted::default() }))
}

/// The shape that so many bytes have: one dimension may be open and follows from them. Where two are, the first is a row
/// alone.
fn numeric(declared: &[i64], size: usize, bytes: usize) -> Result<Vec<i64>, String> {
    let mut shape = declared.to_vec();
    let open = |shape: &[i64]| shape.iter().filter(|dim| **dim < 0).count();
    if open(&shape) > 1 && shape[0] < 0 {
        shape[0] = 1;
    }
    if open(&shape) > 1 {
        return Err(format!("is one tensor without JSON, and more than one of {declared:?} is open"));
    }
    let fixed = shape
        .iter()
        .filter(|dim| **dim >= 0)
        .try_fold(size, |product, dim| usize::try_from(*dim).ok().and_then(|dim| product.checked_mul(dim)));
    if let Some(dim) = shape.iter_mut().find(|dim| **dim < 0) {
        let rows =
            fixed.filter(|fixed| *fixed > 0 && bytes.is_multiple_of(*fixed)).map(|fixed| bytes / fixed);
        *dim =
            rows.ok_or_else(|| format!("has {bytes} bytes, which are no whole part of {declared:?}"))? as i64;
    } else if fixed != Some(bytes) {
        return Err(format!("has {bytes} bytes, {declared:?} needs another number"));
    }
    Ok(shape)
}

/// The shape of one text.
fn text(declared: &[i64]) -> Result<Vec<i64>, String> {
    if declared.iter().any(|dim| *dim > 1) {
        return Err(format!("is one text, and {declared:?} has more"));
    }
    Ok(vec![1; declared.len()])
}

fn prefixed(text: &Bytes) -> Result<Bytes, String> {
    let length = u32::try_from(text.len()).map_err(|_| "is longer than 4 GiB".to_owned())?;
    let mut out = BytesMut::with_capacity(text.len() + 4);
    out.put_u32_le(length);
    out.put_slice(text);
    Ok(out.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;
    use contracts::inference::model_metadata_response::TensorMetadata;

    fn shape(datatype: &str, declared: &[i64], bytes: usize) -> Result<Vec<i64>, String> {
        let input = TensorMetadata { name: "x".into(), datatype: datatype.into(), shape: declared.to_vec() };
        let model = ModelMetadataResponse { inputs: vec![input], ..Default::default() };
        let read = read(vec![b'a'; bytes].into(), &model);
        read.map(|(request, _)| request.inputs[0].shape.clone()).map_err(|it| it.message().to_owned())
    }

    #[test]
    fn the_shape_follows_from_the_bytes() {
        assert_eq!(shape("FP32", &[-1, 2], 16), Ok(vec![2, 2]));
        assert_eq!(shape("FP32", &[3], 12), Ok(vec![3]));
        assert_eq!(shape("UINT8", &[-1, -1], 7), Ok(vec![1, 7]));
        assert_eq!(shape("BYTES", &[-1, 1], 7), Ok(vec![1, 1]));
        assert_eq!(shape("FP32", &[-1, 2], 0), Ok(vec![0, 2]));
    }

    #[test]
    fn bytes_that_say_no_shape_are_refused() {
        let wrong: [(&str, &[i64], usize); 6] = [
            ("FP32", &[-1, 2], 12),
            ("FP32", &[3], 8),
            ("FP32", &[2, -1, -1], 8),
            ("FP32", &[-1, 0], 8),
            ("FP32", &[-1, i64::MAX, 4], 8),
            ("BYTES", &[2], 8),
        ];
        for (datatype, declared, bytes) in wrong {
            assert!(shape(datatype, declared, bytes).unwrap_err().starts_with("the body: "), "{declared:?}");
        }
        let two = ModelMetadataResponse { inputs: vec![TensorMetadata::default(); 2], ..Default::default() };
        assert!(read(Bytes::new(), &two).unwrap_err().message().contains("has 2 inputs"));
    }

    #[test]
    fn a_text_gets_its_length() {
        assert_eq!(prefixed(&Bytes::from_static(b"hi")).unwrap(), &[2, 0, 0, 0, b'h', b'i'][..]);
    }
}
