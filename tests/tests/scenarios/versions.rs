//! §6.4: numbers follow from what changed; artifacts are what their digest says; hostile files are refused.

use contracts::registry::v1::*;
use engine::{DataType, Dim, TensorSpec};
use tests::line::Numbers;
use tests::made::{digest, model, signature};
use tests::mesh::Alone;
use tests::refusal::Answered;
use tonic::Code;

#[tokio::test]
async fn the_bump_follows_from_what_changed() {
    let mesh = Alone::start().await;
    let line = mesh.line("bumps");
    line.to_version().await;
    line.train("second").await;
    let mut models = line.by("ml-engineer").models();

    let same = line.upload(&model(1)).await;
    let retrained = line.upload(&model(2)).await;
    let mut wider = signature();
    wider.inputs[0].dims = Some(vec![Dim::Symbol("rows".into()), Dim::Fixed(5)]);
    let breaking = line.upload(&engine::fake::model(&wider, 1)).await;

    for (digest, run, number) in
        [(&retrained, "second", "1.0.1"), (&retrained, "second", "1.2.0"), (&breaking, "second", "1.1.0")]
    {
        let request = line.version_request(number, run, digest);
        let status = models.create_model_version(request).await.expect_err("refused");
        assert_eq!(status.code(), Code::FailedPrecondition, "{number}: {status:?}");
        assert!(status.message().contains("§6.4"), "{}", status.message());
    }
    for (digest, run, number, bump) in [
        (&same, "first", "1.0.1", Bump::Patch),
        (&retrained, "second", "1.1.0", Bump::Minor),
        (&breaking, "second", "2.0.0", Bump::Major),
    ] {
        let version = models.create_model_version(line.version_request(number, run, digest)).await.told();
        assert_eq!((version.required_bump(), version.bump()), (bump, bump), "{number}");
        assert_eq!(version.model_id, format!("bumps-v{number}"));
    }
    let again = line.version_request("1.1.0", "second", &retrained);
    assert!(models.create_model_version(again).await.is_err(), "a number is given once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_creators_at_once_each_number_goes_to_one() {
    let mesh = Alone::start().await;
    let line = mesh.line("crowd");
    line.to_version().await;
    let digest = line.upload(&model(1)).await;
    let attempts = (1..=64).map(|at| {
        let (mut models, request) =
            (line.by("ml-engineer").models(), line.version_request("1.0.1", "first", &digest));
        let own = line.version_request(&format!("1.0.{at}"), "first", &digest);
        async move {
            (
                models.create_model_version(request).await.is_ok(),
                models.create_model_version(own).await.is_ok(),
            )
        }
    });
    let taken = futures::future::join_all(attempts).await;
    assert_eq!(taken.iter().filter(|(first, _)| *first).count(), 1, "1.0.1 exists once");
    let request =
        ListModelVersionsRequest { parent: line.model(), page_size: 1000, page_token: String::new() };
    let all = line.by("auditor").models().list_model_versions(request).await.told().model_versions;
    let mut numbers: Vec<u32> = all
        .iter()
        .map(|one| one.name.rsplit('.').next().and_then(|it| it.parse().ok()).expect("a number"))
        .collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..numbers.len() as u32).collect::<Vec<_>>(), "no gap, none twice");
}

#[tokio::test]
async fn a_run_that_has_not_completed_feeds_no_version() {
    let mesh = Alone::start().await;
    let line = mesh.line("unfinished");
    line.plan().await;
    line.data_ready().await;
    line.open_run("open", line.run_record()).await;
    line.create_model().await;
    let digest = line.upload(&model(1)).await;
    let request = line.version_request("1.0.0", "open", &digest);
    let status = line.by("ml-engineer").models().create_model_version(request).await.expect_err("refused");
    assert_eq!(status.code(), Code::FailedPrecondition, "{status:?}");
    assert!(status.message().contains("§6.2"), "{status:?}");
}

