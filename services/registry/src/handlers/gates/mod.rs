//! Gates G1 to G4 (§8.1): decided by `lifecycle` over the records, signed, stored whether they pass or not, replayable.

pub mod evidence;

use async_trait::async_trait;
use contracts::registry::v1::{gate_service_server::GateService, *};
use ed25519_dalek::Signature;
use lifecycle::gate::{Gate as Rule, all_passed, before_traffic};
use lifecycle::separation::Action;
use lifecycle::version_state::State;
use storage::Digest;
use tonic::{Request, Response, Status};

use super::audit::key_id;
use crate::convert::gate::{self as domain, Judged};
use crate::convert::model;
use crate::store::{Resource, Stored};
use crate::work::{Verb, Work};
use crate::{Error, Registry, parse::Fields};
use evidence::{Gathered, decisions, gather};

#[tonic::async_trait]
impl GateService for Registry {
    async fn decide_gate(
        &self,
        request: Request<DecideGateRequest>,
    ) -> Result<Response<GateDecision>, Status> {
        self.carry_out(request).await
    }

    async fn get_gate_decision(
        &self,
        request: Request<GetGateDecisionRequest>,
    ) -> Result<Response<GateDecision>, Status> {
        self.get(&request.into_inner().name).await
    }

    async fn list_gate_decisions(
        &self,
        request: Request<ListGateDecisionsRequest>,
    ) -> Result<Response<ListGateDecisionsResponse>, Status> {
        let ListGateDecisionsRequest { parent, page_size, page_token } = request.into_inner();
        let (gate_decisions, next_page_token) =
            self.page_below((&parent, ModelVersion::FORM), page_size, &page_token).await?;
        Ok(Response::new(ListGateDecisionsResponse { gate_decisions, next_page_token }))
    }

    async fn replay_gate_decision(
        &self,
        request: Request<ReplayGateDecisionRequest>,
    ) -> Result<Response<ReplayGateDecisionResponse>, Status> {
        let stored = self.get::<GateDecision>(&request.into_inner().name).await?.into_inner();
        Ok(Response::new(self.replay(stored).await?))
    }
}

impl Registry {
    /// Decides again from the stored evidence under the stored policy, and checks the signature.
    async fn replay(&self, stored: GateDecision) -> Result<ReplayGateDecisionResponse, Error> {
        let policy = self.policies().by_digest(&stored.policy_digest).await?;
        let judged = Judged::from_json(&stored.evidence_body)?;
        let decision = judged.decide(&policy);
        let findings = judged.findings(&decision, &policy);
        let carried_from = decision.carried_from.clone().unwrap_or_default();
        let same = decision.passed == stored.passed
            && findings == stored.findings
            && carried_from == stored.carried_from
            && domain::to_gate(judged.gate) == stored.gate()
            && judged.candidate.artifact_digest == stored.artifact_digest
            && Digest::of(&stored.evidence_body).to_string() == stored.evidence_digest
            && self.signed(&stored);
        Ok(ReplayGateDecisionResponse { stored: Some(stored), same, passed: decision.passed, findings })
    }

    fn signed(&self, stored: &GateDecision) -> bool {
        let signature = Signature::from_slice(&stored.signature);
        let message = contracts::signed::gate_decision(stored);
        signature
            .is_ok_and(|signature| self.signer().public_key().verify_strict(&message, &signature).is_ok())
    }
}

#[async_trait]
impl Verb for DecideGateRequest {
    type Answer = GateDecision;

    fn check(&self, fields: &mut Fields) {
        fields.name("parent", &self.parent, ModelVersion::FORM);
        fields.choice::<Gate>("gate", self.gate);
        let canary = self.gate() == Gate::G4CanaryStable;
        if canary {
            fields.name("rollout", &self.rollout, Rollout::FORM);
            fields.message("canary_health", self.canary_health.as_ref(), |fields, health| {
                domain::check_health(fields, "canary_health", health);
            });
        } else {
            fields.require(self.rollout.is_empty(), "rollout", "belongs to G4 only");
            fields.require(self.canary_health.is_none(), "canary_health", "belongs to G4 only");
        }
    }

