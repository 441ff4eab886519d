//! How durations stand in the policy file: `60s`, `15m`, `1h`, `30d`; `0s` is "immediate".

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serializer, de};

/// Units from the longest to the shortest, so that writing picks the roundest one.
const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

/// Parses `<whole number><s|m|h|d>`; nothing else is a duration of the policy.
pub fn parse(text: &str) -> Option<Duration> {
    let unit = text.chars().last()?;
    let (_, seconds) = UNITS.iter().find(|(name, _)| *name == unit)?;
    let count: u64 = text.strip_suffix(unit)?.parse().ok()?;
    count.checked_mul(*seconds).map(Duration::from_secs)
}

/// Writes a duration in the largest unit that divides it, `1h` and not `3600s`.
pub fn text(span: Duration) -> String {
    let seconds = span.as_secs();
    if span.subsec_nanos() != 0 {
        return format!("{:.3}s", span.as_secs_f64());
    }
    let (unit, size) =
        UNITS.iter().find(|(_, size)| seconds > 0 && seconds % size == 0).copied().unwrap_or(('s', 1));
    format!("{}{unit}", seconds / size)
}

/// For `#[serde(with = "crate::policy::span")]`.
pub fn serialize<S: Serializer>(span: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&text(*span))
}

/// For `#[serde(with = "crate::policy::span")]`.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let written = String::deserialize(deserializer)?;
    parse(&written).ok_or_else(|| de::Error::custom(format!("{written:?} is not a duration like 15m or 30d")))
}
