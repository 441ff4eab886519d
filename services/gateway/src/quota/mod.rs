//! What each caller may ask for: requests a second, requests and rows a day.
//!
//! Several gateways share one budget in the key-value store. None of them asks it for each request: `budget.rs` leases a
//! block at a time, so that together they are over a limit by no more than what each holds. While the store is away each
//! gateway keeps the limits by itself; what was asked for meanwhile is not added to the shared budget afterwards.

mod budget;
mod limit;

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use budget::{Budget, Rule, Source};
use limit::Limit;
pub use limit::Limits;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use runtime::{Clock, Metrics};
use storage::kv::MemoryKv;
use storage::{Kv, Taken, Wanted};

use crate::Error;
use crate::store::Shared;

/// Limits that this gateway keeps by itself at most, while the store is away.
const MOST_LOCAL: usize = 100_000;

/// The limits of all callers.
pub struct Quotas {
    default: Limit,
    /// Limits of those who have their own.
    own: HashMap<String, Limit>,
    /// Share of a limit that is leased at a time.
    lease: f64,
    callers: RwLock<HashMap<String, Arc<Caller>>>,
    units: Units,
    clock: Clock,
    refused: Family<Kind, Counter>,
}

/// One caller's budgets; without a limit there is none.
struct Caller {
    rate: Option<Budget>,
    requests: Option<Budget>,
    rows: Option<Budget>,
}

/// Where units come from.
struct Units {
    shared: Shared,
    own: MemoryKv,
    /// Times that this gateway leased from itself.
    alone: Counter,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Kind {
    limit: &'static str,
}

impl Source for Units {
    async fn take(&self, rule: Rule, key: &str, wanted: Wanted, now: SystemTime) -> Taken {
        if let Some(taken) = self.shared.ask(|kv| budget::lease(kv, rule, key, wanted, now)).await {
            if let (Rule::Day(_), Taken::Tokens(units)) = (rule, taken) {
                // So that a day goes on where it was when the store goes away.
                let _never_away =
                    budget::lease(&self.own, rule, key, Wanted { least: 1, most: units }, now).await;
            }
            return taken;
        }
        self.alone.inc();
        // What is in memory is never away.
        budget::lease(&self.own, rule, key, wanted, now).await.unwrap_or(Taken::Tokens(wanted.least))
    }
}

impl Quotas {
    /// The limits of the configuration over the budgets in `kv`.
    ///
    /// # Errors
    /// Names the field of the configuration that cannot be used.
    pub fn new(limits: &Limits, kv: Arc<dyn Kv>, clock: Clock, metrics: &Metrics) -> anyhow::Result<Self> {
        limits.check()?;
        let (refused, up, alone) = (Family::default(), Gauge::default(), Counter::default());
        metrics.register(|to| {
            let help = "Requests over a limit of their caller";
            to.register("wlp_gateway_limited", help, refused.clone());
            let help = "1 while the key-value store keeps the budgets of callers, 0 while this gateway does by itself";
            to.register("wlp_gateway_limits_shared", help, up.clone());
            let help = "Times that units of a limit were taken without the other gateways";
            to.register("wlp_gateway_limits_alone", help, alone.clone());
        });
        let units = Units { shared: Shared::new(kv, "limits", up), own: MemoryKv::new(MOST_LOCAL), alone };
        let own = limits.callers.iter().map(|own| (own.principal.clone(), own.limit)).collect();
        let (default, lease, callers) = (limits.default, limits.lease, RwLock::default());
        Ok(Self { default, own, lease, callers, units, clock, refused })
    }

    /// Counts a request of that caller.
    ///
    /// # Errors
    /// [`Error::Limited`].
    pub async fn request(&self, principal: &str) -> Result<(), Error> {
        let Some(caller) = self.caller(principal) else { return Ok(()) };
        self.pay("per_second", principal, caller.rate.as_ref(), 1).await?;
        self.pay("requests_per_day", principal, caller.requests.as_ref(), 1).await
    }

    /// Counts the rows of a request that is about to run.
    ///
    /// # Errors
    /// [`Error::Limited`].
    pub async fn rows(&self, principal: &str, rows: usize) -> Result<(), Error> {
        let Some(caller) = self.caller(principal) else { return Ok(()) };
        self.pay("rows_per_day", principal, caller.rows.as_ref(), rows as u64).await
    }

    async fn pay(
        &self,
        limit: &'static str,
        principal: &str,
        budget: Option<&Budget>,
        cost: u64,
    ) -> Result<(), Error> {
        let Some(budget) = budget else { return Ok(()) };
        let paid = budget.pay(cost, &self.units, self.clock.now()).await;
        paid.map_err(|after| {
            self.refused.get_or_create(&Kind { limit }).inc();
            let allowed = match budget.rule() {
                Rule::Second(bucket) => {
                    format!("{} requests a second, {} at once", bucket.per_second, bucket.burst)
                }
                Rule::Day(most) if limit == "rows_per_day" => format!("{most} rows a day"),
                Rule::Day(most) => format!("{most} requests a day"),
            };
            Error::Limited { limit, principal: principal.to_owned(), allowed, after }
        })
    }

    /// The budgets of a caller; `None` of one without limits.
    fn caller(&self, principal: &str) -> Option<Arc<Caller>> {
        let limit = self.own.get(principal).copied().unwrap_or(self.default);
        if limit == Limit::default() {
            return None;
        }
        let known = self.callers.read().unwrap_or_else(PoisonError::into_inner).get(principal).cloned();
        Some(known.unwrap_or_else(|| {
            let mut callers = self.callers.write().unwrap_or_else(PoisonError::into_inner);
            let made = || Arc::new(Caller::new(principal, limit, self.lease));
            callers.entry(principal.to_owned()).or_insert_with(made).clone()
        }))
    }
}

impl Caller {
    fn new(principal: &str, limit: Limit, lease: f64) -> Self {
        let budget = |rule, what: &str| Budget::new(rule, format!("limits/{what}/{principal}"), lease);
        let daily = |most: u64, what| (most > 0).then(|| budget(Rule::Day(most), what));
        Self {
            rate: limit.bucket().map(|bucket| budget(Rule::Second(bucket), "second")),
            requests: daily(limit.requests_per_day, "requests"),
            rows: daily(limit.rows_per_day, "rows"),
        }
    }
}
