//! HTTP/2 by hand, RFC 9113: what no client library would send.
#![allow(dead_code, clippy::unwrap_used, missing_docs)]

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RESET: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const GOAWAY: u8 = 7;
/// Longest that anything here is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// The head of a call, each field literal and not indexed (RFC 7541 §6.2.2); END_STREAM if `ends`.
pub fn call(path: &str, stream: u32, ends: bool) -> Vec<u8> {
    let fields = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "here"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ];
    let mut block = Vec::new();
    for (name, value) in fields {
        block.extend([0, name.len() as u8]);
        block.extend(name.as_bytes());
        block.push(value.len() as u8);
        block.extend(value.as_bytes());
    }
    frame(HEADERS, if ends { 5 } else { 4 }, stream, &block)
}

/// A connection that has said what every client says first.
pub async fn greeted(address: SocketAddr) -> TcpStream {
    greeted_with(address, &[]).await
}

/// As [`greeted`], with settings.
pub async fn greeted_with(address: SocketAddr, settings: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(PREFACE).await.unwrap();
    stream.write_all(&frame(SETTINGS, 0, 0, settings)).await.unwrap();
    stream
}

/// The next frame: its kind and payload; none once the other side has closed.
pub async fn next(stream: &mut TcpStream) -> Option<(u8, Vec<u8>)> {
    let read = async {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await.ok()?;
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        stream.read_exact(&mut payload).await.ok()?;
        Some((head[3], payload))
    };
    timeout(PATIENCE, read).await.expect("a frame, or an end")
}

/// Reads to the end, which must come: the error codes of the GOAWAY frames on the way.
pub async fn farewell(stream: &mut TcpStream) -> Vec<u32> {
    let mut codes = Vec::new();
    while let Some((kind, payload)) = next(stream).await {
        if kind == GOAWAY {
            codes.push(u32::from_be_bytes(payload[4..8].try_into().unwrap()));
        }
    }
    codes
}

/// Waits until the other side has closed; what it still sent is dropped.
pub async fn closed(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    // A reset is as good as an end.
    let _ = timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("the other side closes");
}
