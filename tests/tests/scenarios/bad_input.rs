//! Bad input gives the right code with details that name every bad field, leaves nothing half-written, and never ends the
//! process.

use bytes::Bytes;
use contracts::registry::v1::*;
use prost::Message as _;
use tests::infer::{clean, request};
use tests::line::{Line, dataset_version};
use tests::made::{Random, rows};
use tests::mesh::{Alone, Mesh};
use tests::methods::{self, Choice, Messages};
use tests::raw;
use tests::refusal::Answered;
use tonic::Code;

async fn size(line: &Line) -> u64 {
    let head = line.by("auditor").audit().get_tree_head(GetTreeHeadRequest { size: 0 }).await;
    head.map_or(0, |head| head.into_inner().size)
}

#[tokio::test]
async fn names_outside_of_the_alphabet_are_refused() {
    let mesh = Alone::start().await;
    let line = mesh.line("names");
    line.open().await;
    let before = size(&line).await;
    let long = "a".repeat(64);
    for id in
        ["", "Upper", "under_score", "-edge", "edge-", "a/b", "..", "ümlaut", "a b", "a\0", long.as_str()]
    {
        let request = CreateProjectRequest {
            project_id: id.into(),
            project: Some(line.planned()),
            request_id: String::new(),
        };
        let refused = line.by("ml-lead").projects().create_project(request).await;
        refused.refused(Code::InvalidArgument, "BAD_REQUEST").bad_fields(&["project_id"]);
        let request = GetProjectRequest { name: format!("projects/{id}") };
        let refused = line.by("client").projects().get_project(request).await;
        refused.refused(Code::InvalidArgument, "BAD_REQUEST").bad_fields(&["name"]);
    }
    assert_eq!(size(&line).await, before, "nothing half-written");
}

#[tokio::test]
async fn all_bad_fields_are_named_at_once() {
    let mesh = Alone::start().await;
    let line = mesh.line("fields");
    line.plan().await;
    line.usable_source().await;
    let before = size(&line).await;
    let mut version = dataset_version("dataSources/..");
    version.manifest_digest = "sha256:short".into();
    version.schema_digest = "md5:d41d8cd98f00b204e9800998ecf8427e".into();
    version.steps[0].step = "guessing".into();
    version.group_shares[0].share = 1.5;
    version.group_shares[1].reference_share = f64::NAN;
    version.quality[0].bad = 9000;
    version.built_by = " ".into();
    let request = CreateDatasetVersionRequest {
        parent: "datasets/Fields".into(),
        version: "1.0".into(),
        dataset_version: Some(version),
        request_id: "with space".into(),
    };
    let refused = line.by("data-pipeline").datasets().create_dataset_version(request).await;
    refused.refused(Code::InvalidArgument, "BAD_REQUEST").bad_fields(&[
        "parent",
        "version",
        "request_id",
        "dataset_version.data_sources[0]",
        "dataset_version.steps[0].step",
        "dataset_version.quality[0].bad",
        "dataset_version.group_shares[0].share",
        "dataset_version.group_shares[1].reference_share",
        "dataset_version.manifest_digest",
        "dataset_version.schema_digest",
        "dataset_version.built_by",
    ]);
    assert_eq!(size(&line).await, before, "nothing half-written");
}

