//! §8.1: a gate opens on its evidence alone; decisions are signed and come out the same again.

use contracts::common::v1::Verdict;
use contracts::registry::v1::*;
use ed25519_dalek::Signature;
use tests::line::Numbers;
use tests::mesh::Alone;
use tests::refusal::Answered;

#[tokio::test]
async fn one_failed_test_closes_g1() {
    let mesh = Alone::start().await;
    let line = mesh.line("g1");
    line.to_version().await;
    line.submit("1.0.0").await;
    let none = line.gate("1.0.0", Gate::G1TestsPass).await;
    assert!(!none.passed, "no report is no evidence");
    line.tests("1.0.0", 5, 1).await;
    let failed = line.gate("1.0.0", Gate::G1TestsPass).await;
    assert!(
        !failed.passed && failed.findings.iter().any(|one| one.clause.contains("§8.1")),
        "{:?}",
        failed.findings
    );
    let second = mesh.line("g1-none");
    second.to_version().await;
    second.submit("1.0.0").await;
    second.tests("1.0.0", 0, 0).await;
    assert!(!second.gate("1.0.0", Gate::G1TestsPass).await.passed, "no test at all is no evidence");
    let third = mesh.line("g1-good");
    third.to_version().await;
    third.submit("1.0.0").await;
    third.tests("1.0.0", 5, 0).await;
    assert!(third.gate("1.0.0", Gate::G1TestsPass).await.passed);
}

#[tokio::test]
async fn g2_names_the_clause_what_was_required_and_what_was_observed() {
    let mesh = Alone::start().await;
    let line = mesh.line("g2");
    line.to_version().await;
    line.submit("1.0.0").await;
    line.tests("1.0.0", 5, 0).await;
    line.gate("1.0.0", Gate::G1TestsPass).await;
    line.evaluate("1.0.0", Numbers { parity: 0.83, ..Numbers::good() }).await;
    let decision = line.gate("1.0.0", Gate::G2BenchmarksMet).await;
    assert!(!decision.passed);
    let finding = decision.findings.iter().find(|one| one.verdict() == Verdict::Fail).expect("a finding");
    assert_eq!((finding.clause.as_str(), finding.subject.as_str()), ("§7.3", "demographic parity"));
    assert!(finding.required.contains("> 0.9") && finding.observed.contains("0.83"), "{finding:?}");
    assert_eq!(line.get("1.0.0").await.state(), model_version::State::Rejected);
}

#[tokio::test]
async fn g3_comes_after_g1_and_g2_and_needs_a_person() {
    let mesh = Alone::start().await;
    let line = mesh.line("g3");
    line.to_version().await;
    line.submit("1.0.0").await;
    line.tests("1.0.0", 5, 0).await;
    line.evaluate("1.0.0", Numbers::good()).await;
    line.qa("1.0.0").await;
    let request = DecideGateRequest {
        parent: line.version("1.0.0"),
        gate: Gate::G3QaApproved.into(),
        ..DecideGateRequest::default()
    };
    match line.by("qa-engineer").gates().decide_gate(request).await {
        Ok(decision) => assert!(!decision.into_inner().passed, "G3 before G1 and G2"),
        Err(status) => assert_eq!(status.code(), tonic::Code::FailedPrecondition, "{status:?}"),
    }
}

#[tokio::test]
async fn decisions_are_signed_and_replay_to_the_same() {
    let mesh = Alone::start().await;
    let line = mesh.line("replay");
    line.to_approved().await;
    let head = line.by("auditor").audit().get_tree_head(GetTreeHeadRequest { size: 0 }).await.told();
    let key = storage::audit::public_key_from_pem(&head.public_key_pem).expect("a public key");
    let request =
        ListGateDecisionsRequest { parent: line.version("1.0.0"), page_size: 100, ..Default::default() };
    let decisions = line.by("auditor").gates().list_gate_decisions(request).await.told().gate_decisions;
    assert_eq!(decisions.len(), 3);
    for decision in decisions {
        let signature = Signature::from_slice(&decision.signature).expect("a signature");
        key.verify_strict(&contracts::signed::gate_decision(&decision), &signature)
            .expect("signed by the registry");
        let mut forged = decision.clone();
        forged.passed = !forged.passed;
        assert!(key.verify_strict(&contracts::signed::gate_decision(&forged), &signature).is_err());
        let request = ReplayGateDecisionRequest { name: decision.name };
        let again = line.by("client").gates().replay_gate_decision(request).await.told();
        assert!(again.same && again.passed, "{again:?}");
    }
}
