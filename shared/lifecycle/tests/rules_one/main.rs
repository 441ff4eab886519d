//! Boundaries and state machines of planning, data, training, versions, acceptance, ethics and gates.
#![allow(clippy::unwrap_used)]

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, SystemTime},
};

use lifecycle::{
    Approval, Bump, Measured, NotApplicable, Policy, Role, Strict, Verdict, Version,
    acceptance::{self, Attack, Metric, MetricEvidence, Task},
    dataset::{self, Step, StepRecord},
    entry::RegistryEntry,
    ethics::{self, EthicsItem, EthicsReview, ItemRecord},
    evaluation::{Slot, SlotRecord, TestCategory, TestReport},
    gate::{self, Candidate, Carried, Conditions, EarlierDecision, Evidence, Gate},
    health::CanaryHealth,
    quality::{self, Applicable, Audit, Count, Currency, QualityEvidence, Relevance},
    selection::{self, SelectionRecord, SelectionStep},
    selection_criteria::{self, Criterion, DecisionInput, Direction, Normalisation, Score},
    source::{self, Source, SourceKind},
    training::{self, RunState, Technique, TrainingRecord},
    version::{ModelVersionId, next_model_version, successor},
};
use proptest::{collection::vec, prelude::*, sample::select};

mod judgement;
mod numbers;
mod work;

fn policy() -> &'static Policy {
    Policy::builtin()
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

const NOW: u64 = 100 * 86_400;

fn digest(letter: char) -> String {
    format!("sha256:{}", letter.to_string().repeat(64))
}

fn exact(value: f64, samples: u64) -> Measured {
    Measured { value, samples, low: value, high: value, confidence: 0.95 }
}

fn by(role: Role, seconds: u64) -> Approval {
    Approval::new(role.as_str(), role, at(seconds))
}
