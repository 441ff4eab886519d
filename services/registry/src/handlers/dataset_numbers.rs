//! The number that a dataset version gets (§5.3.7): asked for before a build is registered, and checked when it is.

use lifecycle::Version;
use lifecycle::dataset_number::{self, Content, Latest, Numbered};

use super::datasets::check_version;
use crate::convert::dataset;
use crate::store::{Read, Resource};
use crate::wire::{Dataset, DatasetNumber, DatasetVersion, NumberDatasetVersionRequest};
use crate::{Error, Registry, parse::Fields};

impl Registry {
    /// The number that a content would get now. Nothing is kept, so another version may take it meanwhile.
    ///
    /// # Errors
    /// INVALID_ARGUMENT, NOT_FOUND; FAILED_PRECONDITION where no number is left.
    pub async fn number_version(&self, request: NumberDatasetVersionRequest) -> Result<DatasetNumber, Error> {
        let mut fields = Fields::default();
        fields.name("parent", &request.parent, Dataset::FORM);
        fields.message("dataset_version", request.dataset_version.as_ref(), check_version);
        fields.done()?;
        let parent = self.read::<Dataset>(&request.parent).await?;
        let content = dataset::content(&request.dataset_version.unwrap_or_default());
        let latest = latest(self, &parent.name).await?;
        let first = self.policies().active().await?.quality.first_version.value;
        let numbered = dataset_number::number(latest.as_ref(), &content, first)?;
        let name = |number: Version| format!("{}/versions/{number}", parent.name);
        Ok(DatasetNumber {
            version: numbered.version().to_string(),
            bump: match numbered {
                Numbered::Next(_, bump) => bump.to_string(),
                Numbered::First(_) | Numbered::Unchanged(_) => String::new(),
            },
            predecessor: latest.map(|latest| name(latest.number)).unwrap_or_default(),
            unchanged: matches!(numbered, Numbered::Unchanged(_)),
        })
    }
}

/// Checks the number that a version of `dataset` asks for.
///
/// # Errors
/// FAILED_PRECONDITION with the number that is right and why.
pub async fn check(
    reader: &impl Read,
    dataset: &str,
    content: &Content,
    asked: Version,
    first: Version,
) -> Result<(), Error> {
    let latest = latest(reader, dataset).await?;
    Ok(dataset_number::check(latest.as_ref(), content, asked, first)?)
}

/// The version of a dataset with the highest number.
async fn latest(reader: &impl Read, dataset: &str) -> Result<Option<Latest>, Error> {
    let mut highest: Option<Latest> = None;
    for version in reader.children::<DatasetVersion>(dataset).await? {
        let number = dataset::number(&version.name)?;
        if highest.as_ref().is_none_or(|highest| highest.number < number) {
            highest =
                Some(Latest { number, content: dataset::content(&version), state: dataset::state(&version) });
        }
    }
    Ok(highest)
}
