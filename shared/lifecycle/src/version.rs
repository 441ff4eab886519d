//! Version numbers: format, and of models (§6.4) the one next number and what kind of change asks for which. Those of
//! datasets are in [`crate::dataset_number`].

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::rejection::{Finding, Rejection};

/// `major.minor.patch`, each without leading zeros.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Version {
    /// Architecture change, breaking change.
    pub major: u32,
    /// New training, significant improvement.
    pub minor: u32,
    /// Bug fix, minor adjustment.
    pub patch: u32,
}

impl Version {
    /// A version from its parts.
    pub const fn new(major: u32, minor: u32, patch: u32) -> Self {
        Self { major, minor, patch }
    }

    /// The version that `bump` leads to; `None` when the number would overflow.
    pub fn after(self, bump: Bump) -> Option<Self> {
        Some(match bump {
            Bump::Major => Self::new(self.major.checked_add(1)?, 0, 0),
            Bump::Minor => Self::new(self.major, self.minor.checked_add(1)?, 0),
            Bump::Patch => Self::new(self.major, self.minor, self.patch.checked_add(1)?),
        })
    }

    /// Which bump leads from `self` to `next`; `None` when `next` is no direct successor (a gap, or backwards).
    pub fn bump_to(self, next: Self) -> Option<Bump> {
        Bump::ALL.into_iter().find(|bump| self.after(*bump) == Some(next))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// Text that is no version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a version major.minor.patch")]
pub struct NotAVersion(pub String);

impl FromStr for Version {
    type Err = NotAVersion;
    fn from_str(text: &str) -> Result<Self, NotAVersion> {
        let mut parts = text.split('.');
        let mut next = || parts.next().and_then(number);
        match (next(), next(), next(), parts.next()) {
            (Some(major), Some(minor), Some(patch), None) => Ok(Self { major, minor, patch }),
            _ => Err(NotAVersion(text.to_owned())),
        }
    }
}

/// Digits only and no leading zero, so that one version has one spelling.
fn number(text: &str) -> Option<u32> {
    let canonical = text == "0" || (!text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit()));
    if canonical { text.parse().ok() } else { None }
}

impl TryFrom<String> for Version {
    type Error = NotAVersion;
    fn try_from(text: String) -> Result<Self, NotAVersion> {
        text.parse()
    }
}

impl From<Version> for String {
    fn from(version: Version) -> Self {
        version.to_string()
    }
}

/// Which component of a version grows. Ordered: patch < minor < major.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bump {
    /// Bug fix, minor adjustment.
    Patch,
    /// New training, significant improvement.
    Minor,
    /// Architecture change, breaking change.
    Major,
}

impl Bump {
    /// All bumps, smallest first.
    pub const ALL: [Self; 3] = [Self::Patch, Self::Minor, Self::Major];
}

impl fmt::Display for Bump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Patch => "patch",
            Self::Minor => "minor",
            Self::Major => "major",
        })
    }
}

/// The procedure's id of a model version, `{model}-v{major}.{minor}.{patch}` (§6.4).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ModelVersionId {
    /// Name of the model line, `[a-z0-9-]{1,63}`.
    pub model: String,
    /// Its version.
    pub version: Version,
}

impl fmt::Display for ModelVersionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-v{}", self.model, self.version)
    }
}

impl FromStr for ModelVersionId {
    type Err = NotAVersion;
    fn from_str(text: &str) -> Result<Self, NotAVersion> {
        let bad = || NotAVersion(text.to_owned());
        let (model, version) = text.rsplit_once("-v").ok_or_else(bad)?;
        if !is_name(model) {
            return Err(bad());
        }
        Ok(Self { model: model.to_owned(), version: version.parse().map_err(|_| bad())? })
    }
}

impl TryFrom<String> for ModelVersionId {
    type Error = NotAVersion;
    fn try_from(text: String) -> Result<Self, NotAVersion> {
        text.parse()
    }
}

impl From<ModelVersionId> for String {
    fn from(id: ModelVersionId) -> Self {
        id.to_string()
    }
}

