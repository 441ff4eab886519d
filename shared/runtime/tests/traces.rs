//! One trace through two services, in process and over TCP, received by an OTLP collector. One process, one subscriber:
//! so this is one test.
#![allow(clippy::unwrap_used)]

mod echo;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use echo::{Echo, KEY, Mesh, say, service};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::trace::v1::Span;
use runtime::config::{LogFormat, Telemetry};
use runtime::{Peer, telemetry};
use tonic::{Request, Response, Status};
use tracing::Instrument;

#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<(String, Span)>>>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        for resource in request.into_inner().resource_spans {
            let attributes = resource.resource.map(|it| it.attributes).unwrap_or_default();
            let named = attributes.into_iter().find(|it| it.key == "service.name");
            let name = format!("{:?}", named.and_then(|it| it.value).and_then(|it| it.value));
            let spans = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
            self.0.lock().unwrap().extend(spans.map(|span| (name.clone(), span)));
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_trace_runs_through_two_services_and_a_collector_sees_both() {
    let collector = Collector::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let server = tonic::transport::Server::builder().add_service(TraceServiceServer::new(collector.clone()));
    tokio::spawn(server.serve_with_incoming(tokio_stream::wrappers::TcpListenerStream::new(listener)));
    let config = Telemetry { log: LogFormat::Json, otlp_endpoint: endpoint, ..Telemetry::default() };
    let guard = telemetry::init("front", &config).unwrap();
    assert!(telemetry::init("again", &config).is_ok());

    let remote = Mesh::start().await;
    let local = service("inside", Echo::default());
    for (next, name) in [(remote.both(KEY)[0].clone(), "echo"), (local.peer(KEY).unwrap(), "inside")] {
        let front = service("front", Echo { next: Some(next), ..Echo::default() });
        let seen = trace_of(&front.peer(KEY).unwrap()).await;
        tokio::task::block_in_place(|| guard.flush());
        tokio::time::sleep(Duration::from_millis(50)).await;
        tokio::task::block_in_place(|| guard.flush());

        let all = collector.0.lock().unwrap().clone();
        let trace: Vec<_> = all.iter().filter(|(_, span)| hex::encode(&span.trace_id) == seen).collect();
        let said =
            trace.iter().map(|(who, span)| format!("{who} {} {}", span.name, span.kind)).collect::<Vec<_>>();
        let served = trace
            .iter()
            .find(|(who, span)| who.contains(name) && span.kind == 2)
            .unwrap_or_else(|| panic!("{said:?}"));
        let called = trace
            .iter()
            .find(|(_, span)| span.span_id == served.1.parent_span_id)
            .unwrap_or_else(|| panic!("{said:?}"));
        assert!(called.0.contains("front") && called.1.kind == 3, "the caller's client span: {said:?}");
        assert_eq!((trace.len(), served.1.name.as_str()), (5, "test.Echo/Say"), "{said:?}");
    }
    remote.stop().await;
}

/// The trace id that the last service of a relay saw, and this caller's too.
async fn trace_of(peer: &Peer) -> String {
    async {
        let mine = runtime::trace::trace_id().unwrap();
        let theirs = say(peer, Request::new("relay".into())).await.unwrap();
        assert!(theirs.starts_with(&mine), "{theirs} {mine}");
        mine
    }
    .instrument(tracing::info_span!("client"))
    .await
}
