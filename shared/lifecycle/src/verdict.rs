//! Comparing a measurement with a threshold: four answers, never a silent pass.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A threshold as the procedure writes them: strict. The boundary itself never passes (reading 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Strict {
    /// Must be greater than the threshold.
    #[serde(rename = ">")]
    Above,
    /// Must be less than the threshold.
    #[serde(rename = "<")]
    Below,
}

impl Strict {
    /// True when `value` is strictly on the wanted side; NaN never is.
    pub fn holds(self, value: f64, threshold: f64) -> bool {
        match self {
            Self::Above => value > threshold,
            Self::Below => value < threshold,
        }
    }
}

impl fmt::Display for Strict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Above => ">",
            Self::Below => "<",
        })
    }
}

/// How a plan's own criterion compares (§4.1). Plans may say "at least"; the procedure's thresholds are [`Strict`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Comparator {
    /// `>`
    #[serde(rename = ">")]
    Above,
    /// `<`
    #[serde(rename = "<")]
    Below,
    /// `>=`
    #[serde(rename = ">=")]
    AtLeast,
    /// `<=`
    #[serde(rename = "<=")]
    AtMost,
    /// `=`
    #[serde(rename = "=")]
    Equal,
}

impl Comparator {
    /// True when `value` satisfies the comparison; NaN never does.
    pub fn holds(self, value: f64, bound: f64) -> bool {
        match self {
            Self::Above => value > bound,
            Self::Below => value < bound,
            Self::AtLeast => value >= bound,
            Self::AtMost => value <= bound,
            Self::Equal => value.partial_cmp(&bound) == Some(std::cmp::Ordering::Equal),
        }
    }
}

impl fmt::Display for Comparator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Above => ">",
            Self::Below => "<",
            Self::AtLeast => ">=",
            Self::AtMost => "<=",
            Self::Equal => "=",
        })
    }
}

impl From<Strict> for Comparator {
    fn from(side: Strict) -> Self {
        match side {
            Strict::Above => Self::Above,
            Strict::Below => Self::Below,
        }
    }
}

impl std::str::FromStr for Comparator {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            ">" => Ok(Self::Above),
            "<" => Ok(Self::Below),
            ">=" => Ok(Self::AtLeast),
            "<=" => Ok(Self::AtMost),
            "=" => Ok(Self::Equal),
            other => Err(format!("{other:?} is none of >, <, >=, <=, =")),
        }
    }
}

/// The answer of a comparison. Only [`Verdict::Pass`] opens a gate (reading 3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The point and its confidence bound hold.
    Pass,
    /// The point and its confidence bound both do not hold.
    Fail,
    /// The threshold lies between the bounds, or there are too few samples.
    Inconclusive {
        /// Sample size that would decide; `None` when the value lies on the boundary and no size would.
        needed: Option<u64>,
    },
    /// Not a number, absent, or evidence that contradicts itself.
    Undefined {
        /// Why nothing can be said.
        why: String,
    },
}

impl Verdict {
    /// True for [`Verdict::Pass`] only.
    pub fn passed(&self) -> bool {
        matches!(self, Self::Pass)
    }

    /// [`Verdict::Undefined`] with its reason.
    pub fn undefined(why: impl Into<String>) -> Self {
        Self::Undefined { why: why.into() }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pass => f.write_str("pass"),
            Self::Fail => f.write_str("fail"),
            Self::Inconclusive { needed: Some(needed) } => write!(f, "inconclusive, {needed} samples needed"),
            Self::Inconclusive { needed: None } => {
                f.write_str("inconclusive, on the boundary at any sample size")
            }
            Self::Undefined { why } => write!(f, "undefined, {why}"),
        }
    }
}

/// A measured number with what it rests on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// The point estimate.
    #[serde(with = "number")]
    pub value: f64,
    /// Independent samples behind it.
    pub samples: u64,
    /// Lower confidence bound.
    #[serde(with = "number")]
    pub low: f64,
    /// Upper confidence bound.
    #[serde(with = "number")]
    pub high: f64,
    /// Confidence of the interval, 0..1, two-sided: a 0.90 interval has 95 % one-sided bounds.
    #[serde(with = "number")]
    pub confidence: f64,
}

