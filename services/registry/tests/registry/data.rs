//! §5 and §6.2: sources, dataset versions, training runs.

use super::desk::*;
use contracts::common::v1::Verdict;
use contracts::registry::v1::*;
use std::time::Duration;
use tonic::Code;

#[tokio::test]
async fn third_party_data_needs_two_people_and_its_considerations() {
    let desk = Desk::start().await;
    desk.project().await;
    desk.dataset().await;
    let expires = contracts::time::to_wire(desk.now() + Duration::from_hours(1));
    let source = DataSource {
        display_name: "bought".into(),
        kind: SourceKind::ThirdParty.into(),
        origin: "a vendor".into(),
        license: "LicenseRef-vendor".into(),
        contract: "contract 7".into(),
        contract_expire_time: Some(expires),
        considerations: [("contract", "read"), ("privacy", "none")]
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .into(),
        ..DataSource::default()
    };
    let create = CreateDataSourceRequest {
        data_source_id: "cancer".into(),
        data_source: Some(source),
        ..Default::default()
    };
    let name =
        desk.sources("data-engineer").create_data_source(create).await.expect("made").into_inner().name;
    let approve =
        |role: &str| ApproveDataSourceRequest { name: name.clone(), role: role.into(), ..Default::default() };

    let wrong =
        desk.sources("ml-lead").approve_data_source(approve("ml-lead")).await.expect_err("not asked for");
    assert_eq!(
        (wrong.code(), reason(&wrong).as_str()),
        (Code::FailedPrecondition, "SOURCE_APPROVAL_REFUSED")
    );
    let borrowed =
        desk.sources("legal").approve_data_source(approve("procurement")).await.expect_err("not held");
    assert_eq!(borrowed.code(), Code::PermissionDenied);
    let half = desk.sources("legal").approve_data_source(approve("legal")).await.expect("one").into_inner();
    assert_eq!(half.state(), data_source::State::Proposed);
    let refused = desk.draft_data("1.0.0", clean_data()).await.expect_err("half approved");
    assert_eq!(
        (refused.code(), reason(&refused).as_str()),
        (Code::FailedPrecondition, "SOURCE_NOT_APPROVED")
    );
    assert!(refused.message().contains("approval by procurement"), "{}", refused.message());
    let whole = desk
        .sources("procurement")
        .approve_data_source(approve("procurement"))
        .await
        .expect("two")
        .into_inner();
    assert_eq!(whole.state(), data_source::State::Approved);
    let draft = desk.draft_data("1.0.0", clean_data()).await.expect("approved");

    desk.clock.advance(Duration::from_hours(1));
    let late = desk.draft_data("1.0.1", clean_data()).await.expect_err("the contract is over");
    assert!(late.message().contains("contract expired"), "{}", late.message());
    let release = ReleaseDatasetVersionRequest { name: draft.name, ..Default::default() };
    let late = desk.datasets("data-engineer").release_dataset_version(release).await.expect_err("it is over");
    assert_eq!(reason(&late), "SOURCE_NOT_APPROVED", "a draft of then is not released now");
    let revoke =
        RevokeDataSourceRequest { name: name.clone(), reason: "a complaint".into(), ..Default::default() };
    desk.sources("legal").revoke_data_source(revoke.clone()).await.expect("revoked");
    let again = desk.sources("legal").revoke_data_source(revoke).await.expect_err("already");
    assert_eq!(reason(&again), "SOURCE_REVOKED");
}

#[tokio::test]
async fn clean_data_becomes_ready_and_dirty_data_unfit() {
    let desk = Desk::with_data().await;
    let mut dirty = other_rows(clean_data());
    dirty.quality[0].bad = 5_000;
    dirty.quality[3].bad = 60;
    let draft = desk.draft_data("1.1.0", dirty).await.expect("a version");
    assert_eq!((draft.tag.as_str(), draft.state()), ("ds-v1.1.0", dataset_version::State::Draft));
    let unfit = desk.release(&draft.name, 3).await;
    assert_eq!(unfit.state(), dataset_version::State::Unfit);
    let failed: Vec<_> = unfit
        .findings
        .iter()
        .filter(|one| !matches!(one.verdict(), Verdict::Pass | Verdict::NotApplicable))
        .map(|one| one.subject.as_str())
        .collect();
    assert_eq!(failed, ["accuracy", "completeness", "uniqueness"]);
    assert!(!unfit.policy_digest.is_empty());
    let twice = ReleaseDatasetVersionRequest { name: draft.name, ..Default::default() };
    let twice = desk.datasets("data-engineer").release_dataset_version(twice).await.expect_err("final");
    assert_eq!(reason(&twice), "DATASET_NOT_DRAFT");
}

