//! §5: sources by kind, versions through seven steps, eight dimensions with strict thresholds.

use contracts::registry::v1::{data_source, dataset_version as state, *};
use tests::line::{Line, dataset_version};
use tests::mesh::Alone;
use tests::refusal::Answered;
use tonic::Code;

/// Who has to approve each kind of source.
const NEEDED: [(SourceKind, &[&str]); 4] = [
    (SourceKind::Internal, &["data-owner"]),
    (SourceKind::Public, &["legal"]),
    (SourceKind::Synthetic, &["ml-lead"]),
    (SourceKind::ThirdParty, &["legal", "procurement"]),
];

#[tokio::test]
async fn each_kind_of_source_needs_its_approvals_and_no_other() {
    let mesh = Alone::start().await;
    for (kind, needed) in NEEDED {
        let line = mesh.line(&kind.as_str_name().to_lowercase().replace('_', "-"));
        line.register_source(kind).await;
        for role in ["data-owner", "legal", "ml-lead", "procurement"] {
            if !needed.contains(&role) {
                let request = ApproveDataSourceRequest {
                    name: line.source(),
                    role: role.into(),
                    ..ApproveDataSourceRequest::default()
                };
                let refused =
                    line.by(role).sources().approve_data_source(request).await.expect_err("refused");
                assert_eq!(refused.code(), Code::FailedPrecondition, "{kind:?} by {role}: {refused:?}");
            }
        }
        for (at, role) in needed.iter().enumerate() {
            let state = line.approve_source(role).await.state();
            let whole = at + 1 == needed.len();
            let expected = if whole { data_source::State::Approved } else { data_source::State::Proposed };
            assert_eq!(state, expected, "{kind:?} after {role}");
        }
    }
}

#[tokio::test]
async fn nothing_is_built_from_a_source_that_is_not_approved_or_was_revoked() {
    let mesh = Alone::start().await;
    let line = mesh.line("hasty");
    line.plan().await;
    line.register_source(SourceKind::Public).await;
    line.create_dataset().await;
    let request = || CreateDatasetVersionRequest {
        parent: line.dataset(),
        version: "1.0.0".into(),
        dataset_version: Some(dataset_version(&line.source())),
        request_id: String::new(),
    };
    let mut datasets = line.by("data-pipeline").datasets();
    datasets
        .create_dataset_version(request())
        .await
        .refused(Code::FailedPrecondition, "SOURCE_NOT_APPROVED")
        .names(&["§5.1", &line.source()]);
    line.approve_source("legal").await;
    let revoke = RevokeDataSourceRequest {
        name: line.source(),
        reason: "licence withdrawn".into(),
        ..Default::default()
    };
    line.by("legal").sources().revoke_data_source(revoke.clone()).await.told();
    datasets.create_dataset_version(request()).await.refused(Code::FailedPrecondition, "SOURCE_NOT_APPROVED");
    line.by("legal")
        .sources()
        .revoke_data_source(revoke)
        .await
        .refused(Code::FailedPrecondition, "SOURCE_REVOKED");
}

#[tokio::test]
async fn a_contract_that_has_run_out_ends_the_use_of_third_party_data() {
    let mesh = Alone::start().await;
    let line = mesh.line("contract");
    line.plan().await;
    line.register_source(SourceKind::ThirdParty).await;
    line.approve_source("legal").await;
    line.approve_source("procurement").await;
    line.create_dataset().await;
    line.hand_in("1.0.0", dataset_version(&line.source())).await;
    mesh.clock.advance(std::time::Duration::from_secs(4_000_000_000 - 1_772_442_000 + 1));
    let request = CreateDatasetVersionRequest {
        parent: line.dataset(),
        version: "1.1.0".into(),
        dataset_version: Some(dataset_version(&line.source())),
        request_id: String::new(),
    };
    let refused = line.by("data-pipeline").datasets().create_dataset_version(request).await;
    refused.refused(Code::FailedPrecondition, "SOURCE_NOT_APPROVED").names(&["contract"]);
}

