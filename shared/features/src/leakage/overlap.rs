//! Time: does an earlier part reach into a later one?

use super::Finding;

/// Rows of later parts that are not later than every row of every earlier part, by `embargo` at least. Parts are in the order
/// of time; `times` and `embargo` have the same unit. Rows without a time cannot be judged: where there are any and
/// nothing else was found, the check does not tell.
pub fn check(times: &[Option<i64>], embargo: u64, parts: &[Option<u8>], most: usize) -> Finding {
    let timed = || parts.iter().zip(times).filter_map(|(part, time)| part.zip(*time));
    let count = parts.iter().flatten().max().map_or(0, |part| usize::from(*part) + 1);
    let mut ends = vec![None; count + 1]; // of all parts before this one
    for (part, time) in timed() {
        for end in &mut ends[usize::from(part) + 1..] {
            *end = (*end).max(Some(time));
        }
    }
    let early = |part: u8, time: i64| {
        ends[usize::from(part)].is_some_and(|end| time <= end || time.abs_diff(end) < embargo)
    };
    let rows = parts.iter().zip(times).enumerate();
    let found =
        rows.filter(|(_, (part, time))| part.zip(**time).is_some_and(|(part, time)| early(part, time)));
    let found: Vec<u64> = found.map(|(row, _)| row as u64).collect();
    let without = parts.iter().zip(times).filter(|(part, time)| part.is_some() && time.is_none()).count();
    let hint = if without == 0 { String::new() } else { format!("; {without} rows have no time") };
    let what = format!("rows that are not later than all rows of earlier parts by {embargo}{hint}");
    Finding::counted("time_overlap", what, found, most, without == 0)
}
