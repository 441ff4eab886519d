//! Who acts in the procedure (§12), who acts without standing there (reading 9), and our own services.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{policy::Policy, rejection::Finding};

macro_rules! roles {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)+) => {
        /// A role. Written in kebab-case everywhere: credentials, policy, audit entries.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Role {
            $($(#[$doc])* #[serde(rename = $text)] $name,)+
        }

        impl Role {
            /// Every role there is.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The kebab-case spelling.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),+ }
            }
        }
    };
}

roles! {
    /// §12: process ownership, technical decisions.
    MlLead = "ml-lead";
    /// §12: model development, training, evaluation.
    MlEngineer = "ml-engineer";
    /// §12: data pipelines, data quality.
    DataEngineer = "data-engineer";
    /// §12: deployment, monitoring, operations. "ML Ops" in §10.1 and §11.
    MlOpsEngineer = "ml-ops-engineer";
    /// §12: testing, validation.
    QaEngineer = "qa-engineer";
    /// §12: ethics assessment, bias review.
    EthicsReviewer = "ethics-reviewer";
    /// §5.1: approves internal data.
    DataOwner = "data-owner";
    /// §5.1: reviews public and third-party data.
    Legal = "legal";
    /// §5.1: approves third-party data.
    Procurement = "procurement";
    /// §10.1: security scan.
    Security = "security";
    /// §10.1: documentation update.
    Developer = "developer";
    /// §11: incident report.
    OnCall = "on-call";
    /// §7.4: ethics board approval.
    EthicsBoard = "ethics-board";
    /// Approval block: reviewer.
    QaLead = "qa-lead";
    /// Approval block: approver.
    ChiefAiOfficer = "chief-ai-officer";
    /// §10.2: discontinues a product.
    BusinessOwner = "business-owner";
    /// The registry service.
    Registry = "registry";
    /// The data-pipeline service.
    DataPipeline = "data-pipeline";
    /// The evaluator service.
    Evaluator = "evaluator";
    /// The gateway service.
    Gateway = "gateway";
    /// The monitor service.
    Monitor = "monitor";
    /// May infer and give feedback.
    Client = "client";
    /// May read everything.
    Auditor = "auditor";
    /// Manages principals; never together with an approving role.
    Admin = "admin";
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Text that names no role.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no role")]
pub struct NotARole(pub String);

impl FromStr for Role {
    type Err = NotARole;
    fn from_str(text: &str) -> Result<Self, NotARole> {
        Self::ALL.iter().copied().find(|role| role.as_str() == text).ok_or_else(|| NotARole(text.to_owned()))
    }
}

/// Roles that the procedure uses without listing them in §12: the gap that the software must report.
///
/// One finding per role, with the clause that uses it.
pub fn unlisted_roles(policy: &Policy) -> Vec<Finding> {
    policy
        .roles
        .used
        .iter()
        .filter(|used| !policy.roles.listed.iter().any(|listed| listed.role == used.role))
        .map(|used| {
            Finding::new(
                used.clause.clone(),
                format!("role {}", used.role),
                "listed in §12",
                format!("used for {}, not listed", used.used_for),
            )
        })
        .collect()
}
