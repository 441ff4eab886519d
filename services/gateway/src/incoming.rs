//! Bytes of messages on their way in. A message can be admitted only once it is there as a whole; until then its parts
//! count here, so that many half-sent messages do not fill the memory before the door sees any of them.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::codegen::http::Request;
use tonic::server::NamedService;

use crate::{Error, config};

/// Bytes of a message that do not count: who asks whether the gateway is alive is never refused, and a small request costs
/// nothing here. A transport holds more than that of each stream anyway.
const FREE: u64 = 4096;

/// Room for all messages that are on their way in; clones share it.
#[derive(Debug, Clone)]
pub struct Incoming {
    bytes: Arc<AtomicU64>,
    most: u64,
    retry: Duration,
}

/// What one caller has sent of messages that are not complete.
#[derive(Debug)]
pub struct Held {
    of: Incoming,
    bytes: u64,
}

impl Incoming {
    /// As many bytes as may be admitted, and so for one message at least.
    pub fn new(config: &config::Admission) -> Self {
        let most = config.bytes.max(config.message_bytes as u64);
        Self { bytes: Arc::default(), most, retry: Duration::from_millis(config.retry_ms) }
    }

    /// Nothing yet.
    pub fn hold(&self) -> Held {
        Held { of: self.clone(), bytes: 0 }
    }
}

impl Held {
    /// Counts bytes that have come.
    ///
    /// # Errors
    /// [`Error::Full`] if there is no room for them.
    pub fn add(&mut self, bytes: usize) -> Result<(), Error> {
        let bytes = bytes as u64;
        let before = self.of.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.bytes += bytes;
        if before + bytes <= self.of.most {
            return Ok(());
        }
        self.give_back(bytes);
        Err(Error::Full { what: "too many bytes on their way in", after: self.of.retry })
    }

    /// So many are no longer on their way.
    fn give_back(&mut self, bytes: u64) {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        self.of.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.give_back(self.bytes);
    }
}

/// A gRPC service whose messages count while they come.
#[derive(Clone, Debug)]
pub struct Counted<S> {
    inner: S,
    incoming: Incoming,
}

impl<S> Counted<S> {
    /// The service, with its messages in that room.
    pub fn new(inner: S, incoming: Incoming) -> Self {
        Self { inner, incoming }
    }
}

impl<S: NamedService> NamedService for Counted<S> {
    const NAME: &'static str = S::NAME;
}

impl<S: Service<Request<Body>, Error = Infallible>> Service<Request<Body>> for Counted<S> {
    type Response = S::Response;
    type Error = Infallible;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> S::Future {
        let held = self.incoming.hold();
        let counted = |inner| Body::new(Counting::new(inner, held, FREE));
        self.inner.call(request.map(counted))
    }
}

/// A body whose bytes are held until the message that they belong to is complete and was taken.
struct Counting {
    inner: Body,
    held: Held,
    place: Place,
    free: u64,
    /// Bytes that have come and were not taken.
    there: u64,
    /// Of those, bytes of complete messages: when somebody asks for more they have been taken.
    whole: u64,
}

impl Counting {
    fn new(inner: Body, held: Held, free: u64) -> Self {
        Self { inner, held, place: Place::default(), free, there: 0, whole: 0 }
    }

    fn came(&mut self, data: &[u8]) -> Result<(), Error> {
        let before = self.there;
        self.there += data.len() as u64;
        let counts = self.there.saturating_sub(self.free);
        self.held.add(counts.saturating_sub(self.held.bytes) as usize)?;
        let end = self.place.pass(data) as u64;
        self.whole = if end == 0 { 0 } else { before + end };
        Ok(())
    }

    fn taken(&mut self) {
        self.there -= std::mem::take(&mut self.whole);
        let counts = self.there.saturating_sub(self.free);
        self.held.give_back(self.held.bytes.saturating_sub(counts));
    }
}

