//! Another service, over TCP or in the same process; generated clients cannot tell.

use std::collections::HashSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{HeaderValue, Request, Response, header};
use tokio::time::Instant;
use tonic::body::Body;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tower::{Service, ServiceExt};
use tracing::{Instrument, Span};

use crate::config::ConfigError;
use crate::layers::deadline::{self, bounded, exceeded, timeout_of};
use crate::observe::observe;
use crate::reach::Trust;
use crate::service::Stack;
use crate::trace;
use crate::transport::ClientTls;

/// The transport of a generated client: `ModelServiceClient::new(peer)`.
///
/// Injects the API key and the trace context. A call with a timeout of its own (`request.set_timeout`) keeps it to the
/// end of the stream. Otherwise a call gets what is left to the call that this task handles, at most
/// [`deadline::DEFAULT`], until the answer begins; methods that [`Peer::describe`] knows to stream have no default.
/// The error type is [`Status`], so codes survive as they are.
#[derive(Clone)]
pub struct Peer {
    to: Transport,
    key: Option<HeaderValue>,
    default: Duration,
    streaming: Arc<HashSet<String>>,
}

#[derive(Clone)]
enum Transport {
    Remote(Channel),
    Local(Stack),
}

/// Why a peer cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// Neither `http://host:port` nor `https://host:port`.
    #[error("peer {url:?}: {cause}")]
    Url {
        /// The address given.
        url: String,
        /// What is wrong with it.
        cause: String,
    },
    /// What `[transport.client]` names cannot be used.
    #[error("peer {url:?}: {cause}")]
    Trust {
        /// The address given.
        url: String,
        /// What is wrong with the setting.
        cause: ConfigError,
    },
    /// The key does not fit into a header.
    #[error("the API key of this service has characters that no key has")]
    Key,
    /// The descriptors cannot be read.
    #[error("descriptors: {0}")]
    Descriptors(#[from] prost::DecodeError),
}

impl Peer {
    /// A peer at `http://host:port`. Connects with the first call and again after every loss; must be made inside a
    /// tokio runtime. An empty key calls without one.
    ///
    /// # Errors
    /// [`PeerError`] if the address or the key cannot be used.
    pub fn connect(url: &str, key: &str) -> Result<Self, PeerError> {
        Self::connect_with(url, key, &ClientTls::default())
    }

    /// As [`Peer::connect`], and `https://host:port` with what `tls` trusts and shows.
    ///
    /// # Errors
    /// [`PeerError`] if the address, the key or, for `https`, a file cannot be used.
    pub fn connect_with(url: &str, key: &str, tls: &ClientTls) -> Result<Self, PeerError> {
        let wrong = |cause: String| PeerError::Url { url: url.to_owned(), cause };
        let origin: http::Uri =
            url.parse().map_err(|cause: http::uri::InvalidUri| wrong(cause.to_string()))?;
        let trust = match origin.scheme_str() {
            Some("http") => None,
            Some("https") => {
                let trust = Trust::new(tls);
                Some(trust.map_err(|cause| PeerError::Trust { url: url.to_owned(), cause })?)
            }
            _ => return Err(wrong("required http://host:port or https://host:port".into())),
        };
        let endpoint = Endpoint::from_shared(url.to_owned())
            .map_err(|cause| wrong(cause.to_string()))?
            .connect_timeout(Duration::from_secs(2))
            .tcp_nodelay(true)
            .http2_keep_alive_interval(Duration::from_secs(10))
            .keep_alive_timeout(Duration::from_secs(5))
            .keep_alive_while_idle(true);
        let channel = match trust {
            None => endpoint.connect_lazy(),
            Some(trust) => {
                endpoint.connect_with_connector_lazy(tower::service_fn(move |to| trust.clone().connect(to)))
            }
        };
        Self::over(Transport::Remote(channel), key)
    }

    /// A service in this process; see [`crate::Service::peer`].
    ///
    /// # Errors
    /// [`PeerError::Key`].
    pub fn local(stack: Stack, key: &str) -> Result<Self, PeerError> {
        Self::over(Transport::Local(stack), key)
    }

    fn over(to: Transport, key: &str) -> Result<Self, PeerError> {
        Ok(Self { to, key: bearer(key)?, default: deadline::DEFAULT, streaming: Arc::default() })
    }

