//! Latency sketches.

use contracts::common::v1::LatencySketch as Wire;
use lifecycle::slo::Objective;
use statistics::LatencySketch;

use crate::Error;

/// A sketch from the wire.
///
/// # Errors
/// If accuracy, range or counts contradict each other.
pub fn from_wire(wire: &Wire) -> Result<LatencySketch, Error> {
    if wire.indexes.len() != wire.counts.len() {
        let why = "one count for each index is needed";
        return Err(statistics::Error::BinMismatch { why }.into());
    }
    let pairs: Vec<(i32, u64)> = wire.indexes.iter().copied().zip(wire.counts.iter().copied()).collect();
    Ok(LatencySketch::from_pairs(wire.relative_accuracy, 0, &pairs, (wire.min_ms, wire.max_ms))?)
}

/// Both together.
///
/// # Errors
/// As [`from_wire`], or if the accuracies differ.
pub fn merged(ours: &Wire, theirs: &Wire) -> Result<Wire, Error> {
    let mut sketch = from_wire(ours)?;
    sketch.merge(&from_wire(theirs)?)?;
    let (indexes, counts) = sketch.to_pairs().into_iter().unzip();
    let (min_ms, max_ms) = sketch.range().unwrap_or_default();
    let sum_ms = ours.sum_ms + theirs.sum_ms;
    Ok(Wire { indexes, counts, relative_accuracy: sketch.accuracy(), min_ms, max_ms, sum_ms })
}

/// Latencies with which an answer is good, by the middle of their bins: what is slower than one that is not is not good.
pub fn good(sketch: &LatencySketch, objective: &Objective) -> u64 {
    let (mut low, mut high) = (0, sketch.count());
    while low < high {
        let middle = low + (high - low) / 2;
        match sketch.value_at(middle + 1) {
            Ok(value) if objective.is_good(true, value) => low = middle + 1,
            _ => high = middle,
        }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fast_answers_are_counted() {
        let mut sketch = LatencySketch::default();
        for value in [1.0, 10.0, 1_900.0, 2_100.0, 9_000.0] {
            sketch.add(value).expect("a latency");
        }
        let floor = Objective::of(&lifecycle::Policy::builtin().monitoring.service_levels);
        let of = |latency_ms| good(&sketch, &Objective { latency_ms, ..floor });
        assert_eq!((good(&sketch, &floor), of(0.5), of(1e9)), (3, 0, 5));
    }
}
