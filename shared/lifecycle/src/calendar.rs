//! Calendar arithmetic on plain times (UTC, proleptic Gregorian): months are months, not 30 days.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

const DAY: u64 = 86_400;

/// `months` months after `start`, same day of the month and time of day; the day is cut to the month's last.
///
/// `None` before 1970 or where the time cannot be written. Source: Hinnant, *chrono-compatible low-level date
/// algorithms*.
pub fn add_months(start: SystemTime, months: u32) -> Option<SystemTime> {
    let since = start.duration_since(UNIX_EPOCH).ok()?;
    let (year, month, day) = civil(i64::try_from(since.as_secs() / DAY).ok()?);
    let count = year.checked_mul(12)?.checked_add(month - 1)?.checked_add(i64::from(months))?;
    let (year, month) = (count.div_euclid(12), count.rem_euclid(12) + 1);
    let days = u64::try_from(days_from_civil(year, month, day.min(month_days(year, month)))).ok()?;
    let in_day = Duration::new(since.as_secs() % DAY, since.subsec_nanos());
    UNIX_EPOCH.checked_add(Duration::from_secs(days.checked_mul(DAY)?))?.checked_add(in_day)
}

/// Year, month 1..=12 and day 1..=31 of a count of days since 1970-01-01.
pub fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let index = (5 * of_year + 2) / 153;
    let day = of_year - (153 * index + 2) / 5 + 1;
    let month = if index < 10 { index + 3 } else { index - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// Days since 1970-01-01 of a date.
pub fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let index = if month > 2 { month - 3 } else { month + 9 };
    let of_year = (153 * index + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year - 719_468
}

fn month_days(year: i64, month: i64) -> i64 {
    let (next_year, next) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    days_from_civil(next_year, next, 1) - days_from_civil(year, month, 1)
}
