//! Sentences about splits and near-duplicates that hold for every input.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, HashMap, HashSet};

use features::near::tokens::similar;
use features::near::{Options, Shingles, TokenSets, find};
use features::split::ordered::place;
use features::split::{Parts, Shares, Units, balanced, counts, entity, ordered, time};
use proptest::collection::vec;
use proptest::prelude::*;
use statistics::random::SplitMix64;

fn shares() -> impl Strategy<Value = Shares> {
    vec(0..5_u32, 3).prop_filter("some", |parts| 0 < parts[0]).prop_map(|parts| {
        let sum: u32 = parts.iter().sum();
        Shares::new(&parts.iter().map(|part| f64::from(*part) / f64::from(sum)).collect::<Vec<_>>()).unwrap()
    })
}

fn places(units: &Units, labels: &[u8], seed: u64) -> Vec<[u8; 32]> {
    units.first_rows().iter().map(|row| place(seed, &[labels[*row as usize]])).collect()
}

fn whole(units: &Units, parts: &Parts) -> bool {
    let mut seen = HashMap::new();
    let rows = units.of_rows().iter().zip(parts).filter(|(_, part)| part.is_some());
    rows.into_iter().all(|(unit, part)| *seen.entry(*unit).or_insert(*part) == *part)
}

proptest! {
    /// No method tears a unit apart, and no row goes to a part without a share.
    #[test]
    fn units_stay_whole(labels in vec(0..40_u8, 1..120), shares in shares(), seed: u64, embargo in 0..20_u64) {
        let units = Units::of_labels(&labels).unwrap();
        let places = places(&units, &labels, seed);
        let strata: Vec<String> = labels.iter().map(|label| (label % 3).to_string()).collect();
        let classes: Vec<u32> = labels.iter().enumerate().map(|(row, _)| row as u32 % 4).collect();
        let times: Vec<Option<i64>> = labels.iter().enumerate().map(|(row, label)| (row % 9 != 0).then_some(i64::from(*label) * 3 + row as i64 % 5)).collect();
        for parts in [
            ordered::assign(&units, &places, None, &shares).unwrap(),
            ordered::assign(&units, &places, Some(&strata), &shares).unwrap(),
            balanced::assign(&units, &places, &classes, &shares).unwrap(),
            entity::assign(&units, &places, &shares).unwrap(),
            time::assign(&units, &times, embargo, &shares).unwrap().0,
        ] {
            prop_assert!(whole(&units, &parts));
            let used = parts.iter().flatten().all(|part| 0.0 < shares.as_slice()[usize::from(*part)]);
            prop_assert!(used);
        }
    }

    /// The order of the rows decides nothing: a row has its part wherever it stands.
    #[test]
    fn rows_have_their_part_wherever_they_stand(labels in vec(0..60_u8, 1..100), shares in shares(), seed: u64, turn in 0..100_usize) {
        let turned: Vec<u8> = (0..labels.len()).map(|row| labels[(row + turn) % labels.len()]).collect();
        let of = |labels: &[u8]| {
            let units = Units::of_labels(labels).unwrap();
            let places = places(&units, labels, seed);
            let classes: Vec<u32> = labels.iter().map(|label| u32::from(*label) % 5).collect();
            let one = ordered::assign(&units, &places, None, &shares).unwrap();
            let two = balanced::assign(&units, &places, &classes, &shares).unwrap();
            labels.iter().copied().zip(one.into_iter().zip(two)).collect::<BTreeMap<u8, _>>()
        };
        prop_assert_eq!(of(&labels), of(&turned));
    }

    /// With a hash of the entity no row moves when rows are added.
    #[test]
    fn rows_that_are_added_move_no_other(labels in vec(any::<u8>(), 1..80), more in vec(any::<u8>(), 0..80), shares in shares(), seed: u64) {
        let of = |labels: &[u8]| {
            let units = Units::of_labels(labels).unwrap();
            entity::assign(&units, &places(&units, labels, seed), &shares).unwrap()
        };
        let both: Vec<u8> = labels.iter().chain(&more).copied().collect();
        prop_assert_eq!(&of(&labels)[..], &of(&both)[..labels.len()]);
    }

    /// By time: every row of an earlier part lies before every row of a later one, by the embargo at least.
    #[test]
    fn earlier_parts_end_before_later_ones_begin(times in vec(proptest::option::of(-50..50_i64), 1..100), groups in 1..100_usize, shares in shares(), embargo in 0..30_u64) {
        let labels: Vec<usize> = (0..times.len()).map(|row| row * 7 % groups).collect();
        let units = Units::of_labels(&labels).unwrap();
        let (parts, left) = time::assign(&units, &times, embargo, &shares).unwrap();
        for (a, left) in parts.iter().zip(&times) {
            for (b, right) in parts.iter().zip(&times) {
                if let (Some(a), Some(b), Some(left), Some(right)) = (a, b, left, right) && a < b {
                    prop_assert!(left < right && embargo <= right.abs_diff(*left));
                }
            }
        }
        let none = counts(&parts, &shares).1;
        prop_assert_eq!(none, left.without_time + left.torn + left.embargoed);
    }

    /// The clusters are those that comparing every pair with every other gives.
    #[test]
    fn clusters_are_those_of_all_pairs(rows in vec(vec(0..30_u64, 0..14), 0..60), seed: u64, posting in 1..4_usize) {
        let mut sets = TokenSets::default();
        for row in &rows {
            sets.push(&mut row.clone()).unwrap();
        }
        let exact = |sets: &TokenSets| {
            let mut all = features::split::units::UnionFind::new(sets.rows());
            for a in 0..sets.rows() {
                for b in 0..a {
                    if similar(sets.row(a), sets.row(b), 0.8) {
                        all.union(a as u32, b as u32);
                    }
                }
            }
            Units::of_sets(all)
        };
        let complete = find(&sets, &Options { seed, ..Options::default() }).unwrap();
        prop_assert_eq!(&complete.units, &exact(&sets));
        prop_assert_eq!(complete.not_compared, 0);
        // In buckets a pair may be missed, but none is invented.
        let guarded = find(&sets, &Options { seed, posting, ..Options::default() }).unwrap();
        prop_assert_eq!(guarded.units.joined(&complete.units).unwrap(), complete.units);
    }
}

