//! The procedure as data: three signatures, the one in force, any by its digest, training records.

use super::desk::*;
use contracts::registry::v1::*;
use tonic::Code;

fn other(version: &str) -> String {
    lifecycle::policy::BUILTIN.replace("version: \"1.0\"", &format!("version: \"{version}\""))
}

#[tokio::test]
async fn a_policy_takes_force_with_its_third_signature() {
    let desk = Desk::start().await;
    let ask = GetPolicyRequest::default();
    let first = desk.policies("auditor").get_policy(ask.clone()).await.expect("built in").into_inner();
    let gaps: Vec<&str> = first.gaps.iter().map(|gap| gap.subject.as_str()).collect();
    assert!(gaps.contains(&"role ethics-board") && gaps.contains(&"role on-call"), "{gaps:?}");
    assert!(!gaps.contains(&"role ml-lead"), "{gaps:?}");
    assert_eq!(
        (first.version.as_str(), first.state(), first.signatures.len()),
        ("1.0", policy_version::State::Active, 3)
    );
    assert_eq!(first.digest, lifecycle::Policy::builtin().digest());

    let propose =
        |yaml: String| ProposePolicyRequest { yaml, change_note: "a trial".into(), ..Default::default() };
    let old = desk.policies("ml-lead").propose_policy(propose(other("0.9"))).await.expect_err("not above");
    assert_eq!(reason(&old), "VERSION_NOT_GREATER");
    let broken =
        desk.policies("ml-lead").propose_policy(propose("a: b".into())).await.expect_err("no policy");
    assert_eq!((broken.code(), bad_fields(&broken)), (Code::InvalidArgument, vec!["yaml".to_owned()]));
    let next =
        desk.policies("ml-lead").propose_policy(propose(other("1.1"))).await.expect("proposed").into_inner();

    let sign =
        |role: &str| SignPolicyRequest { name: next.name.clone(), role: role.into(), ..Default::default() };
    desk.policies("ml-lead").sign_policy(sign("ml-lead")).await.expect("one");
    let twice =
        desk.policies("ml-lead-deputy").sign_policy(sign("ml-lead")).await.expect_err("the role has signed");
    assert_eq!(reason(&twice), "SIGNED_BEFORE");
    let borrowed =
        desk.policies("qa-lead").sign_policy(sign("chief-ai-officer")).await.expect_err("not held");
    assert_eq!(borrowed.code(), Code::PermissionDenied);
    desk.policies("qa-lead").sign_policy(sign("qa-lead")).await.expect("two");
    let active = desk.policies("auditor").get_policy(ask.clone()).await.expect("still").into_inner();
    assert_eq!(active.digest, first.digest);
    let signed = desk
        .policies("chief-ai-officer")
        .sign_policy(sign("chief-ai-officer"))
        .await
        .expect("three")
        .into_inner();
    assert_eq!(signed.state(), policy_version::State::Active);
    let active = desk.policies("auditor").get_policy(ask).await.expect("the new one").into_inner();
    assert_eq!((active.version.as_str(), active.signatures.len()), ("1.1", 3));
    let by_digest = GetPolicyRequest { digest: first.digest, ..Default::default() };
    let before = desk.policies("auditor").get_policy(by_digest).await.expect("kept for replays").into_inner();
    assert_eq!(before.state(), policy_version::State::Superseded);

    desk.project().await;
    let listed =
        desk.policies("auditor").list_policies(ListPoliciesRequest::default()).await.expect("a list");
    assert_eq!(listed.into_inner().policies.len(), 2);
}

#[tokio::test]
async fn a_training_is_recorded_by_somebody_else() {
    let desk = Desk::start().await;
    let record = |id: &str, who: &str| RecordTrainingRequest {
        training_record_id: id.into(),
        training_record: Some(TrainingRecord {
            principal: who.into(),
            role: "qa-engineer".into(),
            procedure_version: "1.0".into(),
            course: "WLP-MLDEV-001".into(),
            complete_time: Some(contracts::time::to_wire(desk.now())),
            ..Default::default()
        }),
        ..Default::default()
    };
    desk.policies("qa-lead").record_training(record("a", "qa-engineer")).await.expect("recorded");
    desk.policies("qa-lead").record_training(record("b", "ml-lead")).await.expect("recorded");
    let own = desk.policies("qa-lead").record_training(record("c", "qa-lead")).await.expect_err("one's own");
    assert_eq!(own.code(), Code::InvalidArgument);
    let list = ListTrainingRecordsRequest { principal: "qa-engineer".into(), ..Default::default() };
    let list = desk.policies("auditor").list_training_records(list).await.expect("a list").into_inner();
    assert_eq!(list.training_records.len(), 1);
    assert_eq!(list.training_records[0].recorded_by, "qa-lead");
}
