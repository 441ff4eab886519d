//! What every test is given: the policy of the procedure, a moment, people and what they sign, digests.
#![allow(dead_code, reason = "each target is built with all of it and needs a part")]

pub mod data;
pub mod gates;
pub mod rollout;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lifecycle::deployment::Done;
use lifecycle::{Approval, Measured, Policy, Role};

pub const DAY: u64 = 86_400;

pub fn policy() -> &'static Policy {
    Policy::builtin()
}

pub fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_767_225_600 + seconds) // 2026-01-01
}

pub fn digest(letter: char) -> String {
    format!("sha256:{}", letter.to_string().repeat(64))
}

/// An approval by a person who is named after the role.
pub fn by(role: Role, seconds: u64) -> Approval {
    Approval::new(role.as_str(), role, at(seconds))
}

pub fn done(seconds: u64) -> Done {
    Done { evidence: "proof".into(), who: "ml-ops-engineer".into(), when: at(seconds) }
}

/// A measurement whose bounds are its value, at 95 %.
pub fn exact(value: f64, samples: u64) -> Measured {
    Measured { value, samples, low: value, high: value, confidence: 0.95 }
}
