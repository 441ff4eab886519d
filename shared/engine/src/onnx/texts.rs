//! `BYTES` tensors to ONNX Runtime's strings and back, whatever bytes they have.
//!
//! `ort` makes strings that end at the first zero byte and reads only UTF-8; a client of the protocol may send neither. The
//! calls that take a length are made here.
#![allow(unsafe_code)]

use std::ffi::c_char;
use std::ptr;

use bytes::Bytes;
use ort::AsPointer;
use ort::memory::Allocator;
use ort::value::{DynTensor, DynValue, TensorElementType};

/// A value with a copy of every element, in order. `shape` holds as many as there are.
///
/// # Errors
/// The runtime's own, or one for a shape that holds another number of elements.
pub(super) fn value(shape: Vec<i64>, elements: &[&[u8]]) -> Result<DynValue, ort::Error> {
    if crate::element_count(&shape).ok() != Some(elements.len()) {
        return Err(ort::Error::new("the shape does not hold these elements"));
    }
    let api = ort::api();
    let mut tensor = DynTensor::new(&Allocator::default(), TensorElementType::String, shape)?;
    for (at, element) in elements.iter().enumerate() {
        let mut place: *mut c_char = ptr::null_mut();
        // SAFETY: the tensor is one of strings and is alive, `at` is below the number of its elements, and nobody else has
        // it. The runtime makes the element as long as asked and points `place` to it; a failure comes back as a status,
        // which `result_from_status` frees.
        unsafe {
            let status = (api.GetResizedStringTensorElementBuffer)(
                tensor.ptr_mut(),
                at,
                element.len(),
                &raw mut place,
            );
            ort::Error::result_from_status(status)?;
            if !element.is_empty() && !place.is_null() {
                ptr::copy_nonoverlapping(element.as_ptr(), place.cast::<u8>(), element.len());
            }
        }
    }
    Ok(tensor.into_dyn())
}

/// The elements of a value of `count` strings.
///
/// # Errors
/// The runtime's own, also for a value of another type or with another number of elements.
pub(super) fn elements(value: &DynValue, count: usize) -> Result<Vec<Bytes>, ort::Error> {
    let api = ort::api();
    let mut length = 0;
    // SAFETY: the value is alive; one that is no tensor of strings is told by the status.
    unsafe {
        ort::Error::result_from_status((api.GetStringTensorDataLength)(value.ptr(), &raw mut length))?;
    }
    let (mut all, mut starts) = (vec![0_u8; length], vec![0_usize; count]);
    // SAFETY: both buffers are as long as is said beside them, and the runtime refuses to write with any other lengths.
    unsafe {
        let status = (api.GetStringTensorContent)(
            value.ptr(),
            all.as_mut_ptr().cast(),
            length,
            starts.as_mut_ptr(),
            count,
        );
        ort::Error::result_from_status(status)?;
    }
    let all = Bytes::from(all);
    let ends = starts.iter().skip(1).copied().chain(std::iter::once(length));
    let one = |(start, end): (&usize, usize)| {
        let inside = *start <= end && end <= length;
        inside.then(|| all.slice(*start..end)).ok_or_else(|| ort::Error::new("strings overlap"))
    };
    starts.iter().zip(ends).map(one).collect()
}
