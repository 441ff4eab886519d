//! A service written by hand, so that the tests need no contracts: `Say`, `Any`, `Public` are unary, `Watch` streams.
#![allow(dead_code, clippy::unwrap_used, clippy::needless_pass_by_value, missing_docs)]

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::{Stream, StreamExt};
use prost::Message;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{
    DescriptorProto, FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet, MethodDescriptorProto,
    ServiceDescriptorProto,
};
use runtime::credentials::{Entry, digest_of};
use runtime::{
    Caller, Credentials, Kind, Listen, MethodTable, Metrics, Peer, Service, ServiceBuilder, Transport, bind,
};
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::codec::CompressionEncoding;
use tonic::server::NamedService;
use tonic::{Code, Request, Response, Status};
use tonic_prost::ProstCodec;
use tower::{ServiceExt, service_fn};

pub const KEY: &str = "wlp_engineer";
pub const LEAD: &str = "wlp_lead";
pub const EXPIRED: &str = "wlp_expired";

const TABLE: MethodTable = &[
    ("/test.Echo/Say", &["ml-engineer"]),
    ("/test.Echo/Watch", &["ml-engineer"]),
    ("/test.Echo/Any", &["*"]),
    ("/test.Echo/Public", &["public"]),
];

pub struct Mesh {
    pub address: SocketAddr,
    pub metrics: Metrics,
    stack: runtime::Stack,
    stop: CancellationToken,
    served: tokio::task::JoinHandle<anyhow::Result<()>>,
}

impl Mesh {
    pub async fn start() -> Self {
        Self::at("127.0.0.1:0".parse().unwrap()).await
    }

    pub async fn at(address: SocketAddr) -> Self {
        Self::serving(address, service("echo", Echo::default())).await
    }

    /// With limits of its own, and calls that may take long.
    pub async fn with(transport: Transport) -> Self {
        Self::of(Echo::default(), transport).await
    }

    pub async fn of(echo: Echo, transport: Transport) -> Self {
        let service = builder("echo", echo).transport(transport).build().unwrap();
        Self::serving("127.0.0.1:0".parse().unwrap(), service).await
    }

    async fn serving(address: SocketAddr, service: Service) -> Self {
        let bound = bind(Listen { rpc: address, metrics: None, http: None }).await.unwrap();
        let (address, stop, metrics) =
            (bound.rpc_address(), CancellationToken::new(), service.metrics().clone());
        let stack = service.stack();
        let served = tokio::spawn(bound.serve(service, stop.clone().cancelled_owned()));
        Self { address, metrics, stack, stop, served }
    }

    /// The service over TCP and in process.
    pub fn both(&self, key: &str) -> [Peer; 2] {
        let descriptors = descriptors();
        [Peer::connect(&format!("http://{}", self.address), key), Peer::local(self.stack.clone(), key)]
            .map(|peer| peer.unwrap().describe(descriptors).unwrap())
    }

    pub async fn stop(self) {
        self.stop.cancel();
        self.served.await.unwrap().unwrap();
    }
}

/// `next` is called by `Say("relay")`.
#[derive(Clone, Default)]
pub struct Echo {
    pub next: Option<Peer>,
    /// Calls of `Say("held")` that have begun; they end with `release`.
    pub began: Arc<AtomicUsize>,
    pub release: CancellationToken,
}

pub fn service(name: &'static str, echo: Echo) -> Service {
    builder(name, echo).deadline(Duration::from_millis(400)).build().unwrap()
}

pub fn builder(name: &'static str, echo: Echo) -> ServiceBuilder {
    Service::builder(name).add(echo).descriptors(descriptors()).access(TABLE, credentials())
}

pub fn credentials() -> Credentials {
    let row = |key: &str, role: &str, expires: Option<&str>| Entry {
        sha256: digest_of(key),
        principal: role.into(),
        kind: Kind::Person,
        roles: vec![role.into()],
        expires: expires.map(Into::into),
        development: true,
    };
    Credentials::from_entries(vec![
        row(KEY, "ml-engineer", None),
        row(LEAD, "ml-lead", None),
        row(EXPIRED, "ml-engineer", Some("2020-01-01T00:00:00Z")),
    ])
    .unwrap()
}

fn descriptors() -> &'static [u8] {
    let method = |name: &str| MethodDescriptorProto {
        name: Some(name.into()),
        input_type: Some(".test.Text".into()),
        output_type: Some(".test.Text".into()),
        server_streaming: Some(name == "Watch"),
        ..Default::default()
    };
    let value = FieldDescriptorProto {
        name: Some("value".into()),
        number: Some(1),
        label: Some(Label::Optional.into()),
        r#type: Some(Type::String.into()),
        ..Default::default()
    };
    let text = DescriptorProto { name: Some("Text".into()), field: vec![value], ..Default::default() };
    let file = FileDescriptorProto {
        name: Some("test.proto".into()),
        syntax: Some("proto3".into()),
        package: Some("test".into()),
        message_type: vec![text],
        service: vec![ServiceDescriptorProto {
            name: Some("Echo".into()),
            method: ["Say", "Any", "Public", "Watch"].map(method).into(),
            ..Default::default()
        }],
        ..Default::default()
    };
    FileDescriptorSet { file: vec![file] }.encode_to_vec().leak()
}

