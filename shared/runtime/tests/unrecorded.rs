//! Without an endpoint no span is recorded, and a trace still has one id through every service. One process, one
//! subscriber: so this is one test.
#![allow(clippy::unwrap_used)]

mod echo;

use echo::{Echo, KEY, Mesh, say, service};
use http::HeaderMap;
use opentelemetry::trace::TraceContextExt;
use runtime::config::Telemetry;
use runtime::{Peer, telemetry, trace};
use tonic::Request;
use tracing::{Instrument, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// `trace-id`, `parent-id`, `trace-flags` of the current span.
fn parts() -> [String; 3] {
    let mut headers = HeaderMap::new();
    trace::inject(&mut headers);
    let text = headers["traceparent"].to_str().unwrap();
    let parts: Vec<_> = text.split('-').skip(1).map(String::from).collect();
    parts.try_into().unwrap()
}

/// The id of a trace that begins here, goes through two services and is the same in the last.
async fn relayed(peer: &Peer) -> String {
    async {
        let (mine, theirs) = (trace::trace_id().unwrap(), say(peer, Request::new("relay".into())).await);
        assert!(theirs.as_ref().unwrap().starts_with(&mine), "{theirs:?} {mine}");
        mine
    }
    .instrument(tracing::info_span!("client"))
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spans_have_ids_and_nothing_else() {
    let _guard = telemetry::init("front", &Telemetry::default()).unwrap();
    let mesh = Mesh::start().await;
    let local = service("inside", Echo::default());
    let mut seen = Vec::new();
    for next in [mesh.both(KEY)[0].clone(), local.peer(KEY).unwrap()] {
        let front = service("front", Echo { next: Some(next), ..Echo::default() });
        seen.push(relayed(&front.peer(KEY).unwrap()).await);
    }
    assert!(seen[0] != seen[1] && seen.iter().all(|id| id.len() == 32 && !id.trim_matches('0').is_empty()));

    let outer = tracing::info_span!("outer", told = "by nobody");
    outer.in_scope(|| {
        assert!(!Span::current().context().span().is_recording(), "nobody takes it");
        let (ours, child) = (parts(), tracing::info_span!("inner").in_scope(parts));
        assert_eq!((&ours[0], ours[2].as_str()), (&child[0], "01"), "services behind this one may record");
        assert_ne!(ours[1], child[1]);
    });

    // A caller that is not traced stays so, and one that is keeps its trace.
    for flags in ["00", "01"] {
        let resumed = tracing::info_span!("resumed");
        trace::resume(&resumed, &format!("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-{flags}"));
        let [id, parent, seen] = resumed.in_scope(parts);
        assert_eq!((id.as_str(), seen.as_str()), ("0af7651916cd43dd8448eb211c80319c", flags));
        assert_ne!(parent, "b7ad6b7169203331", "it is a span of its own");
    }
    mesh.stop().await;
}
