//! The policy: every number, list, role and trigger of the procedure, each with its clause.
//!
//! One file per section. A section checks its own values in `check`, naming every bad field.

pub mod acceptance;
mod canonical;
mod cited;
pub mod deployment;
pub mod gates;
pub mod monitoring;
pub mod people;
pub mod phases;
pub mod planning;
mod problem;
pub mod quality;
pub mod roles;
pub mod rollout;
pub mod sources;
pub mod training;
pub mod upkeep;

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use crate::{rollback::Trigger, separation::Action};

pub use acceptance::{Acceptance, Evaluation};
pub use cited::{Cited, Span};
pub use gates::{Ethics, Gates};
pub use planning::Planning;
pub use problem::{BadField, PolicyError, Problems};
pub use quality::Quality;
pub use roles::Roles;
pub use sources::Sources;
pub use training::{Selection, Training, Versioning};

/// Text of the compiled-in default policy.
pub const BUILTIN: &str = include_str!("../../../../deploy/policy/wlp-mldev-001.yaml");

/// One version of the procedure's numbers. Fields are public to read; to change one, make another policy with
/// [`Policy::parse`], so that the digest always names the content.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Which procedure, which version of it.
    pub document: DocumentId,
    /// §12 and reading 9.
    pub roles: Roles,
    /// §4
    pub planning: Planning,
    /// §5.1
    pub sources: Sources,
    /// §5.2, §5.3
    pub quality: Quality,
    /// §6.1
    pub selection: Selection,
    /// §6.2, §6.3
    pub training: Training,
    /// §6.4
    pub versioning: Versioning,
    /// §7.1, §7.2
    pub evaluation: Evaluation,
    /// §7.3
    pub acceptance: Acceptance,
    /// §7.4
    pub ethics: Ethics,
    /// §8.1
    pub gates: Gates,
    /// §3
    pub phases: phases::PhasePolicy,
    /// §8.1, §8.2
    pub deployment: deployment::DeploymentPolicy,
    /// §8.2, §8.3
    pub rollout: rollout::RolloutPolicy,
    /// §9
    pub monitoring: monitoring::Monitoring,
    /// §10.1
    pub duties: upkeep::Duties,
    /// §10.2, §10.3
    pub retirement: upkeep::RetirementPolicy,
    /// §11
    pub documents: Vec<upkeep::DocumentRow>,
    /// §8.3, §11
    pub incidents: upkeep::IncidentPolicy,
    /// §12 and the approval block
    pub people: people::People,
    #[serde(skip)]
    digest: String,
}

/// The head of the procedure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DocumentId {
    /// `WLP-MLDEV-001`
    pub id: String,
    /// Version of the procedure.
    pub version: String,
    /// ISO date.
    pub effective_date: String,
    /// Owner as the procedure writes it.
    pub owner: String,
    /// Classification as the procedure writes it.
    pub classification: String,
}

impl Policy {
    /// The default policy, the procedure as written.
    ///
    /// # Panics
    /// Never in a build whose tests pass: the text is compiled in and parsed by a test.
    pub fn builtin() -> &'static Self {
        static POLICY: LazyLock<Policy> = LazyLock::new(|| match Policy::parse(BUILTIN) {
            Ok(policy) => policy,
            Err(error) => panic!("the compiled-in policy does not hold: {error}"),
        });
        &POLICY
    }

    /// Reads a policy and checks every value.
    ///
    /// # Errors
    /// [`PolicyError::Unreadable`] for an unknown, missing or mistyped field; [`PolicyError::Invalid`] with every
    /// field whose value does not make sense.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        let unreadable = |error: serde_norway::Error| PolicyError::Unreadable(error.to_string());
        let mut policy: Self = serde_norway::from_str(text).map_err(unreadable)?;
        policy.digest = canonical::digest(&serde_norway::from_str(text).map_err(unreadable)?);
        let mut bad = Problems::default();
        policy.check(&mut bad);
        if bad.0.is_empty() { Ok(policy) } else { Err(PolicyError::Invalid(bad.0)) }
    }

    /// `sha256:<64 hex>` of the canonical content: the same for the same rules, whatever comments and order of keys.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    fn check(&self, bad: &mut Problems) {
        bad.text("document.id", &self.document.id);
        bad.text("document.version", &self.document.version);
        self.roles.check(bad);
        self.planning.check(bad);
        self.sources.check(bad);
        self.quality.check(bad);
        self.selection.check(bad);
        self.training.check(bad);
        self.versioning.check(bad);
        self.evaluation.check(bad);
        self.acceptance.check(bad);
        self.ethics.check(bad);
        self.gates.check(bad);
        self.phases.check(bad);
        self.deployment.check(bad);
        self.rollout.check(bad);
        self.monitoring.check(bad);
        self.duties.check(bad);
        self.retirement.check(bad);
        upkeep::check_documents(&self.documents, bad);
        self.incidents.check(bad);
        self.people.check(bad);
        self.check_agreement(bad);
    }

    /// What two sections say about one thing, they say alike.
    fn check_agreement(&self, bad: &mut Problems) {
        let row = |action| self.people.matrix.iter().find(|row| row.action == action);
        let roles = |action| row(action).map(|row| row.roles.as_slice());
        bad.require(
            row(Action::ApproveEthics).is_some_and(|row| row.persons == self.ethics.quorum.value),
            "ethics.quorum",
            "must be the persons of approve-ethics",
        );
        bad.require(
            roles(Action::ApproveEthics) == Some(&[self.ethics.board.value]),
            "ethics.board",
            "must be the role of approve-ethics",
        );
        bad.require(
            roles(Action::ApproveQuality) == Some(&self.gates.g3_approvers.value),
            "gates.g3_approvers",
            "must be the roles of approve-quality",
        );
        let signers: Vec<_> = self.people.signatures.iter().map(|row| row.role).collect();
        bad.require(
            row(Action::ChangePolicy).is_some_and(|row| row.each_of == signers),
            "people.signatures",
            "must be the roles of change-policy",
        );
        let first = self.rollout.steps.first();
        bad.require(
            first.is_some_and(|step| step.traffic_percent == self.gates.g4_traffic_percent.value),
            "gates.g4_traffic_percent",
            "must be the traffic of the first step",
        );
        bad.require(
            first.is_some_and(|step| step.min_requests == self.gates.g4_min_requests.value),
            "gates.g4_min_requests",
            "must be the requests of the first step",
        );
        let window = self.gates.g4_window.value;
        bad.require(
            first.is_some_and(|step| step.dwell == window) && self.deployment.canary_watch == window,
            "gates.g4_window",
            "must be the dwell of the first step and the watch of the canary",
        );
        let rate = self.rollout.triggers.iter().find(|row| row.trigger == Trigger::ErrorRate);
        bad.require(
            rate.is_some_and(|row| row.above == self.rollout.breaker.max_error_rate.value),
            "rollout.breaker.max_error_rate",
            "must be the error rate that rolls back",
        );
    }
}
