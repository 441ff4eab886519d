//! A token bucket: so many tokens a second, and a number of them that can be saved up.

use std::time::Duration;

/// The rule of a bucket. One that was never used is full.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bucket {
    /// Tokens that come in a second; finite and above 0.
    pub per_second: f64,
    /// Tokens that it holds at most; 1 or more.
    pub burst: u64,
}

/// What came of taking from a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// So many tokens, one at least.
    Tokens(u64),
    /// None: as many as were wanted at least are there after that time, if nobody else takes them.
    After(Duration),
}

/// How much is to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// Fewer than this are left where they are; more than a full bucket are as many as that.
    pub least: u64,
    /// No more than this; never less than `least`.
    pub most: u64,
}

impl Bucket {
    /// `wanted` as this bucket can give it.
    pub(crate) fn possible(self, wanted: Wanted) -> Wanted {
        let least = wanted.least.clamp(1, self.burst.max(1));
        Wanted { least, most: wanted.most.max(least) }
    }

    /// Takes from a bucket that had `left` tokens `passed` ago; gives what is left then.
    pub(crate) fn take(self, left: f64, passed: Duration, wanted: Wanted) -> (f64, Taken) {
        let wanted = self.possible(wanted);
        let full = self.burst.max(1) as f64;
        let tokens = (left + passed.as_secs_f64() * self.per_second).min(full);
        let there = tokens.floor() as u64;
        if wanted.least <= there {
            let taken = there.min(wanted.most);
            return (tokens - taken as f64, Taken::Tokens(taken));
        }
        let wait = (wanted.least as f64 - tokens) / self.per_second;
        (tokens, Taken::After(Duration::try_from_secs_f64(wait).unwrap_or(Duration::MAX)))
    }

    /// After this time without use a bucket is full again, and need not be kept.
    pub(crate) fn lifetime(self) -> Duration {
        let fills = Duration::try_from_secs_f64(self.burst.max(1) as f64 / self.per_second);
        fills.unwrap_or(Duration::MAX).saturating_add(Duration::from_secs(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF: Bucket = Bucket { per_second: 0.5, burst: 4 };

    fn taken(left: f64, seconds: u64, least: u64, most: u64) -> (f64, Taken) {
        HALF.take(left, Duration::from_secs(seconds), Wanted { least, most })
    }

    #[test]
    fn tokens_come_with_time_and_no_more_than_fit() {
        assert_eq!(taken(0.0, 3, 1, 9), (0.5, Taken::Tokens(1)));
        assert_eq!(taken(0.0, 1000, 1, 9), (0.0, Taken::Tokens(4)));
        assert_eq!(taken(3.0, 0, 1, 2), (1.0, Taken::Tokens(2)));
    }

    #[test]
    fn too_few_are_left_where_they_are() {
        assert_eq!(taken(0.5, 0, 1, 1), (0.5, Taken::After(Duration::from_secs(1))));
        assert_eq!(taken(2.0, 0, 3, 3), (2.0, Taken::After(Duration::from_secs(2))));
        // More than ever fit are a full bucket.
        assert_eq!(taken(4.0, 0, 100, 100), (0.0, Taken::Tokens(4)));
        assert_eq!(HALF.lifetime(), Duration::from_secs(9));
    }
}