/// True for `[a-z0-9-]{1,63}` that starts and ends with a letter or a digit.
pub fn is_name(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    (1..=63).contains(&text.len())
        && text.bytes().all(|byte| inner(byte) || byte == b'-')
        && text.bytes().next().is_some_and(inner)
        && text.bytes().last().is_some_and(inner)
}

/// What a version is made of, as far as its number depends on it (§6.4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Makeup {
    /// Digest of the graph topology (nodes, edges, operators; no weights).
    pub topology_digest: String,
    /// Digest of the weights.
    pub weights_digest: String,
    /// Name of the training run that produced it.
    pub training_run: String,
    /// Whether a caller of the predecessor can call it unchanged (inputs and outputs).
    /// Compared by the caller, because it is a relation of two signatures; ignored for the first version.
    pub signature_compatible: bool,
}

/// The smallest bump that the change from `before` to `after` allows (§6.4).
///
/// Topology or an incompatible signature: major. Weights or training run: minor. Else patch.
pub fn classify(before: &Makeup, after: &Makeup) -> Bump {
    if before.topology_digest != after.topology_digest || !after.signature_compatible {
        Bump::Major
    } else if before.weights_digest != after.weights_digest || before.training_run != after.training_run {
        Bump::Minor
    } else {
        Bump::Patch
    }
}

/// Decides the number of a new model version.
///
/// `existing` are all versions of the line in any order; `patched` is the one the new version descends from, with the
/// bump that the change asks for. `asked` may raise the bump, never lower it. The number must be the direct
/// successor of the *latest* version (or of `base` when an older line is patched and that number is free), so that
/// numbers are unique and gapless.
///
/// # Errors
/// `VERSION_NOT_SUCCESSOR` or `VERSION_BUMP_TOO_LOW` with what would have been right.
pub fn next_model_version(
    existing: &[Version],
    base: Option<(Version, Bump)>,
    asked: Version,
    first: Version,
) -> Result<Bump, Rejection> {
    let refuse = |reason, required: String| {
        Err(Rejection::one(
            reason,
            format!("version {asked}"),
            Finding::new("§6.4", "version number", required, asked.to_string()),
        ))
    };
    if existing.contains(&asked) {
        return refuse("VERSION_EXISTS", "a number that is not taken".into());
    }
    let Some((base, least)) = base else {
        return if existing.is_empty() && asked == first {
            Ok(Bump::Major)
        } else if existing.is_empty() {
            refuse("VERSION_NOT_SUCCESSOR", first.to_string())
        } else {
            refuse("VERSION_NOT_SUCCESSOR", "a predecessor among the existing versions".into())
        };
    };
    if !existing.contains(&base) {
        return refuse("VERSION_NOT_SUCCESSOR", format!("an existing predecessor, not {base}"));
    }
    let allowed: Vec<(Bump, Version)> =
        Bump::ALL.into_iter().filter_map(|bump| Some((bump, successor(existing, base, bump)?))).collect();
    let wanted = |least: Bump| {
        let fit: Vec<String> =
            allowed.iter().filter(|(bump, _)| *bump >= least).map(|(_, next)| next.to_string()).collect();
        fit.join(" or ")
    };
    match allowed.iter().find(|(_, next)| *next == asked) {
        Some((bump, _)) if *bump >= least => Ok(*bump),
        Some(_) => refuse("VERSION_BUMP_TOO_LOW", format!("at least a {least} change: {}", wanted(least))),
        None => refuse("VERSION_NOT_SUCCESSOR", wanted(least)),
    }
}

/// The one free number that a `bump` of `base` leads to, without leaving a gap: the number after the largest existing
/// one within the component that stays (same major.minor for a patch, same major for a minor).
pub fn successor(existing: &[Version], base: Version, bump: Bump) -> Option<Version> {
    existing
        .iter()
        .copied()
        .chain([base])
        .filter(|seen| match bump {
            Bump::Major => true,
            Bump::Minor => seen.major == base.major,
            Bump::Patch => (seen.major, seen.minor) == (base.major, base.minor),
        })
        .max()?
        .after(bump)
}
