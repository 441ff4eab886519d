//! A gate decision made again from what was saved of it: the decision with its evidence, the policy and the public key. No
//! registry is asked.

use std::path::Path;

use anyhow::Context;
use contracts::common::v1::Finding;
use contracts::registry::v1::audit_service_client::AuditServiceClient;
use contracts::registry::v1::gate_service_client::GateServiceClient;
use contracts::registry::v1::policy_service_client::PolicyServiceClient;
use contracts::registry::v1::{GateDecision, GetGateDecisionRequest, GetPolicyRequest, GetTreeHeadRequest};
use lifecycle::Policy;
use prost::Message;
use registry::gate::{Judged, to_gate};
use runtime::Peer;
use serde::{Deserialize, Serialize};
use storage::Digest;
use storage::audit::public_key_from_pem;

use crate::audit_file::AuditFile;
use crate::verified_log::VerifiedLog;
use crate::wire_json;

/// Name of the format, in each file.
const FORMAT: &str = "wlp-gate-decision-v1";
const DECISION: &str = "wlp.registry.v1.GateDecision";

/// Everything that a decision rests on.
#[derive(Debug, Clone, PartialEq)]
pub struct Saved {
    /// The decision, with the evidence that was judged in it.
    pub decision: GateDecision,
    /// The policy under which it was made, as YAML.
    pub policy: String,
    /// PEM of the key that the registry shows; pin another where the file itself is not trusted.
    pub public_key: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: String,
    public_key: String,
    policy: String,
    decision: serde_json::Value,
}

/// How a decision came out again.
#[derive(Debug, Clone, PartialEq)]
pub struct Replayed {
    /// Whether the gate passes.
    pub passed: bool,
    /// Every row that was looked at.
    pub findings: Vec<Finding>,
    /// What does not hold: empty if the decision is the same and everything fits.
    pub differences: Vec<String>,
}

impl Saved {
    /// Takes a decision with its policy and the public key from a registry.
    ///
    /// # Errors
    /// The refusal of the registry.
    pub async fn fetch(registry: &Peer, name: &str) -> anyhow::Result<Self> {
        let request = GetGateDecisionRequest { name: name.to_owned() };
        let decision =
            GateServiceClient::new(registry.clone()).get_gate_decision(request).await?.into_inner();
        let request = GetPolicyRequest { digest: decision.policy_digest.clone(), ..Default::default() };
        let policy = PolicyServiceClient::new(registry.clone()).get_policy(request).await?.into_inner().yaml;
        let head =
            AuditServiceClient::new(registry.clone()).get_tree_head(GetTreeHeadRequest::default()).await?;
        Ok(Self { decision, policy, public_key: head.into_inner().public_key_pem })
    }

    /// Reads a file that [`Saved::write`] wrote.
    ///
    /// # Errors
    /// If it is not of the format.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let file: File = serde_json::from_str(&text).with_context(|| format!("{}", path.display()))?;
        anyhow::ensure!(file.format == FORMAT, "format {:?}, required {FORMAT}", file.format);
        let decision = wire_json::from_json(DECISION, &file.decision.to_string())?;
        Ok(Self { decision, policy: file.policy, public_key: file.public_key })
    }

    /// Writes everything as one JSON file.
    ///
    /// # Errors
    /// Of the file system.
    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        let kind = wire_json::message_type(DECISION)?;
        let file = File {
            format: FORMAT.into(),
            public_key: self.public_key.clone(),
            policy: self.policy.clone(),
            decision: wire_json::to_json(kind, &self.decision.encode_to_vec())?,
        };
        let text = serde_json::to_string_pretty(&file)?;
        std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Checks signature and digests, with `pinned` (PEM) or else the saved key, and decides again.
    ///
    /// # Errors
    /// If policy, evidence or key cannot be read at all.
    pub fn replay(&self, pinned: Option<&str>) -> anyhow::Result<Replayed> {
        let stored = &self.decision;
        let policy = Policy::parse(&self.policy).context("the policy")?;
        let judged = Judged::from_json(&stored.evidence_body).context("the evidence")?;
        let decided = judged.decide(&policy);
        let findings = judged.findings(&decided, &policy);
        let key = public_key_from_pem(pinned.unwrap_or(&self.public_key))?;
        let signature = ed25519_dalek::Signature::from_slice(&stored.signature);
        let message = contracts::signed::gate_decision(stored);
        let signed = signature.is_ok_and(|signature| key.verify_strict(&message, &signature).is_ok());
        let mut differences = Vec::new();
        let mut same = |what: &str, stored: &str, found: &str| {
            if stored != found {
                differences.push(format!("{what}: stored {stored:?}, found {found:?}"));
            }
        };
        same("signature", "good", if signed { "good" } else { "bad" });
        same("policy digest", &stored.policy_digest, policy.digest());
        same("evidence digest", &stored.evidence_digest, &Digest::of(&stored.evidence_body).to_string());
        same("artifact digest", &stored.artifact_digest, &judged.candidate.artifact_digest);
        same("gate", stored.gate().as_str_name(), to_gate(judged.gate).as_str_name());
        same("outcome", word(stored.passed), word(decided.passed));
        same("carried from", &stored.carried_from, decided.carried_from.as_deref().unwrap_or_default());
        same("findings", &lines(&stored.findings), &lines(&findings));
        Ok(Replayed { passed: decided.passed, findings, differences })
    }

    /// Checks a log, and that the decision stands in it as it is here; gives its place.
    ///
    /// # Errors
    /// The first bad entry, or that no entry holds these bytes.
    pub fn logged(&self, log: AuditFile, pinned: Option<&str>) -> anyhow::Result<u64> {
        self.logged_in(&VerifiedLog::of(log, pinned)?)
    }

    /// [`Saved::logged`] with a log that was checked before.
    ///
    /// # Errors
    /// That no entry holds these bytes.
    pub fn logged_in(&self, log: &VerifiedLog) -> anyhow::Result<u64> {
        let digest = Digest::of(&self.decision.encode_to_vec());
        let own: Vec<_> = log.about(&self.decision.name).collect();
        let found = own.iter().find(|entry| entry.body_digest == digest);
        found.map(|entry| entry.sequence).with_context(|| match own.first() {
            Some(entry) => {
                format!(
                    "audit entry {}: holds {}, the decision is {digest}",
                    entry.sequence, entry.body_digest
                )
            }
            None => format!("the audit log does not know {}", self.decision.name),
        })
    }
}

