//! States of sketches as bytes: the same sketch comes back, and no bytes do harm.

#![allow(clippy::unwrap_used)]

use proptest::collection::vec;
use proptest::prelude::*;
use statistics::distinct::DistinctSketch;
use statistics::frequent::Frequent;
use statistics::hashing::{mix, of_number};
use statistics::quantiles::QuantileSketch;
use statistics::row_digest::RowDigest;
use statistics::state::State;
use statistics::{Error, Moments};

fn distinct(values: &[f64]) -> DistinctSketch {
    let mut sketch = DistinctSketch::default();
    values.iter().for_each(|value| sketch.add(of_number(*value)));
    sketch
}

fn quantiles(values: &[f64]) -> QuantileSketch {
    let mut sketch = QuantileSketch::new(16).unwrap();
    sketch.add_all(values);
    sketch
}

fn frequent(values: &[f64]) -> Frequent<String> {
    let mut sketch = Frequent::new(8).unwrap();
    values.iter().for_each(|value| sketch.add(of_number(*value), 1, || value.to_string()));
    sketch
}

fn rows(values: &[f64]) -> RowDigest {
    let mut digest = RowDigest::default();
    values.iter().for_each(|value| digest.add(u128::from(mix(value.to_bits())) << 64));
    digest
}

fn comes_back<S: State + PartialEq + std::fmt::Debug>(sketch: &S) -> Result<(), TestCaseError> {
    let bytes = sketch.to_bytes();
    let read = S::from_bytes(&bytes).unwrap();
    prop_assert_eq!(&read, sketch);
    prop_assert_eq!(read.to_bytes(), bytes);
    Ok(())
}

/// Cut off anywhere, or longer, it is refused: no such bytes are another state of the same sketch.
fn only_whole<S: State>(sketch: &S) {
    let bytes = sketch.to_bytes();
    for end in 0..bytes.len() {
        // A list of values without its last ones is a state of its own, but for what its count says.
        let Err(error) = S::from_bytes(&bytes[..end]) else { continue };
        assert!(matches!(error, Error::Malformed { .. }), "{error}");
    }
    assert!(S::from_bytes(&[]).is_err());
    let mut other = bytes.clone();
    other[1] = 2;
    assert!(S::from_bytes(&other).is_err(), "a later version is read");
    other[1] = bytes[1];
    other[0] = b'?';
    assert!(S::from_bytes(&other).is_err(), "another sketch is read");
    other = bytes;
    other.push(1);
    assert!(S::from_bytes(&other).is_err(), "something after the end is read");
}

fn hostile<S: State>(bytes: &[u8]) -> Result<(), TestCaseError> {
    match S::from_bytes(bytes) {
        // What is read is a state: it can be written and read again.
        Ok(sketch) => prop_assert!(S::from_bytes(&sketch.to_bytes()).is_ok()),
        Err(error) => prop_assert!(matches!(error, Error::Malformed { .. }), "{}", error),
    }
    Ok(())
}

#[test]
fn states_are_whole_or_refused() {
    let values: Vec<f64> = (0..100).map(f64::from).collect();
    only_whole(&distinct(&values));
    only_whole(&quantiles(&values));
    only_whole(&frequent(&values));
    only_whole(&rows(&values));
    only_whole(&values.iter().copied().collect::<Moments>());
    let bytes = quantiles(&values).to_bytes();
    assert!((0..bytes.len()).all(|end| QuantileSketch::from_bytes(&bytes[..end]).is_err()));
    let full = distinct(&(0..50_000).map(f64::from).collect::<Vec<_>>());
    assert_eq!(DistinctSketch::from_bytes(&full.to_bytes()).unwrap(), full);
    assert!(DistinctSketch::from_bytes(&full.to_bytes()[..16_000]).is_err());
    assert!(DistinctSketch::default().to_bytes().len() < 8);
}

