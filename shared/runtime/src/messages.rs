//! The messages of a gRPC request as they arrive: each must go on coming once it has begun.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep, sleep_until};
use tonic::{Code, Status};

/// A request's body, within limits on the time of each message. Between messages there is none: a stream may be silent.
pub(crate) struct Messages {
    inner: Incoming,
    /// Longest pause inside a message.
    pause: Duration,
    /// Longest time of a message.
    whole: Duration,
    prefix: Prefix,
    /// Runs while a part of a message is waited for.
    timer: Option<Pin<Box<Sleep>>>,
    /// When the message that is waited for must be there.
    until: Option<Instant>,
    over: bool,
}

impl Messages {
    pub(crate) fn new(inner: Incoming, pause: Duration, whole: Duration) -> Self {
        Self { inner, pause, whole, prefix: Prefix::default(), timer: None, until: None, over: false }
    }
}

/// Where in the length-prefixed messages the next byte belongs: a flag, four bytes of length, the message.
#[derive(Debug, Default)]
struct Prefix {
    seen: u8,
    length: u32,
    left: u32,
}

impl Prefix {
    /// True if a message ended in `bytes`, or none has begun.
    fn pass(&mut self, mut bytes: &[u8]) -> bool {
        let mut ended = self.between();
        while let Some(first) = bytes.first() {
            if 0 < self.left {
                let passing = bytes.len().min(self.left as usize);
                self.left -= passing as u32;
                bytes = &bytes[passing..];
            } else {
                if 0 < self.seen {
                    self.length = self.length << 8 | u32::from(*first);
                }
                self.seen += 1;
                bytes = &bytes[1..];
                if self.seen == 5 {
                    (self.left, self.length, self.seen) = (self.length, 0, 0);
                }
            }
            ended |= self.between();
        }
        ended
    }

    fn between(&self) -> bool {
        self.seen == 0 && self.left == 0
    }
}

impl Body for Messages {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        if this.over {
            return Poll::Ready(None);
        }
        if let Poll::Ready(frame) = Pin::new(&mut this.inner).poll_frame(context) {
            this.timer = None;
            if let Some(Ok(frame)) = &frame
                && frame.data_ref().is_some_and(|data| this.prefix.pass(data))
            {
                this.until = None;
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(|error| Status::from_error(error.into()))));
        }
        if this.prefix.between() {
            return Poll::Pending;
        }
        let now = Instant::now();
        let until = *this.until.get_or_insert(now + this.whole);
        let until = until.min(now + this.pause);
        let timer = this.timer.get_or_insert_with(|| Box::pin(sleep_until(until)));
        if timer.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        this.over = true;
        let text = "the message came too slowly";
        Poll::Ready(Some(Err(crate::status(Code::DeadlineExceeded, "MESSAGE_TOO_SLOW", text, []))))
    }

    fn is_end_stream(&self) -> bool {
        self.over || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_of_messages_are_known_however_they_are_cut() {
        let message = |length: usize| [&[0][..], &(length as u32).to_be_bytes(), &vec![9; length]].concat();
        let sent = [message(3), message(0), message(700)].concat();
        for cut in 1..sent.len() {
            let mut prefix = Prefix::default();
            let mut ends = Vec::new();
            for (n, part) in sent.chunks(cut).enumerate() {
                prefix.pass(part);
                let at = sent.len().min((n + 1) * cut);
                assert_eq!(
                    prefix.between(),
                    [8, 13, sent.len()].contains(&at),
                    "after {at} in parts of {cut}"
                );
                ends.push(at);
            }
            assert_eq!(ends.last(), Some(&sent.len()));
        }
        let mut prefix = Prefix::default();
        assert!(prefix.pass(&sent[..20]), "two have ended");
        assert!(!prefix.pass(&sent[20..30]) && !prefix.between(), "the third has not");
    }
}