/// How a gate came out.
pub fn word(passed: bool) -> &'static str {
    if passed { "passed" } else { "refused" }
}

fn lines(findings: &[Finding]) -> String {
    findings.iter().map(crate::story::finding_line).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use contracts::registry::v1::Gate;
    use lifecycle::gate::{Candidate, Evidence};
    use storage::{Draft, Signer};

    use crate::audit_file::tests::log_of;

    /// A refused G1 as a registry makes it: nothing was tested.
    fn saved() -> (Saved, Signer) {
        let (policy, signer) = (Policy::builtin(), Signer::generate().expect("a key"));
        let judged = Judged {
            gate: lifecycle::gate::Gate::G1,
            candidate: Candidate {
                name: "models/m/versions/1.0.0".into(),
                artifact_digest: Digest::of(b"model").to_string(),
                task: lifecycle::acceptance::Task::MulticlassClassification,
                contributors: vec!["ml-engineer".into()],
                decided: Vec::new(),
            },
            evidence: Evidence::Tests { reports: Vec::new() },
        };
        let decided = judged.decide(policy);
        assert!(!decided.passed);
        let evidence_body = judged.to_json().expect("json");
        let mut decision = GateDecision {
            name: "models/m/versions/1.0.0/gateDecisions/g1-1".into(),
            gate: Gate::G1TestsPass.into(),
            findings: judged.findings(&decided, policy),
            policy_digest: policy.digest().into(),
            artifact_digest: judged.candidate.artifact_digest.clone(),
            evidence_digest: Digest::of(&evidence_body).to_string(),
            evidence_body,
            ..Default::default()
        };
        decision.signature = signer.sign(&contracts::signed::gate_decision(&decision)).to_vec();
        let public_key = signer.public_key_pem().expect("pem");
        (Saved { decision, policy: lifecycle::policy::BUILTIN.to_owned(), public_key }, signer)
    }

    #[test]
    fn a_saved_decision_comes_out_the_same_from_its_file() {
        let (saved, _) = saved();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("decision.json");
        saved.write(&path).expect("written");
        let read = Saved::read(&path).expect("read");
        assert_eq!(read, saved);
        let again = read.replay(None).expect("replayed");
        assert_eq!((again.passed, again.differences), (false, Vec::<String>::new()));
    }

    #[test]
    fn a_changed_outcome_evidence_or_policy_is_found() {
        let (saved, _) = saved();
        let found = |change: &dyn Fn(&mut Saved)| {
            let mut changed = saved.clone();
            change(&mut changed);
            changed.replay(None).expect("replayed").differences.join("; ")
        };
        let outcome = found(&|saved| saved.decision.passed = true);
        assert!(outcome.contains("signature") && outcome.contains("outcome"), "{outcome}");
        let evidence = found(&|saved| saved.decision.evidence_body.push(b' '));
        assert!(evidence.starts_with("evidence digest"), "{evidence}");
        let policy = found(&|saved| {
            saved.policy = saved.policy.replace("Security and robustness", "Security");
        });
        assert!(policy.starts_with("policy digest"), "{policy}");
        let finding = found(&|saved| saved.decision.findings.clear());
        assert!(finding.starts_with("findings"), "{finding}");
    }

    #[tokio::test]
    async fn the_log_has_to_hold_these_very_bytes() {
        let (saved, _) = saved();
        let body = saved.decision.encode_to_vec();
        let draft = Draft {
            kind: "gateDecision".into(),
            name: saved.decision.name.clone(),
            body,
            ..Draft::default()
        };
        let (entries, public_key) = log_of(vec![draft]).await;
        let log = || AuditFile { public_key: public_key.clone(), entries: entries.clone() };
        assert_eq!(saved.logged(log(), None).expect("in the log"), 0);
        let mut other = saved.clone();
        other.decision.passed = true;
        let found = other.logged(log(), None).expect_err("not these bytes").to_string();
        assert!(found.starts_with("audit entry 0: holds"), "{found}");
        other.decision.name = "models/m/versions/1.0.0/gateDecisions/g1-2".into();
        let found = other.logged(log(), None).expect_err("unknown").to_string();
        assert!(found.contains("does not know"), "{found}");
    }

    #[test]
    fn another_key_than_the_pinned_one_is_found() {
        let (saved, signer) = saved();
        let other = Signer::generate().expect("a key").public_key_pem().expect("pem");
        let again = saved.replay(Some(&other)).expect("replayed");
        assert_eq!(again.differences, ["signature: stored \"good\", found \"bad\""]);
        let own = signer.public_key_pem().expect("pem");
        assert!(saved.replay(Some(&own)).expect("replayed").differences.is_empty());
    }
}