#[tokio::test]
async fn measurements_that_are_no_numbers_are_refused() {
    let mesh = Alone::start().await;
    let line = mesh.line("measured");
    line.to_version().await;
    line.submit("1.0.0").await;
    let version = line.get("1.0.0").await;
    let request = GetDatasetVersionRequest { name: line.data() };
    let data = line.by("auditor").datasets().get_dataset_version(request).await.told();
    let before = size(&line).await;
    type Spoil = fn(&mut Evaluation);
    let cases: [(&str, Spoil); 6] = [
        ("measurements[0].value", |it| it.measurements[0].value = f64::NAN),
        ("measurements[0].value", |it| it.measurements[0].value = 1.01),
        ("measurements[1].value", |it| it.measurements[1].value = -1.0),
        ("measurements[1].value", |it| it.measurements[1].value = f64::INFINITY),
        ("measurements[2].metric", |it| it.measurements[2].metric = "accuracy".into()),
        ("rows", |it| it.rows = 0),
    ];
    for (at, (field, spoil)) in cases.into_iter().enumerate() {
        let mut report = tests::line::evaluation(&version, &data, tests::line::Numbers::good());
        spoil(&mut report);
        let request = CreateEvaluationRequest {
            parent: version.name.clone(),
            evaluation_id: format!("bad-{at}"),
            evaluation: Some(report),
            request_id: String::new(),
        };
        let refused = line.by("evaluator").evaluations().create_evaluation(request).await;
        let refused = refused.refused(Code::InvalidArgument, "BAD_REQUEST");
        assert!(refused.fields().iter().any(|one| one.contains(field)), "{field}: {refused}");
    }
    assert_eq!(size(&line).await, before, "nothing half-written");
}

#[tokio::test]
async fn reports_that_are_no_junit_are_refused() {
    let mesh = Alone::start().await;
    let line = mesh.line("reports");
    line.to_version().await;
    line.submit("1.0.0").await;
    let before = size(&line).await;
    let deep = "<testsuites>".repeat(5000);
    let bomb = "<?xml version=\"1.0\"?><!DOCTYPE a [<!ENTITY b \"bbbbbbbbbb\"><!ENTITY c \"&b;&b;&b;&b;\">]><testsuites>&c;</testsuites>";
    for content in ["", "hello", "<html/>", "<testsuites><testsuite", deep.as_str(), bomb, "\u{0}\u{1}"] {
        let request = ImportTestReportRequest {
            parent: line.version("1.0.0"),
            test_report_id: "bad".into(),
            category: "unit".into(),
            tool: "pytest".into(),
            format: "junit-xml".into(),
            content: content.as_bytes().to_vec(),
            ..ImportTestReportRequest::default()
        };
        let refused =
            line.by("qa-engineer").evaluations().import_test_report(request).await.expect_err(content);
        let known = [Code::InvalidArgument, Code::FailedPrecondition].contains(&refused.code());
        assert!(known, "{:.40}: {refused:?}", content);
    }
    assert_eq!(size(&line).await, before, "nothing half-written");
}

/// Answers that a caller's mistake may have; INTERNAL, UNKNOWN, DATA_LOSS and UNAVAILABLE blame the server.
fn the_callers_fault(code: Code) -> bool {
    use Code::{
        Aborted, AlreadyExists, DeadlineExceeded, FailedPrecondition, InvalidArgument, NotFound, OutOfRange,
        PermissionDenied, ResourceExhausted, Unimplemented,
    };
    [
        Aborted,
        AlreadyExists,
        DeadlineExceeded,
        FailedPrecondition,
        InvalidArgument,
        NotFound,
        OutOfRange,
        PermissionDenied,
        ResourceExhausted,
        Unimplemented,
    ]
    .contains(&code)
}

/// One principal who may call the method; the services among them.
fn a_holder(path: &str) -> &'static str {
    let row = contracts::access::roles(path);
    if row.contains(&"*") || row.contains(&"public") {
        "auditor"
    } else {
        row.first().copied().unwrap_or("auditor")
    }
}

