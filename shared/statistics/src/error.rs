//! One error type for the whole crate, and the checks that every function starts with.

/// What a function of this crate returns.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a number does not exist for the given input. None of these may ever count as "passed".
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// Nothing to compute from.
    #[error("{what} is empty")]
    Empty {
        /// Which input.
        what: &'static str,
    },
    /// Two inputs that belong together differ in length.
    #[error("lengths differ: {left} and {right}")]
    LengthMismatch {
        /// Length of the first input.
        left: usize,
        /// Length of the second input.
        right: usize,
    },
    /// Two histograms do not have the same bins.
    #[error("bins differ: {why}")]
    BinMismatch {
        /// What differs.
        why: &'static str,
    },
    /// Bytes that are not the state of a sketch.
    #[error("not a state of {what}: {why}")]
    Malformed {
        /// Which sketch was expected.
        what: &'static str,
        /// What is wrong with the bytes.
        why: &'static str,
    },
    /// A value is NaN or infinite.
    #[error("{what}[{index}] is not a finite number")]
    NotFinite {
        /// Which input.
        what: &'static str,
        /// Position of the first such value.
        index: usize,
    },
    /// An argument is outside its domain.
    #[error("{what} is {value}, expected {expected}")]
    OutOfRange {
        /// Which argument.
        what: &'static str,
        /// What was given.
        value: f64,
        /// The domain in words.
        expected: &'static str,
    },
    /// The quantity has no value for this input (0/0, one class only, one group only).
    #[error("{what} is undefined: {why}")]
    Undefined {
        /// Which quantity.
        what: &'static str,
        /// The reason in words.
        why: &'static str,
    },
}

/// Refuses an empty slice and any NaN or infinity.
pub(crate) fn finite(what: &'static str, values: &[f64]) -> Result<()> {
    if values.is_empty() {
        return Err(Error::Empty { what });
    }
    match values.iter().position(|v| !v.is_finite()) {
        Some(index) => Err(Error::NotFinite { what, index }),
        None => Ok(()),
    }
}

/// Refuses inputs of different length.
pub(crate) fn same_length(left: usize, right: usize) -> Result<()> {
    if left == right { Ok(()) } else { Err(Error::LengthMismatch { left, right }) }
}

/// Refuses a level, share or confidence that is not strictly between 0 and 1.
pub(crate) fn open_unit(what: &'static str, value: f64) -> Result<()> {
    if value > 0.0 && value < 1.0 {
        Ok(())
    } else {
        Err(Error::OutOfRange { what, value, expected: "a number strictly between 0 and 1" })
    }
}

/// Refuses a share that is NaN or outside `0..=1`.
pub(crate) fn closed_unit(what: &'static str, value: f64) -> Result<()> {
    if (0.0..=1.0).contains(&value) {
        Ok(())
    } else {
        Err(Error::OutOfRange { what, value, expected: "a share between 0 and 1" })
    }
}

/// The weights given, or one for every row; refuses negative weights and a sum of zero.
pub(crate) fn weights_or_ones(weights: Option<&[f64]>, rows: usize) -> Result<Vec<f64>> {
    let Some(weights) = weights else { return Ok(vec![1.0; rows]) };
    same_length(rows, weights.len())?;
    finite("weights", weights)?;
    if let Some(&value) = weights.iter().find(|w| **w < 0.0) {
        return Err(Error::OutOfRange { what: "weight", value, expected: "0 or more" });
    }
    if weights.iter().sum::<f64>() <= 0.0 {
        return Err(Error::Undefined { what: "weighted mean", why: "all weights are zero" });
    }
    Ok(weights.to_vec())
}