/// Reading 13: who confirms is the policy's word, at the confirmation and again when the data is released.
#[tokio::test]
async fn data_is_current_by_the_word_of_those_whom_the_policy_names() {
    let desk = Desk::start().await;
    desk.project().await;
    let source = desk.source().await;
    let confirmed = (source.confirmed_current_by.as_str(), source.confirmed_current_role.as_str());
    assert_eq!(confirmed, ("data-owner", "data-owner"));
    desk.dataset().await;
    let first = desk.draft_data("1.0.0", clean_data()).await.expect("a version");
    desk.adopt(
        "currency_confirmers: { clause: \"reading 13\", value: [data-owner] }",
        "currency_confirmers: { clause: \"reading 13\", value: [legal] }",
    )
    .await;
    let confirm = ConfirmDataSourceCurrentRequest {
        name: source.name,
        current_time: Some(contracts::time::to_wire(desk.now())),
        ..Default::default()
    };
    let owner = desk.sources("data-owner").confirm_data_source_current(confirm).await.expect_err("not named");
    assert_eq!((owner.code(), reason(&owner).as_str()), (Code::PermissionDenied, "ROLE_REQUIRED"));
    assert!(
        owner.message().contains("reading 13") && owner.message().contains("legal"),
        "{}",
        owner.message()
    );
    let unfit = desk.release(&first.name, 0).await;
    assert_eq!(unfit.state(), dataset_version::State::Unfit);
    let against: Vec<_> = unfit
        .findings
        .iter()
        .filter(|one| !matches!(one.verdict(), Verdict::Pass | Verdict::NotApplicable))
        .map(|one| one.observed.as_str())
        .collect();
    assert!(
        against.len() == 1 && against[0].contains("confirmed by data-owner, not by legal"),
        "{against:?}"
    );
}

#[tokio::test]
async fn a_dataset_version_needs_every_step_its_number_and_other_auditors() {
    let desk = Desk::start().await;
    desk.project().await;
    desk.source().await;
    desk.dataset().await;
    let gap = desk.draft_data("1.2.0", clean_data()).await.expect_err("a gap");
    assert_eq!(reason(&gap), "VERSION_NOT_SUCCESSOR");
    assert!(gap.message().contains("required 1.0.0"), "{}", gap.message());
    let mut short = clean_data();
    short.steps.remove(1);
    let short = desk.draft_data("1.0.0", short).await.expect_err("a step is missing");
    assert_eq!(reason(&short), "DATASET_STEPS_INCOMPLETE");
    let mut own = clean_data();
    own.contributors = vec!["qa-engineer".into()];
    let draft = desk.draft_data("1.0.0", own).await.expect("a version");
    assert_eq!(draft.contributors, ["data-engineer", "data-pipeline", "qa-engineer"]);
    let audit =
        DatasetAudit { sample_digest: digest("s"), rows: 300, method: "arrays".into(), ..Default::default() };
    let audit =
        RecordDatasetAuditRequest { name: draft.name.clone(), audit: Some(audit), ..Default::default() };
    let own = desk.datasets("qa-engineer").record_dataset_audit(audit.clone()).await.expect_err("built it");
    assert_eq!(reason(&own), "CONTRIBUTOR_MAY_NOT_APPROVE");
    desk.datasets("qa-engineer-deputy").record_dataset_audit(audit).await.expect("somebody else");
    let denied = CreateDatasetVersionRequest { parent: "datasets/rows".into(), ..Default::default() };
    let denied =
        desk.datasets("data-engineer").create_dataset_version(denied).await.expect_err("the pipeline only");
    assert_eq!(denied.code(), Code::PermissionDenied);
}

