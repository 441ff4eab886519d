//! Which texts mean that a value is missing.

use std::collections::BTreeSet;

/// Texts that mean "missing", compared without white space around them. The empty text always does.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MissingMarkers(BTreeSet<String>);

impl MissingMarkers {
    /// The empty text and `markers`.
    pub fn new<S: AsRef<str>>(markers: impl IntoIterator<Item = S>) -> Self {
        Self(markers.into_iter().map(|marker| marker.as_ref().trim().to_owned()).collect())
    }

    /// Whether a cell with this text is missing.
    pub fn is_missing(&self, text: &str) -> bool {
        let text = text.trim();
        text.is_empty() || self.0.contains(text)
    }
}
