//! Callers that mean harm, byte by byte: each meets its limit, and the next caller gets an answer.
#![allow(clippy::unwrap_used)]

mod echo;
mod frames;

use std::io::Write;
use std::time::Duration;

use bytes::Bytes;
use echo::{KEY, Mesh, raw_body, say};
use frames::{DATA, PREFACE, RESET, call, closed, farewell, frame, greeted, greeted_with, next};
use futures::{StreamExt, stream};
use http_body::Frame;
use http_body_util::{Full, StreamBody};
use runtime::{Peer, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::body::Body;
use tonic::{Code, Request, Status};

async fn alive(mesh: &Mesh) {
    let [remote, _] = mesh.both(KEY);
    assert_eq!(say(&remote, Request::new("hello".into())).await.unwrap(), "hello from ml-engineer");
}

/// A call as gRPC's callers make it: one that met the end of its connection did not reach the service, and is made again.
async fn said_again(remote: &Peer) -> String {
    for _ in 0..5 {
        match say(remote, Request::new("hello".into())).await {
            Err(status) if status.code() == Code::Unavailable => {}
            answer => return answer.unwrap(),
        }
    }
    panic!("no connection lasts");
}

/// How many connections the service has closed for that reason.
fn count(mesh: &Mesh, why: &str) -> u64 {
    let text = mesh.metrics.encode().unwrap();
    let series = format!(r#"wlp_connections_closed_total{{service="echo",listener="grpc",why="{why}"}} "#);
    text.lines().find_map(|line| line.strip_prefix(&series)).map_or(0, |count| count.parse().unwrap())
}

/// Waits for a fact.
async fn until(fact: impl Fn() -> bool) {
    let waited = async {
        while !fact() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waited).await.expect("it comes to be");
}

/// Memory of this process, in bytes.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    text.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_speak_http2_is_closed_at_once_and_who_says_nothing_soon() {
    let mesh = Mesh::with(Transport { preface_ms: 200, ..Transport::default() }).await;
    let hello = [&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3][..], &[7; 64]].concat();
    let wrong: [&[u8]; 3] = [b"GET / HTTP/1.1\r\nhost: here\r\n\r\n", &hello, &[0; 300]];
    let mut expected = 0;
    for bytes in wrong {
        let mut stream = TcpStream::connect(mesh.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        closed(&mut stream).await;
        expected += 1;
    }
    for bytes in [&PREFACE[..0], &PREFACE[..23]] {
        let mut stream = TcpStream::connect(mesh.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        closed(&mut stream).await;
        expected += 1;
    }
    assert_eq!(count(&mesh, "preface"), expected);
    alive(&mesh).await;
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_frame_and_then_silence_is_closed() {
    let limits = Transport { keep_alive_ms: 100, keep_alive_timeout_ms: 100, ..Transport::default() };
    let mesh = Mesh::with(limits).await;
    let mut stream = greeted(mesh.address).await;
    let whole = call("/test.Echo/Public", 1, true);
    stream.write_all(&whole[..whole.len() / 2]).await.unwrap();
    closed(&mut stream).await;
    alive(&mesh).await;
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_beyond_the_limit_are_closed_and_the_others_kept() {
    let limits = Transport { connections: 16, connections_per_peer: 12, ..Transport::default() };
    let mesh = Mesh::with(limits).await;
    let mut held = Vec::new();
    for _ in 0..12 {
        let mut stream = greeted(mesh.address).await;
        assert!(next(&mut stream).await.is_some(), "it is served");
        held.push(stream);
    }
    for _ in 0..1000 {
        let mut stream = TcpStream::connect(mesh.address).await.unwrap();
        closed(&mut stream).await;
    }
    assert_eq!(count(&mesh, "connections_per_peer"), 1000);
    let mut kept = held.pop().unwrap();
    kept.write_all(&frame(6, 0, 0, &[1; 8])).await.unwrap();
    while next(&mut kept).await.expect("it is kept").0 != 6 {}
    drop((held, kept));
    let open = r#"wlp_connections{service="echo",listener="grpc"} 0"#;
    until(|| mesh.metrics.encode().unwrap().contains(open)).await;
    alive(&mesh).await;
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_resets_ends_its_connection_alone_and_takes_no_memory() {
    let mesh = Mesh::with(Transport::default()).await;
    let [legit, _] = mesh.both(KEY);
    say(&legit, Request::new("hello".into())).await.unwrap();
    let before = resident();
    let flood: Vec<u8> = (0..5000_u32)
        .flat_map(|n| {
            [call("/test.Echo/Public", 2 * n + 1, false), frame(RESET, 0, 2 * n + 1, &[0, 0, 0, 8])]
        })
        .flatten()
        .collect();
    let mut calmed = 0;
    for _ in 0..20 {
        let (mut read, mut write) = greeted(mesh.address).await.into_split();
        let flood = flood.clone();
        let sending = tokio::spawn(async move { write.write_all(&flood).await.map(|()| write) });
        let mut answer = Vec::new();
        // The end of it is the service's: this side stays open until then.
        let _ = read.read_to_end(&mut answer).await;
        let _ = sending.await.unwrap();
        // GOAWAY with ENHANCE_YOUR_CALM; a reset of the connection may have overtaken it.
        calmed += u32::from(answer.windows(4).any(|part| part == [0, 0, 0, 11]));
    }
    assert!(0 < calmed, "nobody was told why");
    assert_eq!(say(&legit, Request::new("hello".into())).await.unwrap(), "hello from ml-engineer");
    let grown = resident().saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes more");
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn long_metadata_is_taken_to_its_limit() {
    let mesh = Mesh::start().await;
    let [remote, _] = mesh.both(KEY);
    let with = |length: usize| {
        let mut request = Request::new("hello".to_owned());
        request.metadata_mut().insert("x-long", "a".repeat(length).parse().unwrap());
        request
    };
    assert_eq!(say(&remote, with(10_000)).await.unwrap(), "hello from ml-engineer");
    say(&remote, with(20_000)).await.unwrap_err();
    alive(&mesh).await;
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_or_followed_by_garbage_has_its_code() {
    let mesh = Mesh::start().await;
    let [remote, local] = mesh.both(KEY);
    let message = |flag: u8, bytes: &[u8]| {
        let mut whole = vec![flag];
        whole.extend((bytes.len() as u32).to_be_bytes());
        whole.extend(bytes);
        whole
    };
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..64 {
        packed.write_all(&[0; 1 << 20]).unwrap();
    }
    let bomb = message(1, &packed.finish().unwrap());
    assert!(bomb.len() < 100_000);
    let hello = message(0, b"\x0a\x05hello");
    let cases = [
        ("a message over the limit", message(0, &vec![0; 5 << 20]), "identity", Code::ResourceExhausted),
        ("a bomb", bomb, "gzip", Code::ResourceExhausted),
        ("what is not gzip", message(1, &[9; 40]), "gzip", Code::InvalidArgument),
        ("packed, but not said how", message(1, &[9; 40]), "identity", Code::InvalidArgument),
        ("half a head behind", [&hello[..], &[0, 0, 0]].concat(), "identity", Code::InvalidArgument),
        ("a flag that is none", [&hello[..], &[0xff; 9]].concat(), "identity", Code::InvalidArgument),
        ("an encoding that is none", hello.clone(), "br", Code::Unimplemented),
    ];
    for (what, bytes, encoding, code) in cases {
        for peer in [&remote, &local] {
            let body = Body::new(Full::new(Bytes::from(bytes.clone())));
            assert_eq!(raw_body(peer, body, "application/grpc", encoding).await, Ok(code), "{what}");
        }
    }
    alive(&mesh).await;
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_stops_half_way_is_late() {
    let mesh = Mesh::with(Transport { pause_ms: 150, ..Transport::default() }).await;
    let [remote, _] = mesh.both(KEY);
    let half = stream::iter([Ok::<_, Status>(Frame::data(Bytes::from_static(&[0, 0, 0, 0, 7, 0x0a])))]);
    let body = Body::new(StreamBody::new(half.chain(stream::pending())));
    assert_eq!(raw_body(&remote, body, "application/grpc", "identity").await, Ok(Code::DeadlineExceeded));
    alive(&mesh).await;
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_trickles_is_late() {
    let mesh = Mesh::with(Transport { message_ms: 300, ..Transport::default() }).await;
    let [remote, _] = mesh.both(KEY);
    let trickle = stream::unfold(0_u32, |n| async move {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let part: &'static [u8] = if n == 0 { &[0, 0, 0, 0xff, 0] } else { &[0] };
        Some((Ok::<_, Status>(Frame::data(Bytes::from_static(part))), n + 1))
    });
    let body = Body::new(StreamBody::new(trickle));
    assert_eq!(raw_body(&remote, body, "application/grpc", "identity").await, Ok(Code::DeadlineExceeded));
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_or_old_connection_is_told_to_go_and_its_caller_comes_back() {
    for (limits, why) in [
        (Transport { idle_ms: 100, ..Transport::default() }, "idle"),
        (Transport { age_ms: 100, ..Transport::default() }, "age"),
    ] {
        let mesh = Mesh::with(limits).await;
        let [remote, _] = mesh.both(KEY);
        for round in 1..4 {
            assert_eq!(said_again(&remote).await, "hello from ml-engineer");
            until(|| round <= count(&mesh, why)).await;
        }
        mesh.stop().await;
    }
}

/// Its windows let nothing through, and it never opens them.
#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_take_its_answers_is_closed() {
    let mesh = Mesh::with(Transport { stall_ms: 200, ..Transport::default() }).await;
    // SETTINGS_INITIAL_WINDOW_SIZE
    let mut stream = greeted_with(mesh.address, &[0, 4, 0, 0, 0, 0]).await;
    stream.write_all(&call("/test.Echo/Public", 1, false)).await.unwrap();
    stream.write_all(&frame(DATA, 1, 1, b"\0\0\0\0\x07\x0a\x05hello")).await.unwrap();
    assert!(!farewell(&mut stream).await.is_empty(), "it is told first");
    assert_eq!(count(&mesh, "stall"), 2, "told, then closed");
    alive(&mesh).await;
    mesh.stop().await;
}