/// Names that are one unit go where the name with the smallest hash goes.
#[test]
fn a_unit_of_several_names_goes_with_the_first_of_them() {
    let names = ["a", "b", "c", "d", "e", "f"];
    let units = Units::of_labels(names).unwrap();
    let places: Vec<[u8; 32]> = names.iter().map(|name| place(3, name.as_bytes())).collect();
    let all = units.joined(&Units::of_labels([0, 0, 0, 1, 2, 3]).unwrap()).unwrap();
    let joined = ordered::joined(&units, &places, &all).unwrap();
    assert_eq!((joined.len(), joined[0]), (4, *places[..3].iter().min().unwrap()));
    assert!(ordered::joined(&all, &places, &units).is_err());
}

/// Shares hold to a unit; classes of whole groups come close.
#[test]
fn groups_of_unlike_sizes_and_classes_are_dealt_out_evenly() {
    let mut random = SplitMix64::new(5);
    let (mut groups, mut classes) = (Vec::new(), Vec::new());
    for group in 0..400_u32 {
        let lean = random.next_f64();
        for _ in 0..1 + random.below(30) {
            groups.push(group);
            classes.push(u32::from(random.next_f64() < lean) + u32::from(random.next_f64() < 0.1));
        }
    }
    let units = Units::of_labels(&groups).unwrap();
    let places: Vec<[u8; 32]> = (0..units.len()).map(|unit| place(1, &unit.to_le_bytes())).collect();
    let shares = Shares::new(&[0.7, 0.1, 0.2]).unwrap();
    let parts = balanced::assign(&units, &places, &classes, &shares).unwrap();
    for class in 0..3_u32 {
        let all = classes.iter().filter(|one| **one == class).count() as f64;
        for (part, share) in shares.as_slice().iter().enumerate() {
            let own =
                parts.iter().zip(&classes).filter(|(one, of)| **one == Some(part as u8) && **of == class);
            let own = own.count() as f64 / all;
            assert!((own - share).abs() < 0.01, "class {class} part {part}: {own} for {share}");
        }
    }
}

fn words(random: &mut SplitMix64, count: usize) -> Vec<String> {
    (0..count).map(|_| format!("w{}", random.below(20_000))).collect()
}

fn of_texts(texts: &[String], shingles: Shingles) -> TokenSets {
    let array = arrow::array::StringArray::from_iter_values(texts);
    TokenSets::of_texts(&[features::Values::Utf8(&array)], shingles, texts.len()).unwrap()
}

