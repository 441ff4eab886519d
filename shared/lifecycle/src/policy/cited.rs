//! Scalars of the policy: a value never stands without the clause it comes from.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A value with its clause.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cited<T> {
    /// Section of the procedure, or reading of ARCHITECTURE, that gives the value.
    pub clause: String,
    /// The value itself.
    pub value: T,
}

/// A duration written as a whole number and a unit: `500ms`, `60s`, `15m`, `1h`, `30d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Span(pub Duration);

const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

impl Span {
    /// The duration.
    pub const fn get(self) -> Duration {
        self.0
    }
}

impl TryFrom<String> for Span {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let bad = || format!("{text:?} is no duration such as 500ms, 60s, 15m, 1h or 30d");
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (amount, unit) = text.split_at(digits);
        let amount: u64 = amount.parse().map_err(|_| bad())?;
        let (_, milliseconds) = UNITS.into_iter().find(|(name, _)| *name == unit).ok_or_else(bad)?;
        amount.checked_mul(milliseconds).map(|all| Self(Duration::from_millis(all))).ok_or_else(bad)
    }
}

impl From<Span> for String {
    fn from(span: Span) -> Self {
        let all = span.0.as_millis() as u64;
        UNITS
            .into_iter()
            .find(|(_, unit)| all >= *unit && all.is_multiple_of(*unit))
            .map_or_else(|| format!("{all}ms"), |(name, unit)| format!("{}{name}", all / unit))
    }
}

impl std::fmt::Display for Span {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&String::from(*self))
    }
}
