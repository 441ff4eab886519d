//! What the registry knows of a dataset and of what is asked of it: for the card, and for the Croissant description.

use contracts::registry::v1::{
    DataSource, Dataset, GetDataSourceRequest, GetDatasetRequest, GetPolicyRequest,
};
use lifecycle::Policy;

use crate::card::{self, Target};
use crate::{Error, Pipeline};

impl Pipeline {
    /// The dataset and its sources, in the order of `sources`.
    ///
    /// # Errors
    /// Of the registry.
    pub async fn described(
        &self,
        dataset: &str,
        sources: &[String],
    ) -> Result<(Dataset, Vec<DataSource>), Error> {
        let deps = self.deps();
        let asked = GetDatasetRequest { name: dataset.to_owned() };
        let dataset = deps.datasets.clone().get_dataset(asked).await.map_err(Error::Registry)?.into_inner();
        let mut found = Vec::with_capacity(sources.len());
        for name in sources {
            let asked = GetDataSourceRequest { name: name.clone() };
            let source = deps.sources.clone().get_data_source(asked).await.map_err(Error::Registry)?;
            found.push(source.into_inner());
        }
        Ok((dataset, found))
    }

    /// What the policy in force asks of the eight dimensions.
    ///
    /// # Errors
    /// Of the registry; [`Error::Internal`] for a policy that this program does not read.
    pub async fn targets(&self) -> Result<Vec<Target>, Error> {
        let mut policies = self.deps().policies.clone();
        let policy = policies.get_policy(GetPolicyRequest::default()).await.map_err(Error::Registry)?;
        let policy = policy.into_inner();
        let parsed = Policy::parse(&policy.yaml)
            .map_err(|error| Error::Internal(format!("policy {}: {error}", policy.name)))?;
        Ok(card::targets(&parsed.quality))
    }
}
