//! Inputs that are not uploaded: files below a folder of the settings, and objects of an S3-compatible store.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use super::{Bench, Told, csv};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use contracts::pipeline::v1::dataset_build_service_client::DatasetBuildServiceClient;
use contracts::pipeline::v1::*;
use contracts::registry::v1::DatasetVersion;
use data_pipeline::StoreOptions;
use storage::Digest;

fn input(uri: &str, digest: &str) -> DataInput {
    let (data_source, uri, digest) = ("dataSources/s".into(), uri.into(), digest.into());
    DataInput { data_source, uri, digest, ..Default::default() }
}

async fn built(
    bench: &Bench,
    version: &str,
    input: DataInput,
) -> Result<DatasetVersion, contracts::rpc::Status> {
    let operation = bench.ask_for(version, vec![input], BuildPlan::default()).await.unwrap();
    bench.end(&operation.name).await
}

async fn refused(bench: &Bench, version: &str, uri: &str) -> String {
    let status = built(bench, version, input(uri, "")).await.expect_err(uri);
    assert_eq!(status.code, tonic::Code::InvalidArgument as i32, "{status:?}");
    let fields = runtime::status::field_violations(&super::told(&status));
    assert_eq!(fields[0].field, "inputs[0].uri");
    status.message
}

async fn bench(folder: &Path, stores: BTreeMap<String, StoreOptions>) -> Bench {
    Bench::over(folder, "sqlite::memory:", Told::default(), |config| config.stores = stores).await
}

/// What the record of the first step says of the input.
fn recorded(version: &DatasetVersion) -> serde_json::Value {
    let parameters: serde_json::Value = serde_json::from_str(&version.steps[0].parameters).unwrap();
    parameters["inputs"][0].clone()
}

#[tokio::test]
async fn a_file_of_a_folder_is_read_and_its_digest_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let (own, store, outside) =
        (folder.path().join("own"), folder.path().join("store"), folder.path().join("x"));
    std::fs::create_dir_all(&own).unwrap();
    std::fs::create_dir_all(store.join("deep")).unwrap();
    std::fs::write(&outside, csv(30)).unwrap();
    let file = store.join("deep/rows.csv");
    std::fs::write(&file, csv(30)).unwrap();
    std::os::unix::fs::symlink(&outside, store.join("link.csv")).unwrap();
    let options = StoreOptions { folder: store.display().to_string(), ..StoreOptions::default() };
    let bench = bench(&own, [("landing".to_owned(), options)].into()).await;

    let uri = format!("file://{}", file.display());
    let digest = Digest::of(csv(30).as_bytes()).to_string();
    let version = built(&bench, "1.0.0", input(&uri, "")).await.unwrap();
    assert_eq!(version.rows, 30);
    let record = recorded(&version);
    assert_eq!((record["digest"].as_str(), record["uri"].as_str()), (Some(&*digest), Some(&*uri)));

    for (at, (uri, what)) in [
        (format!("file://{}", store.join("link.csv").display()), "lies in no folder of the stores"),
        (format!("file://{}", outside.display()), "lies in no folder of the stores"),
        ("file:///nowhere/at/all".to_owned(), "lies in no folder of the stores"),
        (format!("file://{}/../x", store.display()), "`.` and `..` are not followed"),
        (format!("file://{}/absent.csv", store.display()), "there is no such file"),
        (format!("file://{}/deep", store.display()), "is no file"),
        ("ftp://host/file".to_owned(), "required: s3://bucket/key or file:///path"),
        ("s3://elsewhere/key".to_owned(), "\"elsewhere\" is no bucket of the stores"),
        ("rows.csv".to_owned(), "required: s3://bucket/key or file:///path"),
    ]
    .into_iter()
    .enumerate()
    {
        let said = refused(&bench, &format!("1.1.{at}"), &uri).await;
        assert!(said.contains(what), "required {what:?}, observed {said:?}");
    }

    // Once it is recorded the digest counts, not what lies there now.
    std::fs::write(&file, csv(31)).unwrap();
    let other = built(&bench, "1.2.0", input(&uri, &digest)).await.unwrap();
    assert_eq!(other.splits, version.splits, "these bytes are here already");
    assert!(replay(&bench).await.unwrap().same);
    let hex = digest.trim_start_matches("sha256:");
    std::fs::remove_file(own.join("blobs/sha256").join(&hex[..2]).join(hex)).unwrap();
    let changed = replay(&bench).await.unwrap_err();
    assert!(changed.message.contains(&format!("required {digest}")), "{}", changed.message);
}

