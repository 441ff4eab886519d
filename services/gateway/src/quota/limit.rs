//! `[limits]`: what a caller may ask for.

use std::collections::HashSet;

use anyhow::ensure;
use serde::{Deserialize, Serialize};
use storage::Bucket;

/// `[limits]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// For each caller that has no entry of its own. Callers without a key are one caller.
    pub default: Limit,
    /// Callers with limits of their own.
    pub callers: Vec<Own>,
    /// Share of a limit that a gateway takes at a time from what all gateways share, above 0 and at most 1: so often is the
    /// store asked, and so much can a gateway hold that another one cannot give.
    pub lease: f64,
}

/// A caller's own limits; `default` is not looked at then.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Own {
    /// The principal; empty: all who call without a key.
    pub principal: String,
    /// Its limits.
    pub limit: Limit,
}

/// What one caller may ask for. 0 is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limit {
    /// Requests a second in the long run.
    pub per_second: f64,
    /// Requests at once after a pause; 0: those of one second, 1 at least.
    pub burst: u64,
    /// Requests of a day, UTC.
    pub requests_per_day: u64,
    /// Rows of a day, UTC.
    pub rows_per_day: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { default: Limit::default(), callers: Vec::new(), lease: 0.05 }
    }
}

impl Limits {
    /// # Errors
    /// Names the field that cannot be used.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        ensure!(
            0.0 < self.lease && self.lease <= 1.0,
            "limits.lease: {}, required above 0, at most 1",
            self.lease
        );
        let own = self.callers.iter().map(|own| (format!("limits.callers[{:?}]", own.principal), own.limit));
        for (field, limit) in own.chain([("limits.default".to_owned(), self.default)]) {
            let rate = limit.per_second;
            ensure!(rate.is_finite() && 0.0 <= rate, "{field}.per_second: {rate}, required 0 or more");
            ensure!(rate > 0.0 || limit.burst == 0, "{field}.burst: there is no per_second beside it");
            let days = [limit.requests_per_day, limit.rows_per_day];
            ensure!(
                days.iter().all(|most| i64::try_from(*most).is_ok()),
                "{field}: a number of a day is too large"
            );
        }
        let names: HashSet<_> = self.callers.iter().map(|own| &own.principal).collect();
        ensure!(names.len() == self.callers.len(), "limits.callers: a principal is there twice");
        Ok(())
    }
}

impl Limit {
    /// The bucket of `per_second`.
    pub(super) fn bucket(&self) -> Option<Bucket> {
        let saved = if self.burst == 0 { self.per_second.ceil() as u64 } else { self.burst };
        (self.per_second > 0.0).then_some(Bucket { per_second: self.per_second, burst: saved.max(1) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<Limits, String> {
        let limits: Limits = serde_json::from_str(text).map_err(|error| error.to_string())?;
        limits.check().map_err(|error| error.to_string())?;
        Ok(limits)
    }

    #[test]
    fn what_cannot_be_a_limit_is_refused_by_name() {
        let own = r#"{"callers":[{"principal":"a","limit":{"per_second":2.5}}]}"#;
        let bucket = of(own).unwrap().callers[0].limit.bucket();
        assert_eq!(bucket, Some(Bucket { per_second: 2.5, burst: 3 }));
        assert_eq!(of("{}").unwrap().default.bucket(), None);
        for (text, field) in [
            (r#"{"lease":0}"#, "limits.lease: 0"),
            (r#"{"default":{"per_second":-1}}"#, "limits.default.per_second: -1"),
            (r#"{"default":{"burst":1}}"#, "limits.default.burst"),
            (
                r#"{"callers":[{"principal":"a","limit":{"rows_per_day":9999999999999999999}}]}"#,
                "callers[\"a\"]",
            ),
            (r#"{"callers":[{"principal":"a","limit":{}},{"principal":"a","limit":{}}]}"#, "twice"),
            (r#"{"default":{"per_hour":1}}"#, "unknown field"),
        ] {
            let why = of(text).unwrap_err();
            assert!(why.contains(field), "{field} in {why}");
        }
    }
}