impl http_body::Body for Counting {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        this.taken();
        let frame = ready!(Pin::new(&mut this.inner).poll_frame(context));
        let data = frame.as_ref().and_then(|frame| frame.as_ref().ok()).and_then(Frame::data_ref);
        if let Some(Err(full)) = data.map(|data| this.came(data)) {
            return Poll::Ready(Some(Err(full.into())));
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// Where in gRPC's messages the next byte belongs: a flag, four bytes of length, the message.
#[derive(Debug, Default)]
struct Place {
    prefix: u8,
    left: u64,
}

impl Place {
    /// Passes by a part of the body; gives the offset at which the last message ends that ends in it, else 0.
    fn pass(&mut self, part: &[u8]) -> usize {
        let (mut at, mut end) = (0, 0);
        while let Some(byte) = part.get(at) {
            if self.prefix < 5 {
                self.left = if self.prefix == 0 { 0 } else { self.left << 8 | u64::from(*byte) };
                self.prefix += 1;
                at += 1;
            } else {
                let here = self.left.min((part.len() - at) as u64);
                self.left -= here;
                at += here as usize;
            }
            if self.prefix == 5 && self.left == 0 {
                self.prefix = 0;
                end = at;
            }
        }
        end
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::{BodyExt, StreamBody};

    fn room(bytes: u64) -> Incoming {
        Incoming::new(&config::Admission { bytes, message_bytes: 0, ..config::Admission::default() })
    }

    fn message(length: usize) -> Vec<u8> {
        [&[0][..], &(length as u32).to_be_bytes(), &vec![9; length]].concat()
    }

    #[test]
    fn the_ends_of_messages_are_found_however_they_are_cut() {
        let lengths = [3, 0, 700, 1, 255];
        let sent: Vec<u8> = lengths.iter().flat_map(|length| message(*length)).collect();
        let ends = lengths.iter().scan(0, |at, length| {
            *at += length + 5;
            Some(*at)
        });
        let ends: Vec<usize> = ends.collect();
        for size in [1, 2, 3, 7, 64, 5000] {
            let (mut place, mut found, mut at) = (Place::default(), Vec::new(), 0);
            for part in sent.chunks(size) {
                let end = place.pass(part);
                if end > 0 {
                    found.push(at + end);
                }
                at += part.len();
            }
            let expected = |end: &&usize| {
                // Of several that end in one part the last is told.
                let part = (*end - 1) / size;
                ends.iter().filter(|other| (*other - 1) / size == part).max() == Some(*end)
            };
            assert_eq!(found, ends.iter().filter(expected).copied().collect::<Vec<_>>(), "{size}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_and_what_is_gone_makes_room() {
        let room = room(100);
        let (mut one, mut two) = (room.hold(), room.hold());
        one.add(60).unwrap();
        assert!(matches!(two.add(41), Err(Error::Full { .. })));
        two.add(40).unwrap();
        drop(one);
        two.add(60).unwrap();
        two.give_back(1000);
        assert_eq!(room.bytes.load(Ordering::Relaxed), 0);
    }

    /// A stream goes on for ever; each of its messages counts until the next is asked for.
    #[tokio::test]
    async fn a_stream_holds_what_is_not_complete() {
        let sent = [message(30), message(30), message(30)].concat();
        let parts: Vec<_> =
            sent.chunks(20).map(|part| Ok::<_, Status>(Frame::data(Bytes::copy_from_slice(part)))).collect();
        let inner = Body::new(StreamBody::new(futures::stream::iter(parts)));
        let room = room(50);
        let mut body = Counting::new(inner, room.hold(), 5);
        let mut most = 0;
        while let Some(frame) = body.frame().await {
            frame.unwrap();
            most = most.max(room.bytes.load(Ordering::Relaxed));
        }
        assert!((30..=50).contains(&most), "a message and what came with its end: {most}");
        drop(body);
        assert_eq!(room.bytes.load(Ordering::Relaxed), 0);
        let inner = Body::new(http_body_util::Full::new(Bytes::from(message(56))));
        let mut body = Counting::new(inner, room.hold(), 5);
        let status = body.frame().await.unwrap().unwrap_err();
        assert_eq!(status.code(), tonic::Code::ResourceExhausted);
    }
}
