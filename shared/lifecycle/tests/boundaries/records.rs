//! What a record must hold to count: requirements of §4.1, slots and test reports of §7, documents of §11, courses of
//! people.

use std::collections::BTreeMap;

use lifecycle::Verdict;
use lifecycle::documents::{Document, Made, Occasion, card_complete, require};
use lifecycle::evaluation::{Slot, SlotRecord, TestCategory, TestReport, missing_slots, report_flaws};
use lifecycle::policy::Span;
use lifecycle::policy::people::{CourseRow, People};
use lifecycle::traceability::{Evidence, Requirement, trace};
use lifecycle::training_record::{TrainingRecord, check};

use super::given::gates::report;
use super::*;

proptest! {
    /// Of the fifteen slots each is measured, or empty with a reason that somebody signed who did not contribute.
    #[test]
    fn every_slot_is_answered_for(kinds in vec(prop_oneof![6 => Just(0u8), 1 => 1u8..6], 15)) {
        let signed = |who: &str, role| Some(Approval::new(who, role, at(1)));
        let mut records = Vec::new();
        let mut lacking = 0;
        for (slot, kind) in Slot::ALL.iter().zip(kinds) {
            let measured = if kind == 0 { vec!["metric".to_owned()] } else { vec![] };
            let reason = if kind == 2 { " ".to_owned() } else { "it cannot be".to_owned() };
            let sign_off = match kind {
                1 | 2 => signed("qa-engineer", Role::QaEngineer),
                3 => signed("author", Role::QaEngineer),
                4 => signed("client", Role::Client),
                _ => None,
            };
            lacking += usize::from(kind > 1);
            let record = SlotRecord { slot: *slot, metrics: measured, reason, sign_off };
            if kind == 5 && lacking % 2 == 0 { continue } // not listed at all
            records.push(record);
        }
        let signers = &policy().acceptance.not_applicable_signers;
        let found = missing_slots(&records, &["author".to_owned()], signers, &policy().evaluation);
        prop_assert_eq!(found.len(), lacking);
        if let Some(first) = records.first().cloned() {
            records.push(first);
            let twice = missing_slots(&records, &[], signers, &policy().evaluation);
            prop_assert!(twice.iter().any(|one| one.observed == "listed more than once"));
        }
    }

    /// A report shows that tests pass: none failed, some passed, by a tool of the category, on these very bytes.
    #[test]
    fn a_report_shows_that_tests_pass(
        category in select(TestCategory::ALL), tool in select(vec!["pytest", "Locust", "garak", "fairlearn", "make"]),
        passed in 0u64..3, failed in 0u64..3, same in any::<bool>(),
    ) {
        let known = match category {
            TestCategory::Unit => tool == "pytest",
            TestCategory::Integration => matches!(tool, "pytest" | "Locust"),
            TestCategory::Adversarial => tool == "garak",
            TestCategory::Fairness => tool == "fairlearn",
            TestCategory::Benchmark | TestCategory::Ab => false,
        };
        let report = TestReport { tool: tool.into(), passed, failed, ..report(category) };
        let of = digest(if same { 'a' } else { 'f' });
        let flaws = report_flaws(&report, &of, &policy().evaluation);
        prop_assert_eq!(flaws.is_empty(), known && passed > 0 && failed == 0 && same, "{:?}", flaws);
    }

    /// An occasion asks for its own document and for no other.
    #[test]
    fn an_occasion_asks_for_its_document(occasion in select(Occasion::ALL), made in vec(select(Document::ALL), 0..6)) {
        let own = match occasion {
            Occasion::Model => Document::ModelCard,
            Occasion::Dataset => Document::DataCard,
            Occasion::Training => Document::TrainingReport,
            Occasion::Evaluation => Document::EvaluationReport,
            Occasion::Deployment => Document::DeploymentRecord,
            Occasion::Incident => Document::IncidentReport,
        };
        prop_assert_eq!(require(occasion, &made, &policy().documents).is_ok(), made.contains(&own));
    }

    /// A document is signed by its owner, whole, not older than its records, and not before it was made.
    #[test]
    fn a_document_is_signed_by_its_owner(
        place in 0usize..6, right in any::<bool>(), other in select(Role::ALL), blank in any::<Option<u8>>(), newest in 4u64..7, signed in 4u64..7,
    ) {
        let row = &policy().documents[place];
        let owner = [
            Role::MlEngineer, Role::DataEngineer, Role::MlEngineer, Role::QaEngineer, Role::MlOpsEngineer, Role::OnCall,
        ][place];
        let role = if right { owner } else { other };
        let mut parts: BTreeMap<String, String> = row.parts.iter().map(|part| (part.clone(), "text".into())).collect();
        if let Some(blank) = blank {
            parts.insert(row.parts[usize::from(blank) % row.parts.len()].clone(), " ".into());
        }
        let made = Made { document: row.document, parts, digest: digest('d'), when: at(5), newest_record: at(newest) };
        prop_assert_eq!(made.complete(&policy().documents).is_ok(), blank.is_none());
        let answer = made.sign(&by(role, signed), &policy().documents);
        prop_assert_eq!(answer.is_ok(), blank.is_none() && role == owner && newest <= 5 && signed >= 5);
    }

    /// Where an organisation asks for a course, its record holds for its time and its version, for the person and role.
    #[test]
    fn a_course_is_taken_and_holds(
        version in select(vec!["1", "2"]), same in any::<bool>(), nanos in nanos(),
        role in select(vec![Role::MlOpsEngineer, Role::QaEngineer]),
    ) {
        let mut people: People = policy().people.clone();
        people.courses = vec![CourseRow {
            role: Role::MlOpsEngineer, course: "on call".into(), valid_for: Span(Duration::from_secs(DAY)),
            clause: "§12".into(),
        }];
        let record = TrainingRecord {
            principal: if same { "person".into() } else { "another".into() }, role: Role::MlOpsEngineer,
            course: "on call".into(), course_version: version.into(), taken: at(0),
        };
        let trained = |records: &[TrainingRecord], now| check("person", role, records, "2", now, &people);
        let asked = role == Role::MlOpsEngineer;
        let holds = version == "2" && same && nanos < 0;
        prop_assert_eq!(trained(std::slice::from_ref(&record), at(0) + around(DAY, nanos)).is_ok(), !asked || holds);
        prop_assert_eq!(trained(&[], at(0)).is_ok(), !asked);
        let ahead = TrainingRecord { taken: at(1), principal: "person".into(), course_version: "2".into(), ..record };
        prop_assert_eq!(trained(&[ahead], at(0)).is_ok(), !asked);
        prop_assert!(check("person", role, &[], "2", at(0), &policy().people).is_ok(), "the procedure asks for none");
    }
}

