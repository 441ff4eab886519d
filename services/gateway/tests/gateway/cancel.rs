//! Requests that are given up: those that wait are not run, and a run that nobody waits for ends.

use std::sync::Arc;
use std::time::Duration;

use contracts::inference as wire;
use contracts::inference::infer_parameter::ParameterChoice;
use engine::Session;
use gateway::Control;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tonic::{Code, Request, Status};

use super::served::{Served, first, slow, turns};
use super::stage::until;

/// Connections of gRPC, each with no more calls than one takes at a time.
const CONNECTIONS: usize = 10;
/// Time of a request that ends while it waits: long enough for all of them to come.
const TIME: Duration = Duration::from_secs(8);

type Answer = Result<wire::ModelInferResponse, Status>;

/// A gateway whose only instance is at work on a request that never ends by itself.
struct Occupied {
    served: Served,
    session: Arc<dyn Session>,
    endless: JoinHandle<Answer>,
    rows_before: u64,
}

impl Occupied {
    async fn new() -> Option<Self> {
        let served = Served::start(Control::None, &[("slow.onnx", slow(0.0))]).await?;
        let session = served.engine.newest();
        // The model is known to be slow: what comes goes to its own thread and not to that of its caller.
        let answer = served.client().model_infer(turns("slow", 1.0, 2, 50_000)).await.unwrap();
        assert_eq!(first(answer.get_ref()), 1.0);
        let rows_before = session.counts().rows;
        // Of another width than all others: nobody runs with it, and as the first it runs first.
        let mut client = served.client();
        let endless = tokio::spawn(async move {
            client.model_infer(turns("slow", 1.0, 2, i64::MAX)).await.map(tonic::Response::into_inner)
        });
        let occupied = Self { served, session, endless, rows_before };
        occupied.waiting(0).await;
        Some(occupied)
    }

    /// Until so many requests wait behind the endless one.
    async fn waiting(&self, count: usize) {
        until(|| async { self.session.in_flight() == count + 1 }).await;
    }

    /// The caller of the endless request goes: its run ends, and those that still wait are answered.
    fn free(&self) {
        assert!(!self.endless.is_finished());
        self.endless.abort();
    }

    /// Rows that ran since it was occupied, the endless one's included.
    fn rows(&self) -> u64 {
        self.session.counts().rows - self.rows_before
    }

    /// `count` requests over several connections, each spoilt by its number.
    fn send(
        &self,
        count: usize,
        spoil: impl Fn(usize, &mut Request<wire::ModelInferRequest>),
    ) -> Vec<JoinHandle<Answer>> {
        let clients: Vec<_> = (0..CONNECTIONS).map(|_| self.served.client()).collect();
        let send = |at: usize| {
            let mut client = clients[at % CONNECTIONS].clone();
            let mut request = Request::new(turns("slow", at as f32, 1, 1));
            spoil(at, &mut request);
            tokio::spawn(async move { client.model_infer(request).await.map(tonic::Response::into_inner) })
        };
        (0..count).map(send).collect()
    }
}

