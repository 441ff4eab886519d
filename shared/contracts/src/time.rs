//! Times and durations between the wire and the standard library, without panics on hostile values.

use prost_types::{Duration as WireDuration, Timestamp};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The largest second that the wire's Timestamp may hold: the end of the year 9999.
const LAST_SECOND: i64 = 253_402_300_799;

/// A wire timestamp.
pub fn to_wire(time: SystemTime) -> Timestamp {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => Timestamp {
            seconds: i64::try_from(after.as_secs()).unwrap_or(LAST_SECOND).min(LAST_SECOND),
            nanos: after.subsec_nanos().cast_signed(),
        },
        Err(before) => {
            let before = before.duration();
            let whole = i64::try_from(before.as_secs()).unwrap_or(LAST_SECOND);
            match before.subsec_nanos() {
                0 => Timestamp { seconds: -whole, nanos: 0 },
                nanos => Timestamp { seconds: -whole - 1, nanos: (1_000_000_000 - nanos).cast_signed() },
            }
        }
    }
}

/// The time of a wire timestamp; `None` for one that is out of its range (years 1970 to 9999 are taken).
pub fn from_wire(time: &Timestamp) -> Option<SystemTime> {
    let valid = (0..=LAST_SECOND).contains(&time.seconds) && (0..1_000_000_000).contains(&time.nanos);
    valid.then(|| UNIX_EPOCH + Duration::new(time.seconds.unsigned_abs(), time.nanos.unsigned_abs()))
}

/// A wire duration.
pub fn duration_to_wire(duration: Duration) -> WireDuration {
    WireDuration {
        seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        nanos: duration.subsec_nanos().cast_signed(),
    }
}

/// The duration of a wire duration; `None` for a negative one or one that is out of range.
pub fn duration_from_wire(duration: &WireDuration) -> Option<Duration> {
    let valid =
        (0..=315_576_000_000).contains(&duration.seconds) && (0..1_000_000_000).contains(&duration.nanos);
    valid.then(|| Duration::new(duration.seconds.unsigned_abs(), duration.nanos.unsigned_abs()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// What goes to the wire comes back, and nothing on the wire panics.
        #[test]
        fn round_trips(seconds in 0_u64..=253_402_300_799, nanos in 0_u32..1_000_000_000) {
            let time = UNIX_EPOCH + Duration::new(seconds, nanos);
            prop_assert_eq!(from_wire(&to_wire(time)), Some(time));
        }

        #[test]
        fn hostile_values_are_none_or_valid(seconds: i64, nanos: i32) {
            let _ = from_wire(&Timestamp { seconds, nanos });
            let _ = duration_from_wire(&WireDuration { seconds, nanos });
        }
    }
}
