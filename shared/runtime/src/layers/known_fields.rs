//! Refuses requests with fields that the contract does not have: a misspelt or newer field is named, not ignored.
//!
//! Protobuf drops what it does not know, and the caller would never learn that half of a request was left out. Unary and
//! server-streaming requests are looked at; those of a tolerant service (a published protocol whose clients may be newer)
//! and compressed ones are not.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Request;
use http::Response;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use prost_reflect::{DynamicMessage, MessageDescriptor, ReflectMessage, Value};
use tonic::body::Body;
use tonic::{Code, Status};
use tonic_types::FieldViolation;
use tower::Service;

use super::{Answer, Inner};

/// Bytes of gRPC's prefix of a message: a flag and the length.
const PREFIX: usize = 5;
/// Most bytes of a request that is looked at; no unary method takes more.
const MOST: usize = 64 << 20;
/// Most unknown fields that are named.
const NAMED: usize = 64;

/// Requests by path (`/package.Service/Method`).
pub(crate) type Requests = HashMap<String, MessageDescriptor>;

/// Answers INVALID_ARGUMENT, naming every field that the request's message does not have.
#[derive(Clone)]
pub(crate) struct KnownFields<S> {
    inner: S,
    requests: Arc<Requests>,
}

impl<S> KnownFields<S> {
    /// Looks at the requests of these paths only.
    pub(crate) fn new(inner: S, requests: Requests) -> Self {
        Self { inner, requests: Arc::new(requests) }
    }
}

impl<S: Inner> Service<Request<Body>> for KnownFields<S> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Answer {
        let Some(message) = self.requests.get(request.uri().path()).cloned() else {
            return Box::pin(self.inner.call(request));
        };
        let waiting = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, waiting);
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let bytes = match Limited::new(body, MOST).collect().await {
                Ok(whole) => whole.to_bytes(),
                Err(error) => return Ok(broken(error.as_ref()).into_http()),
            };
            let unknown = unknown_fields(message, &bytes);
            if !unknown.is_empty() {
                return Ok(crate::bad_request(unknown).into_http());
            }
            inner.call(Request::from_parts(head, Body::new(Full::from(bytes)))).await
        })
    }
}

fn broken(error: &(dyn std::error::Error + Send + Sync + 'static)) -> Status {
    if error.is::<LengthLimitError>() {
        let text = format!("the request is larger than {MOST} bytes");
        return crate::status(Code::ResourceExhausted, "REQUEST_TOO_LARGE", text, []);
    }
    match error.downcast_ref::<Status>() {
        Some(status) => status.clone(),
        None => Status::cancelled("the request broke off"),
    }
}

/// The unknown fields of a framed message. What is no message at all is left to the decoder behind, which says so.
fn unknown_fields(message: MessageDescriptor, framed: &Bytes) -> Vec<FieldViolation> {
    let mut found = Vec::new();
    if framed.len() < PREFIX || framed[0] != 0 {
        return found;
    }
    if let Ok(message) = DynamicMessage::decode(message, framed.slice(PREFIX..)) {
        collect(&message, "", &mut found);
    }
    found
}

fn collect(message: &DynamicMessage, at: &str, found: &mut Vec<FieldViolation>) {
    for field in message.unknown_fields() {
        if found.len() >= NAMED {
            return;
        }
        let of = message.descriptor();
        let place = if at.is_empty() { of.name().to_owned() } else { at.to_owned() };
        let text = format!("field {} is unknown to {}", field.number(), of.full_name());
        found.push(FieldViolation::new(place, text));
    }
    for (field, value) in message.fields() {
        let place = if at.is_empty() { field.name().to_owned() } else { format!("{at}.{}", field.name()) };
        match value {
            Value::Message(inner) => collect(inner, &place, found),
            Value::List(all) => {
                for (index, inner) in all.iter().enumerate().filter_map(|(i, it)| Some((i, it.as_message()?)))
                {
                    collect(inner, &format!("{place}[{index}]"), found);
                }
            }
            Value::Map(all) => {
                for (key, inner) in all.iter().filter_map(|(key, it)| Some((key, it.as_message()?))) {
                    collect(inner, &format!("{place}[{key:?}]"), found);
                }
            }
            _ => {}
        }
    }
}