async fn replay(bench: &Bench) -> Result<ReplayResult, contracts::rpc::Status> {
    let request = ReplayDatasetVersionRequest { name: "datasets/d/versions/1.0.0".into() };
    let mut client = DatasetBuildServiceClient::new(bench.peer());
    let operation = client.replay_dataset_version(request).await.unwrap().into_inner();
    bench.end(&operation.name).await
}

/// What a store was asked, and what it holds by path.
#[derive(Clone, Default)]
struct S3 {
    objects: Arc<BTreeMap<String, Vec<u8>>>,
    asked: Arc<Mutex<Vec<(String, String)>>>,
}

async fn answer(State(store): State<S3>, request: Request) -> Response {
    let signed = request.headers().get(header::AUTHORIZATION);
    let signed = signed.and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let path = request.uri().path().to_owned();
    store.asked.lock().unwrap().push((path.clone(), signed));
    match store.objects.get(&path) {
        None if path.contains("secret") => StatusCode::FORBIDDEN.into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
        Some(bytes) => {
            let headers = [
                (header::ETAG, "\"1\""),
                (header::LAST_MODIFIED, "Thu, 26 Nov 2026 18:00:00 GMT"),
                (header::CONTENT_TYPE, "application/octet-stream"),
            ];
            (headers, bytes.clone()).into_response()
        }
    }
}

#[tokio::test]
async fn an_object_of_a_bucket_is_read_with_the_keys_of_the_environment() {
    let objects = [("/raw/2026/rows.csv".to_owned(), csv(40).into_bytes())].into();
    let store = S3 { objects: Arc::new(objects), ..S3::default() };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let app = axum::Router::new().fallback(answer).with_state(store.clone());
    let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });

    let folder = tempfile::tempdir().unwrap();
    // Cargo sets this one for every test.
    let (key, variable) = (std::env::var("CARGO_PKG_NAME").unwrap(), "CARGO_PKG_NAME".to_owned());
    let signed = StoreOptions {
        bucket: "raw".into(),
        endpoint: endpoint.clone(),
        access_key_env: variable.clone(),
        secret_key_env: variable,
        allow_http: true,
        ..StoreOptions::default()
    };
    let open = StoreOptions {
        bucket: "open".into(),
        endpoint: endpoint.clone(),
        allow_http: true,
        ..Default::default()
    };
    let secure = StoreOptions { bucket: "secure".into(), endpoint, ..Default::default() };
    let stores = [("lake", signed), ("public", open), ("tls", secure)];
    let stores = stores.map(|(name, store)| (name.to_owned(), store)).into();
    let bench = bench(folder.path(), stores).await;

    let version = built(&bench, "1.0.0", input("s3://raw/2026/rows.csv", "")).await.unwrap();
    assert_eq!(version.rows, 40);
    assert_eq!(recorded(&version)["digest"], Digest::of(csv(40).as_bytes()).to_string());
    let wrong = Digest::of(b"something else").to_string();
    let ended = built(&bench, "1.0.1", input("s3://raw/2026/rows.csv", &wrong)).await.unwrap_err();
    assert!(ended.message.contains(&format!("required {wrong}")), "{}", ended.message);

    assert!(refused(&bench, "1.1.0", "s3://raw/absent").await.contains("there is no such object"));
    assert!(refused(&bench, "1.1.1", "s3://raw").await.contains("has no key"));
    assert!(refused(&bench, "1.1.2", "s3://open/absent").await.contains("there is no such object"));
    for (version, uri) in [("1.2.0", "s3://raw/secret"), ("1.2.1", "s3://secure/rows.csv")] {
        let failed = built(&bench, version, input(uri, "")).await.unwrap_err();
        assert_eq!(failed.code, tonic::Code::Unavailable as i32, "{}", failed.message);
        assert!(failed.message.contains(uri), "{}", failed.message);
    }
    let asked = store.asked.lock().unwrap().clone();
    let credential = format!("AWS4-HMAC-SHA256 Credential={key}/");
    for (path, authorization) in &asked {
        assert_eq!(
            authorization.starts_with(&credential),
            path.starts_with("/raw/"),
            "{path}: {authorization}"
        );
        assert!(!path.starts_with("/secure"), "nothing is sent in the clear unless it is allowed");
    }
    assert!(asked.len() >= 4);
    server.abort();
}