impl Measured {
    /// Judges the point and its bounds against a strict threshold.
    ///
    /// Pass: the unfavourable bound holds. Fail: the favourable bound does not hold. Otherwise inconclusive, with the
    /// sample size at which the unfavourable bound would clear the threshold if the point stayed (width ~ 1/√n).
    /// Fewer than `min_samples` are inconclusive; NaN, bounds that exclude the point, or a confidence below
    /// `confidence` are undefined. Source: WLP-MLDEV-001 §7.3, reading 3.
    pub fn judge(&self, side: Strict, threshold: f64, min_samples: u64, confidence: f64) -> Verdict {
        if let Some(why) = self.flaw(confidence) {
            return Verdict::undefined(why);
        }
        if self.samples < min_samples {
            return Verdict::Inconclusive { needed: Some(min_samples) };
        }
        self.compare(side.into(), threshold)
    }

    /// Judges the point and its bounds against a criterion of a plan (§4.1), as [`Measured::judge`] does against a threshold
    /// of the procedure: what has no bounds never passes, whatever the point is. Equality asks that both bounds are the
    /// number. Source: WLP-MLDEV-001 §4.1, reading 3.
    pub fn meets(&self, comparator: Comparator, bound: f64, confidence: f64) -> Verdict {
        match self.flaw(confidence) {
            Some(why) => Verdict::undefined(why),
            None => self.compare(comparator, bound),
        }
    }

    /// The whole interval, which holds the point, lies where it must; or nothing of it does.
    fn compare(&self, comparator: Comparator, bound: f64) -> Verdict {
        let holds = |value: f64| comparator.holds(value, bound);
        let ends = [self.low, self.high];
        if ends.into_iter().all(holds) {
            return Verdict::Pass;
        }
        let possible = match comparator {
            Comparator::Equal => self.low <= bound && bound <= self.high,
            Comparator::Above | Comparator::Below | Comparator::AtLeast | Comparator::AtMost => {
                ends.into_iter().any(holds)
            }
        };
        if !possible {
            return Verdict::Fail;
        }
        let doubt = ends.into_iter().find(|end| holds(*end) != holds(self.value));
        Verdict::Inconclusive { needed: doubt.and_then(|end| self.samples_to_clear(end, bound)) }
    }

    /// Why this measurement says nothing, if it does not.
    pub fn flaw(&self, confidence: f64) -> Option<String> {
        if [self.value, self.low, self.high, self.confidence].iter().any(|number| !number.is_finite()) {
            return Some("not a finite number".into());
        }
        if self.samples == 0 {
            return Some("no samples".into());
        }
        if !(self.low <= self.value && self.value <= self.high) {
            return Some(format!("interval [{}, {}] excludes the value {}", self.low, self.high, self.value));
        }
        if self.confidence < confidence {
            return Some(format!("confidence {} below {confidence}", self.confidence));
        }
        if self.confidence >= 1.0 {
            return Some(format!("confidence {} is not below 1", self.confidence));
        }
        None
    }

    fn samples_to_clear(&self, bound: f64, threshold: f64) -> Option<u64> {
        let room = (self.value - threshold).abs();
        if room == 0.0 {
            return None;
        }
        let factor = ((self.value - bound).abs() / room).powi(2);
        let needed = (self.samples as f64 * factor).ceil();
        (needed < u64::MAX as f64).then(|| (needed as u64).max(self.samples.saturating_add(1)))
    }
}

/// Numbers in stored evidence: JSON has no NaN, so what is not finite is written as null and read back as NaN. Either
/// way it is undefined, so a replayed decision is the same.
mod number {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    // serde's `with` hands over a reference
    #[allow(clippy::trivially_copy_pass_by_ref)]
    pub fn serialize<S: Serializer>(value: &f64, out: S) -> Result<S::Ok, S::Error> {
        value.is_finite().then_some(*value).serialize(out)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<f64, D::Error> {
        Ok(Option::<f64>::deserialize(input)?.unwrap_or(f64::NAN))
    }
}