/// §5.3.7: the number says what differs from the version before it.
#[tokio::test]
async fn a_dataset_version_gets_the_one_number_that_its_content_asks_for() {
    let desk = Desk::start().await;
    desk.project().await;
    desk.source().await;
    desk.dataset().await;
    let told = async |data: DatasetVersion| {
        let asked =
            NumberDatasetVersionRequest { parent: "datasets/rows".into(), dataset_version: Some(data) };
        let told = desk.datasets("data-pipeline").number_dataset_version(asked).await.expect("a number");
        let DatasetNumber { version, bump, predecessor, unchanged } = told.into_inner();
        (version, bump, predecessor.rsplit('/').next().unwrap_or_default().to_owned(), unchanged)
    };
    let number = |version: &str, bump: &str, before: &str| {
        (version.to_owned(), bump.to_owned(), before.to_owned(), false)
    };
    assert_eq!(told(clean_data()).await, number("1.0.0", "", ""));
    desk.draft_data("1.0.0", clean_data()).await.expect("the first");

    let columns = DatasetVersion { schema_digest: digest("columns"), ..other_rows(clean_data()) };
    let metadata = DatasetVersion { manifest_digest: digest("code"), ..clean_data() };
    assert_eq!(told(clean_data()).await, ("1.0.0".into(), String::new(), "1.0.0".into(), true));
    let other_card = DatasetVersion { data_card_digest: digest("other"), ..clean_data() };
    assert!(told(other_card).await.3, "a card is written about a version, it is not its content");
    assert_eq!(told(metadata.clone()).await, number("1.0.1", "patch", "1.0.0"));
    assert_eq!(told(other_rows(clean_data())).await, number("1.1.0", "minor", "1.0.0"));
    assert_eq!(told(columns.clone()).await, number("2.0.0", "major", "1.0.0"));

    for (data, asked, why, required) in [
        (clean_data(), "1.0.1", "DATASET_UNCHANGED", "other columns, rows or metadata than 1.0.0"),
        (metadata.clone(), "1.1.0", "VERSION_BUMP_TOO_HIGH", "1.0.1: a patch change"),
        (other_rows(clean_data()), "1.0.1", "VERSION_BUMP_TOO_LOW", "1.1.0: a minor change"),
        (columns.clone(), "1.1.0", "VERSION_BUMP_TOO_LOW", "2.0.0: a major change"),
        (columns.clone(), "3.0.0", "VERSION_NOT_SUCCESSOR", "2.0.0: a major change"),
        (columns.clone(), "1.0.0", "VERSION_NOT_SUCCESSOR", "2.0.0: a major change"),
    ] {
        let refused = desk.draft_data(asked, data).await.expect_err(asked);
        assert_eq!((refused.code(), reason(&refused).as_str()), (Code::FailedPrecondition, why));
        assert!(refused.message().contains(&format!("required {required}")), "{}", refused.message());
    }
    desk.draft_data("1.0.1", metadata).await.expect("a patch");
    desk.draft_data("2.0.0", columns.clone()).await.expect("a major");
    let unfit = desk.release("datasets/rows/versions/2.0.0", 100).await;
    assert_eq!(unfit.state(), dataset_version::State::Unfit);
    assert_eq!(told(columns).await, number("2.0.1", "patch", "2.0.0"), "what is UNFIT may be judged anew");

    let mut hostile = clean_data();
    hostile.manifest_digest = "nothing".into();
    let asked = NumberDatasetVersionRequest { parent: "rows".into(), dataset_version: Some(hostile) };
    let refused = desk.datasets("data-pipeline").number_dataset_version(asked).await.expect_err("bad fields");
    assert_eq!(bad_fields(&refused), ["parent", "dataset_version.manifest_digest"]);
}

#[tokio::test]
async fn a_run_ends_with_every_block_or_names_what_is_missing() {
    let desk = Desk::with_data().await;
    let mut run = whole_run();
    run.seeds.clear();
    run.checkpointing = None;
    run.compute = None;
    desk.start_run("thin", run).await.expect("a run");
    desk.log("thin", &["train/loss", "validation/accuracy"]).await.expect("points");
    let complete = CompleteTrainingRunRequest { name: "trainingRuns/thin".into(), ..Default::default() };
    let refused =
        desk.runs("ml-engineer").complete_training_run(complete).await.expect_err("blocks are missing");
    assert_eq!(
        (refused.code(), reason(&refused).as_str()),
        (Code::FailedPrecondition, "TRAINING_RUN_INCOMPLETE")
    );
    let all = findings(&refused).join("\n");
    for part in ["random seeds", "compute type", "checkpoint location", "Resource utilization"] {
        assert!(all.contains(part), "{part} in {all}");
    }
    let whole = desk.run("whole").await;
    assert_eq!((whole.state(), whole.points), (training_run::State::Completed, 4));
    let late = desk.log("whole", &["train/loss"]).await.expect_err("over");
    assert_eq!(reason(&late), "RUN_NOT_RUNNING");
}

