//! Classes of texts: what a value looks like. A value may be of several.

use crate::typing;

/// A class, as a bit of a set.
pub type Classes = u16;

/// `name@example.org`.
pub const EMAIL: Classes = 1;
/// A web address.
pub const URL: Classes = 1 << 1;
/// RFC 9562, with hyphens.
pub const UUID: Classes = 1 << 2;
/// A date or time as ISO 8601 writes it.
pub const TIME: Classes = 1 << 3;
/// A date with day, month and year in another order or with other signs between them.
pub const OTHER_DATE: Classes = 1 << 4;
/// A whole number, also with leading zeros.
pub const WHOLE: Classes = 1 << 5;
/// A number.
pub const NUMBER: Classes = 1 << 6;
/// A number with a comma before its decimals.
pub const COMMA: Classes = 1 << 7;
/// Yes, no, true, false.
pub const TRUTH: Classes = 1 << 8;
/// An IPv4 address.
pub const IPV4: Classes = 1 << 9;
/// A telephone number: a plus or a zero, then 7 to 15 digits.
pub const PHONE: Classes = 1 << 10;
/// The number of a payment card: 13 to 19 digits whose check digit is right.
pub const CARD: Classes = 1 << 11;
/// Nothing but white space.
pub const BLANK: Classes = 1 << 12;
/// White space at the beginning or end.
pub const PADDED: Classes = 1 << 13;
/// Often stands for a missing value.
pub const SUSPECT: Classes = 1 << 14;

/// Number of classes.
pub const COUNT: usize = 15;

/// Names in the order of the bits.
pub const NAMES: [&str; COUNT] = [
    "e-mail",
    "URL",
    "UUID",
    "date or time",
    "date, other form",
    "whole number",
    "number",
    "number, decimal comma",
    "truth value",
    "IPv4 address",
    "telephone number",
    "payment card",
    "blank",
    "padded",
    "missing marker",
];

/// The classes that say what a column holds; of equals the first one counts.
pub const KINDS: [Classes; 12] =
    [EMAIL, URL, UUID, TIME, OTHER_DATE, TRUTH, IPV4, CARD, PHONE, WHOLE, NUMBER, COMMA];

/// The classes of a text.
pub fn of(text: &str) -> Classes {
    let trimmed = text.trim();
    let mut classes = if trimmed.len() < text.len() { PADDED } else { 0 };
    let bytes = trimmed.as_bytes();
    let Some(first) = bytes.first() else { return if text.is_empty() { 0 } else { BLANK } };
    match first {
        b'0'..=b'9' | b'+' | b'-' | b'.' | b'(' => classes |= numeric(trimmed),
        b'h' | b'H' | b'f' | b'F' | b'w' | b'W' if is_url(trimmed) => classes |= URL,
        _ => {}
    }
    if bytes.len() == 36 && is_uuid(bytes) {
        classes |= UUID;
    }
    if bytes.len() <= 320 && is_email(bytes) {
        classes |= EMAIL;
    }
    if bytes.len() <= 7 {
        if typing::SUSPECTS.contains(&trimmed) {
            classes |= SUSPECT;
        }
        if is_truth(trimmed) {
            classes |= TRUTH;
        }
    }
    classes
}

fn numeric(text: &str) -> Classes {
    let bytes = text.as_bytes();
    let mut classes = 0;
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if !unsigned.is_empty() && unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
        classes |= WHOLE | NUMBER;
        if unsigned.len() == text.len() && is_card(bytes) {
            classes |= CARD;
        }
    } else if typing::number(text).is_some() {
        classes |= NUMBER;
    } else if is_comma(unsigned) {
        classes |= COMMA;
    }
    if typing::time(text).is_some() {
        classes |= TIME;
    } else if is_other_date(text) {
        classes |= OTHER_DATE;
    }
    if bytes.len() <= 15 && text.parse::<std::net::Ipv4Addr>().is_ok() {
        classes |= IPV4;
    }
    if is_phone(bytes) {
        classes |= PHONE;
    }
    if classes & WHOLE == 0 && bytes.len() >= 16 && bytes.len() <= 23 && bytes[0] != b'+' {
        let digits: Vec<u8> = bytes.iter().copied().filter(u8::is_ascii_digit).collect();
        let only = bytes.iter().all(|byte| byte.is_ascii_digit() || matches!(byte, b' ' | b'-'));
        if only && is_card(&digits) {
            classes |= CARD;
        }
    }
    classes
}

