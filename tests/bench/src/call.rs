//! One call after the other on one HTTP/2 connection: bytes in, bytes out, so that the client costs little beside the
//! server that it measures.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Context;
use bytes::{Bytes, BytesMut};
use http::header::{AUTHORIZATION, CONTENT_TYPE, TE};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, Version};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use crate::input::PREFIX;

/// The method that is called.
const INFER: &str = "/inference.GRPCInferenceService/ModelInfer";
/// Bytes that a server may send without being asked for more: one stream, one connection.
const WINDOWS: (u32, u32) = (32 << 20, 256 << 20);

/// Why a call brought no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The server said so, or what it said is not gRPC.
    Refused {
        /// `Unavailable`, `InvalidArgument`; `Unknown` where there was no status.
        code: String,
        /// Its message.
        message: String,
    },
    /// The connection is gone.
    Lost(String),
    /// Nothing came in time.
    Late,
}

impl Failure {
    /// The name under which it is counted.
    pub fn kind(&self) -> &str {
        match self {
            Self::Refused { code, .. } => code,
            Self::Lost(_) => "lost",
            Self::Late => "late",
        }
    }

    /// What there is to say about it.
    pub fn message(&self) -> &str {
        match self {
            Self::Refused { message, .. } | Self::Lost(message) => message,
            Self::Late => "no answer in time",
        }
    }
}

/// A connection; clones share it.
#[derive(Clone)]
pub struct Link {
    sender: http2::SendRequest<Full<Bytes>>,
    uri: Uri,
    headers: HeaderMap,
    patience: Duration,
}

impl Link {
    /// Connects; `key` goes with each call as a bearer token, and a call may take `patience`.
    ///
    /// # Errors
    /// If nobody listens there, it is no HTTP/2, or the key cannot be a header.
    pub async fn open(address: SocketAddr, key: Option<&str>, patience: Duration) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("cannot reach {address}"))?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .initial_stream_window_size(WINDOWS.0)
            .initial_connection_window_size(WINDOWS.1)
            .handshake(TokioIo::new(stream))
            .await
            .with_context(|| format!("{address} speaks no HTTP/2"))?;
        // Ends with the last sender; why it ended is what the next call says.
        tokio::spawn(connection);
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(TE, HeaderValue::from_static("trailers"));
        if let Some(key) = key {
            headers.insert(AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {key}"))?);
        }
        Ok(Self { sender, uri: format!("http://{address}{INFER}").parse()?, headers, patience })
    }

    /// Sends a framed message whose time came at `began`, and gives the message of the answer. What is late before it is
    /// sent is not sent any more, so that a server that cannot keep up is not waited for without end.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn call(&mut self, frame: Bytes, began: Instant) -> Result<Bytes, Failure> {
        let until = began + self.patience;
        if Instant::now() >= until {
            return Err(Failure::Late);
        }
        tokio::time::timeout_at(until.into(), self.exchange(frame)).await.unwrap_or(Err(Failure::Late))
    }

    async fn exchange(&mut self, frame: Bytes) -> Result<Bytes, Failure> {
        let lost = |error: hyper::Error| Failure::Lost(error.to_string());
        let mut request = http::Request::new(Full::new(frame));
        *request.method_mut() = Method::POST;
        *request.version_mut() = Version::HTTP_2;
        *request.uri_mut() = self.uri.clone();
        request.headers_mut().clone_from(&self.headers);
        self.sender.ready().await.map_err(lost)?;
        let (head, body) = self.sender.send_request(request).await.map_err(lost)?.into_parts();
        if head.status != StatusCode::OK {
            return Err(refused("Unknown", &format!("HTTP {}", head.status)));
        }
        let (message, trailers) = received(body).await?;
        verdict(trailers.as_ref().unwrap_or(&head.headers))?;
        unframed(message)
    }
}

/// The whole body. One piece stays as it came; more are put together.
async fn received(mut body: Incoming) -> Result<(Bytes, Option<HeaderMap>), Failure> {
    let (mut first, mut rest, mut trailers) = (Bytes::new(), BytesMut::new(), None);
    while let Some(piece) = body.frame().await {
        match piece.map_err(|error| Failure::Lost(error.to_string()))?.into_data() {
            Ok(data) if first.is_empty() => first = data,
            Ok(data) => {
                if rest.is_empty() {
                    rest.reserve(whole(&first));
                    rest.extend_from_slice(&first);
                }
                rest.extend_from_slice(&data);
            }
            Err(other) => trailers = other.into_trailers().ok(),
        }
    }
    Ok((if rest.is_empty() { first } else { rest.freeze() }, trailers))
}

/// Bytes that a message will have, by its prefix; at most 1 GiB is believed.
fn whole(start: &[u8]) -> usize {
    let length = start.get(1..PREFIX).and_then(|length| <[u8; 4]>::try_from(length).ok());
    length.map_or(0, |length| PREFIX + (u32::from_be_bytes(length) as usize).min(1 << 30))
}

/// The status of gRPC, in the trailers or, where there is no message, in the headers.
fn verdict(headers: &HeaderMap) -> Result<(), Failure> {
    if headers.get("grpc-status").is_some_and(|code| code == "0") {
        return Ok(());
    }
    Err(match tonic::Status::from_header_map(headers) {
        Some(status) => refused(&format!("{:?}", status.code()), status.message()),
        None => refused("Unknown", "the answer has no grpc-status"),
    })
}

fn unframed(message: Bytes) -> Result<Bytes, Failure> {
    if message.len() < PREFIX || message[0] != 0 || whole(&message) != message.len() {
        return Err(refused("Unknown", "the answer is not one uncompressed message"));
    }
    Ok(message.slice(PREFIX..))
}

fn refused(code: &str, message: &str) -> Failure {
    Failure::Refused { code: code.to_owned(), message: message.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_is_read() {
        let status = |pairs: &[(&'static str, &'static str)]| {
            let pairs = pairs
                .iter()
                .map(|(name, value)| (http::HeaderName::from_static(name), HeaderValue::from_static(value)));
            verdict(&pairs.collect())
        };
        assert_eq!(status(&[("grpc-status", "0")]), Ok(()));
        let busy = refused("ResourceExhausted", "full");
        assert_eq!(status(&[("grpc-status", "8"), ("grpc-message", "f%75ll")]), Err(busy));
        assert_eq!(status(&[]).map_err(|failure| failure.kind().to_owned()), Err("Unknown".to_owned()));
    }

    #[test]
    fn only_one_whole_message_is_taken() {
        let message = |bytes: &'static [u8]| unframed(Bytes::from_static(bytes));
        assert_eq!(message(&[0, 0, 0, 0, 2, 7, 8]).as_deref(), Ok(&[7_u8, 8][..]));
        assert_eq!(message(&[0, 0, 0, 0, 0]).as_deref(), Ok(&[][..]));
        for bad in [&[][..], &[0, 0], &[1, 0, 0, 0, 1, 7], &[0, 0, 0, 0, 2, 7], &[0, 0, 0, 0, 1, 7, 8]] {
            assert!(message(bad).is_err(), "{bad:?}");
        }
    }
}