#[test]
fn a_stale_or_incomplete_document_is_not_signed() {
    let rows = &policy().documents;
    let parts: BTreeMap<String, String> =
        rows[1].parts.iter().map(|part| (part.clone(), "text".into())).collect();
    let card =
        Made { document: Document::DataCard, parts, digest: digest('b'), when: at(5), newest_record: at(5) };
    let owner = Approval::new("data-engineer-1", Role::DataEngineer, at(6));
    assert!(card.sign(&owner, rows).is_ok());
    let stale = Made { newest_record: at(6), ..card.clone() };
    assert_eq!(stale.sign(&owner, rows).expect_err("stale").reason(), "DOCUMENT_STALE");
    let mut empty = card;
    empty.parts.insert("composition".into(), "  ".into());
    assert_eq!(empty.sign(&owner, rows).expect_err("incomplete").reason(), "DOCUMENT_INCOMPLETE");
}

/// §5.4: each empty section of a data card is named, and a whole card has none.
#[test]
fn a_data_card_with_an_empty_section_is_not_published() {
    let rows = &policy().documents;
    assert_eq!(card_complete("datasets/d/versions/1.0.0", &[], rows), Ok(()));
    let empty = ["ethical-review".to_owned(), "maintenance".to_owned()];
    let refused = card_complete("datasets/d/versions/1.0.0", &empty, rows).expect_err("two are empty");
    assert_eq!((refused.reason(), refused.subject()), ("DATA_CARD_INCOMPLETE", "datasets/d/versions/1.0.0"));
    let named: Vec<&str> = refused.findings().iter().map(|one| one.subject.as_str()).collect();
    assert_eq!(named, ["TPL-DATA part ethical-review", "TPL-DATA part maintenance"]);
}

/// §4.1: a requirement is open until something that passes speaks for it.
#[test]
fn a_requirement_is_resolved_by_a_pass() {
    let requirement = Requirement { id: "r1".into(), text: "latency < 2 s".into() };
    let evidence = |verdict| Evidence { requirement: "r1".into(), name: "load test".into(), verdict };
    let one = std::slice::from_ref(&requirement);
    assert!(trace(one, &[evidence(Verdict::Fail)]).require_resolved().is_err());
    assert!(trace(one, &[evidence(Verdict::Fail), evidence(Verdict::Pass)]).require_resolved().is_ok());
}
