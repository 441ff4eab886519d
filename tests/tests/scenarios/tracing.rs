//! One trace through the whole mesh in one process, received over OTLP as five services.
//!
//! Telemetry belongs to the process, so there is one runtime for it, which outlives the tests. Only the calls of these tests
//! are recorded: no span of a neighbour fills the exporter's queue.

use std::future::Future;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use contracts::registry::v1::rollout::State;
use runtime::config::{LogFormat, Telemetry};
use runtime::telemetry::Guard;
use tests::infer;
use tests::mesh::Mesh;
use tests::otlp::{Collector, Seen};
use tokio::runtime::Runtime;
use tracing::Instrument;

struct Shared {
    _runtime: Runtime,
    collector: Collector,
    guard: Guard,
}

fn shared() -> &'static Shared {
    static SHARED: OnceLock<Shared> = OnceLock::new();
    SHARED.get_or_init(|| {
        std::thread::spawn(|| {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
            let runtime = runtime.expect("a runtime");
            let (collector, guard) = runtime.block_on(async {
                let (collector, address) = Collector::start(false).await;
                let telemetry = Telemetry {
                    log: LogFormat::Json,
                    filter: "off".into(),
                    otlp_endpoint: format!("http://{address}"),
                    sample_ratio: 0.0,
                };
                (collector, runtime::telemetry::init("tests", &telemetry).expect("telemetry"))
            });
            Shared { _runtime: runtime, collector, guard }
        })
        .join()
        .expect("telemetry")
    })
}

async fn flushed() {
    let _ = tokio::task::spawn_blocking(|| shared().guard.flush()).await;
}

/// A trace whose root this test is, and what came of it.
async fn traced<T>(work: impl Future<Output = T>) -> (String, T) {
    let span = tracing::info_span!("client", "sampling.priority" = 1);
    async {
        let trace = runtime::trace::trace_id().expect("a trace");
        shared().collector.want(&trace);
        (trace, work.await)
    }
    .instrument(span)
    .await
}

fn names_of(spans: &[Seen], service: &str) -> Vec<String> {
    spans.iter().filter(|span| span.service == service).map(|span| span.name.clone()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_inference_shows_admit_route_queue_batch_run() {
    let shared = shared();
    let mesh = Mesh::start().await;
    let line = mesh.canary("traced", "1.0.0").await;
    mesh.climb(&line, "first").await;
    let row = tests::made::rows(1, 1).remove(0);
    let mut client = line.by("client").inference();
    let (trace, answer) = traced(async { client.model_infer(infer::request("traced", &row)).await }).await;
    answer.expect("answered");
    flushed().await;
    let stages = ["admit", "route", "queue", "batch", "run"];
    let all = |spans: &[Seen]| {
        let names = names_of(spans, "gateway");
        stages.iter().all(|stage| names.iter().any(|name| name == stage))
    };
    let spans = shared.collector.trace_with(&trace, all).await;
    let server = spans
        .iter()
        .find(|span| span.name == "inference.GRPCInferenceService/ModelInfer" && span.service == "gateway");
    let server = server.expect("the server's span");
    let ids: Vec<_> = spans.iter().map(|span| span.id.clone()).collect();
    for stage in stages {
        let span = spans.iter().find(|span| span.name == stage).expect("a stage");
        assert!(ids.contains(&span.parent), "{stage} hangs on nothing: {spans:#?}");
    }
    assert!(ids.contains(&server.parent), "the client's span is its parent");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trace_crosses_gateway_monitor_and_registry() {
    let shared = shared();
    let mesh = Mesh::start().await;
    let line = mesh.canary("crossing", "1.0.0").await;
    mesh.climb(&line, "first").await;
    mesh.next_canary(&line, "1.1.0", 2, "second").await;
    mesh.engine.fail_share(&line.get("1.1.0").await.artifact_digest, 1.0);
    let mut traces = Vec::new();
    let begun = Instant::now();
    while line.rollout_now("second").await.state() != State::RolledBack {
        assert!(begun.elapsed() < Duration::from_secs(60), "the canary is not rolled back");
        let (trace, _) = traced(infer::clean(&line.by("client"), "crossing", 40)).await;
        traces.push(trace);
        mesh.clock.advance(Duration::from_secs(2));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for service in ["gateway", "registry", "monitor"] {
        mesh.until(&format!("the trace of a request reaches the {service}"), || async {
            flushed().await;
            let names = |trace: &String| names_of(&shared.collector.trace(trace), service);
            traces.iter().any(|trace| !names(trace).is_empty()).then_some(())
        })
        .await;
    }
}