#[tokio::test]
async fn every_step_is_recorded_or_the_version_is_refused() {
    let mesh = Alone::start().await;
    let line = mesh.line("steps");
    line.plan().await;
    line.usable_source().await;
    for missing in 0..7 {
        let mut version = dataset_version(&line.source());
        let step = version.steps.remove(missing).step;
        let request = CreateDatasetVersionRequest {
            parent: line.dataset(),
            version: "1.0.0".into(),
            dataset_version: Some(version),
            request_id: String::new(),
        };
        let refused = line.by("data-pipeline").datasets().create_dataset_version(request).await;
        refused.refused(Code::FailedPrecondition, "DATASET_STEPS_INCOMPLETE").names(&["§5.3", &step]);
    }
}

/// Builds a version with one thing changed, has it audited and signed, and gives it as released.
async fn released(
    line: &Line,
    audit: (u64, u64),
    change: impl FnOnce(&mut DatasetVersion),
) -> DatasetVersion {
    line.plan().await;
    line.usable_source().await;
    let mut version = dataset_version(&line.source());
    change(&mut version);
    line.hand_in("1.0.0", version).await;
    line.audit_rows(&line.data(), audit.0, audit.1).await;
    line.sign_relevance(&line.data()).await;
    line.release(&line.data()).await
}

fn counted<'a>(version: &'a mut DatasetVersion, dimension: &str) -> &'a mut QualityMeasurement {
    version.quality.iter_mut().find(|one| one.dimension == dimension).expect("measured")
}

#[tokio::test]
async fn values_exactly_at_a_target_do_not_pass() {
    type Change = fn(&mut DatasetVersion);
    let at_the_line: [(&str, Change, Change); 3] = [
        (
            "completeness",
            |it| (counted(it, "completeness").bad, counted(it, "completeness").all) = (5, 100),
            |it| {
                (counted(it, "completeness").bad, counted(it, "completeness").all) = (49, 1000);
            },
        ),
        ("uniqueness", |it| counted(it, "uniqueness").bad = 10, |it| counted(it, "uniqueness").bad = 9),
        ("validity", |it| counted(it, "validity").bad = 10, |it| counted(it, "validity").bad = 9),
    ];
    let mesh = Alone::start().await;
    for (dimension, at, below) in at_the_line {
        let unfit = released(&mesh.line(&format!("{dimension}-at")), (400, 0), at).await;
        assert_eq!(unfit.state(), state::State::Unfit, "{dimension}: {:?}", unfit.findings);
        let fit = released(&mesh.line(&format!("{dimension}-below")), (400, 0), below).await;
        assert_eq!(fit.state(), state::State::Ready, "{dimension}: {:?}", fit.findings);
    }
    for (audit, expected) in [
        ((299, 0), state::State::Unfit), // fewer rows than the policy asks for
        ((300, 0), state::State::Ready),
        ((1000, 10), state::State::Unfit), // exactly 99 %
        ((300, 1), state::State::Unfit),   // 99.7 %, but the bound is below 99 %
    ] {
        let line = mesh.line(&format!("audit-{}-{}", audit.0, audit.1));
        let version = released(&line, audit, |_| ()).await;
        assert_eq!(version.state(), expected, "{audit:?}: {:?}", version.findings);
    }
}

#[tokio::test]
async fn data_of_thirty_days_is_too_old() {
    const DAY: u64 = 86_400;
    let mesh = Alone::start().await;
    for (days, expected) in [(29, state::State::Ready), (30, state::State::Unfit)] {
        let line = mesh.line(&format!("days-{days}"));
        line.plan().await;
        line.usable_source().await;
        line.hand_in("1.0.0", dataset_version(&line.source())).await;
        line.audit_rows(&line.data(), 400, 0).await;
        line.sign_relevance(&line.data()).await;
        mesh.clock.advance(std::time::Duration::from_secs(days * DAY));
        let version = line.release(&line.data()).await;
        assert_eq!(version.state(), expected, "{days}: {:?}", version.findings);
    }
}

