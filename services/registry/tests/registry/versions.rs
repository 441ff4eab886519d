//! §6.4: what is in the file, what changed, which number it gets.

use super::desk::*;
use contracts::registry::v1::*;
use storage::Digest;
use tonic::Code;

async fn ready() -> Desk {
    let desk = Desk::with_data().await;
    prepare(&desk).await;
    desk
}

async fn prepare(desk: &Desk) {
    desk.model().await;
    desk.run("first").await;
}

async fn uploaded(desk: &Desk, bytes: &[u8]) -> String {
    desk.upload(bytes).await.expect("an upload");
    Digest::of(bytes).to_string()
}

#[tokio::test]
async fn the_bump_follows_from_what_changed() {
    let desk = ready().await;
    let first = uploaded(&desk, &onnx(4, 1)).await;
    let wrong = desk.version("0.1.0", &first, "first").await.expect_err("the first number is 1.0.0");
    assert_eq!((wrong.code(), reason(&wrong).as_str()), (Code::FailedPrecondition, "VERSION_NOT_SUCCESSOR"));
    let one = desk.version("1.0.0", &first, "first").await.expect("the first");
    assert_eq!((one.required_bump(), one.state()), (Bump::First, model_version::State::Draft));
    assert_eq!(
        (one.model_id.as_str(), one.training_data_version.as_str()),
        ("screen-v1.0.0", "datasets/rows/versions/1.0.0")
    );
    assert_eq!((one.inputs[0].name.as_str(), one.inputs[0].dims.as_slice()), ("x", &[-1, 4][..]));
    assert_eq!(one.contributors, ["data-engineer", "data-pipeline", "ml-engineer"]);

    let same = desk.version("1.0.1", &first, "first").await.expect("nothing changed: a patch");
    assert_eq!(same.required_bump(), Bump::Patch);
    let weights = uploaded(&desk, &onnx(4, 2)).await;
    let low = desk.version("1.0.2", &weights, "first").await.expect_err("new weights are more than a patch");
    assert_eq!(reason(&low), "VERSION_BUMP_TOO_LOW");
    assert!(low.message().contains("at least a minor change: 1.1.0 or 2.0.0"), "{}", low.message());
    desk.version("1.1.0", &weights, "first").await.expect("a minor");
    let shape = uploaded(&desk, &onnx(5, 2)).await;
    let low = desk.version("1.2.0", &shape, "first").await.expect_err("another signature");
    assert_eq!(reason(&low), "VERSION_BUMP_TOO_LOW");
    let gap = desk.version("3.0.0", &shape, "first").await.expect_err("a gap");
    assert_eq!(reason(&gap), "VERSION_NOT_SUCCESSOR");
    let major = desk.version("2.0.0", &shape, "first").await.expect("a major");
    assert_eq!((major.bump(), major.predecessor.as_str()), (Bump::Major, "models/screen/versions/1.1.0"));
    desk.run("second").await;
    let low = desk.version("2.0.1", &shape, "second").await.expect_err("another run");
    assert_eq!(reason(&low), "VERSION_BUMP_TOO_LOW");
    desk.version("2.1.0", &shape, "second").await.expect("a minor");
}

#[tokio::test]
async fn a_version_needs_its_artifact_its_run_and_fit_data() {
    let desk = ready().await;
    let missing = desk.version("1.0.0", &digest("nothing"), "first").await.expect_err("no artifact");
    assert_eq!(missing.code(), Code::NotFound);
    let text = uploaded(&desk, b"not a model at all").await;
    let refused = desk.version("1.0.0", &text, "first").await.expect_err("no model");
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::FailedPrecondition, "MODEL_REFUSED"));
    assert!(findings(&refused)[0].starts_with("NOT_ONNX"), "{:?}", findings(&refused));
    let good = uploaded(&desk, &onnx(4, 1)).await;
    desk.start_run("open", whole_run()).await.expect("a run");
    let open = desk.version("1.0.0", &good, "open").await.expect_err("still running");
    assert_eq!(reason(&open), "TRAINING_RUN_INCOMPLETE");
    let mut dirty = other_rows(clean_data());
    dirty.quality[0].bad = 5_000;
    let draft = desk.draft_data("1.1.0", dirty).await.expect("a version");
    desk.release(&draft.name, 0).await;
    let mut run = whole_run();
    run.training_data.as_mut().expect("data").dataset_version = draft.name.clone();
    desk.start_run("unfit", run).await.expect("a run");
    desk.log("unfit", &["train/loss", "validation/accuracy", "system/cpu", "checkpoint"])
        .await
        .expect("points");
    let complete = CompleteTrainingRunRequest { name: "trainingRuns/unfit".into(), ..Default::default() };
    desk.runs("ml-engineer").complete_training_run(complete).await.expect("completed");
    let unfit = desk.version("1.0.0", &good, "unfit").await.expect_err("unfit data");
    assert_eq!(reason(&unfit), "DATASET_NOT_READY");
    assert!(unfit.message().contains("UNFIT, required READY"), "{}", unfit.message());
    let mut foreign = desk.version_request("1.0.0", &good, "first");
    foreign.model_version.as_mut().expect("a version").interface =
        Some(contracts::common::v1::ModelInterface { label_output: "none".into(), ..Default::default() });
    let foreign = desk.models("ml-engineer").create_model_version(foreign).await.expect_err("no such output");
    assert_eq!(bad_fields(&foreign), ["model_version.interface.label_output"]);
    desk.version("1.0.0", &good, "first").await.expect("all is there");
}