/// One in ten stays.
fn stays(at: usize) -> bool {
    at.is_multiple_of(10)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_callers_gave_up_while_it_waited_is_not_run() {
    let Some(occupied) = Occupied::new().await else { return };
    let sent = occupied.send(1000, |_, _| {});
    occupied.waiting(1000).await;
    let mut kept = Vec::new();
    for (at, one) in sent.into_iter().enumerate() {
        if stays(at) {
            kept.push((at, one));
        } else {
            one.abort();
        }
    }
    occupied.waiting(100).await;
    occupied.free();
    for (at, one) in kept {
        assert_eq!(first(&one.await.unwrap().unwrap()), at as f32);
    }
    until(|| async { occupied.session.in_flight() == 0 }).await;
    assert_eq!(occupied.rows(), 101, "a hundred, and the one that was at work");
    let asked = wire::ModelStatisticsRequest { name: "slow".into(), version: String::new() };
    let told = occupied.served.client().model_statistics(asked).await.unwrap().into_inner();
    assert_eq!(told.model_stats[0].inference_count, 101, "a hundred, and the one before");
    let counted = told.model_stats[0].inference_stats.unwrap();
    assert_eq!((counted.success.unwrap().count, counted.fail.unwrap().count), (101, 901));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_met_its_callers_deadline_while_it_waited_is_not_run() {
    let Some(occupied) = Occupied::new().await else { return };
    let sent = occupied.send(1000, |at, request| match at % 10 {
        0 => {}
        1..5 => request.set_timeout(TIME),
        // Known to the gateway alone: nobody resets the call.
        _ => {
            let choice = ParameterChoice::Int64Param(TIME.as_micros() as i64);
            let parameter = wire::InferParameter { parameter_choice: Some(choice) };
            request.get_mut().parameters.insert("timeout".into(), parameter);
        }
    });
    occupied.waiting(1000).await;
    let mut kept = Vec::new();
    for (at, one) in sent.into_iter().enumerate() {
        if stays(at) {
            kept.push((at, one));
        } else {
            assert_eq!(one.await.unwrap().unwrap_err().code(), Code::DeadlineExceeded, "{at}");
        }
    }
    occupied.waiting(100).await;
    occupied.free();
    for (at, one) in kept {
        assert_eq!(first(&one.await.unwrap().unwrap()), at as f32);
    }
    until(|| async { occupied.session.in_flight() == 0 }).await;
    assert_eq!(occupied.rows(), 101, "a hundred, and the one that was at work");
}

/// Over HTTP/1.1 a caller gives up by closing its connection, of which a process has fewer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_callers_over_http_gave_up_is_not_run() {
    let Some(occupied) = Occupied::new().await else { return };
    let mut sent = Vec::new();
    for at in 0..300 {
        let body = json!({"inputs": [
            {"name": "x", "datatype": "FP32", "shape": [1, 1], "data": [at]},
            {"name": "k", "datatype": "INT64", "shape": [1, 1], "data": [1]},
        ]});
        sent.push(post(&occupied.served, &body).await);
    }
    occupied.waiting(300).await;
    let mut kept = Vec::new();
    for (at, connection) in sent.into_iter().enumerate() {
        if stays(at) {
            kept.push((at, connection));
        }
    }
    occupied.waiting(30).await;
    occupied.free();
    for (at, connection) in kept {
        let answer = read(connection).await;
        assert_eq!(answer["outputs"][0]["data"][0].as_f64(), Some(at as f64), "{answer}");
    }
    until(|| async { occupied.session.in_flight() == 0 }).await;
    assert_eq!(occupied.rows(), 31, "thirty, and the one that was at work");
}

/// Sends a request and leaves the connection open.
async fn post(served: &Served, body: &Value) -> TcpStream {
    let mut connection = TcpStream::connect(served.rest).await.unwrap();
    let body = body.to_string();
    let head = format!(
        "POST /v2/models/slow/infer HTTP/1.1\r\nhost: gateway\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    connection.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    connection
}

async fn read(mut connection: TcpStream) -> Value {
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_whose_only_caller_went_away_ends_on_every_way_in() {
    let Some(occupied) = Occupied::new().await else { return };
    let Occupied { served, session, endless, .. } = &occupied;
    endless.abort();
    until(|| async { session.in_flight() == 0 }).await;

    let asked = tokio_stream::iter((0..4).map(|_| turns("slow", 1.0, 2, i64::MAX)));
    let stream = served.client().model_stream_infer(asked).await.unwrap();
    until(|| async { session.in_flight() == 4 }).await;
    drop(stream);
    until(|| async { session.in_flight() == 0 }).await;

    let body = json!({"inputs": [
        {"name": "x", "datatype": "FP32", "shape": [1, 1], "data": [1]},
        {"name": "k", "datatype": "INT64", "shape": [1, 1], "data": [i64::MAX]},
    ]});
    let connection = post(served, &body).await;
    until(|| async { session.in_flight() == 1 }).await;
    drop(connection);
    until(|| async { session.in_flight() == 0 }).await;

    let answer = served.client().model_infer(turns("slow", 3.0, 1, 1)).await.unwrap();
    assert_eq!(first(answer.get_ref()), 3.0, "the instance is free again");
    let Occupied { served, .. } = occupied;
    served.stop().await;
}