fn is_email(bytes: &[u8]) -> bool {
    let Some(at) = memchr::memchr(b'@', bytes) else { return false };
    let (local, domain) = (&bytes[..at], &bytes[at + 1..]);
    let local_fits = !local.is_empty()
        && local.len() <= 64
        && local.iter().all(|byte| byte.is_ascii_alphanumeric() || b"._%+-'".contains(byte));
    let Some(dot) = memchr::memrchr(b'.', domain) else { return false };
    let (host, top) = (&domain[..dot], &domain[dot + 1..]);
    local_fits
        && top.len() >= 2
        && top.iter().all(u8::is_ascii_alphabetic)
        && host.split(|byte| *byte == b'.').all(|label| {
            !label.is_empty() && label.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
        })
}

fn is_url(text: &str) -> bool {
    let rest = ["https://", "http://", "ftp://", "www."].iter().find_map(|begin| {
        let head = text.get(..begin.len())?;
        head.eq_ignore_ascii_case(begin).then(|| &text[begin.len()..])
    });
    rest.is_some_and(|rest| {
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        !rest.contains(char::is_whitespace) && host.contains(|letter: char| letter.is_alphanumeric())
    })
}

fn is_uuid(bytes: &[u8]) -> bool {
    bytes.iter().enumerate().all(|(at, byte)| match at {
        8 | 13 | 18 | 23 => *byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    })
}

fn is_truth(text: &str) -> bool {
    ["true", "false", "yes", "no", "t", "f", "y", "n"].iter().any(|one| text.eq_ignore_ascii_case(one))
}

/// Digits with points between thousands, one comma, digits.
fn is_comma(text: &str) -> bool {
    let Some((whole, part)) = text.split_once(',') else { return false };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits(part) && digits(&whole.replace('.', ""))
}

fn is_other_date(text: &str) -> bool {
    let date = text.split([' ', 'T']).next().unwrap_or_default();
    let Some(sign) = date.bytes().find(|byte| matches!(byte, b'/' | b'.' | b'-')) else { return false };
    let parts: Vec<&str> = date.split(char::from(sign)).collect();
    let [a, b, c] = parts.as_slice() else { return false };
    let number = |text: &str| (text.len() <= 4).then(|| text.parse::<u32>().ok()).flatten();
    let (Some(x), Some(y), Some(z)) = (number(a), number(b), number(c)) else { return false };
    let year = |text: &str, value: u32| text.len() == 4 && (1000..3000).contains(&value);
    let pair = |x: u32, y: u32| (1..=31).contains(&x) && (1..=31).contains(&y) && x.min(y) <= 12;
    (year(c, z) || (c.len() == 2 && sign == b'/')) && pair(x, y) || year(a, x) && pair(y, z)
}

fn is_phone(bytes: &[u8]) -> bool {
    let digits = bytes.iter().filter(|byte| byte.is_ascii_digit()).count();
    let only = bytes.iter().all(|byte| byte.is_ascii_digit() || b" +-()/".contains(byte));
    let signs = bytes.len() > digits;
    let begins = bytes[0] == b'+' || bytes[0] == b'(' || (bytes[0] == b'0' && signs);
    (7..=15).contains(&digits) && only && begins
}

/// The check digit of ISO/IEC 7812 (Luhn). One number in ten passes by chance.
fn is_card(digits: &[u8]) -> bool {
    if !(13..=19).contains(&digits.len()) || !matches!(digits[0], b'2'..=b'6') {
        return false;
    }
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(at, digit)| {
            let value = u32::from(digit - b'0') * if at % 2 == 1 { 2 } else { 1 };
            if value > 9 { value - 9 } else { value }
        })
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_what_they_look_like() {
        for (text, classes) in [
            ("user7@example.com", EMAIL),
            ("user7@bad domain", 0),
            ("a@b", 0),
            ("https://example.org/a?b=1", URL),
            ("httpx", 0),
            ("123e4567-e89b-12d3-a456-426614174000", UUID),
            ("2026-11-26", TIME),
            ("26.11.2026", OTHER_DATE),
            ("11/26/2026 14:00", OTHER_DATE),
            ("007", WHOLE | NUMBER),
            ("-3.5", NUMBER),
            ("1.234,5", COMMA),
            ("Yes", TRUTH),
            ("192.168.0.1", IPV4),
            ("+49 30 123456", PHONE),
            ("4111 1111 1111 1111", CARD),
            (" x", PADDED),
            ("  ", BLANK),
            ("?", SUSPECT),
            ("", 0),
            ("straße", 0),
        ] {
            assert_eq!(of(text), classes, "{text:?}");
        }
    }
}
