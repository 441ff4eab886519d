//! What of a limit is left for this gateway: leased from the budget that all gateways share, block by block.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use storage::{Bucket, Kv, KvError, Taken, Wanted};

const DAY: u64 = 24 * 3600;
/// A day's count is kept this long in the store: clocks of gateways differ.
const KEPT: Duration = Duration::from_secs(2 * DAY);
/// Longest time that a refusal is answered from what was heard before, real time: somebody may give back what he took.
const HEARD: Duration = Duration::from_secs(1);

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rule {
    /// So many a second.
    Second(Bucket),
    /// So many a day, UTC.
    Day(u64),
}

/// One limit of one caller.
#[derive(Debug)]
pub struct Budget {
    rule: Rule,
    key: String,
    /// Units that are taken from the store at a time.
    lease: u64,
    held: Mutex<Held>,
    /// Held while the store is asked: others who wait are answered from the same lease.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Held {
    units: u64,
    /// The day that they are of; 0 of those that belong to no day.
    day: u64,
    dry: Option<Dry>,
}

/// The store said that there is not enough.
#[derive(Debug, Clone, Copy)]
struct Dry {
    heard: Instant,
    after: Duration,
    /// So much was asked for; less may be there.
    cost: u64,
}

/// Where units come from: the store that gateways share, or this gateway's own.
pub trait Source {
    /// Takes units; see [`lease`].
    fn take(
        &self,
        rule: Rule,
        key: &str,
        wanted: Wanted,
        now: SystemTime,
    ) -> impl Future<Output = Taken> + Send;
}

impl Budget {
    /// A budget of which `share` is leased at a time.
    pub fn new(rule: Rule, key: String, share: f64) -> Self {
        let whole = match rule {
            Rule::Second(bucket) => bucket.per_second.min(bucket.burst as f64),
            Rule::Day(most) => most as f64,
        };
        let lease = ((whole * share) as u64).max(1);
        Self { rule, key, lease, held: Mutex::default(), turn: tokio::sync::Mutex::default() }
    }

    /// The limit.
    pub fn rule(&self) -> Rule {
        self.rule
    }

    /// Pays for a request, or tells when it could be paid for.
    ///
    /// # Errors
    /// The time until there is as much again.
    pub async fn pay(&self, cost: u64, source: &impl Source, now: SystemTime) -> Result<(), Duration> {
        if let Some(known) = self.held(now).pay(cost, Instant::now()) {
            return known;
        }
        let _turn = self.turn.lock().await;
        loop {
            let least = {
                let mut held = self.held(now);
                if let Some(known) = held.pay(cost, Instant::now()) {
                    return known;
                }
                cost - held.units
            };
            let wanted = Wanted { least, most: least.max(self.lease) };
            let taken = source.take(self.rule, &self.key, wanted, now).await;
            let mut held = self.held(now);
            match taken {
                Taken::Tokens(units) => held.units = held.units.saturating_add(units),
                Taken::After(after) => held.dry = Some(Dry { heard: Instant::now(), after, cost }),
            }
            // A smaller request may have had what was held before, meanwhile: then more is asked for.
            if let Some(known) = held.pay(cost, Instant::now()) {
                return known;
            }
        }
    }

    /// What is held now: what is left of yesterday's is void.
    fn held(&self, now: SystemTime) -> MutexGuard<'_, Held> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Rule::Day(_) = self.rule
            && held.day != day(now)
        {
            *held = Held { day: day(now), ..Held::default() };
        }
        held
    }
}

impl Held {
    /// Pays from what is held, or refuses by what was heard; `None`: the store has to be asked.
    fn pay(&mut self, cost: u64, now: Instant) -> Option<Result<(), Duration>> {
        if cost <= self.units {
            self.units -= cost;
            return Some(Ok(()));
        }
        let dry = self.dry.filter(|dry| dry.cost <= cost)?;
        let passed = now.saturating_duration_since(dry.heard);
        (passed < dry.after.min(HEARD)).then(|| Err(dry.after.saturating_sub(passed)))
    }
}