#[tokio::test]
async fn an_unfit_version_is_readable_and_never_feeds_a_model() {
    let mesh = Alone::start().await;
    let line = mesh.line("unfit");
    let unfit = released(&line, (400, 0), |it| counted(it, "completeness").bad = 1000).await;
    assert_eq!(unfit.state(), state::State::Unfit);
    let failed: Vec<_> = unfit
        .findings
        .iter()
        .filter(|one| one.verdict() == contracts::common::v1::Verdict::Fail)
        .map(|one| one.subject.as_str())
        .collect();
    assert_eq!(failed, ["completeness"], "{:?}", unfit.findings);
    let request = GetDatasetVersionRequest { name: line.data() };
    let read = line.by("client").datasets().get_dataset_version(request).await.told();
    assert_eq!(read.state(), state::State::Unfit);
    line.train("first").await;
    line.create_model().await;
    let digest = line.upload(&tests::made::model(1)).await;
    let request = line.version_request("1.0.0", "first", &digest);
    line.by("ml-engineer")
        .models()
        .create_model_version(request)
        .await
        .refused(Code::FailedPrecondition, "DATASET_NOT_READY")
        .names(&["UNFIT"]);
}

#[tokio::test]
async fn rows_in_more_than_one_split_or_never_looked_for_are_refused() {
    let mesh = Alone::start().await;
    for (id, leaked) in [("leak", Some(1)), ("unlooked", None)] {
        let line = mesh.line(id);
        line.plan().await;
        line.usable_source().await;
        let version = DatasetVersion { leaked_rows: leaked, ..dataset_version(&line.source()) };
        line.hand_in("1.0.0", version).await;
        line.audit_rows(&line.data(), 400, 0).await;
        line.sign_relevance(&line.data()).await;
        let request = ReleaseDatasetVersionRequest { name: line.data(), ..Default::default() };
        let answer = line.by("data-engineer").datasets().release_dataset_version(request).await;
        match answer {
            Ok(version) => assert_eq!(version.into_inner().state(), state::State::Unfit, "{id}"),
            Err(status) => assert_eq!(status.code(), Code::FailedPrecondition, "{id}: {status:?}"),
        }
    }
}

#[tokio::test]
async fn the_number_of_a_dataset_version_says_what_differs() {
    let mesh = Alone::start().await;
    let line = mesh.line("numbers");
    line.plan().await;
    line.usable_source().await;
    let mut datasets = line.by("data-pipeline").datasets();
    let digest = tests::made::digest_of;
    let first = dataset_version(&line.source());
    let mut rows = first.clone();
    rows.splits[0].digest = digest("other rows");
    let columns = DatasetVersion { schema_digest: digest("other columns"), ..rows.clone() };
    let note = DatasetVersion { transform_digest: digest("other transforms"), ..rows.clone() };
    for (version, content, refused) in [
        ("2.0.0", &first, "VERSION_NOT_SUCCESSOR"),
        ("1.0.0", &first, ""),
        ("1.0.0", &first, "DATASET_UNCHANGED"),
        ("1.0.1", &first, "DATASET_UNCHANGED"),
        ("1.0.1", &rows, "VERSION_BUMP_TOO_LOW"),
        ("2.0.0", &rows, "VERSION_BUMP_TOO_HIGH"),
        ("1.2.0", &rows, "VERSION_NOT_SUCCESSOR"),
        ("1.1.0", &rows, ""),
        ("1.2.0", &note, "VERSION_BUMP_TOO_HIGH"),
        ("1.1.1", &note, ""),
        ("1.2.0", &columns, "VERSION_BUMP_TOO_LOW"),
        ("2.0.0", &columns, ""),
    ] {
        let request = CreateDatasetVersionRequest {
            parent: line.dataset(),
            version: version.into(),
            dataset_version: Some(content.clone()),
            request_id: String::new(),
        };
        let answer = datasets.create_dataset_version(request).await;
        if refused.is_empty() {
            assert_eq!(answer.told().tag, format!("ds-v{version}"));
        } else {
            answer.refused(Code::FailedPrecondition, refused).names(&["§5.3"]);
        }
    }
}
