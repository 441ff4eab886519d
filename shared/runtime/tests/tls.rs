//! TLS and mutual TLS end to end, and what does not get in.
#![allow(clippy::unwrap_used)]

mod echo;

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::routing::get;
use echo::{Echo, KEY, builder, say};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use runtime::transport::ServerTls;
use runtime::{ClientTls, Listen, Peer, Transport, bind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request};

/// A root with what it signed: `NAME-ca.pem`, `NAME-server.pem`, `NAME-client.pem` and their keys.
fn issue(folder: &Path, name: &str) {
    let mut root = CertificateParams::new(Vec::new()).unwrap();
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = CertifiedIssuer::self_signed(root, KeyPair::generate().unwrap()).unwrap();
    let write =
        |what: &str, text: String| fs::write(folder.join(format!("{name}-{what}.pem")), text).unwrap();
    write("ca", root.pem());
    for (what, host) in [("server", "127.0.0.1"), ("client", "caller.example")] {
        let key = KeyPair::generate().unwrap();
        let certificate =
            CertificateParams::new(vec![host.to_owned()]).unwrap().signed_by(&key, &root).unwrap();
        write(what, certificate.pem());
        write(&format!("{what}-key"), key.serialize_pem());
    }
}

struct Served {
    grpc: SocketAddr,
    http: SocketAddr,
    metrics: SocketAddr,
    stop: CancellationToken,
    serving: tokio::task::JoinHandle<anyhow::Result<()>>,
}

impl Served {
    async fn start(tls: ServerTls) -> Self {
        let limits = Transport { tls, preface_ms: 1000, ..Transport::default() };
        let service = builder("echo", Echo::default()).transport(limits).build().unwrap();
        let service = service.with_http(axum::Router::new().route("/hello", get(async || "hello")));
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let bound = bind(Listen { rpc: any, metrics: Some(any), http: Some(any) }).await.unwrap();
        let (grpc, http) = (bound.rpc_address(), bound.http_address().unwrap());
        let (metrics, stop) = (bound.metrics_address().unwrap(), CancellationToken::new());
        let serving = tokio::spawn(bound.serve(service, stop.clone().cancelled_owned()));
        Self { grpc, http, metrics, stop, serving }
    }

    async fn call(&self, tls: &ClientTls) -> Result<String, tonic::Status> {
        let peer = Peer::connect_with(&format!("https://{}", self.grpc), KEY, tls).unwrap();
        say(&peer, Request::new("hello".into())).await
    }

    async fn stop(self) {
        self.stop.cancel();
        self.serving.await.unwrap().unwrap();
    }
}

fn path(folder: &Path, file: &str) -> String {
    folder.join(file).display().to_string()
}

fn server(folder: &Path, client_ca: &str) -> ServerTls {
    let client_ca = if client_ca.is_empty() { String::new() } else { path(folder, client_ca) };
    let (cert, key) = (path(folder, "ours-server.pem"), path(folder, "ours-server-key.pem"));
    ServerTls { cert, key, client_ca }
}

/// Trusts the root of `ca`, and shows the client certificate of `shown` if that is a name.
fn client(folder: &Path, ca: &str, shown: &str) -> ClientTls {
    let ca = path(folder, &format!("{ca}-ca.pem"));
    if shown.is_empty() {
        return ClientTls { ca, ..ClientTls::default() };
    }
    let [cert, key] = ["client", "client-key"].map(|what| path(folder, &format!("{shown}-{what}.pem")));
    ClientTls { ca, cert, key }
}

/// GET over TLS without a certificate of the caller's.
async fn fetch(folder: &Path, address: SocketAddr, target: &str) -> std::io::Result<String> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(folder.join("ours-ca.pem")).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(address).await?;
    let name = "127.0.0.1".try_into().unwrap();
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    let request = format!("GET {target} HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    Ok(text)
}

#[tokio::test(flavor = "multi_thread")]
async fn all_three_listeners_speak_tls_to_who_trusts_them() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    issue(at, "ours");
    issue(at, "theirs");
    let served = Served::start(server(at, "")).await;
    assert_eq!(served.call(&client(at, "ours", "")).await.unwrap(), "hello from ml-engineer");
    assert!(fetch(at, served.http, "/hello").await.unwrap().ends_with("hello"));
    assert!(fetch(at, served.metrics, "/metrics").await.unwrap().contains("wlp_connections{"));

    let refused = served.call(&client(at, "theirs", "")).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    assert!(refused.message().contains("certificate"), "{}", refused.message());
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_root_for_callers_only_its_own_get_in_and_probes_need_none() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    issue(at, "ours");
    issue(at, "theirs");
    let served = Served::start(server(at, "ours-ca.pem")).await;
    assert_eq!(served.call(&client(at, "ours", "ours")).await.unwrap(), "hello from ml-engineer");
    for shown in ["", "theirs"] {
        let refused = served.call(&client(at, "ours", shown)).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unavailable, "{shown}: {refused:?}");
    }
    assert!(fetch(at, served.http, "/hello").await.map_or(true, |text| !text.contains("200 OK")));
    assert!(fetch(at, served.metrics, "/livez").await.unwrap().contains("alive"));
    served.stop().await;
}