/// Takes units of a limit from a store.
///
/// # Errors
/// If the store is away.
pub async fn lease(
    kv: &dyn Kv,
    rule: Rule,
    key: &str,
    wanted: Wanted,
    now: SystemTime,
) -> Result<Taken, KvError> {
    let most = match rule {
        Rule::Second(bucket) => return kv.take(key, bucket, wanted).await,
        Rule::Day(most) => most,
    };
    let key = format!("{key}/{}", day(now));
    let asked = i64::try_from(wanted.most).unwrap_or(i64::MAX);
    let sum = kv.incr(&key, asked, Some(KEPT)).await?;
    let before = u64::try_from(sum.saturating_sub(asked)).unwrap_or_default();
    let left = most.saturating_sub(before);
    let given = if left < wanted.least { 0 } else { left.min(wanted.most) };
    if given < wanted.most {
        // What was counted and not given goes back. Whoever asks in between may be refused for a moment, and none gets too much.
        kv.incr(&key, given as i64 - asked, Some(KEPT)).await?;
    }
    Ok(if given == 0 { Taken::After(until_midnight(now)) } else { Taken::Tokens(given) })
}

fn seconds(now: SystemTime) -> u64 {
    now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Days since 1970, UTC.
fn day(now: SystemTime) -> u64 {
    seconds(now) / DAY
}

fn until_midnight(now: SystemTime) -> Duration {
    Duration::from_secs(DAY - seconds(now) % DAY)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};
    use storage::kv::MemoryKv;

    /// A store of one's own that counts how often it is asked.
    struct Counted(MemoryKv, AtomicU64);

    impl Source for Counted {
        async fn take(&self, rule: Rule, key: &str, wanted: Wanted, now: SystemTime) -> Taken {
            self.1.fetch_add(1, Ordering::Relaxed);
            lease(&self.0, rule, key, wanted, now).await.unwrap()
        }
    }

    fn store() -> Counted {
        Counted(MemoryKv::new(100), AtomicU64::new(0))
    }

    fn at(days: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(days * DAY + DAY - 60)
    }

    #[tokio::test]
    async fn a_day_gives_exactly_what_it_has_and_the_next_one_begins_anew() {
        let store = store();
        let budgets = [(); 2].map(|()| Budget::new(Rule::Day(103), "rows".into(), 0.05));
        for today in [7, 8] {
            let mut paid = 0;
            while budgets[paid % 2].pay(1, &store, at(today)).await.is_ok() {
                paid += 1;
            }
            assert!((103 - 5..=103).contains(&paid), "all but what the other one holds: {paid}");
            let after = budgets[paid % 2].pay(1, &store, at(today)).await;
            assert!((1..=60).contains(&after.unwrap_err().as_secs()), "until midnight");
        }
        let asked = store.1.load(Ordering::Relaxed);
        assert!(asked < 2 * (103 / 5 + 8), "a lease is asked for, not each request: {asked}");
    }

    #[tokio::test]
    async fn what_does_not_fit_leaves_the_rest_for_what_does() {
        let (store, budget) = (store(), Budget::new(Rule::Day(100), "rows".into(), 0.01));
        assert_eq!(budget.pay(90, &store, at(1)).await, Ok(()));
        assert!(budget.pay(11, &store, at(1)).await.is_err());
        assert!(budget.pay(12, &store, at(1)).await.is_err());
        assert_eq!(budget.pay(10, &store, at(1)).await, Ok(()));
        assert!(budget.pay(1, &store, at(1)).await.is_err());
        let asked = store.1.load(Ordering::Relaxed);
        assert_eq!(asked, 4, "12 is refused by what was heard of 11");
    }

    /// Two gateways together: the limit, and never more than what each of them had leased before.
    #[tokio::test]
    async fn a_rate_is_kept_by_two_to_a_lease_each() {
        let rule = Rule::Second(Bucket { per_second: 1000.0, burst: 200 });
        let (store, begun) = (store(), Instant::now());
        let budgets = [(); 2].map(|()| Budget::new(rule, "rate".into(), 0.05));
        let mut paid = 0;
        for turn in 0..20_000 {
            paid += u32::from(budgets[turn % 2].pay(1, &store, at(0)).await.is_ok());
        }
        let bound = 200.0 + begun.elapsed().as_secs_f64() * 1000.0 + 2.0 * 10.0;
        assert!(f64::from(paid) <= bound, "{paid} of {bound}");
        assert!(paid >= 200, "{paid}");
        assert!(store.1.load(Ordering::Relaxed) < 10_000, "refusals are answered from what was heard");
    }
}
