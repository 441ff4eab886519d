//! Comparing two versions, and their sketches.

use contracts::pipeline::v1::{
    DatasetDifference, DatasetProfile, DatasetSketches, DiffDatasetVersionsRequest, GetProfileRequest,
    ProfileSlice,
};
use prost::Message as _;

use super::reads::digest;
use crate::difference::{self, Asked, Side};
use crate::parse::{Fields, VERSION};
use crate::{Error, Pipeline, blocking};

/// Rows of each kind that are named unless another number is asked for, and at most.
const EXAMPLES: (u32, u32) = (10, 1000);

impl Pipeline {
    pub(super) async fn difference(
        &self,
        request: DiffDatasetVersionsRequest,
    ) -> Result<DatasetDifference, Error> {
        let mut fields = Fields::default();
        fields.name("before", &request.before, VERSION);
        fields.name("after", &request.after, VERSION);
        for (field, columns) in
            [("key_columns", &request.key_columns), ("ignore_columns", &request.ignore_columns)]
        {
            fields.each(field, columns, |fields, at, column| fields.text(at, column));
        }
        fields.require(request.examples <= EXAMPLES.1, "examples", "at most 1000 are named");
        fields.done()?;
        let (before, _) = self.side(&request.before).await?;
        let (after, own_key) = self.side(&request.after).await?;
        let asked = Asked {
            key: if request.key_columns.is_empty() { own_key } else { request.key_columns },
            ignore: request.ignore_columns,
            examples: if request.examples == 0 { EXAMPLES.0 } else { request.examples } as usize,
            memory: self.limits().difference_bytes,
        };
        let _turn = self.differences().acquire().await.map_err(|_| Error::Stopping)?;
        blocking::run("difference", move || difference::between(&before, &after, asked)).await
    }

    /// A version with its clean rows, and the key of its plan.
    async fn side(&self, name: &str) -> Result<(Side, Vec<String>), Error> {
        let (record, version) = self.built(name).await?;
        let clean = digest(&record.clean_digest)?;
        self.blobs().check(&clean).await?;
        let key = record.request.and_then(|request| request.plan).unwrap_or_default().key_columns;
        Ok((Side { version, clean: self.blobs().local_path(&clean) }, key))
    }

    pub(super) async fn profile(&self, request: GetProfileRequest) -> Result<DatasetProfile, Error> {
        let (split, column) = (&request.split, &request.group_column);
        let mut fields = Fields::default();
        let known = split.is_empty() || ["train", "validation", "test"].contains(&split.as_str());
        fields.require(known, "split", "must be train, validation or test");
        let one = split.is_empty() || column.is_empty();
        fields.require(
            one,
            "group_column",
            "must be empty where a split is asked for: groups are of all splits",
        );
        fields.name("name", &request.name, VERSION);
        fields.done()?;
        let (_, version) = self.built(&request.name).await?;
        let sensitive = |name: &String| version.columns.iter().any(|one| one.sensitive && one.name == *name);
        if !column.is_empty() && !sensitive(column) {
            return Err(Error::field(
                "group_column",
                format!("{column:?} is no sensitive column of the version"),
            ));
        }
        let all = self.sketches(&version.sketch_digest).await?;
        let asked = |slice: &ProfileSlice| {
            slice.group_column == *column && (split.is_empty() || slice.split == *split)
        };
        Ok(DatasetProfile {
            slices: all.slices.into_iter().filter(asked).collect(),
            groups_left_out: all.groups_left_out,
            columns: version.profiles,
            name: request.name,
        })
    }

    /// The sketches of a version; none of one that was built before there were any.
    async fn sketches(&self, stored: &str) -> Result<DatasetSketches, Error> {
        if stored.is_empty() {
            return Ok(DatasetSketches::default());
        }
        let bytes = self.blobs().read(&digest(stored)?).await?;
        Ok(DatasetSketches::decode(bytes)?)
    }
}
