//! The body of a request: as long as the configuration allows, unpacked where it came packed.

use std::io::Read;

use axum::body::Body;
use axum::http::{HeaderMap, header};
use bytes::{Bytes, BytesMut};
use flate2::read::{MultiGzDecoder, ZlibDecoder};
use http_body::Body as _;
use http_body_util::BodyExt;
use runtime::status;
use tonic::{Code, Status};

use crate::incoming::{Held, Incoming};

/// Bytes from which work on a body is done beside the threads that serve others.
pub const HEAVY: usize = 256 << 10;

/// Reads a body to its end.
///
/// # Errors
/// RESOURCE_EXHAUSTED if it has more than `most` bytes, packed or not, or there is no room for it now; INVALID_ARGUMENT if it is packed in a way that is
/// unknown or wrong; DEADLINE_EXCEEDED or CANCELLED if it does not come.
pub async fn read(body: Body, headers: &HeaderMap, most: usize, room: &Incoming) -> Result<Bytes, Status> {
    let packing = Packing::of(headers)?;
    let mut held = room.hold();
    let whole = collect(body, most, &mut held).await?;
    match packing {
        None => Ok(whole),
        Some(packing) => apart(HEAVY, move || packing.open(&whole, most)).await,
    }
}

/// Does `work`, which is about `size` bytes, beside the threads that serve others if it is heavy.
///
/// # Errors
/// Those of the work, or INTERNAL if it broke off.
pub async fn apart<T: Send + 'static>(
    size: usize,
    work: impl FnOnce() -> Result<T, Status> + Send + 'static,
) -> Result<T, Status> {
    if size < HEAVY {
        return work();
    }
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err(Status::internal("the request could not be worked on")))
}

async fn collect(mut body: Body, most: usize, held: &mut Held) -> Result<Bytes, Status> {
    let declared = body.size_hint().lower();
    if declared > most as u64 {
        return Err(too_large(most));
    }
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(broken_off)?.into_data() else { continue };
        if most - whole.len() < data.len() {
            return Err(too_large(most));
        }
        held.add(data.len())?;
        if whole.is_empty() && body.is_end_stream() {
            return Ok(data); // it came in one piece
        }
        if whole.is_empty() {
            whole.reserve(declared as usize);
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole.freeze())
}

fn too_large(most: usize) -> Status {
    let text = format!("the request is larger than {most} bytes");
    status(Code::ResourceExhausted, "MESSAGE_TOO_LARGE", text, [])
}

fn broken_off(error: axum::Error) -> Status {
    if runtime::web::too_slow(&error) {
        let text = "the body of the request came too slowly";
        return status(Code::DeadlineExceeded, "BODY_TOO_SLOW", text, []);
    }
    status(Code::InvalidArgument, "BODY_BROKEN_OFF", "the body of the request broke off", [])
}

/// How a body is packed (`Content-Encoding`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Packing {
    Gzip,
    Deflate,
}

impl Packing {
    fn of(headers: &HeaderMap) -> Result<Option<Self>, Status> {
        let Some(value) = headers.get(header::CONTENT_ENCODING) else { return Ok(None) };
        match value.as_bytes().to_ascii_lowercase().as_slice() {
            b"" | b"identity" => Ok(None),
            b"gzip" => Ok(Some(Self::Gzip)),
            b"deflate" => Ok(Some(Self::Deflate)),
            _ => {
                let text = "Content-Encoding: gzip and deflate are known";
                Err(status(Code::InvalidArgument, "UNKNOWN_ENCODING", text, []))
            }
        }
    }

    fn open(self, packed: &[u8], most: usize) -> Result<Bytes, Status> {
        let mut out = Vec::new();
        // One byte more tells what is too large without unpacking all of it.
        let limit = most as u64 + 1;
        let read = match self {
            Self::Gzip => MultiGzDecoder::new(packed).take(limit).read_to_end(&mut out),
            Self::Deflate => ZlibDecoder::new(packed).take(limit).read_to_end(&mut out),
        };
        if out.len() > most {
            return Err(too_large(most));
        }
        match read {
            Ok(_) => Ok(out.into()),
            Err(error) => {
                let text = format!("the body cannot be unpacked: {error}");
                Err(status(Code::InvalidArgument, "MALFORMED_REQUEST", text, []))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;
    use flate2::Compression;
    use flate2::write::{GzEncoder, ZlibEncoder};
    use std::io::Write;

    fn room() -> Incoming {
        Incoming::new(&crate::config::Admission::default())
    }

    async fn sent(body: Vec<u8>, encoding: Option<&'static str>, most: usize) -> Result<Bytes, Status> {
        let mut headers = HeaderMap::new();
        headers.extend(encoding.map(|name| (header::CONTENT_ENCODING, HeaderValue::from_static(name))));
        read(Body::from(body), &headers, most, &room()).await
    }

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    #[tokio::test]
    async fn a_packed_body_is_what_was_packed() {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(b"plain").unwrap();
        let deflated = encoder.finish().unwrap();
        assert_eq!(sent(b"plain".to_vec(), None, 5).await.unwrap(), "plain");
        assert_eq!(sent(gzip(b"plain"), Some("gzip"), 100).await.unwrap(), "plain");
        assert_eq!(sent(deflated, Some("Deflate"), 100).await.unwrap(), "plain");
        let unknown = sent(Vec::new(), Some("br"), 100).await.unwrap_err();
        assert_eq!(status::reason(&unknown).as_deref(), Some("UNKNOWN_ENCODING"));
        let wrong = sent(b"plain".to_vec(), Some("gzip"), 100).await.unwrap_err();
        assert_eq!(wrong.code(), Code::InvalidArgument);
    }

    #[tokio::test]
    async fn what_is_too_large_is_refused_packed_or_not() {
        for (body, encoding) in [(vec![0; 2001], None), (gzip(&vec![0; 1 << 20]), Some("gzip"))] {
            let refused = sent(body, encoding, 2000).await.unwrap_err();
            assert_eq!(status::reason(&refused).as_deref(), Some("MESSAGE_TOO_LARGE"));
        }
        let pieces =
            futures::stream::iter((0..11).map(|_| Ok::<_, std::io::Error>(Bytes::from_static(&[0; 10]))));
        let refused = collect(Body::from_stream(pieces), 100, &mut room().hold()).await.unwrap_err();
        assert_eq!(refused.code(), Code::ResourceExhausted);
    }
}
