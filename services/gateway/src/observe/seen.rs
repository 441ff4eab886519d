//! What the rows of one second looked like.

use std::collections::BTreeMap;

use contracts::common::v1::ColumnProfile;
use contracts::monitor::v1::GroupOutcome;

use super::profile::Profile;
use super::reference::{Predictions, Reference};

/// Sketches of features, predictions and groups; two of the same second add up to one.
#[derive(Debug, Default)]
pub struct Seen {
    features: Vec<Profile>,
    rows: u64,
    predictions: Option<Predictions>,
    /// Rows and favourable predictions by sensitive column and value.
    groups: BTreeMap<(String, String), (u64, u64)>,
}

impl Seen {
    /// The profiles of features and predictions, made empty from the reference at first use.
    pub(super) fn profiles(&mut self, reference: &Reference) -> (&mut [Profile], &mut u64, &mut Predictions) {
        if self.features.len() != reference.columns().len() {
            self.features = reference.empty();
        }
        let predictions = self.predictions.get_or_insert_with(|| reference.no_predictions());
        (&mut self.features, &mut self.rows, predictions)
    }

    /// Counts a row of a group, and whether its prediction is the favourable one.
    pub(super) fn group(&mut self, column: &str, value: &str, favourable: bool) {
        let sum = self.groups.entry((column.to_owned(), value.to_owned())).or_default();
        sum.0 += 1;
        sum.1 += u64::from(favourable);
    }

    /// Features, predictions and groups for the wire.
    pub(super) fn wire(
        self,
        reference: Option<&Reference>,
    ) -> (Vec<ColumnProfile>, Option<ColumnProfile>, Vec<GroupOutcome>) {
        let features = reference.map(|reference| {
            let pairs = reference.columns().iter().zip(&self.features);
            pairs.map(|(column, feature)| feature.wire(column, self.rows)).collect()
        });
        let label = reference.map_or("", Reference::label);
        let predictions = self.predictions.and_then(|predictions| predictions.wire(label));
        (features.unwrap_or_default(), predictions, self.groups.into_iter().map(group_outcome).collect())
    }
}

fn group_outcome(of: ((String, String), (u64, u64))) -> GroupOutcome {
    let ((column, value), (rows, favourable)) = of;
    GroupOutcome { group: format!("{column}={value}"), rows, favourable }
}
