//! Which columns a fitted step reads and makes: from that follows which steps can run, and which some columns need.

use std::collections::BTreeSet;

use super::{Step, category, text, time};

impl Step {
    /// Columns that it reads.
    pub fn reads(&self) -> Vec<&str> {
        match self {
            Self::Derive(derived) => derived.from.iter().map(String::as_str).collect(),
            other => other.place().into_iter().collect(),
        }
    }

    /// The column that it changes or replaces; none where it only adds one.
    pub fn place(&self) -> Option<&str> {
        match self {
            Self::Derive(_) => None,
            Self::Fill { column, .. }
            | Self::Clip { column, .. }
            | Self::Scale { column, .. }
            | Self::Log1p { column }
            | Self::Bucketise { column, .. }
            | Self::OneHot { column, .. }
            | Self::Ordinal { column, .. }
            | Self::Frequency { column, .. }
            | Self::Hash { column, .. }
            | Self::Lowercase { column }
            | Self::Unicode { column, .. }
            | Self::Tokenise { column, .. }
            | Self::TokenisePattern { column, .. }
            | Self::WordPiece { column, .. }
            | Self::DateParts { column, .. } => Some(column),
        }
    }

    /// Columns that it makes.
    pub fn makes(&self) -> Vec<String> {
        let counted = |column: &str, vocabulary: &[String]| -> Vec<String> {
            if vocabulary.is_empty() {
                return vec![text::count_name(column, None)];
            }
            vocabulary.iter().map(|token| text::count_name(column, Some(token))).collect()
        };
        match self {
            Self::Derive(derived) => vec![derived.name.clone()],
            Self::OneHot { column, levels } => {
                levels.iter().map(|level| category::hot_name(column, level)).collect()
            }
            Self::Tokenise { column, vocabulary } | Self::TokenisePattern { column, vocabulary, .. } => {
                counted(column, vocabulary)
            }
            Self::WordPiece { column, length, .. } => {
                (0..*length).map(|at| text::piece_name(column, at)).collect()
            }
            Self::DateParts { column, parts } => {
                parts.iter().map(|part| time::part_name(column, *part)).collect()
            }
            other => other.place().map(str::to_owned).into_iter().collect(),
        }
    }

    /// How many columns it makes.
    pub fn width(&self) -> usize {
        match self {
            Self::OneHot { levels, .. } => levels.len(),
            Self::Tokenise { vocabulary, .. } | Self::TokenisePattern { vocabulary, .. } => {
                vocabulary.len().max(1)
            }
            Self::WordPiece { length, .. } => *length,
            Self::DateParts { parts, .. } => parts.len(),
            _ => 1,
        }
    }

    /// Why it cannot have been fitted, if so: what the kernels rely on does not hold.
    pub fn fault(&self) -> Option<String> {
        let sorted = |list: &[String]| list.windows(2).all(|pair| pair[0] < pair[1]);
        let rising = |list: &[f64]| list.windows(2).all(|pair| pair[0] < pair[1]);
        let holds = match self {
            Self::Clip { low, high, .. } => low <= high,
            Self::Scale { divisor, .. } => *divisor > 0.0,
            Self::Bucketise { cuts, .. } => rising(cuts),
            Self::OneHot { levels, .. } | Self::Ordinal { levels, .. } => sorted(levels),
            Self::Frequency { levels, shares, .. } => sorted(levels) && levels.len() == shares.len(),
            Self::Hash { buckets, .. } => *buckets > 0,
            Self::Tokenise { vocabulary, .. } | Self::TokenisePattern { vocabulary, .. } => {
                sorted(vocabulary)
            }
            Self::WordPiece { length, .. } => (1..=super::LEVELS).contains(length),
            Self::DateParts { parts, .. } => !parts.is_empty(),
            Self::Derive(_)
            | Self::Fill { .. }
            | Self::Log1p { .. }
            | Self::Lowercase { .. }
            | Self::Unicode { .. } => true,
        };
        (!holds).then(|| format!("the step on {:?} has a state that no fitting gives", self.reads()))
    }
}

/// The steps that can run where these columns are there and `never` is neither read nor made; columns that are left
/// out take with them what is made from them.
pub fn possible(steps: &[Step], inputs: &[String], never: &BTreeSet<String>) -> Vec<Step> {
    let mut there: BTreeSet<String> =
        inputs.iter().filter(|name| !never.contains(name.as_str())).cloned().collect();
    let mut kept = Vec::new();
    for step in steps {
        let made = step.makes();
        if !step.reads().iter().all(|name| there.contains(*name)) || made.iter().any(|it| never.contains(it))
        {
            continue;
        }
        if let Some(place) = step.place() {
            there.remove(place);
        }
        there.extend(made);
        kept.push(step.clone());
    }
    kept
}

/// The steps that `columns` come from, and the input columns that they need.
pub fn needed(steps: &[Step], columns: &[String]) -> (Vec<Step>, BTreeSet<String>) {
    let mut wanted: BTreeSet<String> = columns.iter().cloned().collect();
    let mut kept = Vec::new();
    for step in steps.iter().rev() {
        let made = step.makes();
        if !made.iter().any(|name| wanted.contains(name)) {
            continue;
        }
        made.iter().for_each(|name| {
            wanted.remove(name);
        });
        wanted.extend(step.reads().into_iter().map(str::to_owned));
        kept.push(step.clone());
    }
    kept.reverse();
    (kept, wanted)
}