    async fn decide(self, work: &mut Work) -> Result<GateDecision, Error> {
        let gate = domain::gate(self.gate()).ok_or_else(|| Error::field("gate", "required"))?;
        let version = work.read::<ModelVersion>(&self.parent).await?;
        let health = self.canary_health.as_ref().map(|health| (self.rollout.as_str(), health));
        if gate == Rule::G4 {
            work.approval(&work.policy().gates.g4_observers.value)?;
            let rollout = work.read::<Rollout>(&self.rollout).await?;
            if rollout.version != version.name {
                return Err(Error::field("rollout", format!("rolls out {}", rollout.version)));
            }
            model::state(&version).promote()?; // G4 is about a canary
        } else {
            // anybody of the row may ask; what G1 and G2 say nobody chooses
            work.authorize(Action::DecideMachineGate, &[])?;
            model::state(&version).require(State::may_be_judged, &version.name)?;
        }
        let gathered = gather(work, &version, gate, health).await?;
        let decision = store(work, &version, &gathered).await?;
        record_on_version(work, &version, &gathered, &decision).await?;
        Ok(decision)
    }
}

/// Decides, signs and stores a decision.
///
/// # Errors
/// Of the database.
pub async fn store(
    work: &mut Work,
    version: &Stored<ModelVersion>,
    gathered: &Gathered,
) -> Result<GateDecision, Error> {
    let Gathered { judged, sources, .. } = gathered;
    let policy = work.policy();
    // what is judged is what a replay will read, to the last bit
    let evidence_body = judged.to_json()?;
    let judged = Judged::from_json(&evidence_body)?;
    let decided = judged.decide(&policy);
    let before = decisions(work, &version.name).await?;
    let gate = domain::to_gate(judged.gate);
    let number = before.iter().filter(|one| one.gate() == gate).count() + 1;
    let mut decision = GateDecision {
        name: format!("{}/gateDecisions/{}-{number}", version.name, judged.gate),
        gate: gate.into(),
        passed: decided.passed,
        findings: judged.findings(&decided, &policy),
        policy_digest: decided.policy_digest,
        artifact_digest: version.artifact_digest.clone(),
        evidence: sources.clone(),
        evidence_digest: Digest::of(&evidence_body).to_string(),
        evidence_body,
        decided_by: work.principal(),
        carried_from: decided.carried_from.unwrap_or_default(),
        create_time: work.wire_now(),
        ..GateDecision::default()
    };
    let signer = work.registry().signer();
    decision.signature = signer.sign(&contracts::signed::gate_decision(&decision)).to_vec();
    decision.key_id = key_id(signer)?;
    work.insert(decision, if decided.passed { "pass" } else { "refuse" }).await
}

/// The version keeps the decision's name. A refusal of G1 or G2 on complete evidence rejects it for good; where evidence
/// is only missing it stays EVALUATING. The last of the gates before traffic approves it.
async fn record_on_version(
    work: &mut Work,
    version: &Stored<ModelVersion>,
    gathered: &Gathered,
    decision: &GateDecision,
) -> Result<(), Error> {
    let mut next = (**version).clone();
    let gate = gathered.judged.gate;
    let state = model::state(version);
    if state == State::Evaluating {
        let mut candidate = gathered.judged.candidate.clone();
        candidate.decided.extend(domain::earlier(decision));
        if !decision.passed && gathered.complete && matches!(gate, Rule::G1 | Rule::G2) {
            next = model::in_state(version, state.reject()?);
        } else if all_passed(&candidate, before_traffic(&work.policy().gates)) {
            next = model::in_state(version, state.approve()?);
        }
    }
    next.gate_decisions.push(decision.name.clone());
    work.save(version, next, "gate-decided").await?;
    Ok(())
}
