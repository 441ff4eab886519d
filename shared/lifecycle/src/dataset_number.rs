//! Numbers of dataset versions (§5.3.7): what differs from the version before decides which component grows, so that a
//! number tells what to expect. Other columns make it major, other rows minor, anything else a patch.

use crate::dataset::{State, bump};
use crate::rejection::{Finding, Rejection};
use crate::version::{Bump, Version};

const CLAUSE: &str = "§5.3";

/// What a version holds, as far as its number depends on it. Each part is a text, a digest for example, that is equal where
/// the part is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// Columns: names, types, what they mean.
    pub schema: String,
    /// Rows, split by split.
    pub rows: String,
    /// Everything else that was recorded of it and does not depend on when it was built.
    pub metadata: String,
}

impl Content {
    /// Which component grows from `self` to `next`; `None` where nothing differs.
    pub fn bump_to(&self, next: &Self) -> Option<Bump> {
        bump(self.schema != next.schema, self.rows != next.rows, self.metadata != next.metadata)
    }
}

/// The version of a dataset with the highest number: every number follows from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Latest {
    /// Its number.
    pub number: Version,
    /// What it holds.
    pub content: Content,
    /// Its state.
    pub state: State,
}

/// The number of a content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbered {
    /// The first version of the dataset.
    First(Version),
    /// A new version.
    Next(Version, Bump),
    /// The latest version holds the same, so it is that version.
    Unchanged(Version),
}

impl Numbered {
    /// The number itself.
    pub fn version(self) -> Version {
        match self {
            Self::First(version) | Self::Next(version, _) | Self::Unchanged(version) => version,
        }
    }
}

/// The one number that `content` may have: `first` where the dataset has no version.
///
/// What equals the latest version is that version, unless it is UNFIT: that is final, and may have been for reasons outside
/// the data (an audit that was too small, a confirmation that came late), so the same data may be judged anew, as a patch.
///
/// # Errors
/// `VERSION_NUMBERS_EXHAUSTED` where the component that grows has no number left.
pub fn number(latest: Option<&Latest>, content: &Content, first: Version) -> Result<Numbered, Rejection> {
    let Some(latest) = latest else { return Ok(Numbered::First(first)) };
    let grows = match latest.content.bump_to(content) {
        Some(bump) => bump,
        None if latest.state == State::Unfit => Bump::Patch,
        None => return Ok(Numbered::Unchanged(latest.number)),
    };
    let next = latest.number.after(grows).ok_or_else(|| {
        let observed = format!("{} is the last {grows} number", latest.number);
        let finding = Finding::new(CLAUSE, "dataset version number", "a number that follows", observed);
        Rejection::one("VERSION_NUMBERS_EXHAUSTED", "dataset version", finding)
    })?;
    Ok(Numbered::Next(next, grows))
}

/// Checks the number that a new version asks for.
///
/// # Errors
/// `VERSION_NOT_SUCCESSOR`, `VERSION_BUMP_TOO_LOW`, `VERSION_BUMP_TOO_HIGH` with the number that is right and why;
/// `DATASET_UNCHANGED` with the version that holds the same; those of [`number`].
pub fn check(
    latest: Option<&Latest>,
    content: &Content,
    asked: Version,
    first: Version,
) -> Result<(), Rejection> {
    let refuse = |reason, required: String| {
        let finding = Finding::new(CLAUSE, "dataset version number", required, asked.to_string());
        Err(Rejection::one(reason, format!("dataset version {asked}"), finding))
    };
    match (number(latest, content, first)?, latest) {
        (numbered, _) if !matches!(numbered, Numbered::Unchanged(_)) && numbered.version() == asked => Ok(()),
        (Numbered::Unchanged(same), _) => {
            let required = format!("other columns, rows or metadata than {same}");
            let finding = Finding::new(CLAUSE, "content of the version", required, "the same");
            Err(Rejection::one("DATASET_UNCHANGED", format!("dataset version {asked}"), finding))
        }
        (Numbered::Next(right, grows), Some(latest)) => {
            let why = why(grows, latest, content);
            let required = format!("{right}: a {grows} change, as {why}");
            match latest.number.bump_to(asked) {
                Some(wrong) if wrong < grows => refuse("VERSION_BUMP_TOO_LOW", required),
                Some(_) => refuse("VERSION_BUMP_TOO_HIGH", required),
                None => refuse("VERSION_NOT_SUCCESSOR", required),
            }
        }
        (numbered, _) => refuse("VERSION_NOT_SUCCESSOR", numbered.version().to_string()),
    }
}

/// What differs, in words.
fn why(grows: Bump, latest: &Latest, content: &Content) -> String {
    let number = latest.number;
    match grows {
        Bump::Major => format!("the columns are other ones than those of {number}"),
        Bump::Minor => format!("the columns are those of {number} and rows differ"),
        Bump::Patch if latest.content == *content => format!("it holds what {number} does, which is UNFIT"),
        Bump::Patch => format!("columns and rows are those of {number}"),
    }
}
