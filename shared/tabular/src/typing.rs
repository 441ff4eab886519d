//! From texts to values: which types a text may be read as, and reading it.

use features::Kind;

/// The text reads as a whole number.
pub const WHOLE: u8 = 1;
/// The text reads as a number.
pub const NUMBER: u8 = 2;
/// The text reads as true or false.
pub const TRUTH: u8 = 4;
/// The text reads as a time.
pub const TIME: u8 = 8;
/// The text is nothing but text.
pub const TEXT: u8 = 0;
/// Nothing was seen that rules a type out.
pub const ANY: u8 = WHOLE | NUMBER | TRUTH | TIME;

/// Texts that often stand for a missing value. In a column of numbers, truth values or times they cannot be values: they are
/// read as missing and shown as suspected. In a text column they are only shown.
pub const SUSPECTS: [&str; 20] = [
    "?", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "NAN", "null", "NULL", "Null", "None", "none", "-", "--",
    "\\N", "missing", "Missing", "unknown", "Unknown",
];

/// The types that a text, without white space around it, may be read as.
pub fn possible(text: &str) -> u8 {
    let Some(first) = text.as_bytes().first() else { return ANY };
    match first {
        b'0'..=b'9' | b'+' | b'-' | b'.' => {
            if is_code(text) {
                return TEXT;
            }
            if text.parse::<i64>().is_ok() {
                return WHOLE | NUMBER;
            }
            if text.parse::<f64>().is_ok() {
                return NUMBER;
            }
            if time(text).is_some() { TIME } else { TEXT }
        }
        b't' | b'T' | b'f' | b'F' if truth(text).is_some() => TRUTH,
        b'i' | b'I' if number(text).is_some() => NUMBER,
        _ => TEXT,
    }
}

/// The narrowest type of those that are possible.
pub fn narrowest(possible: u8) -> Kind {
    match possible {
        it if it & WHOLE != 0 => Kind::Int64,
        it if it & NUMBER != 0 => Kind::Float64,
        it if it & TRUTH != 0 => Kind::Bool,
        it if it & TIME != 0 => Kind::Timestamp,
        _ => Kind::Utf8,
    }
}

/// The types that all values of a kind may be read as.
pub fn holding(kind: Kind) -> u8 {
    match kind {
        Kind::Int64 => WHOLE | NUMBER,
        Kind::Float64 => NUMBER,
        Kind::Bool => TRUTH,
        Kind::Timestamp => TIME,
        Kind::Utf8 => TEXT,
    }
}

/// A number with leading zeros, or a whole one that 64 bits do not hold, is a code: as a number it would lose digits.
pub fn is_code(text: &str) -> bool {
    let digits = text.trim_start_matches(['+', '-']).as_bytes();
    match digits {
        [b'0', b'0'..=b'9', ..] => digits.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.'),
        _ if digits.len() > 18 => digits.iter().all(u8::is_ascii_digit) && text.parse::<i64>().is_err(),
        _ => false,
    }
}

/// A whole number; `5.0` is one: files often hold whole numbers as floats because of missing values.
pub fn whole(text: &str) -> Option<i64> {
    let small = |it: &f64| it.fract() == 0.0 && it.abs() < 9e15;
    text.parse().ok().or_else(|| text.parse::<f64>().ok().filter(small).map(|it| it as i64))
}

/// A number, or an infinite one as programs write it.
pub fn number(text: &str) -> Option<f64> {
    let letters = text.trim_start_matches(['+', '-']);
    let infinite = ["inf", "Inf", "INF", "infinity", "Infinity"].contains(&letters);
    let digit = letters.as_bytes().first().is_some_and(|byte| byte.is_ascii_digit() || *byte == b'.');
    if infinite || digit { text.parse().ok() } else { None }
}

/// A truth value.
pub fn truth(text: &str) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

/// Microseconds of a day.
const DAY: i64 = 86_400_000_000;

