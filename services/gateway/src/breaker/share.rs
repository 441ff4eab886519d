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

/// What a gateway says of a breaker; what a newer one says beside it is left out.
#[derive(Serialize, Deserialize)]
struct Told {
    counts: Counts,
    off: bool,
}

impl Gateway {
    /// Tells the others what was counted here, and hears them. What is damaged of one breaker or gateway keeps no other one
    /// from being heard.
    ///
    /// # Errors
    /// If the store is gone; then every gateway judges by what it knows.
    pub async fn share_breakers(&self) -> Result<(), KvError> {
        for breaker in self.breakers().all() {
            match self.share(&breaker).await {
                Err(error @ KvError::Redis(_)) => return Err(error),
                Err(error) => tracing::warn!(rollout = breaker.rollout(), %error, "a breaker is not shared"),
                Ok(()) => {}
            }
        }
        Ok(())
    }

    async fn share(&self, breaker: &Breaker) -> Result<(), KvError> {
        let kv = self.kv().as_ref();
        let rollout = breaker.rollout();
        let mine = Told { counts: breaker.own(), off: breaker.is_tripped() };
        kv.set(&key(rollout, self.id()), json(&mine)?, None).await?;
        let members = join(kv, rollout, self.id()).await?;
        let (others, off) = heard(kv, rollout, self.id(), &members).await?;
        let was_off = breaker.is_tripped();
        breaker.hear(others, off, self.clock().now());
        if !was_off && breaker.is_tripped() {
            self.meters().tripped(rollout);
            self.note_change();
        }
        Ok(())
    }
}

/// What the others have counted in all, and whether one of them took the canary off.
async fn heard(kv: &dyn Kv, rollout: &str, me: &str, members: &[String]) -> Result<(Counts, bool), KvError> {
    let (mut others, mut off) = (Counts::default(), false);
    for member in members.iter().filter(|member| *member != me) {
        let Some(bytes) = kv.get(&key(rollout, member)).await? else { continue };
        match read::<Told>(&bytes) {
            Ok(told) => {
                others = others.plus(told.counts);
                off |= told.off;
            }
            Err(error) => tracing::warn!(rollout, %member, %error, "what a gateway has counted is left out"),
        }
    }
    Ok((others, off))
}

/// The names of all gateways that serve the rollout, this one among them.
async fn join(kv: &dyn Kv, rollout: &str, me: &str) -> Result<Vec<String>, KvError> {
    let key = format!("breaker/{rollout}/gateways");
    for _ in 0..TRIES {
        let known = kv.get(&key).await?;
        // A damaged list is begun anew: every gateway joins again with its next round.
        let mut members: Vec<String> =
            known.as_deref().and_then(|bytes| read(bytes).ok()).unwrap_or_default();
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

#[cfg(test)]
mod tests {
    use super::*;
    use storage::kv::MemoryKv;

    #[tokio::test]
    async fn a_damaged_entry_silences_nobody_and_a_newer_one_is_understood() {
        let (kv, rollout) = (MemoryKv::new(100), "deployments/d/rollouts/r");
        let told = r#"{"counts":{"canary_errors":1,"canary_requests":2,"stable_errors":0,"stable_requests":3,"new":1},"off":true,"why":"x"}"#;
        for (name, text) in [("a", "{"), ("b", told)] {
            kv.set(&key(rollout, name), Bytes::from(text), None).await.unwrap();
        }
        let members = ["a", "b", "me"].map(String::from);
        let (counts, off) = heard(&kv, rollout, "me", &members).await.unwrap();
        assert!(off && counts.canary_requests == 2 && counts.stable_requests == 3);
        kv.set("breaker/deployments/d/rollouts/r/gateways", Bytes::from("[1"), None).await.unwrap();
        assert_eq!(join(&kv, rollout, "me").await.unwrap(), ["me"]);
    }
}
