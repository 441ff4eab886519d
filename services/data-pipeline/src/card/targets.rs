//! What the procedure asks of the eight dimensions (§5.2), as the policy in force says it.

use lifecycle::dataset::Dimension;
use lifecycle::policy::Quality;

/// A target of a dimension.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// `completeness`
    pub dimension: &'static str,
    /// `< 0.05`
    pub words: String,
    /// The threshold, where the target is a number on the measurement's own scale.
    pub limit: Option<f64>,
}

/// The eight targets in the order of the procedure.
pub fn targets(policy: &Quality) -> Vec<Target> {
    policy.dimensions.iter().map(|row| target(row.dimension, policy)).collect()
}

fn target(dimension: Dimension, policy: &Quality) -> Target {
    let limit = match dimension {
        Dimension::Accuracy => {
            let asked = &policy.accuracy;
            let words = format!(
                "{} {} on an audit of {} rows or more",
                asked.comparator, asked.value, asked.min_sample
            );
            return Target { dimension: dimension.as_str(), words, limit: Some(asked.value.get()) };
        }
        Dimension::Timeliness => {
            let days = policy.age.below.get().as_secs_f64() / 86_400.0;
            let words = format!("younger than {} days", tabular::show::brief(days));
            return Target { dimension: dimension.as_str(), words, limit: None };
        }
        Dimension::Completeness => &policy.missing,
        Dimension::Consistency => &policy.inconsistent,
        Dimension::Uniqueness => &policy.duplicates,
        Dimension::Validity => &policy.invalid,
        Dimension::Relevance => &policy.relevance,
        Dimension::Fairness => &policy.imbalance,
    };
    Target {
        dimension: dimension.as_str(),
        words: format!("{} {}", limit.comparator, limit.value),
        limit: Some(limit.value),
    }
}