#[test]
fn impossible_states_are_refused() {
    let counts = |bytes: &mut Vec<u8>, at: usize| bytes[at..at + 8].copy_from_slice(&u64::MAX.to_le_bytes());
    let values = [1.0, 2.0, 3.0];
    let mut moments = values.iter().copied().collect::<Moments>().to_bytes();
    counts(&mut moments, 2);
    assert!(Moments::from_bytes(&moments).is_err());
    let mut negative = values.iter().copied().collect::<Moments>().to_bytes();
    negative[26..34].copy_from_slice(&(-1.0_f64).to_bits().to_le_bytes());
    assert!(Moments::from_bytes(&negative).is_err());
    let mut digest = rows(&values).to_bytes();
    counts(&mut digest, 2);
    assert!(RowDigest::from_bytes(&digest).is_err());
    let mut ranks = quantiles(&values).to_bytes();
    counts(&mut ranks, 14);
    assert!(QuantileSketch::from_bytes(&ranks).is_err());
    // A thousand million values are announced and none are there.
    let mut long = quantiles(&values).to_bytes();
    let at = long.len() - 3 * 8 - 4;
    long[at..at + 4].copy_from_slice(&1_000_000_000_u32.to_le_bytes());
    assert!(QuantileSketch::from_bytes(&long).is_err());
    let mut twice = frequent(&values).to_bytes();
    let entry = twice[14..].to_vec();
    twice.extend(entry);
    assert!(Frequent::from_bytes(&twice).is_err());
    let mut text = frequent(&values).to_bytes();
    *text.last_mut().unwrap() = 0xFF;
    assert!(Frequent::from_bytes(&text).is_err());
    assert!(DistinctSketch::from_bytes(&[b'D', 1, b's', 5, 0, 1, 5, 0, 2]).is_err());
    assert!(DistinctSketch::from_bytes(&[b'D', 1, b's', 5, 0, 52]).is_err());
    assert!(DistinctSketch::from_bytes(&[b'D', 1, b'?']).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_sketch_comes_back(values in vec(any::<f64>(), 0..600)) {
        comes_back(&distinct(&values))?;
        comes_back(&quantiles(&values))?;
        comes_back(&frequent(&values))?;
        comes_back(&rows(&values))?;
        let moments: Moments = values.iter().map(|value| value % 1e9).collect();
        comes_back(&moments)?;
    }

    #[test]
    fn a_sketch_read_merges_as_before(left in vec(-9.0_f64..9.0, 0..300), right in vec(-9.0_f64..9.0, 0..300)) {
        let (mut here, mut there) = (quantiles(&left), QuantileSketch::from_bytes(&quantiles(&left).to_bytes()).unwrap());
        here.merge(&quantiles(&right)).unwrap();
        there.merge(&QuantileSketch::from_bytes(&quantiles(&right).to_bytes()).unwrap()).unwrap();
        prop_assert_eq!(here, there);
        let (mut here, mut there) = (frequent(&left), Frequent::from_bytes(&frequent(&left).to_bytes()).unwrap());
        here.merge(frequent(&right));
        there.merge(Frequent::from_bytes(&frequent(&right).to_bytes()).unwrap());
        prop_assert_eq!(here, there);
    }

    #[test]
    fn any_bytes_are_read_or_refused(kind in proptest::sample::select(b"DMQFR".to_vec()), rest in vec(any::<u8>(), 0..400)) {
        let bytes: Vec<u8> = [kind, 1].into_iter().chain(rest).collect();
        hostile::<DistinctSketch>(&bytes)?;
        hostile::<Moments>(&bytes)?;
        hostile::<QuantileSketch>(&bytes)?;
        hostile::<Frequent<String>>(&bytes)?;
        hostile::<RowDigest>(&bytes)?;
    }

    /// A state with a few bytes changed is read as a state or refused.
    #[test]
    fn damaged_states_do_no_harm(
        values in vec(-1e3_f64..1e3, 0..200),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let damage = |mut bytes: Vec<u8>| {
            for (at, byte) in &changes {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            bytes
        };
        hostile::<DistinctSketch>(&damage(distinct(&values).to_bytes()))?;
        hostile::<QuantileSketch>(&damage(quantiles(&values).to_bytes()))?;
        hostile::<Frequent<String>>(&damage(frequent(&values).to_bytes()))?;
        hostile::<RowDigest>(&damage(rows(&values).to_bytes()))?;
        hostile::<Moments>(&damage(values.iter().copied().collect::<Moments>().to_bytes()))?;
    }
}
