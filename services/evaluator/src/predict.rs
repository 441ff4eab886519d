//! Runs samples through a model and reads its predictions.

mod classes;
mod model;
mod outputs;
mod reading;
pub mod zipmap;

pub use classes::Classes;
pub use model::Model;
pub use outputs::Outputs;
pub use reading::Reading;

/// What the outputs hold for one row, before it is known what they mean.
#[derive(Debug, Clone, PartialEq)]
pub enum Raw {
    /// A label, scores, or both.
    Class {
        /// The label in its plain form.
        label: Option<String>,
        /// The scores; empty where the model gives none.
        scores: Vec<f64>,
    },
    /// A number.
    Value(f64),
    /// The model failed on this row.
    Failed(String),
}

/// What the model says about one row.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// A class.
    Class {
        /// Index into [`Classes`]; [`Classes::len`] for an answer that is none of them.
        class: usize,
        /// One for each class; empty where the model gives none.
        scores: Vec<f64>,
    },
    /// A number.
    Value(f64),
    /// The model failed on this row.
    Failed(String),
}

impl Answer {
    /// The class, if there is one.
    pub fn class(&self) -> Option<usize> {
        if let Self::Class { class, .. } = self { Some(*class) } else { None }
    }

    /// The scores, if there are any and all are finite.
    pub fn scores(&self) -> Option<&[f64]> {
        match self {
            Self::Class { scores, .. }
                if !scores.is_empty() && scores.iter().all(|score| score.is_finite()) =>
            {
                Some(scores)
            }
            _ => None,
        }
    }

    /// The number, if there is one.
    pub fn value(&self) -> Option<f64> {
        if let Self::Value(value) = self { Some(*value) } else { None }
    }

    /// Whether a score or number is NaN or infinite.
    pub fn is_not_finite(&self) -> bool {
        match self {
            Self::Class { scores, .. } => scores.iter().any(|score| !score.is_finite()),
            Self::Value(value) => !value.is_finite(),
            Self::Failed(_) => false,
        }
    }
}
