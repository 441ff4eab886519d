//! Adopts the policy that the route table names, so that breakers judge by the numbers in force.

use std::time::Duration;

use contracts::registry::v1::GetPolicyRequest;
use lifecycle::Policy;
use runtime::Tasks;
use tonic::Status;

use crate::gateway::Gateway;

/// Pause after a table that named a policy which could not be had, real time.
const RETRY: Duration = Duration::from_secs(1);

/// Follows the tables until the stop. A rollout that runs keeps the numbers it began with.
pub(super) fn start(tasks: &Tasks, gateway: &Gateway) {
    let gateway = gateway.clone();
    tasks.spawn("adopt-policy", move |stop| {
        let gateway = gateway.clone();
        async move {
            let mut wanted = gateway.wanted().subscribe();
            loop {
                let digest = wanted
                    .borrow_and_update()
                    .as_ref()
                    .map(|accepted| accepted.routes.policy_digest.clone())
                    .filter(|digest| !digest.is_empty() && digest != gateway.policy().digest());
                let next = async {
                    let Some(digest) = digest else { return wanted.changed().await.is_ok() };
                    if let Err(status) = gateway.adopt_policy(&digest).await {
                        tracing::warn!(%status, %digest, "the policy in force is not at hand, judging by the last one");
                        tokio::time::sleep(RETRY).await;
                    }
                    true
                };
                let goes_on = tokio::select! { () = stop.cancelled() => false, goes_on = next => goes_on };
                if !goes_on {
                    return Ok::<_, Status>(());
                }
            }
        }
    });
}

impl Gateway {
    async fn adopt_policy(&self, digest: &str) -> Result<(), Status> {
        if let Some(policy) = self.files().policy(digest) {
            self.judge_by(policy);
            return Ok(());
        }
        let request = GetPolicyRequest { name: String::new(), digest: digest.to_owned() };
        let found = self.clients().policies.clone().get_policy(request).await?.into_inner();
        let policy = Policy::parse(&found.yaml).map_err(|error| Status::data_loss(error.to_string()))?;
        if policy.digest() != digest {
            return Err(Status::data_loss(format!("the registry gave policy {}", policy.digest())));
        }
        if let Err(error) = self.files().keep_policy(digest, found.yaml).await {
            tracing::warn!(%error, "a policy cannot be kept on disk");
        }
        tracing::info!(%digest, "policy adopted");
        self.judge_by(policy);
        Ok(())
    }

    /// Adopts a policy and has the table looked at again: it may ask for other gates.
    fn judge_by(&self, policy: Policy) {
        self.adopt(policy);
        self.wanted().send_modify(|_| {});
    }
}
