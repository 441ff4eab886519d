//! One verdict of several gateways: each puts its own counts where the others read them.
//!
//! Everybody writes only its own counts, whole, under its own name, so a lost or restarted store is filled again by the
//! next round, and nothing is counted twice.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use storage::{Kv, KvError};

use super::{Breaker, Counts};
use crate::gateway::Gateway;

/// Gateways of one rollout at most.
const MOST: usize = 256;
/// Rounds of compare-and-swap before the next period.
const TRIES: usize = 8;
/// How long the store keeps what a gateway last said: longer than any rollout pauses, and not for ever.
const KEPT: Option<Duration> = Some(Duration::from_hours(7 * 24));

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
        if exchange(self.kv().as_ref(), self.id(), breaker, self.clock().now()).await? {
            self.meters().tripped(breaker.rollout());
            self.note_change();
        }
        Ok(())
    }
}

/// One round of one breaker: tells, joins, hears. True if it tripped by what it heard.
async fn exchange(kv: &dyn Kv, me: &str, breaker: &Breaker, now: SystemTime) -> Result<bool, KvError> {
    let rollout = breaker.rollout();
    let mine = Told { counts: breaker.own(), off: breaker.is_tripped() };
    kv.set(&key(rollout, me), json(&mine)?, KEPT).await?;
    let members = join(kv, rollout, me).await?;
    let (told, off) = heard(kv, rollout, me, &members).await?;
    let was_off = breaker.is_tripped();
    breaker.hear(&told, off, now);
    Ok(!was_off && breaker.is_tripped())
}

/// What each of the others has counted in all, and whether one of them took the canary off.
async fn heard<'a>(
    kv: &dyn Kv,
    rollout: &str,
    me: &str,
    members: &'a [String],
) -> Result<(Vec<(&'a str, Counts)>, bool), KvError> {
    let (mut others, mut off) = (Vec::new(), false);
    for member in members.iter().filter(|member| *member != me) {
        let Some(bytes) = kv.get(&key(rollout, member)).await? else { continue };
        match read::<Told>(&bytes) {
            Ok(told) => {
                others.push((member.as_str(), told.counts));
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
        if kv.cas(&key, known.as_deref(), json(&members)?, KEPT).await? {
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
    use std::sync::Arc;

    use lifecycle::rollback::Fault;
    use runtime::Clock;
    use statistics::CanaryTest;
    use storage::kv::MemoryKv;

    use super::super::keep::Kept;
    use super::*;

    #[tokio::test]
    async fn a_damaged_entry_silences_nobody_and_a_newer_one_is_understood() {
        let (kv, rollout) = (MemoryKv::new(100), "deployments/d/rollouts/r");
        let told = r#"{"counts":{"canary_errors":1,"canary_requests":2,"stable_errors":0,"stable_requests":3,"new":1},"off":true,"why":"x"}"#;
        for (name, text) in [("a", "{"), ("b", told)] {
            kv.set(&key(rollout, name), Bytes::from(text), None).await.unwrap();
        }
        let members = ["a", "b", "me"].map(String::from);
        let (told, off) = heard(&kv, rollout, "me", &members).await.unwrap();
        assert!(off && told.len() == 1 && told[0].0 == "b");
        assert_eq!((told[0].1.canary_requests, told[0].1.stable_requests), (2, 3));
        kv.set("breaker/deployments/d/rollouts/r/gateways", Bytes::from("[1"), None).await.unwrap();
        assert_eq!(join(&kv, rollout, "me").await.unwrap(), ["me"]);
    }

    fn breaker() -> Breaker {
        let limits = &lifecycle::Policy::builtin().rollout.breaker;
        let test = CanaryTest::new(limits.max_error_rate.value, limits.healthy_error_rate.value).unwrap();
        let kept = Kept::new("deployments/d/rollouts/r", "models/m/versions/1.1.0", test);
        Breaker::of_kept(kept, limits, Arc::default(), Clock::real())
    }

    fn fail(breaker: &Breaker, requests: usize) {
        (0..requests).for_each(|_| {
            breaker.note(true, Some(Fault::Model), SystemTime::now());
        });
    }

    async fn round(kv: &MemoryKv, gateways: &[(&str, &Breaker)]) {
        for (name, breaker) in gateways {
            exchange(kv, name, breaker, SystemTime::now()).await.unwrap();
        }
    }

    #[tokio::test]
    async fn two_gateways_see_together_what_neither_sees_alone() {
        let (kv, one, other) = (MemoryKv::new(100), breaker(), breaker());
        fail(&one, 2);
        // However often it is told, it is counted once.
        for _ in 0..20 {
            round(&kv, &[("one", &one), ("other", &other)]).await;
        }
        assert!(!one.is_tripped() && !other.is_tripped());
        assert!((one.evidence().0 - other.evidence().0).abs() < 1.0, "both have seen the same");
        fail(&other, 2);
        assert!(!one.is_tripped(), "it has not heard yet");
        round(&kv, &[("other", &other), ("one", &one)]).await;
        assert!(one.is_tripped() && other.is_tripped());
        assert_eq!((one.own().canary_errors, other.own().canary_errors), (2, 2));
        assert_eq!(one.trip_of().unwrap().counts.canary_errors, 4);
    }

    /// The store lost all that it had: the next round brings it back, and nothing counts twice.
    #[tokio::test]
    async fn an_emptied_store_changes_no_verdict() {
        let (one, other) = (breaker(), breaker());
        for faulty in [&one, &other, &one] {
            fail(faulty, 1);
            let kv = MemoryKv::new(100);
            // Who comes first finds nothing of the other there.
            for _ in 0..3 {
                round(&kv, &[("one", &one), ("other", &other)]).await;
            }
        }
        assert_eq!(one.own().plus(other.own()).canary_errors, 3);
        assert!(!one.is_tripped() && !other.is_tripped(), "three faults are not enough");
        fail(&one, 1);
        assert!(one.is_tripped(), "four are");
        let kv = MemoryKv::new(100);
        round(&kv, &[("one", &one), ("other", &other)]).await;
        assert!(other.is_tripped(), "a trip of one is a trip of all");
    }
}
