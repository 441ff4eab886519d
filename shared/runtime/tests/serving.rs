//! What operators see: readiness, metrics, health, reflection, and a start that is refused.
#![allow(clippy::unwrap_used)]

mod echo;

use std::net::SocketAddr;

use echo::{Echo, KEY, service};
use futures::StreamExt;
use runtime::{Listen, Peer, bind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::sync::CancellationToken;
use tonic::Request;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::{ServerReflectionRequest, ServiceResponse};

async fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_shows_on_both_listeners_and_ends_with_the_stop() {
    let served = service("echo", Echo::default());
    let (readiness, tasks) = (served.readiness().clone(), served.tasks().clone());
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let bound = bind(Listen { rpc: any, metrics: Some(any), http: None }).await.unwrap();
    let (metrics, url) = (bound.metrics_address().unwrap(), format!("http://{}", bound.rpc_address()));
    let stop = CancellationToken::new();
    let serving = tokio::spawn(bound.serve(served, stop.clone().cancelled_owned()));

    assert!(get(metrics, "/livez").await.contains("alive"));
    assert!(get(metrics, "/readyz").await.starts_with("HTTP/1.1 200"));
    let mut health = HealthClient::new(Peer::connect(&url, "").unwrap());
    let mut seen = health.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    assert_eq!(seen.next().await.unwrap().unwrap().status, 1);

    readiness.set("database", false);
    assert_eq!(seen.next().await.unwrap().unwrap().status, 2);
    let answer = get(metrics, "/readyz").await;
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("database"), "{answer}");
    readiness.set("database", true);
    assert_eq!(seen.next().await.unwrap().unwrap().status, 1);
    assert!(get(metrics, "/metrics").await.contains("# EOF"));

    stop.cancel();
    assert_eq!(seen.next().await.unwrap().unwrap().status, 2, "not ready comes first");
    let end = seen.next().await.unwrap().unwrap_err();
    assert_eq!(runtime::status::reason(&end).as_deref(), Some("DRAINING"));
    serving.await.unwrap().unwrap();
    assert!(tasks.stopping().is_cancelled());
}

#[tokio::test(flavor = "multi_thread")]
async fn reflection_lists_what_is_served() {
    let served = service("echo", Echo::default());
    let mut client = ServerReflectionClient::new(served.peer(KEY).unwrap());
    let ask = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let asked = Request::new(futures::stream::iter([ask]));
    let mut answers = client.server_reflection_info(asked).await.unwrap().into_inner();
    let Some(MessageResponse::ListServicesResponse(list)) =
        answers.next().await.unwrap().unwrap().message_response
    else {
        panic!("no list");
    };
    let mut names: Vec<_> = list.service.into_iter().map(|ServiceResponse { name }| name).collect();
    names.sort();
    assert_eq!(names, ["grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "test.Echo"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_address_is_refused_with_development_keys() {
    let listen = Listen { rpc: "0.0.0.0:0".parse().unwrap(), metrics: None, http: None };
    let started = runtime::serve(listen, service("echo", Echo::default()), std::future::pending());
    let refused = started.await.unwrap_err().to_string();
    assert!(refused.contains("refused to listen on 0.0.0.0"), "{refused}");
}
