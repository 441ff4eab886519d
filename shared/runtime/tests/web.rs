//! A service's own router over HTTP/1.1: bounded, traced, and drained as gRPC is.
#![allow(clippy::unwrap_used)]

mod echo;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::{get, post};
use echo::{Echo, service};
use http_body_util::BodyExt;
use runtime::{Listen, bind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

struct Served {
    address: SocketAddr,
    /// Told when the slow request has begun.
    began: Arc<Notify>,
    stop: CancellationToken,
    serving: tokio::task::JoinHandle<anyhow::Result<()>>,
}

fn router(began: Arc<Notify>) -> Router {
    let length = async |body: Body| body.collect().await.map(|it| it.to_bytes().len().to_string()).unwrap();
    let slow = move || {
        let began = began.clone();
        async move {
            began.notify_one();
            tokio::time::sleep(Duration::from_millis(300)).await;
            "slow"
        }
    };
    Router::new()
        .route("/length", post(length))
        .route("/unread", post(async || "unread"))
        .route("/slow", get(slow))
        .route("/panic", get(async || -> &'static str { panic!("on purpose") }))
}

async fn served() -> Served {
    let began = Arc::new(Notify::new());
    let service = service("echo", Echo::default()).with_http(router(began.clone()));
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let bound = bind(Listen { rpc: any, metrics: None, http: Some(any) }).await.unwrap();
    let (address, stop) = (bound.http_address().unwrap(), CancellationToken::new());
    let serving = tokio::spawn(bound.serve(service, stop.clone().cancelled_owned()));
    Served { address, began, stop, serving }
}

/// Sends text and reads until the other side closes.
async fn talk(address: SocketAddr, text: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A reset at the very end is as good as an end.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

fn request(line: &str, headers: &str, body: &str) -> String {
    let length = if body.is_empty() { String::new() } else { format!("content-length: {}\r\n", body.len()) };
    format!("{line} HTTP/1.1\r\nhost: here\r\nconnection: close\r\n{length}{headers}\r\n{body}")
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_answered_within_bounds_and_a_panic_ends_its_connection_alone() {
    let served = served().await;
    let ask = async |line: &str, headers: &str, body: &str| {
        talk(served.address, &request(line, headers, body)).await
    };
    let answer = ask("POST /length", "", "12345").await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("\r\n5"), "{answer}");
    let long = format!("x-long: {}\r\n", "a".repeat(17_000));
    let answer = ask("GET /slow", &long, "").await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    assert!(!ask("GET /panic", "", "").await.contains("200 OK"));
    assert!(ask("GET /slow", "", "").await.ends_with("slow"));
    served.stop.cancel();
    served.serving.await.unwrap().unwrap();
}

/// A body far larger than what sockets hold, which the handler does not read: the client gets its answer all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_nobody_reads_does_not_cost_the_answer() {
    let served = served().await;
    let answer = talk(served.address, &request("POST /unread", "", &"x".repeat(16 << 20))).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("unread"), "{}", answer.len());
    let asked = request("POST /unread", "expect: 100-continue\r\ncontent-length: 10\r\n", "");
    let answer = talk(served.address, &asked).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "nobody asks for a body that is not wanted: {answer}");
    served.stop.cancel();
    served.serving.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_lets_the_request_under_way_end_and_takes_no_other() {
    let served = served().await;
    let under_way = tokio::spawn(async move { talk(served.address, &request("GET /slow", "", "")).await });
    let idle = TcpStream::connect(served.address).await.unwrap();
    served.began.notified().await;
    served.stop.cancel();
    assert!(under_way.await.unwrap().ends_with("slow"));
    served.serving.await.unwrap().unwrap();
    assert!(TcpStream::connect(served.address).await.is_err(), "nobody listens any more");
    drop(idle);
}

#[tokio::test]
async fn an_address_without_a_router_and_an_open_one_are_refused() {
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let listen = Listen { rpc: any, metrics: None, http: Some(any) };
    let plain = service("echo", Echo::default());
    let refused = runtime::serve(listen, plain, std::future::pending()).await.unwrap_err().to_string();
    assert!(refused.contains("echo serves no HTTP"), "{refused}");
    let open = Listen { rpc: any, metrics: None, http: Some("0.0.0.0:0".parse().unwrap()) };
    let routed = service("echo", Echo::default()).with_http(router(Arc::default()));
    let refused = runtime::serve(open, routed, std::future::pending()).await.unwrap_err().to_string();
    assert!(refused.contains("refused to listen on 0.0.0.0"), "{refused}");
}
