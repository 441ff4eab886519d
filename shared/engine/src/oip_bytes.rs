//! The protocol's raw form of `BYTES`: each element is a 4-byte little-endian length and that many bytes.

use bytes::{BufMut, Bytes, BytesMut};

use crate::TensorError;

/// Encodes elements one after another.
///
/// # Errors
/// [`TensorError::ElementTooLong`] if one element does not fit a 4-byte length.
pub fn encode(elements: &[Bytes]) -> Result<Bytes, TensorError> {
    let mut out = BytesMut::with_capacity(elements.iter().map(|element| element.len() + 4).sum());
    for element in elements {
        let length = u32::try_from(element.len()).map_err(|_| TensorError::ElementTooLong(element.len()))?;
        out.put_u32_le(length);
        out.put_slice(element);
    }
    Ok(out.freeze())
}

/// Decodes exactly `count` elements without copying them.
///
/// # Errors
/// [`TensorError::RawBytes`] if a length points past the end, elements are missing or bytes are left over.
pub fn decode(raw: &Bytes, count: usize) -> Result<Vec<Bytes>, TensorError> {
    // 4 bytes is the least that an element takes, so that a huge count cannot reserve memory.
    if raw.len() / 4 < count {
        return Err(TensorError::RawBytes { at: raw.len(), why: "fewer elements than the shape says" });
    }
    let mut elements = Vec::with_capacity(count);
    let mut at = 0;
    while elements.len() < count {
        let Some(prefix) = raw.get(at..at + 4) else {
            return Err(TensorError::RawBytes { at, why: "length prefix is cut" });
        };
        let mut length = [0; 4];
        length.copy_from_slice(prefix);
        let (start, length) = (at + 4, u32::from_le_bytes(length) as usize);
        let end = start
            .checked_add(length)
            .filter(|end| *end <= raw.len())
            .ok_or(TensorError::RawBytes { at, why: "length points past the end" })?;
        elements.push(raw.slice(start..end));
        at = end;
    }
    if at == raw.len() {
        Ok(elements)
    } else {
        Err(TensorError::RawBytes { at, why: "bytes left over after the last element" })
    }
}