#[tokio::test]
async fn metric_points_come_back_in_order_page_by_page() {
    let desk = Desk::with_data().await;
    desk.start_run("long", whole_run()).await.expect("a run");
    let message = |from: u64| StreamTrainingMetricsRequest {
        name: "trainingRuns/long".into(),
        points: (from..from + 1500)
            .map(|step| MetricPoint {
                metric: if step % 2 == 0 { "train/loss".into() } else { "validation/accuracy".into() },
                step,
                value: if step == 0 { f64::NAN } else { 1.0 / step as f64 },
                time: None,
            })
            .collect(),
        request_id: format!("batch-{from}"),
    };
    let stream = futures::stream::iter([message(0), message(1500), message(0)]); // the last is a repeat
    let run = desk.runs("ml-engineer").stream_training_metrics(stream).await.expect("logged").into_inner();
    assert_eq!(run.points, 1500, "the answer to the repeat is the first answer");
    let (mut steps, mut page_token) = (Vec::new(), String::new());
    loop {
        let ask = ListTrainingMetricsRequest {
            name: "trainingRuns/long".into(),
            metric: "train/loss".into(),
            page_size: 1000,
            page_token,
        };
        let page = desk.runs("auditor").list_training_metrics(ask).await.expect("a page").into_inner();
        steps.extend(page.points.iter().map(|point| point.step));
        assert!(steps.len() > 1 || page.points[0].value.is_nan(), "a diverged loss is kept");
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(steps, (0..3000).step_by(2).collect::<Vec<u64>>());
}

#[tokio::test]
async fn a_silent_run_is_failed() {
    let desk = Desk::with_data().await;
    desk.start_run("silent", whole_run()).await.expect("a run");
    desk.start_run("alive", whole_run()).await.expect("a run");
    desk.service.tasks().start();
    let state = async |id: &str| {
        let name = format!("trainingRuns/{id}");
        desk.runs("auditor")
            .get_training_run(GetTrainingRunRequest { name })
            .await
            .expect("a run")
            .into_inner()
    };
    for _ in 0..16 {
        desk.clock.advance(Duration::from_mins(1));
        desk.log("alive", &["train/loss"]).await.expect("a sign of life");
    }
    for _ in 0..200 {
        desk.clock.advance(Duration::from_millis(1));
        if state("silent").await.state() == training_run::State::Failed {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let silent = state("silent").await;
    assert_eq!(silent.state(), training_run::State::Failed);
    assert!(silent.failure.contains("required a sign of life within 15m"), "{}", silent.failure);
    assert_eq!(state("alive").await.state(), training_run::State::Running);
}

/// §6.2: a run that declared an interval and lets it pass raises an alarm, once, until a checkpoint comes.
#[tokio::test]
async fn an_overdue_checkpoint_raises_an_alarm() {
    let desk = Desk::with_data().await;
    let minutes = |minutes: i64| Some(prost_types::Duration { seconds: minutes * 60, nanos: 0 });
    let mut run = whole_run();
    run.checkpointing.as_mut().expect("declared").interval = minutes(4);
    run.checkpoint_alarm = "made up".into();
    desk.start_run("saves", run).await.expect("a run");
    desk.service.tasks().start();
    let alarm = async || {
        let name = "trainingRuns/saves".to_owned();
        let run = desk.runs("auditor").get_training_run(GetTrainingRunRequest { name }).await.expect("a run");
        run.into_inner().checkpoint_alarm
    };
    let wait = async |raised: bool| {
        for _ in 0..200 {
            desk.clock.advance(Duration::from_millis(1));
            if alarm().await.is_empty() != raised {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the alarm is {:?}", alarm().await);
    };
    assert_eq!(alarm().await, "", "nobody writes it but the registry");
    for _ in 0..7 {
        desk.clock.advance(Duration::from_mins(1));
        desk.log("saves", &["train/loss"]).await.expect("a sign of life, no checkpoint");
    }
    wait(true).await;
    desk.log("saves", &["checkpoint"]).await.expect("saved");
    wait(false).await;
}

/// §5.4: a version whose data card lacks a section stays a draft, and the refusal names each section.
#[tokio::test]
async fn an_empty_section_of_the_data_card_blocks_the_release() {
    let desk = Desk::with_data().await;
    let missing = vec!["ethical-review".to_owned(), "maintenance".to_owned()];
    let draft = DatasetVersion { data_card_missing: missing, ..other_rows(clean_data()) };
    let draft = desk.draft_data("1.1.0", draft).await.expect("a draft may lack sections");
    let release = ReleaseDatasetVersionRequest { name: draft.name.clone(), ..Default::default() };
    let refused =
        desk.datasets("data-engineer").release_dataset_version(release).await.expect_err("two lack");
    assert_eq!(
        (refused.code(), reason(&refused).as_str()),
        (Code::FailedPrecondition, "DATA_CARD_INCOMPLETE")
    );
    for section in ["ethical-review", "maintenance"] {
        assert!(refused.message().contains(section), "{}", refused.message());
    }
    let asked = GetDatasetVersionRequest { name: draft.name };
    let seen = desk.datasets("auditor").get_dataset_version(asked).await.expect("there").into_inner();
    assert_eq!(seen.state(), dataset_version::State::Draft);
}