/// Many clients at once, each going on until it has a number: unique, in order, without gaps.
#[tokio::test]
async fn parallel_creates_get_unique_numbers_in_order() {
    let mut desks = vec![ready().await];
    if let Some(desk) = Desk::on_postgres().await {
        desk.lay_data().await;
        prepare(&desk).await;
        desks.push(desk);
    }
    for desk in desks {
        let artifact = uploaded(&desk, &onnx(4, 1)).await;
        let clients = (0..64).map(|_| next_number(&desk, &artifact));
        let mut patches = futures::future::join_all(clients).await;
        patches.sort_unstable();
        assert_eq!(patches, (0..64).collect::<Vec<u32>>());
        let list = ListModelVersionsRequest {
            parent: "models/screen".into(),
            page_size: 1000,
            ..Default::default()
        };
        let all = desk
            .models("auditor")
            .list_model_versions(list)
            .await
            .expect("a list")
            .into_inner()
            .model_versions;
        assert_eq!(all.len(), 64);
        for version in all {
            let patch: u32 =
                version.name.rsplit('.').next().and_then(|text| text.parse().ok()).expect("a number");
            let expected =
                if patch == 0 { String::new() } else { format!("models/screen/versions/1.0.{}", patch - 1) };
            assert_eq!(version.predecessor, expected);
        }
    }
}

/// Asks for one number after the other until one is taken.
async fn next_number(desk: &Desk, artifact: &str) -> u32 {
    let mut patch = 0;
    loop {
        match desk.version(&format!("1.0.{patch}"), artifact, "first").await {
            Ok(_) => return patch,
            Err(status) if reason(&status) == "VERSION_EXISTS" => patch += 1,
            Err(status) if matches!(reason(&status).as_str(), "VERSION_NOT_SUCCESSOR" | "CONTENTION") => {}
            Err(status) => panic!("{status:?}"),
        }
    }
}

#[tokio::test]
async fn a_version_is_submitted_once_and_revoked_for_good() {
    let desk = ready().await;
    let artifact = uploaded(&desk, &onnx(4, 1)).await;
    let made = desk.version("1.0.0", &artifact, "first").await.expect("a version");
    let submit =
        SubmitModelVersionRequest { name: made.name.clone(), etag: made.etag.clone(), ..Default::default() };
    let next = desk
        .models("ml-engineer")
        .submit_model_version(submit.clone())
        .await
        .expect("submitted")
        .into_inner();
    assert_eq!(next.state(), model_version::State::Evaluating);
    let stale = desk.models("ml-engineer").submit_model_version(submit).await.expect_err("stale");
    assert_eq!((stale.code(), reason(&stale).as_str()), (Code::Aborted, "STALE_ETAG"));
    let again = SubmitModelVersionRequest { name: made.name.clone(), ..Default::default() };
    let again = desk.models("ml-engineer").submit_model_version(again).await.expect_err("not a draft");
    assert_eq!(reason(&again), "VERSION_STATE");
    let revoke =
        RevokeModelVersionRequest { name: made.name.clone(), reason: "leaks".into(), ..Default::default() };
    let gone =
        desk.models("security").revoke_model_version(revoke.clone()).await.expect("revoked").into_inner();
    assert_eq!((gone.state(), gone.revoke_reason.as_str()), (model_version::State::Revoked, "leaks"));
    let twice = desk.models("security").revoke_model_version(revoke).await.expect_err("already");
    assert_eq!(twice.code(), Code::FailedPrecondition);
    let same = desk.version("1.0.1", &artifact, "first").await.expect_err("the same bytes");
    assert_eq!(reason(&same), "ARTIFACT_REVOKED");
    let by_id = GetModelVersionRequest { name: "screen-v1.0.0".into() };
    assert_eq!(
        desk.models("auditor").get_model_version(by_id).await.expect("by its id").into_inner().name,
        made.name
    );
    let export = ExportModelVersionRequest { name: made.name };
    let export = desk.models("auditor").export_model_version(export).await.expect_err("never evaluated");
    assert_eq!(reason(&export), "ENTRY_INCOMPLETE");
    assert!(findings(&export).iter().all(|one| one.contains("metrics.")), "{:?}", findings(&export));
}
