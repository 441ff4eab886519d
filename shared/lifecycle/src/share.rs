//! Shares, and the thresholds that look alike but mean different things.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A share of a whole, 0..=1, never NaN.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Share(f64);

impl Share {
    /// Nothing of the whole.
    pub const ZERO: Self = Self(0.0);
    /// The whole.
    pub const ONE: Self = Self(1.0);

    /// A share from a number.
    ///
    /// # Errors
    /// [`NotAShare`] for NaN and anything outside 0..=1.
    pub fn new(value: f64) -> Result<Self, NotAShare> {
        if (0.0..=1.0).contains(&value) { Ok(Self(value)) } else { Err(NotAShare(value)) }
    }

    /// `part` of `whole`; `None` when `whole` is zero or less than `part`.
    pub fn of(part: u64, whole: u64) -> Option<Self> {
        if whole == 0 || part > whole { None } else { Some(Self(part as f64 / whole as f64)) }
    }

    /// The number, 0..=1.
    pub fn get(self) -> f64 {
        self.0
    }

    /// What is left of the whole.
    #[must_use]
    pub fn complement(self) -> Self {
        Self(1.0 - self.0)
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl TryFrom<f64> for Share {
    type Error = NotAShare;
    fn try_from(value: f64) -> Result<Self, NotAShare> {
        Self::new(value)
    }
}

impl From<Share> for f64 {
    fn from(share: Share) -> Self {
        share.0
    }
}

/// A number that is no share.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("{0} is not a share between 0 and 1")]
pub struct NotAShare(pub f64);

macro_rules! share_of_its_own {
    ($($(#[$doc:meta])* $name:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Share);
        impl $name {
            /// The number, 0..=1.
            pub fn get(self) -> f64 { self.0.get() }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { self.0.fmt(f) }
        }
    )+};
}

share_of_its_own! {
    /// Accuracy of a model on its task (§7.3 acceptance, §9.1 alert). Not [`DataAccuracy`].
    ModelAccuracy;
    /// Share of checked data values that are correct (§5.2). Not [`ModelAccuracy`].
    DataAccuracy;
    /// Demographic parity as 1 − largest difference of selection rates (§7.3, gated).
    ParityByDifference;
    /// Demographic parity as smallest over largest selection rate (four-fifths rule; shown, never gated).
    ParityRatio;
    /// Largest difference of selection rates between groups (§9.1 alert).
    Disparity;
    /// Share of requests failed by the model above which an alert is raised (§9.1).
    AlertErrorRate;
    /// Share of requests failed by the model above which a version is rolled back (§8.3).
    RollbackErrorRate;
}

impl From<Disparity> for ParityByDifference {
    fn from(disparity: Disparity) -> Self {
        Self(disparity.0.complement())
    }
}

macro_rules! milliseconds_of_its_own {
    ($($(#[$doc:meta])* $name:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub f64);
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { write!(f, "{} ms", self.0) }
        }
    )+};
}

milliseconds_of_its_own! {
    /// P95 latency in milliseconds below which a version is accepted (§7.3).
    AcceptanceLatency;
    /// P95 latency in milliseconds above which an alert is raised (§9.1).
    AlertLatency;
    /// P95 latency in milliseconds above which a human assesses (§8.3).
    AssessmentLatency;
}
