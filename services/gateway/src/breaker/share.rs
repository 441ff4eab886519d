//! One verdict of several gateways: each puts its own counts where the others read them.
//!
//! Everybody writes only its own counts, whole, under its own name, so a lost or restarted store is filled again by the
//! next round, and nothing is counted twice.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use storage::{Kv, KvError};

use super::{Breaker, Counts};
use crate::gateway::Gateway;

/// Gateways of one rollout at most.
const MOST: usize = 256;
/// Rounds of compare-and-swap before the next period.
const TRIES: usize = 8;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Told {
    counts: Counts,
    off: bool,
}

impl Gateway {
    /// Tells the others what was counted here, and hears them.
    ///
    /// # Errors
    /// Of the store; then every gateway judges by what it knows.
    pub async fn share_breakers(&self) -> Result<(), KvError> {
        for breaker in self.breakers().all() {
            self.share(&breaker).await?;
        }
        Ok(())
    }

    async fn share(&self, breaker: &Breaker) -> Result<(), KvError> {
        let kv = self.kv().as_ref();
        let rollout = breaker.rollout();
        let mine = Told { counts: breaker.own(), off: breaker.is_tripped() };
        kv.set(&key(rollout, self.id()), json(&mine)?, None).await?;
        let members = join(kv, rollout, self.id()).await?;
        let (mut others, mut off) = (Counts::default(), false);
        for member in members.iter().filter(|member| *member != self.id()) {
            if let Some(bytes) = kv.get(&key(rollout, member)).await? {
                let told: Told = read(&bytes)?;
                others = others.plus(told.counts);
                off |= told.off;
            }
        }
        breaker.hear(others, off, self.clock().now());
        Ok(())
    }
}

/// The names of all gateways that serve the rollout, this one among them.
async fn join(kv: &dyn Kv, rollout: &str, me: &str) -> Result<Vec<String>, KvError> {
    let key = format!("breaker/{rollout}/gateways");
    for _ in 0..TRIES {
        let known = kv.get(&key).await?;
        let mut members: Vec<String> = known.as_deref().map(read).transpose()?.unwrap_or_default();
        if members.iter().any(|member| member == me) || members.len() >= MOST {
            return Ok(members);
        }
        members.push(me.to_owned());
        if kv.cas(&key, known.as_deref(), json(&members)?, None).await? {
            return Ok(members);
        }
    }
    Err(KvError::Damaged(format!("{key} changes all the time")))
}

fn key(rollout: &str, gateway: &str) -> String {
    format!("breaker/{rollout}/of/{gateway}")
}

fn json(value: &impl Serialize) -> Result<Bytes, KvError> {
    serde_json::to_vec(value).map(Bytes::from).map_err(|error| KvError::Damaged(error.to_string()))
}

fn read<T: for<'a> Deserialize<'a>>(bytes: &[u8]) -> Result<T, KvError> {
    serde_json::from_slice(bytes).map_err(|error| KvError::Damaged(error.to_string()))
}
