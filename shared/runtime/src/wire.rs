//! A connection's bytes, in the clear or over TLS. Of HTTP/2 the preface is read here, in limited time.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// What every HTTP/2 client sends first, RFC 9113 §3.4.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// An accepted connection.
pub(crate) struct Wire {
    io: Io,
    /// What was read of it already and is still to be given out.
    ahead: Vec<u8>,
    sent: Arc<Sent>,
    /// None until it is known to be HTTP/2.
    frames: Option<Frames>,
    /// This side and the other.
    pub(crate) addresses: [Option<SocketAddr>; 2],
}

enum Io {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Wire {
    /// Shakes hands if there is an `acceptor`.
    pub(crate) async fn open(stream: TcpStream, acceptor: Option<TlsAcceptor>) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        let addresses = [stream.local_addr().ok(), stream.peer_addr().ok()];
        let io = match acceptor {
            Some(acceptor) => Io::Tls(Box::new(acceptor.accept(stream).await?)),
            None => Io::Plain(stream),
        };
        Ok(Self { io, ahead: Vec::new(), sent: Arc::default(), frames: None, addresses })
    }

    /// True as soon as the other side has shown that it speaks HTTP/2, false as soon as it cannot be.
    pub(crate) async fn preface(&mut self) -> io::Result<bool> {
        let mut got = Vec::with_capacity(PREFACE.len());
        while got.len() < PREFACE.len() {
            let mut part = [0; PREFACE.len()];
            let rest = PREFACE.len() - got.len();
            let read = self.read(&mut part[..rest]).await?;
            got.extend_from_slice(&part[..read]);
            if read == 0 || !PREFACE.starts_with(&got) {
                return Ok(false);
            }
        }
        self.ahead = got;
        self.frames = Some(Frames::default());
        Ok(true)
    }

    /// What is sent on it.
    pub(crate) fn sent(&self) -> Arc<Sent> {
        self.sent.clone()
    }

    fn count(&mut self, bytes: &[u8]) {
        if let Some(frames) = &mut self.frames {
            self.sent.0.fetch_add(frames.data_in(bytes), Ordering::Relaxed);
        }
    }
}

/// Bytes of DATA frames that were sent.
#[derive(Debug, Default)]
pub(crate) struct Sent(AtomicU64);

impl Sent {
    pub(crate) fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Where in the frames of HTTP/2 the next byte belongs, RFC 9113 §4.1.
#[derive(Debug, Default)]
struct Frames {
    /// Bytes of the frame's head that have passed.
    seen: u8,
    length: u32,
    is_data: bool,
    /// Bytes of the payload that have not.
    left: u32,
}

impl Frames {
    /// Bytes of DATA frames among `bytes`, which follow those before.
    fn data_in(&mut self, mut bytes: &[u8]) -> u64 {
        let mut data = 0;
        while let Some(first) = bytes.first() {
            if 0 < self.left {
                let passing = bytes.len().min(self.left as usize);
                self.left -= passing as u32;
                data += if self.is_data { passing as u64 } else { 0 };
                bytes = &bytes[passing..];
                continue;
            }
            match self.seen {
                0..3 => self.length = self.length << 8 | u32::from(*first),
                3 => self.is_data = *first == 0,
                _ => {}
            }
            self.seen += 1;
            bytes = &bytes[1..];
            if self.seen == 9 {
                (self.left, self.length, self.seen) = (self.length, 0, 0);
            }
        }
        data
    }
}

macro_rules! each {
    ($wire:expr, $io:ident => $work:expr) => {
        match &mut $wire.io {
            Io::Plain($io) => {
                let $io = Pin::new($io);
                $work
            }
            Io::Tls($io) => {
                let $io = Pin::new($io.as_mut());
                $work
            }
        }
    };
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.ahead.is_empty() {
            let given = self.ahead.len().min(into.remaining());
            into.put_slice(&self.ahead[..given]);
            self.ahead.drain(..given);
            return Poll::Ready(Ok(()));
        }
        each!(self, io => io.poll_read(context, into))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let sent = ready!(each!(self, io => io.poll_write(context, bytes)))?;
        self.count(&bytes[..sent]);
        Poll::Ready(Ok(sent))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let sent = ready!(each!(self, io => io.poll_write_vectored(context, parts)))?;
        let mut left = sent;
        for part in parts {
            let of = part.len().min(left);
            self.count(&part[..of]);
            left -= of;
        }
        Poll::Ready(Ok(sent))
    }

    fn is_write_vectored(&self) -> bool {
        match &self.io {
            Io::Plain(io) => io.is_write_vectored(),
            Io::Tls(io) => io.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, io => io.poll_flush(context))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, io => io.poll_shutdown(context))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_counted_however_the_frames_are_cut() {
        let frame = |kind: u8, payload: &[u8]| {
            let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
            bytes.extend([kind, 0, 0, 0, 0, 1]);
            bytes.extend(payload);
            bytes
        };
        let sent = [frame(4, &[]), frame(0, &[7; 300]), frame(1, &[0; 20]), frame(0, &[]), frame(0, &[1])];
        let sent = sent.concat();
        for cut in 1..sent.len() {
            let mut frames = Frames::default();
            let data: u64 = sent.chunks(cut).map(|part| frames.data_in(part)).sum();
            assert_eq!((data, frames.left, frames.seen), (301, 0, 0), "in parts of {cut}");
        }
    }
}
