//! The shared parts of the service: what every handler and every loop holds a clone of.

use lifecycle::Policy;
use prost::Message;
use runtime::{Caller, Clock};
use std::future::Future;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};
use storage::{Cause, Database, Digest, Leases, Query, Records, Unit};

use crate::config::{Config, virtual_time};
use crate::metrics::MonitorMetrics;
use crate::parse::Fields;
use crate::store::{self, Resource};
use crate::windows::floor;
use crate::{Error, RegistryClients};

/// The monitor's parts. Clones are cheap.
#[derive(Clone)]
pub struct Monitor(Arc<Parts>);

pub(crate) struct Parts {
    pub(crate) records: Records,
    pub(crate) leases: Leases,
    pub(crate) owner: String,
    pub(crate) clock: Clock,
    pub(crate) policy: RwLock<Arc<Policy>>,
    pub(crate) registry: RegistryClients,
    pub(crate) metrics: MonitorMetrics,
    pub(crate) config: Config,
}

/// A call that changes something, as the audit log names it.
pub struct Call {
    /// Who calls.
    pub caller: Caller,
    /// `/wlp.monitor.v1.DutyService/CompleteDuty`
    pub method: &'static str,
    /// Of the request; empty for none.
    pub request_id: String,
    /// Of the request without its id.
    pub digest: Digest,
    /// The caller's reason.
    pub reason: String,
}

/// A unit of work, or the answer that the same request got before.
pub enum Opened<A> {
    /// Not seen before.
    New(Box<Unit>),
    /// Seen before.
    Replayed(A),
}

impl Monitor {
    pub(crate) fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// Alerts, feedback, findings, duties.
    pub fn records(&self) -> &Records {
        &self.0.records
    }

    /// Windows.
    pub fn db(&self) -> &Database {
        self.0.records.database()
    }

    /// Virtual time.
    pub fn now(&self) -> SystemTime {
        self.0.clock.now()
    }

    /// The registry.
    pub fn registry(&self) -> RegistryClients {
        self.0.registry.clone()
    }

    /// Metrics of the service.
    pub fn metrics(&self) -> &MonitorMetrics {
        &self.0.metrics
    }

    /// Settings.
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// The policy last heard of.
    pub fn policy(&self) -> Arc<Policy> {
        self.0.policy.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn adopt(&self, policy: Policy) {
        *self.0.policy.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(policy);
    }

    /// How long windows are: the shortest that a rule of the policy judges.
    pub fn window(&self) -> Duration {
        let policy = self.policy();
        let shortest = policy.monitoring.alerts.iter().map(|rule| rule.window.get()).min();
        shortest.unwrap_or(Duration::from_mins(1)).max(Duration::from_secs(1))
    }

    /// How long after its end a window may still get observations, in virtual time.
    pub fn lag(&self) -> Duration {
        virtual_time(self.0.config.windows.lag_ms, self.0.clock.speed())
    }

    /// The end of the last window of `length` whose observations have come.
    pub fn settled(&self, length: Duration) -> SystemTime {
        floor(self.now().checked_sub(self.lag()).unwrap_or(SystemTime::UNIX_EPOCH), length)
    }

    /// How far ahead a gateway's clock may be, in virtual time; never less than a second, the unit of an observation.
    pub fn skew(&self) -> Duration {
        virtual_time(self.0.config.windows.skew_ms, self.0.clock.speed()).max(Duration::from_secs(1))
    }

    /// Opens the unit of a call, or gives the answer that the same request got before.
    ///
    /// # Errors
    /// ALREADY_EXISTS / REQUEST_ID_REUSED.
    pub async fn open<A: Message + Default>(&self, call: Call) -> Result<Opened<A>, Error> {
        let cause = Cause {
            principal: call.caller.principal,
            roles: call.caller.roles,
            method: call.method.to_owned(),
            request_id: Some(call.request_id).filter(|id| !id.is_empty()),
            request_digest: call.digest,
            reason: call.reason,
            time: self.now(),
            trace_id: runtime::trace::trace_id().unwrap_or_default(),
        };
        let unit = self.0.records.begin(cause).await?;
        match unit.replay().await? {
            Some(answer) => Ok(Opened::Replayed(A::decode(answer.as_slice())?)),
            None => Ok(Opened::New(Box::new(unit))),
        }
    }

    /// Opens the unit of a background task; `reason` may be empty.
    ///
    /// # Errors
    /// Of the database.
    pub async fn act(&self, task: &'static str, reason: &str) -> Result<Unit, Error> {
        let cause = Cause {
            principal: "monitor".into(),
            roles: vec!["monitor".into()],
            method: task.into(),
            request_id: None,
            request_digest: Digest::of(task.as_bytes()),
            reason: reason.to_owned(),
            time: self.now(),
            trace_id: runtime::trace::trace_id().unwrap_or_default(),
        };
        Ok(self.0.records.begin(cause).await?)
    }

    /// Does `work` if no other monitor does it now. The lease outlives three periods of real time, so that another takes
    /// over soon after this one is gone, whatever the virtual clock did meanwhile.
    ///
    /// # Errors
    /// Of the work.
    pub async fn alone<F>(
        &self,
        task: &'static str,
        real_ms: u64,
        work: impl FnOnce() -> F,
    ) -> Result<(), Error>
    where
        F: Future<Output = Result<(), Error>>,
    {
        let ttl = Duration::from_millis(real_ms.max(1_000)) * 3;
        match self.0.leases.acquire(task, &self.0.owner, ttl, Clock::real_time()).await? {
            Some(_) => work().await,
            None => Ok(()),
        }
    }

    /// One page of a List call and the token of the next.
    ///
    /// # Errors
    /// INVALID_ARGUMENT.
    pub async fn page<R: Resource>(
        &self,
        (size, token): (i32, &str),
        mut fields: Fields,
        narrow: impl FnOnce(Query) -> Query,
    ) -> Result<(Vec<R>, String), Error> {
        let page = fields.page(size, token);
        fields.done()?;
        let query = narrow(Query::kind(R::KIND)).after(page.after.clone()).limit(page.size.into());
        let records = self.records().list(&query).await?;
        let token = page.next_token(records.iter().map(|record| record.name.as_str()));
        let all: Result<Vec<R>, Error> =
            records.into_iter().map(|record| Ok(store::Stored::<R>::read(record)?.into_inner())).collect();
        Ok((all?, token))
    }
}

/// Digest of a request; `bare` is the request with its id cleared.
pub fn digest<M: Message>(bare: &M) -> Digest {
    Digest::of(&bare.encode_to_vec())
}

/// Some words as a request id or a part of a name: the same words, the same id. 32 hexadecimal digits.
pub fn derived_id(words: &[&str]) -> String {
    let mut hex = hex::encode(Digest::of(words.join("\n").as_bytes()).0);
    hex.truncate(32);
    hex
}