/// Texts with planted copies of which a few words differ, under a boilerplate that all share.
fn planted(boilerplate: usize, seed: u64) -> Vec<String> {
    let mut random = SplitMix64::new(seed);
    let common = words(&mut random, boilerplate).join(" ");
    let mut texts = Vec::new();
    for _ in 0..3_000 {
        let own = words(&mut random, 60);
        let mut copy = own.clone();
        for _ in 0..random.below(3) {
            let at = random.below(copy.len());
            copy[at] = format!("changed{}", random.below(1000));
        }
        texts.push(format!("{common} {}", own.join(" ")));
        texts.push(format!("{common} {}", copy.join(" ")));
    }
    texts
}

#[test]
fn planted_copies_are_found_and_nothing_else() {
    for (boilerplate, shingles) in
        [(0, Shingles::Words(3)), (80, Shingles::Words(3)), (0, Shingles::Characters(5))]
    {
        let texts = planted(boilerplate, 11);
        let sets = of_texts(&texts, shingles);
        let found = find(&sets, &Options::default()).unwrap();
        assert_eq!(found.not_compared, 0);
        let unit = found.units.of_rows();
        let (mut alike, mut missed) = (0, 0);
        for pair in (0..texts.len()).step_by(2) {
            if similar(sets.row(pair), sets.row(pair + 1), 0.8) {
                alike += 1;
                missed += usize::from(unit[pair] != unit[pair + 1]);
            }
        }
        assert!(1_000 < alike, "{alike} pairs are near-duplicates");
        assert_eq!(missed, 0, "of {alike} with {boilerplate} words of boilerplate");
        let sizes: HashSet<u64> = found.units.sizes().into_iter().collect();
        assert!(sizes.iter().all(|size| *size <= 2), "no false merges: {sizes:?}");
        assert!(found.compared < 40 * texts.len() as u64, "{} comparisons", found.compared);
    }
}

/// Where every token is frequent, MinHash buckets find at least 99 of 100 pairs.
#[test]
fn rows_of_frequent_values_are_compared_in_buckets() {
    let mut random = SplitMix64::new(3);
    let mut sets = TokenSets::default();
    let columns = 30_u64;
    let row = |random: &mut SplitMix64| {
        (0..columns).map(|column| column * 100 + random.below(12) as u64).collect::<Vec<u64>>()
    };
    let mut rows = Vec::new();
    for _ in 0..4_000 {
        let own = row(&mut random);
        let mut copy = own.clone();
        for _ in 0..3 {
            let at = random.below(columns as usize);
            copy[at] = at as u64 * 100 + random.below(12) as u64;
        }
        rows.extend([own, copy]);
    }
    for row in &rows {
        sets.push(&mut row.clone()).unwrap();
    }
    let found = find(&sets, &Options { posting: 16, ..Options::default() }).unwrap();
    let unit = found.units.of_rows();
    let alike: Vec<usize> =
        (0..rows.len()).step_by(2).filter(|at| similar(sets.row(*at), sets.row(at + 1), 0.8)).collect();
    let hit = alike.iter().filter(|at| unit[**at] == unit[**at + 1]).count();
    assert!(3_000 < alike.len() && 0.99 * alike.len() as f64 <= hit as f64, "{hit} of {}", alike.len());
    assert!(
        found.not_compared == 0 && found.compared < 200 * rows.len() as u64,
        "{found:?}",
        found = found.compared
    );
}

/// A limit that is met is told, and ends the work.
#[test]
fn what_is_not_compared_is_counted() {
    let mut sets = TokenSets::default();
    for row in 0..3_000_u64 {
        // All share nine of ten tokens less two: near, but below the threshold.
        sets.push(&mut (0..20).chain((0..8).map(|at| 1_000 + row * 8 + at)).collect()).unwrap();
    }
    let options = Options { jaccard: 0.6, bucket: 32, pairs_per_row: 50, posting: 8, ..Options::default() };
    let found = find(&sets, &options).unwrap();
    assert!(found.compared <= 50 * 3_000 && 0 < found.not_compared);
    assert_eq!(found.clusters(), 0);
}

#[test]
fn rows_without_tokens_are_near_nothing() {
    let texts: Vec<String> = ["", "  ", "...", "same text here", "Same  text here"].map(str::to_owned).into();
    let found = find(&of_texts(&texts, Shingles::Characters(5)), &Options::default()).unwrap();
    assert_eq!(found.units.of_rows(), [0, 1, 2, 3, 3]);
    assert_eq!((found.clusters(), found.repeated_rows()), (1, 1));
}