/// Neither who shakes hands with nobody, nor who speaks in the clear, is in the way of others.
#[tokio::test(flavor = "multi_thread")]
async fn bad_handshakes_end_by_themselves() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    issue(at, "ours");
    let served = Served::start(server(at, "")).await;
    let mut silent = Vec::new();
    for address in [served.grpc, served.http, served.metrics] {
        for bytes in [&b""[..], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", &[0x16, 3, 1]]
        {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(bytes).await.unwrap();
            silent.push(stream);
        }
    }
    assert_eq!(served.call(&client(at, "ours", "")).await.unwrap(), "hello from ml-engineer");
    for mut stream in silent {
        let mut rest = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut rest)).await;
        let _ = ended.expect("the service closes");
    }
    let plain = Peer::connect(&format!("http://{}", served.grpc), KEY).unwrap();
    let refused = say(&plain, Request::new("hello".into())).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
    let text = fetch(at, served.metrics, "/metrics").await.unwrap();
    for listener in ["grpc", "http", "metrics"] {
        let series = format!(
            r#"wlp_connections_closed_total{{service="echo",listener="{listener}",why="handshake"}}"#
        );
        assert!(text.contains(&series), "{text}");
    }
    assert_eq!(served.call(&client(at, "ours", "")).await.unwrap(), "hello from ml-engineer");
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_cannot_be_used_are_named_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    issue(at, "ours");
    issue(at, "theirs");
    fs::write(at.join("empty.pem"), "").unwrap();
    fs::write(at.join("broken.pem"), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
        .unwrap();
    let tls = |cert: &str, key: &str, ca: &str| {
        let [cert, key, client_ca] =
            [cert, key, ca].map(|file| if file.is_empty() { String::new() } else { path(at, file) });
        ServerTls { cert, key, client_ca }
    };
    let (good, key) = ("ours-server.pem", "ours-server-key.pem");
    for (tls, named) in [
        (tls("none.pem", key, ""), ["transport.tls.cert", "none.pem"]),
        (tls("empty.pem", key, ""), ["transport.tls.cert", "empty.pem"]),
        (tls("broken.pem", key, ""), ["transport.tls.cert", "broken.pem"]),
        (tls(good, "theirs-server-key.pem", ""), ["ours-server.pem", "theirs-server-key.pem"]),
        (tls(good, good, ""), ["transport.tls.key", good]),
        (tls(good, key, "broken.pem"), ["transport.tls.client_ca", "broken.pem"]),
        (tls(good, "", ""), ["transport.tls.key", "missing"]),
        (tls("", "", "ours-ca.pem"), ["transport.tls.cert", "missing"]),
    ] {
        let limits = Transport { tls: tls.clone(), ..Transport::default() };
        let service = builder("echo", Echo::default()).transport(limits).build().unwrap();
        let listen = Listen { rpc: "127.0.0.1:0".parse().unwrap(), metrics: None, http: None };
        let refused = runtime::serve(listen, service, std::future::pending()).await.unwrap_err().to_string();
        assert!(named.iter().all(|part| refused.contains(part)), "{tls:?}: {refused}");
    }
    let url = "https://127.0.0.1:1";
    let refused = |tls: ClientTls| Peer::connect_with(url, KEY, &tls).err().unwrap().to_string();
    assert!(refused(ClientTls::default()).contains("transport.client.ca"));
    let mut odd = client(at, "ours", "ours");
    odd.key = path(at, "theirs-client-key.pem");
    assert!(refused(odd).contains("theirs-client-key.pem"));
}

#[test]
fn limits_that_serve_nobody_are_refused_all_at_once() {
    let limits = Transport { connections: 0, streams: 0, header_bytes: 1, ..Transport::default() };
    let refused = limits.check().unwrap_err().to_string();
    for key in ["transport.connections: 0", "transport.streams: 0", "transport.header_bytes: 1"] {
        assert!(refused.contains(key), "{refused}");
    }
    Transport::default().check().unwrap();
}
