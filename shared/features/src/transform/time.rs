//! Times: how they are read, and their parts by the proleptic Gregorian calendar, UTC.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array};
use arrow::compute::kernels::cast_utils::string_to_timestamp_nanos;
use serde::{Deserialize, Serialize};

use crate::column::Values;
use crate::error::{Error, Result};

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

/// RFC 3339 or a date; without an offset it is UTC. Microseconds since 1970.
pub fn read(text: &str) -> Option<i64> {
    string_to_timestamp_nanos(text).ok().map(|nanos| nanos.div_euclid(1000))
}

/// A part of a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DatePart {
    /// As 2026.
    Year,
    /// 1 to 12.
    Month,
    /// Of the month, 1 to 31.
    Day,
    /// 1 is Monday, 7 Sunday.
    Weekday,
    /// 0 to 23.
    Hour,
    /// 0 to 59.
    Minute,
}

impl DatePart {
    /// As the name of its column ends.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Year => "year",
            Self::Month => "month",
            Self::Day => "day",
            Self::Weekday => "weekday",
            Self::Hour => "hour",
            Self::Minute => "minute",
        }
    }

    fn of(self, micros: i64) -> i64 {
        let (days, rest) = (micros.div_euclid(DAY), micros.rem_euclid(DAY));
        match self {
            Self::Year => civil(days).0,
            Self::Month => civil(days).1,
            Self::Day => civil(days).2,
            Self::Weekday => (days + 3).rem_euclid(7) + 1, // 1970 began on a Thursday
            Self::Hour => rest / (3600 * SECOND),
            Self::Minute => rest / (60 * SECOND) % 60,
        }
    }
}

/// Year, month and day of a day since 1970: the year is counted from March, so that a leap day ends it.
fn civil(days: i64) -> (i64, i64, i64) {
    let since = days + 719_468; // days since 1 March of year 0
    let (era, day) = (since.div_euclid(146_097), since.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let march = (5 * of_year + 2) / 153;
    let month = if march < 10 { march + 3 } else { march - 9 };
    (year + era * 400 + i64::from(month <= 2), month, of_year - (153 * march + 2) / 5 + 1)
}

/// The column of a part.
pub fn part_name(column: &str, part: DatePart) -> String {
    format!("{column}.{}", part.as_str())
}

/// A column for each part of a time.
pub fn parts(column: &str, values: Values<'_>, parts: &[DatePart]) -> Result<Vec<(String, ArrayRef)>> {
    let Values::Timestamp(times) = values else {
        let actual = values.kind().as_str().to_owned();
        return Err(Error::Type { column: column.to_owned(), actual, required: "timestamp" });
    };
    let one = |part: &DatePart| {
        let made: Int64Array = times.iter().map(|time| time.map(|micros| part.of(micros))).collect();
        (part_name(column, *part), Arc::new(made) as ArrayRef)
    };
    Ok(parts.iter().map(one).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_times_around_leap_days_and_before_1970() {
        let parts = |text: &str| {
            use DatePart::{Day, Hour, Minute, Month, Weekday, Year};
            [Year, Month, Day, Weekday, Hour, Minute].map(|part| part.of(read(text).unwrap()))
        };
        assert_eq!(parts("2024-02-29T23:59:59.999999Z"), [2024, 2, 29, 4, 23, 59]);
        assert_eq!(parts("2100-03-01T00:00:00Z"), [2100, 3, 1, 1, 0, 0]);
        assert_eq!(parts("1969-12-31T23:30:00Z"), [1969, 12, 31, 3, 23, 30]);
        assert_eq!(parts("2026-01-01T01:30:00+02:00"), [2025, 12, 31, 3, 23, 30], "an offset is taken off");
        assert_eq!(DatePart::Year.of(i64::MIN), -290_308);
    }
}
