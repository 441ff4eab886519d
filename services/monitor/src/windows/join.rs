//! Consecutive windows, joined until they say something: too few samples are neither health nor an alert (reading 4),
//! but what no single minute can show, ten of them may.

use std::time::SystemTime;

use super::Window;
use crate::Error;
use contracts::monitor::v1::VersionObservation;

/// What was seen in a stretch of time.
#[derive(Debug, Clone, PartialEq)]
pub struct Stretch<T> {
    /// When it begins.
    pub start: SystemTime,
    /// When it ends.
    pub end: SystemTime,
    /// Everything in it, merged.
    pub seen: T,
}

/// Stretches that have enough samples, and what follows the last of them and has too few yet.
#[derive(Debug, Clone, PartialEq)]
pub struct Joined<T> {
    /// Oldest first.
    pub enough: Vec<Stretch<T>>,
    /// Newer than all of them.
    pub rest: Option<Stretch<T>>,
}

/// Joins what is sorted by time; `add` merges a later part into an earlier one.
///
/// # Errors
/// Of `add`.
pub fn join<T>(
    parts: impl IntoIterator<Item = Stretch<T>>,
    add: impl Fn(&mut T, &T) -> Result<(), Error>,
    enough: impl Fn(&T) -> bool,
) -> Result<Joined<T>, Error> {
    let (mut done, mut open) = (Vec::new(), None::<Stretch<T>>);
    for part in parts {
        let longer = match open.take() {
            None => part,
            Some(mut before) => {
                add(&mut before.seen, &part.seen)?;
                before.end = part.end;
                before
            }
        };
        if enough(&longer.seen) {
            done.push(longer);
        } else {
            open = Some(longer);
        }
    }
    Ok(Joined { enough: done, rest: open })
}

impl<T> Joined<T> {
    /// The stretches with the rest joined to the last of them; nothing where there never was enough.
    ///
    /// # Errors
    /// Of `add`.
    pub fn whole(mut self, add: impl Fn(&mut T, &T) -> Result<(), Error>) -> Result<Vec<Stretch<T>>, Error> {
        if let (Some(last), Some(rest)) = (self.enough.last_mut(), &self.rest) {
            add(&mut last.seen, &rest.seen)?;
            last.end = rest.end;
        }
        Ok(self.enough)
    }
}

impl From<&Window> for Stretch<VersionObservation> {
    fn from(window: &Window) -> Self {
        Self { start: window.start, end: window.end(), seen: window.seen.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, UNIX_EPOCH};

    fn minutes(counts: &[u64]) -> Vec<Stretch<u64>> {
        let at = |minute: usize| UNIX_EPOCH + Duration::from_mins(minute as u64);
        let one =
            |(minute, seen): (usize, &u64)| Stretch { start: at(minute), end: at(minute + 1), seen: *seen };
        counts.iter().enumerate().map(one).collect()
    }

    #[allow(clippy::unnecessary_wraps, clippy::trivially_copy_pass_by_ref)] // the form of `join`
    fn add(sum: &mut u64, more: &u64) -> Result<(), Error> {
        *sum += more;
        Ok(())
    }

    #[test]
    fn windows_are_joined_until_there_is_enough_and_the_rest_goes_to_the_last() {
        let joined = join(minutes(&[40, 40, 40, 120, 10, 20]), add, |seen| *seen >= 100).expect("added");
        let shown = |all: &[Stretch<u64>]| all.iter().map(|one| one.seen).collect::<Vec<_>>();
        assert_eq!(
            (shown(&joined.enough), joined.rest.clone().map(|rest| rest.seen)),
            (vec![120, 120], Some(30))
        );
        let whole = joined.whole(add).expect("added");
        assert_eq!(shown(&whole), [120, 150]);
        assert_eq!(whole[1].end, UNIX_EPOCH + Duration::from_mins(6));
        let few = join(minutes(&[10, 20]), add, |seen| *seen >= 100).expect("added");
        assert!(few.enough.is_empty() && few.whole(add).expect("added").is_empty());
    }
}
