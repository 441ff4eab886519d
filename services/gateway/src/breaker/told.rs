//! Telling the registry that a canary was taken off traffic.

use contracts::common::v1::{Finding, Verdict};
use contracts::registry::v1::{RollBackRequest, RollbackTrigger};
use contracts::time::to_wire;
use lifecycle::rollback::Trigger;
use tonic::{Code, Status};
use tracing::Instrument;

use super::{Breaker, Trip};
use crate::gateway::Gateway;

impl Gateway {
    /// Tells the registry of every trip that it has not acknowledged. The request id makes it one rollback, however often
    /// it is sent. One that is not taken holds up no other.
    ///
    /// # Errors
    /// The last status that says nothing about the rollback itself: to be tried again.
    pub async fn tell_rollbacks(&self) -> Result<(), Status> {
        let mut told = Ok(());
        for breaker in self.breakers().all() {
            let Some(trip) = breaker.trip_of().filter(|trip| !trip.acknowledged) else { continue };
            let mut client = self.clients().rollouts.clone();
            let span = tracing::info_span!("roll-back", rollout = breaker.rollout());
            runtime::trace::resume(&span, &trip.traceparent);
            let request = self.roll_back_request(&breaker, &trip);
            match client.roll_back(request).instrument(span).await {
                Ok(_) => tracing::info!(rollout = breaker.rollout(), "the registry has the rollback"),
                // The rollout is over, or the registry does not know it: nothing is left to be said.
                Err(status) if matches!(status.code(), Code::FailedPrecondition | Code::NotFound) => {
                    let reason = runtime::status::reason(&status).unwrap_or_default();
                    tracing::error!(
                        rollout = breaker.rollout(), reason, %status,
                        "the registry does not take the rollback, the canary stays off traffic here"
                    );
                }
                Err(status) => {
                    self.note_registry(!matches!(status.code(), Code::Unavailable | Code::DeadlineExceeded));
                    tracing::warn!(rollout = breaker.rollout(), %status, "a rollback is not acknowledged yet");
                    told = Err(status);
                    continue;
                }
            }
            breaker.acknowledge();
        }
        told
    }

    fn roll_back_request(&self, breaker: &Breaker, trip: &Trip) -> RollBackRequest {
        let policy = self.policy();
        let row = policy.rollout.triggers.iter().find(|row| row.trigger == Trigger::ErrorRate);
        let rule = &policy.rollout.breaker;
        let (errors, requests) = (trip.counts.canary_errors, trip.counts.canary_requests);
        let finding = Finding {
            clause: row.map_or_else(String::new, |row| row.clause.clone()),
            subject: format!("model faults of {}", breaker.version()),
            required: format!("at most {} and no worse than stable", rule.max_error_rate.value),
            observed: format!(
                "{errors} of {requests} (stable {} of {}); evidence {:.1}, trips at {:.1}",
                trip.counts.stable_errors,
                trip.counts.stable_requests,
                trip.log_e.exp(),
                1.0 / rule.error_budget.value,
            ),
            verdict: Verdict::Fail.into(),
        };
        RollBackRequest {
            name: breaker.rollout().to_owned(),
            trigger: RollbackTrigger::ErrorRate.into(),
            reason: format!(
                "gateway {}: {errors} model faults in {requests} requests of the canary",
                self.id()
            ),
            findings: vec![finding],
            detect_time: Some(to_wire(trip.detect_time)),
            off_traffic_time: Some(to_wire(trip.off_traffic_time)),
            etag: String::new(),
            request_id: trip.request_id.clone(),
        }
    }
}