/// Microseconds since 1970 of a date or of a date and time (ISO 8601, RFC 3339); without an offset it is UTC.
pub fn time(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    if bytes.len() < 10 || bytes[4] != b'-' || bytes[7] != b'-' {
        return None;
    }
    let year = digits(&bytes[..4])?;
    let (month, day) = (digits(&bytes[5..7])?, digits(&bytes[8..10])?);
    if !(1..=12).contains(&month) || day < 1 || days_of_month(year, month) < day {
        return None;
    }
    let date = days(year, month, day) * DAY;
    let rest = &bytes[10..];
    if rest.is_empty() {
        return Some(date);
    }
    if rest.len() < 6 || !matches!(rest[0], b'T' | b't' | b' ') || rest[3] != b':' {
        return None;
    }
    let (hour, minute) = (digits(&rest[1..3])?, digits(&rest[4..6])?);
    let (seconds, rest) = match &rest[6..] {
        [b':', a, b, rest @ ..] => (digits(&[*a, *b])?, rest),
        rest => (0, rest),
    };
    // A leap second is the last one of its minute.
    if hour > 23 || minute > 59 || seconds > 60 {
        return None;
    }
    let (micros, rest) = fraction(rest)?;
    let offset = offset(rest)?;
    Some(date + ((hour * 60 + minute - offset) * 60 + seconds.min(59)) * 1_000_000 + micros)
}

fn digits(bytes: &[u8]) -> Option<i64> {
    bytes.iter().try_fold(0, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + i64::from(byte - b'0')))
}

fn fraction(rest: &[u8]) -> Option<(i64, &[u8])> {
    let [b'.' | b',', rest @ ..] = rest else { return Some((0, rest)) };
    let length = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if length == 0 {
        return None;
    }
    let used = &rest[..length.min(6)];
    let scale = 10_i64.pow(6 - used.len() as u32);
    Some((digits(used)? * scale, &rest[length..]))
}

/// Minutes east of Greenwich.
fn offset(rest: &[u8]) -> Option<i64> {
    match rest {
        [] | [b'Z' | b'z'] | [b' ', b'U', b'T', b'C'] => Some(0),
        [sign @ (b'+' | b'-'), hours @ ..] => {
            let minutes = match hours {
                [a, b] => digits(&[*a, *b])? * 60,
                [a, b, b':', c, d] | [a, b, c, d] => digits(&[*a, *b])? * 60 + digits(&[*c, *d])?,
                _ => return None,
            };
            (minutes < 24 * 60).then_some(if *sign == b'-' { -minutes } else { minutes })
        }
        _ => None,
    }
}

fn days_of_month(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days since 1970 in the Gregorian calendar. Source: Hinnant, *chrono-compatible low-level date algorithms*.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// A time as text: the date alone at midnight, without a fraction where there is none.
pub fn written(micros: f64) -> String {
    let micros = micros as i64;
    let (day, rest) = (micros.div_euclid(DAY) + 719_468, micros.rem_euclid(DAY));
    let (era, of_era) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let date = format!("{year:04}-{month:02}-{:02}", of_year - (153 * shifted + 2) / 5 + 1);
    if rest == 0 {
        return date;
    }
    let seconds = rest / 1_000_000;
    let time = format!("{date}T{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    match rest % 1_000_000 {
        0 => time,
        fraction => format!("{time}.{fraction:06}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_narrowest_type_is_taken() {
        for (text, kind) in [
            ("5", Kind::Int64),
            ("-5", Kind::Int64),
            ("5.5e3", Kind::Float64),
            ("inf", Kind::Float64),
            ("007", Kind::Utf8),
            ("0.5", Kind::Float64),
            ("99999999999999999999", Kind::Utf8),
            ("True", Kind::Bool),
            ("2026-02-28", Kind::Timestamp),
            ("2026-02-30", Kind::Utf8),
            ("2024-02-29T12:30:00Z", Kind::Timestamp),
            ("192.168.0.1", Kind::Utf8),
            ("infant", Kind::Utf8),
            ("nan", Kind::Utf8),
            ("", Kind::Int64),
        ] {
            assert_eq!(narrowest(possible(text)), kind, "{text}");
        }
    }

    #[test]
    fn times_are_read() {
        assert_eq!(time("1970-01-01"), Some(0));
        assert_eq!(time("1969-12-31T23:59:59.5Z"), Some(-500_000));
        assert_eq!(time("2026-11-26 14:00:00+01:30"), time("2026-11-26T12:30Z"));
        for bad in ["2026-13-01", "2026-1-01", "2026-01-01T25:00", "2026-01-01T10:00:00.", "2026-01-01 x"] {
            assert_eq!(time(bad), None, "{bad}");
        }
        assert_eq!(written(0.0), "1970-01-01");
        assert_eq!(written(-500_000.0), "1969-12-31T23:59:59.500000");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(micros in -60_000_000_000_000_000_i64..200_000_000_000_000_000) {
            prop_assert_eq!(time(&written(micros as f64)), Some(micros as f64 as i64));
        }
    }
}
