//! Candidates that were fitted and measured on the same rows: the evidence of the choice of a model (§4.2, §6.1).

use std::collections::BTreeMap;

use contracts::common::v1::Measurement;
use contracts::registry::v1::Candidate;
use serde::{Deserialize, Serialize};

/// What was measured of all candidates, and what is only judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Comparison {
    /// Where the rows are from: a source or a dataset version.
    pub data: String,
    /// Which rows were fitted and which measured.
    pub split: String,
    /// Of the split and of every fit.
    pub seed: u64,
    /// Rows that were measured.
    pub sample_size: u64,
    /// What has to be beaten.
    pub baseline: Baseline,
    /// The candidates.
    pub candidates: Vec<Measured>,
}

/// The simplest thing that answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    /// What it does.
    pub candidate: String,
    /// Share of right answers.
    pub accuracy: f64,
}

/// One candidate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// Its name.
    pub candidate: String,
    /// Its settings in words.
    pub settings: String,
    /// Share of right answers.
    pub accuracy: f64,
    /// Median of single-row requests.
    pub latency_p50_ms: f64,
    /// 95th percentile of them.
    pub latency_p95_ms: f64,
    /// The fitted model.
    pub size_bytes: u64,
    /// Processor time of a fit.
    pub fit_cpu_s: f64,
    /// By criterion of §4.2, higher is better.
    pub scores: BTreeMap<String, Score>,
}

/// A score of one candidate under one criterion.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Score {
    /// Higher is better.
    pub value: f64,
    /// What was measured, or why it is judged so.
    pub basis: String,
    /// True where nobody can measure it.
    pub judgement: bool,
}

impl Comparison {
    /// The candidates as the weighted decision takes them; `evidence` is the digest of this comparison.
    pub fn candidates(&self, evidence: &str) -> Vec<Candidate> {
        let one = |measured: &Measured| Candidate {
            candidate_id: measured.candidate.clone(),
            scores: measured.scores.iter().map(|(name, score)| (name.clone(), score.value)).collect(),
            evidence: measured.scores.keys().map(|name| (name.clone(), evidence.to_owned())).collect(),
        };
        self.candidates.iter().map(one).collect()
    }

    /// The criteria under which some candidate is judged, not measured.
    pub fn judged(&self) -> Vec<&str> {
        let scores = self.candidates.iter().flat_map(|one| &one.scores);
        let mut judged: Vec<_> =
            scores.filter(|(_, score)| score.judgement).map(|(name, _)| name.as_str()).collect();
        judged.sort_unstable();
        judged.dedup();
        judged
    }

    /// Accuracy, latency and size of each candidate, told apart by their slice.
    pub fn measurements(&self) -> Vec<Measurement> {
        let of = |one: &Measured| {
            let measurement = |metric: &str, value: f64, unit: &str| Measurement {
                metric: metric.into(),
                value,
                unit: unit.into(),
                sample_size: self.sample_size,
                slice: format!("candidate={}", one.candidate),
                ..Default::default()
            };
            [
                measurement("accuracy", one.accuracy, ""),
                measurement("latency_p50_ms", one.latency_p50_ms, "ms"),
                measurement("latency_p95_ms", one.latency_p95_ms, "ms"),
                measurement("size_bytes", one.size_bytes as f64, "bytes"),
            ]
        };
        self.candidates.iter().flat_map(of).collect()
    }

    /// Accuracy of each candidate in one line.
    pub fn told(&self) -> String {
        let one = |one: &Measured| format!("{} {:.4}", one.candidate, one.accuracy);
        self.candidates.iter().map(one).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comparison() -> Comparison {
        let score = |value, judgement| Score { value, basis: "because".into(), judgement };
        let scores = [("latency".to_owned(), score(-0.5, false)), ("cost".to_owned(), score(0.9, true))];
        let measured = Measured {
            candidate: "line".into(),
            settings: String::new(),
            accuracy: 0.75,
            latency_p50_ms: 0.5,
            latency_p95_ms: 0.7,
            size_bytes: 12,
            fit_cpu_s: 0.1,
            scores: scores.into(),
        };
        Comparison {
            data: "datasets/a/versions/1.0.0".into(),
            split: "train, validation".into(),
            seed: 7,
            sample_size: 40,
            baseline: Baseline { candidate: "always 1".into(), accuracy: 0.1 },
            candidates: vec![measured],
        }
    }

    #[test]
    fn scores_go_to_the_decision_as_they_were_measured() {
        let candidates = comparison().candidates("sha256:00");
        assert_eq!(candidates[0].scores.get("latency"), Some(&-0.5));
        assert_eq!(candidates[0].evidence["cost"], "sha256:00");
        assert_eq!(comparison().judged(), ["cost"]);
    }

    #[test]
    fn each_candidate_has_measurements_of_its_own() {
        let all = comparison().measurements();
        let accuracy = all.iter().find(|one| one.metric == "accuracy").expect("there");
        assert_eq!(
            (accuracy.slice.as_str(), accuracy.value, accuracy.sample_size),
            ("candidate=line", 0.75, 40)
        );
    }

    #[test]
    fn it_is_read_as_it_was_written() {
        let text = serde_json::to_string(&comparison()).expect("json");
        assert_eq!(serde_json::from_str::<Comparison>(&text).expect("read"), comparison());
        assert!(serde_json::from_str::<Comparison>(&text.replace("accuracy", "accurate")).is_err());
    }
}
