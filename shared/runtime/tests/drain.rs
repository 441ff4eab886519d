//! A stop under load: what has begun ends well, and what comes later is told to go elsewhere.
#![allow(clippy::unwrap_used)]

mod echo;

use std::sync::atomic::Ordering;
use std::time::Duration;

use echo::{Echo, KEY, Mesh, say};
use runtime::Transport;
use tokio::net::TcpStream;
use tonic::{Code, Request};

const CALLERS: usize = 10;
const CALLS: usize = 20;

#[tokio::test(flavor = "multi_thread")]
async fn calls_in_flight_at_a_stop_all_end_well() {
    let echo = Echo::default();
    let (began, release) = (echo.began.clone(), echo.release.clone());
    let mesh = Mesh::of(echo, Transport::default()).await;
    let mut calls = Vec::new();
    let mut peers = Vec::new();
    for _ in 0..CALLERS {
        let [remote, _] = mesh.both(KEY);
        for _ in 0..CALLS {
            let peer = remote.clone();
            calls.push(tokio::spawn(async move { say(&peer, Request::new("held".into())).await }));
        }
        peers.push(remote);
    }
    let all = async {
        while began.load(Ordering::SeqCst) < CALLERS * CALLS {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), all).await.expect("all begin");
    let address = mesh.address;
    let stopping = tokio::spawn(mesh.stop());
    let closed = async {
        while TcpStream::connect(address).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), closed).await.expect("nobody listens any more");
    assert!(calls.iter().all(|call| !call.is_finished()), "all are in flight");
    release.cancel();
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap(), "held from ml-engineer");
    }
    stopping.await.unwrap();
    for peer in peers {
        let refused = say(&peer, Request::new("held".into())).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
    }
    assert_eq!(began.load(Ordering::SeqCst), CALLERS * CALLS, "what was refused was not begun");
}

/// Callers that go on while the service is replaced at the same address lose nothing that had begun, and nothing that they
/// ask again for.
#[tokio::test(flavor = "multi_thread")]
async fn callers_of_a_service_that_is_replaced_come_back_to_it() {
    let first = Mesh::start().await;
    let address = first.address;
    let [remote, _] = first.both(KEY);
    let caller = tokio::spawn(async move {
        let mut answered = 0;
        while answered < 100 {
            match say(&remote, Request::new("hello".into())).await {
                Ok(_) => answered += 1,
                Err(status) => {
                    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    first.stop().await;
    let second = Mesh::at(address).await;
    caller.await.unwrap();
    second.stop().await;
}