    /// Learns from encoded descriptors which methods stream, so that they get no default deadline.
    ///
    /// # Errors
    /// [`PeerError::Descriptors`].
    pub fn describe(mut self, descriptors: &[u8]) -> Result<Self, PeerError> {
        self.streaming = Arc::new(crate::descriptors::streaming_methods(descriptors)?);
        Ok(self)
    }

    /// As [`Peer::describe`], with paths that are known already.
    pub(crate) fn streaming(mut self, paths: Arc<HashSet<String>>) -> Self {
        self.streaming = paths;
        self
    }

    /// Another default deadline.
    #[must_use]
    pub fn with_deadline(mut self, default: Duration) -> Self {
        self.default = default;
        self
    }

    /// The same peer, called with another key; "" calls without one.
    ///
    /// # Errors
    /// [`PeerError::Key`].
    pub fn with_key(mut self, key: &str) -> Result<Self, PeerError> {
        self.key = bearer(key)?;
        Ok(self)
    }

    async fn answer(self, mut request: Request<Body>, span: Span) -> Result<Response<Body>, Status> {
        let asked = timeout_of(request.headers());
        let streams = self.streaming.contains(request.uri().path());
        let left = deadline::remaining();
        let first =
            asked.or(if streams { left } else { Some(left.map_or(self.default, |it| it.min(self.default))) });
        if asked.is_none()
            && let Some(left) = left
        {
            // What is left to the caller is all that the called one needs to work for.
            request.headers_mut().insert("grpc-timeout", millis(left));
        }
        if let Some(key) = &self.key {
            request.headers_mut().insert(header::AUTHORIZATION, key.clone());
        }
        trace::inject_of(&span, request.headers_mut());
        let whole = asked.map(|time| Instant::now() + time);
        let sent = self.to.send(request);
        let response = match first {
            None => sent.await?,
            Some(first) => tokio::select! {
                biased;
                () = tokio::time::sleep(first) => return Err(exceeded()),
                response = sent => response?,
            },
        };
        Ok(bounded(response, whole, None))
    }
}

impl Transport {
    async fn send(self, mut request: Request<Body>) -> Result<Response<Body>, Status> {
        match self {
            Self::Remote(channel) => channel.oneshot(request).await.map_err(lost),
            Self::Local(stack) => {
                // What a socket would not carry does not travel in process either.
                request.extensions_mut().clear();
                let Ok(response) = stack.oneshot(request).await;
                Ok(response)
            }
        }
    }
}

impl Service<Request<Body>> for Peer {
    type Response = Response<Body>;
    type Error = Status;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Status>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(())) // readiness is awaited inside the call, under its deadline
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let span = trace::client_span(request.uri().path());
        let (done, kept) = (span.clone(), span.clone());
        let answer = self.clone().answer(request, span.clone());
        Box::pin(
            async move {
                match answer.await {
                    Ok(response) => {
                        Ok(observe(response, kept, move |code| trace::finish(&done, code, false)))
                    }
                    Err(status) => {
                        trace::finish(&done, status.code(), false);
                        Err(status)
                    }
                }
            }
            .instrument(span),
        )
    }
}

/// A transport error as a status: timeouts as on every path, anything about the connection as UNAVAILABLE.
fn lost(error: tonic::transport::Error) -> Status {
    let text = chain(&error);
    let status = Status::from_error(Box::new(error));
    match status.code() {
        Code::Cancelled if text.contains("Timeout expired") => exceeded(),
        Code::Unknown | Code::Unavailable | Code::Internal | Code::Cancelled => {
            crate::retry_later(Code::Unavailable, "PEER_UNAVAILABLE", text, Duration::from_millis(200))
        }
        _ => status,
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

fn millis(left: Duration) -> HeaderValue {
    let text = format!("{}m", left.as_millis().clamp(1, 99_999_999));
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("1m"))
}

/// The header of a key; none for the empty one.
fn bearer(key: &str) -> Result<Option<HeaderValue>, PeerError> {
    if key.is_empty() {
        return Ok(None);
    }
    let mut value = HeaderValue::from_str(&format!("Bearer {key}")).map_err(|_| PeerError::Key)?;
    value.set_sensitive(true);
    Ok(Some(value))
}