async fn answer(mesh: &Mesh, service: &str, path: &str, message: Bytes) -> Result<(), tonic::Status> {
    let call = raw::call(mesh.net.by(a_holder(path)).peer(service), path, message);
    match tokio::time::timeout(std::time::Duration::from_millis(500), call).await {
        Ok(Err(status)) => Err(status),
        Ok(Ok(_)) | Err(_) => Ok(()),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_that_are_no_message_are_the_callers_fault_on_every_method() {
    let mesh = Mesh::start().await;
    let mut wrong = Vec::new();
    for method in methods::all() {
        for service in method.served_by {
            for bytes in [&[0xff_u8; 16][..], &[0x0a, 0x7f, 0x01]] {
                if let Err(status) = answer(&mesh, service, &method.path, Bytes::copy_from_slice(bytes)).await
                    && !the_callers_fault(status.code())
                {
                    wrong.push(format!(
                        "{service} {}: {:?} {}",
                        method.path,
                        status.code(),
                        status.message()
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Values that break things: traversals, NULs, extremes, NaN.
struct Hostile(Random);

impl Choice for Hostile {
    fn set(&mut self) -> bool {
        self.0.below(4) != 0
    }

    fn text(&mut self) -> String {
        let texts = [
            "../../etc/passwd",
            "projects/a",
            "models/m/versions/1.0.0",
            "a\0b",
            "' OR 1=1 --",
            "sha256:00",
            "",
            " ",
            "projects/-",
            "deployments/-",
            "\u{202e}evil",
            "99999999999999999999.0.0",
            "𝕏",
            "%s%s%n",
            "sha256:0000000000000000000000000000000000000000000000000000000000000000",
        ];
        match self.0.below(texts.len() + 1) {
            at if at < texts.len() => texts[at].to_owned(),
            _ => "x".repeat(20_000),
        }
    }

    fn integer(&mut self) -> u64 {
        [0, 1, 2, 7, 99, u64::from(u32::MAX), i64::MAX as u64, u64::MAX][self.0.below(8)]
    }

    fn number(&mut self) -> f64 {
        [0.0, -0.0, 1.0, 0.5, -1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, f64::MIN_POSITIVE]
            [self.0.below(10)]
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_values_in_any_field_of_any_method_are_the_callers_fault() {
    let mesh = Mesh::start().await;
    let messages = Messages::new();
    let mut wrong = Vec::new();
    for (at, method) in methods::all().into_iter().enumerate() {
        for service in &method.served_by {
            for round in 0..6 {
                let mut hostile = Hostile(Random::new((at * 100 + round) as u64));
                let message = messages.make(&method.request, &mut hostile, 3);
                if let Err(status) = answer(&mesh, service, &method.path, message).await
                    && !the_callers_fault(status.code())
                {
                    wrong.push(format!(
                        "{service} {} ({round}): {:?} {}",
                        method.path,
                        status.code(),
                        status.message()
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    // Everybody still answers, and what was recorded holds.
    for service in tests::people::SERVICES {
        let health =
            raw::call(mesh.net.by("").peer(service), "/grpc.health.v1.Health/Check", Bytes::new()).await;
        assert!(health.is_ok(), "{service}: {health:?}");
    }
    mesh.line("after").plan().await;
}

/// The same bytes with a few of them changed, cut off, put in or repeated.
fn damaged(good: &[u8], random: &mut Random) -> Bytes {
    let mut bytes = good.to_vec();
    for _ in 0..=random.below(6) {
        let at = random.below(bytes.len().max(1));
        match random.below(5) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, random.below(256) as u8),
            2 => bytes.extend_from_within(at..),
            _ if bytes.is_empty() => {}
            3 => bytes[at] ^= 1 << random.below(8),
            _ => drop(bytes.remove(at)),
        }
    }
    bytes.into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_damaged_inferences_are_their_callers_fault_and_fail_no_neighbour() {
    let mesh = Mesh::start().await;
    let line = mesh.canary("damaged", "1.0.0").await;
    mesh.climb(&line, "first").await;
    let good = request("damaged", &rows(1, 1)[0]).encode_to_vec();
    let client = line.by("client");
    let (mut random, mut refused, mut wrong) = (Random::new(7), 0, Vec::new());
    for _ in 0..200 {
        let calls = (0..50).map(|_| {
            let message = damaged(&good, &mut random);
            answer(&mesh, "gateway", "/inference.GRPCInferenceService/ModelInfer", message)
        });
        let calls: Vec<_> = calls.collect();
        let (answers, right) = tokio::join!(futures::future::join_all(calls), clean(&client, "damaged", 2));
        assert_eq!(right.get("1.0.0"), Some(&2));
        for status in answers.into_iter().filter_map(Result::err) {
            refused += 1;
            if !the_callers_fault(status.code()) {
                wrong.push(format!("{:?} {}", status.code(), status.message()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(refused > 5_000, "only {refused} were damaged enough to be refused");
}
