//! §7.4 ethics review, §8.1 quality gates.

use serde::{Deserialize, Serialize};

use super::{Cited, Span, problem::Problems};
use crate::{ethics::EthicsItem, evaluation::TestCategory, gate::Gate, role::Role};

/// The checklist of §7.4.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ethics {
    /// The items that an assessor completes, before the board.
    pub items: Vec<EthicsRow>,
    /// Role of the board's members.
    pub board: Cited<Role>,
    /// Approving members that make a quorum.
    pub quorum: Cited<usize>,
}

/// One assessed item.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EthicsRow {
    /// Which.
    pub item: EthicsItem,
    /// As the procedure writes it.
    pub title: String,
    /// Who may assess it.
    pub assessors: Vec<Role>,
    /// Its clause.
    pub clause: String,
}

/// The gates of §8.1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gates {
    /// The four gates.
    pub gates: Vec<GateRow>,
    /// G1: categories that must have a passing report.
    pub g1_categories: Cited<Vec<TestCategory>>,
    /// G3: who approves.
    pub g3_approvers: Cited<Vec<Role>>,
    /// G4: how long the canary is watched.
    pub g4_window: Cited<Span>,
    /// G4: fewest requests to the canary.
    pub g4_min_requests: Cited<u64>,
    /// G4: traffic at which the canary is watched, percent.
    pub g4_traffic_percent: Cited<u32>,
    /// G4 and every step of a rollout: whose observation of the canary counts. No person's does.
    pub g4_observers: Cited<Vec<Role>>,
    /// Gates that a patch carries over from the version it patches.
    pub patch_carries: Cited<Vec<Gate>>,
}

/// One gate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GateRow {
    /// Which.
    pub gate: Gate,
    /// As the procedure writes it.
    pub title: String,
    /// Gates that must have passed before.
    pub after: Vec<Gate>,
    /// Its clause.
    pub clause: String,
}

impl Ethics {
    pub(super) fn check(&self, bad: &mut Problems) {
        bad.exactly("ethics.items", self.items.iter().map(|row| row.item), EthicsItem::ALL);
        for (at, row) in self.items.iter().enumerate() {
            bad.require(
                !row.assessors.is_empty(),
                format!("ethics.items[{at}].assessors"),
                "must not be empty",
            );
        }
        bad.require(self.quorum.value > 0, "ethics.quorum", "must be above 0");
    }
}

impl Gates {
    pub(super) fn check(&self, bad: &mut Problems) {
        bad.exactly("gates.gates", self.gates.iter().map(|row| row.gate), Gate::ALL);
        for (at, row) in self.gates.iter().enumerate() {
            let earlier = row.after.iter().all(|before| *before < row.gate);
            bad.require(earlier, format!("gates.gates[{at}].after"), "may only name earlier gates");
            let opens = row.gate != Gate::G4 || !row.after.is_empty();
            bad.require(opens, format!("gates.gates[{at}].after"), "must name what opens a canary's traffic");
        }
        bad.require(!self.g1_categories.value.is_empty(), "gates.g1_categories", "must not be empty");
        bad.require(!self.g3_approvers.value.is_empty(), "gates.g3_approvers", "must not be empty");
        bad.require(!self.g4_observers.value.is_empty(), "gates.g4_observers", "must not be empty");
        bad.require(!self.g4_window.value.get().is_zero(), "gates.g4_window", "must be above 0");
        bad.require(self.g4_min_requests.value > 0, "gates.g4_min_requests", "must be above 0");
        bad.require(
            (1..=100).contains(&self.g4_traffic_percent.value),
            "gates.g4_traffic_percent",
            "must lie between 1 and 100",
        );
        bad.require(
            self.patch_carries.value == [Gate::G3] || self.patch_carries.value.is_empty(),
            "gates.patch_carries",
            "may only name g3: machines judge every version anew",
        );
    }
}