#[tokio::test]
async fn uploads_resume_and_are_checked() {
    let mesh = Alone::start().await;
    let line = mesh.line("pieces");
    let bytes = vec![7_u8; 100_000];
    let digest = digest(&bytes);
    let mut artifacts = line.by("ml-engineer").artifacts();
    let piece = |offset: usize, end: usize| UploadArtifactRequest {
        digest: digest.clone(),
        size_bytes: bytes.len() as u64,
        offset: offset as u64,
        media_type: "application/onnx".into(),
        chunk: bytes[offset..end].to_vec().into(),
    };
    let first = artifacts.upload_artifact(tokio_stream::once(piece(0, 40_000))).await.told();
    assert_eq!((first.received_bytes, first.complete), (40_000, false));
    let told = artifacts.get_upload(GetUploadRequest { digest: digest.clone() }).await.told();
    assert_eq!(told.received_bytes, 40_000);
    let wrong = artifacts.upload_artifact(tokio_stream::once(piece(50_000, 60_000))).await;
    wrong.refused(Code::OutOfRange, "WRONG_OFFSET");
    let last = artifacts.upload_artifact(tokio_stream::once(piece(40_000, 100_000))).await.told();
    assert!(last.complete);
    let mut stream = artifacts
        .download_artifact(DownloadArtifactRequest { digest: digest.clone(), offset: 99_990 })
        .await
        .told();
    let mut tail = Vec::new();
    while let Some(part) = stream.message().await.expect("a piece") {
        tail.extend_from_slice(&part.chunk);
    }
    assert_eq!(tail, vec![7_u8; 10]);
}

#[tokio::test]
async fn bytes_that_are_not_what_was_announced_are_never_kept() {
    let mesh = Alone::start().await;
    let line = mesh.line("forged");
    let announced = digest(b"what was meant");
    let request = UploadArtifactRequest {
        digest: announced.clone(),
        size_bytes: 14,
        chunk: b"something else".to_vec().into(),
        ..UploadArtifactRequest::default()
    };
    let mut artifacts = line.by("ml-engineer").artifacts();
    artifacts
        .upload_artifact(tokio_stream::once(request))
        .await
        .refused(Code::InvalidArgument, "DIGEST_MISMATCH");
    let gone = artifacts.get_artifact(GetArtifactRequest { digest: announced }).await;
    gone.refused(Code::NotFound, "RESOURCE_NOT_FOUND");
}

#[tokio::test]
async fn a_file_that_must_not_be_served_is_refused_with_the_reason() {
    let mesh = Alone::start().await;
    let line = mesh.line("refused");
    line.to_version().await;
    let mut unbounded = signature();
    unbounded.inputs.push(TensorSpec { name: "x".into(), datatype: DataType::Fp32, dims: None });
    let whole = model(9);
    for (what, bytes) in [
        ("empty", Vec::new()),
        ("text", b"hello".to_vec()),
        ("cut", whole[..whole.len() / 2].to_vec()),
        ("twice the same input", engine::fake::model(&unbounded, 1).to_vec()),
    ] {
        let digest = match bytes.len() {
            0 => digest(&bytes),
            _ => line.upload(&bytes).await,
        };
        let request = line.version_request("1.1.0", "first", &digest);
        let status = line.by("ml-engineer").models().create_model_version(request).await.expect_err(what);
        let known =
            [Code::FailedPrecondition, Code::NotFound, Code::InvalidArgument].contains(&status.code());
        assert!(known, "{what}: {status:?}");
    }
    let request = ListModelVersionsRequest { parent: line.model(), ..Default::default() };
    let all = line.by("auditor").models().list_model_versions(request).await.told().model_versions;
    assert_eq!(all.len(), 1, "nothing half-written");
}

#[tokio::test]
async fn the_registry_entry_is_written_in_the_procedures_form() {
    let mesh = Alone::start().await;
    let line = mesh.line("entry");
    line.to_version().await;
    line.submit("1.0.0").await;
    line.evaluate("1.0.0", Numbers::good()).await;
    let request = ExportModelVersionRequest { name: line.version("1.0.0") };
    let yaml = line.by("auditor").models().export_model_version(request).await.told().yaml;
    let read: serde_norway::Value = serde_norway::from_str(&yaml).expect("YAML");
    assert!(yaml.contains("entry-v1.0.0") && yaml.contains("ds-v1.0.0"), "{yaml}");
    assert!(read.is_mapping(), "{yaml}");
}