impl NamedService for Echo {
    const NAME: &'static str = "test.Echo";
}

impl tower::Service<http::Request<Body>> for Echo {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<http::Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let echo = self.clone();
        Box::pin(async move {
            let mut grpc = tonic::server::Grpc::new(ProstCodec::<String, String>::default())
                .accept_compressed(CompressionEncoding::Gzip);
            Ok(if request.uri().path().ends_with("Watch") {
                grpc.server_streaming(
                    service_fn(|request| async { Ok(Response::new(ticks(request))) }),
                    request,
                )
                .await
            } else {
                grpc.unary(service_fn(move |request| answer(echo.clone(), request)), request).await
            })
        })
    }
}

async fn answer(echo: Echo, request: Request<String>) -> Result<Response<String>, Status> {
    let who = Caller::of(&request).map_or_else(|_| "nobody".into(), |caller| caller.principal);
    let has = |name: &str| request.metadata().contains_key(name);
    let text = match request.get_ref().as_str() {
        "panic" => panic!("on purpose"),
        "headers" => {
            format!("x-wlp-principal={} authorization={}", has("x-wlp-principal"), has("authorization"))
        }
        "trace" => runtime::trace::trace_id().unwrap_or_default(),
        "relay" => say(echo.next.as_ref().unwrap(), Request::new("trace".into())).await?,
        other => {
            match other {
                "sleep" => tokio::time::sleep(Duration::from_secs(5)).await,
                "brief" => tokio::time::sleep(Duration::from_millis(200)).await,
                "held" => {
                    echo.began.fetch_add(1, Ordering::SeqCst);
                    echo.release.cancelled().await;
                }
                _ => {}
            }
            other.to_owned()
        }
    };
    Ok(Response::new(format!("{text} from {who}")))
}

fn ticks(request: Request<String>) -> Pin<Box<dyn Stream<Item = Result<String, Status>> + Send>> {
    let panics = request.get_ref() == "panic";
    Box::pin(futures::stream::unfold(0, move |n| async move {
        tokio::time::sleep(Duration::from_millis(10)).await;
        assert!(!(panics && n == 1), "on purpose");
        Some((Ok(n.to_string()), n + 1))
    }))
}

pub async fn say(peer: &Peer, request: Request<String>) -> Result<String, Status> {
    call(peer, "/test.Echo/Say", request).await
}

pub async fn call(peer: &Peer, path: &str, request: Request<String>) -> Result<String, Status> {
    let mut client = tonic::client::Grpc::new(peer.clone());
    client.ready().await.unwrap();
    let codec = ProstCodec::<String, String>::default();
    client.unary(request, path.parse().unwrap(), codec).await.map(Response::into_inner)
}

/// Reads up to `most` messages: how many came, and the error if one ended them.
pub async fn watch(peer: &Peer, request: Request<String>, most: usize) -> (usize, Option<Status>) {
    let mut client = tonic::client::Grpc::new(peer.clone());
    client.ready().await.unwrap();
    let codec = ProstCodec::<String, String>::default();
    let answer = client.server_streaming(request, "/test.Echo/Watch".parse().unwrap(), codec).await;
    let mut stream: tonic::Streaming<String> = answer.unwrap().into_inner();
    let mut seen = 0;
    while seen < most {
        match stream.next().await {
            Some(Ok(_)) => seen += 1,
            Some(Err(status)) => return (seen, Some(status)),
            None => break,
        }
    }
    (seen, None)
}

/// Sends bytes as they are: the code, or the HTTP status if there is none.
pub async fn raw(peer: &Peer, body: &'static [u8], kind: &str) -> Result<Code, u16> {
    let body = Body::new(http_body_util::Full::new(bytes::Bytes::from_static(body)));
    raw_body(peer, body, kind, "identity").await
}

/// As [`raw`], of a body that says how its messages are packed.
pub async fn raw_body(peer: &Peer, body: Body, kind: &str, encoding: &str) -> Result<Code, u16> {
    let request = http::Request::post("http://peer/test.Echo/Say")
        .header("content-type", kind)
        .header("grpc-encoding", encoding)
        .header("te", "trailers")
        .body(body)
        .unwrap();
    let response = peer.clone().oneshot(request).await.unwrap();
    match response.headers().get("grpc-status") {
        Some(code) => Ok(Code::from_bytes(code.as_bytes())),
        None => Err(response.status().as_u16()),
    }
}
