//! One small service met over TCP and in process: both must answer alike.

#![allow(clippy::unwrap_used)]

mod echo;

use std::time::{Duration, SystemTime};

use echo::{KEY, LEAD, Mesh, say, watch};
use runtime::{Caller, Kind, status};
use tonic::{Code, Request};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

#[tokio::test(flavor = "multi_thread")]
async fn a_generated_client_works_over_both_kinds_in_a_spawned_task() {
    let mesh = Mesh::start().await;
    for peer in mesh.both(KEY) {
        let served = tokio::spawn(async move {
            HealthClient::new(peer).check(HealthCheckRequest { service: "test.Echo".into() }).await
        });
        assert_eq!(served.await.unwrap().unwrap().into_inner().status, 1);
    }
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deadlines_and_panics_answer_alike_on_both_paths() {
    let mesh = Mesh::start().await;
    for peer in mesh.both(KEY) {
        assert_eq!(say(&peer, Request::new("hello".into())).await.unwrap(), "hello from ml-engineer");

        let mut slow = Request::new("sleep".to_owned());
        slow.set_timeout(Duration::from_millis(60));
        let late = say(&peer, slow).await.unwrap_err();
        assert_eq!(
            (late.code(), status::reason(&late).as_deref()),
            (Code::DeadlineExceeded, Some("DEADLINE_EXCEEDED"))
        );

        // No timeout asked: the server's default (400 ms here) is in force.
        let late = say(&peer, Request::new("sleep".into())).await.unwrap_err();
        assert_eq!(late.code(), Code::DeadlineExceeded);
        // The caller's own default is shorter.
        let hasty = peer.clone().with_deadline(Duration::from_millis(50));
        let late = say(&hasty, Request::new("sleep".into())).await.unwrap_err();
        assert_eq!(late.code(), Code::DeadlineExceeded);

        let panicked = say(&peer, Request::new("panic".into())).await.unwrap_err();
        assert_eq!((panicked.code(), status::reason(&panicked).as_deref()), (Code::Internal, Some("PANIC")));
        assert_eq!(say(&peer, Request::new("hello".into())).await.unwrap(), "hello from ml-engineer");
    }
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_with_its_deadline_and_has_none_by_default() {
    let mesh = Mesh::start().await;
    for peer in mesh.both(KEY) {
        let mut bounded = Request::new("ticks".to_owned());
        bounded.set_timeout(Duration::from_millis(150));
        let (seen, end) = watch(&peer, bounded, 100).await;
        assert!((1..50).contains(&seen), "{seen}");
        assert_eq!(end.unwrap().code(), Code::DeadlineExceeded);

        // 60 ticks of 10 ms are longer than the default deadline of a unary call.
        let (seen, end) = watch(&peer, Request::new("ticks".into()), 60).await;
        assert!(seen == 60 && end.is_none(), "{seen} {end:?}");

        let (seen, end) = watch(&peer, Request::new("panic".into()), 60).await;
        assert_eq!((seen, end.unwrap().code()), (1, Code::Internal));
    }
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn access_is_denied_unless_a_row_allows_it() {
    let mesh = Mesh::start().await;
    let cases = [
        ("Say", KEY, Code::Ok, ""),
        ("Say", "", Code::Unauthenticated, "KEY_MISSING"),
        ("Say", "wlp_wrong", Code::Unauthenticated, "KEY_UNKNOWN"),
        ("Say", echo::EXPIRED, Code::Unauthenticated, "KEY_EXPIRED"),
        ("Say", LEAD, Code::PermissionDenied, "ROLE_REQUIRED"),
        ("Any", LEAD, Code::Ok, ""),
        ("Any", "", Code::Unauthenticated, "KEY_MISSING"),
        ("Public", "", Code::Ok, ""),
        ("Public", "wlp_wrong", Code::Ok, ""),
        ("Unlisted", KEY, Code::Unimplemented, "UNKNOWN_METHOD"),
    ];
    for (method, key, code, reason) in cases {
        for peer in mesh.both(key) {
            let answer =
                echo::call(&peer, &format!("/test.Echo/{method}"), Request::new("hello".into())).await;
            let seen = answer.as_ref().err().map_or(Code::Ok, tonic::Status::code);
            assert_eq!(seen, code, "{method} {key} {answer:?}");
            if let Err(refused) = answer {
                assert_eq!(status::reason(&refused).as_deref(), Some(reason), "{method} {key}");
                if reason == "ROLE_REQUIRED" {
                    let told =
                        "§12 roles of ml-lead: ml-lead, required one of ml-engineer, for /test.Echo/Say";
                    assert_eq!(refused.message(), told);
                    let facts = status::metadata(&refused);
                    assert_eq!((facts["clause"].as_str(), facts["observed"].as_str()), ("§12", "ml-lead"));
                }
            }
        }
    }
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identity_cannot_be_claimed() {
    let mesh = Mesh::start().await;
    for peer in mesh.both(KEY) {
        let mut request = Request::new("headers".to_owned());
        request.metadata_mut().insert("x-wlp-principal", "admin".parse().unwrap());
        let forged = Caller { principal: "admin".into(), kind: Kind::Person, roles: vec!["admin".into()] };
        request.extensions_mut().insert(forged);
        assert_eq!(
            say(&peer, request).await.unwrap(),
            "x-wlp-principal=false authorization=false from ml-engineer"
        );
    }
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_the_callers_fault() {
    let mesh = Mesh::start().await;
    for peer in mesh.both(KEY) {
        let garbage = echo::raw(&peer, &[0, 0, 0, 0, 3, 0x0a, 0x05, 0xff], "application/grpc").await;
        assert_eq!(garbage, Ok(Code::InvalidArgument));
        let cut = echo::raw(&peer, &[0, 0, 0, 0, 9, 0x0a], "application/grpc").await;
        assert_eq!(cut, Ok(Code::InvalidArgument));
        let huge = echo::raw(&peer, &[0, 0xff, 0xff, 0xff, 0xff], "application/grpc").await;
        assert_eq!(huge, Ok(Code::ResourceExhausted));
        assert_eq!(echo::raw(&peer, &[], "text/html").await, Err(415));
    }
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_peer_is_unavailable_and_comes_back() {
    let mesh = Mesh::start().await;
    let address = mesh.address;
    let [remote, _] = mesh.both(KEY);
    say(&remote, Request::new("hello".into())).await.unwrap();
    mesh.stop().await;
    let gone = say(&remote, Request::new("hello".into())).await.unwrap_err();
    assert_eq!(gone.code(), Code::Unavailable, "{gone:?}");
    assert!(status::retry_after(&gone).is_some());
    let mesh = Mesh::at(address).await;
    assert_eq!(say(&remote, Request::new("hello".into())).await.unwrap(), "hello from ml-engineer");
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_drains_calls_and_metrics_tell_of_them() {
    let mesh = Mesh::start().await;
    let [remote, local] = mesh.both(KEY);
    say(&local, Request::new("hello".into())).await.unwrap();
    let text = mesh.metrics.encode().unwrap();
    let line = r#"wlp_rpc_handled_total{service="echo",method="test.Echo/Say",code="OK"} 1"#;
    assert!(text.contains(line), "{text}");
    let running = tokio::spawn(async move { say(&remote, Request::new("brief".into())).await });
    tokio::time::sleep(Duration::from_millis(50)).await;
    let start = SystemTime::now();
    mesh.stop().await;
    assert_eq!(running.await.unwrap().unwrap(), "brief from ml-engineer");
    assert!(start.elapsed().unwrap() < Duration::from_secs(5));
}

#[test]
fn every_bad_field_is_named_within_what_trailers_hold() {
    let bad = (0..500).map(|n| runtime::FieldViolation::new(format!("field_{n}"), "must be set")).collect();
    let refused = runtime::bad_request(bad);
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.details().len() < 5000 && refused.message().len() < 1100);
    let named = status::field_violations(&refused);
    assert_eq!(named[0].field, "field_0");
    assert!(named.last().unwrap().description.starts_with("and "));
}
