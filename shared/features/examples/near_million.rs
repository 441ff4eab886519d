//! What near-duplicates cost: `cargo run --release -p features --example near_million [ROWS]`. Half of the rows are texts
//! with a planted near-duplicate, then the same number of rows of categories.

use arrow::array::StringArray;
use features::Values;
use features::near::tokens::similar;
use features::near::{Options, Shingles, TokenSets, find};
use statistics::random::SplitMix64;
use std::time::Instant;

fn told(what: &str, sets: &TokenSets, begin: Instant) -> Result<(), features::Error> {
    let made = begin.elapsed();
    let found = find(sets, &Options::default())?;
    let unit = found.units.of_rows();
    let pairs = (0..sets.rows()).step_by(2).filter(|at| similar(sets.row(*at), sets.row(at + 1), 0.8));
    let (mut alike, mut hit) = (0_u64, 0_u64);
    for at in pairs {
        alike += 1;
        hit += u64::from(unit[at] == unit[at + 1]);
    }
    println!(
        "{what}: {} rows, {} tokens made in {:.1} s, searched in {:.1} s; {hit} of {alike} planted pairs found, {} clusters, \
         {} compared, {} not compared",
        sets.rows(),
        sets.total(),
        made.as_secs_f64(),
        (begin.elapsed() - made).as_secs_f64(),
        found.clusters(),
        found.compared,
        found.not_compared,
    );
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let rows: usize = std::env::args().nth(1).map_or(Ok(1_000_000), |rows| rows.parse())?;
    let mut random = SplitMix64::new(1);
    // A word is the more frequent the smaller its number, about as in a language.
    let word = |random: &mut SplitMix64| format!("word{}", (50_000.0_f64.powf(random.next_f64())) as u64);
    let mut texts = Vec::new();
    for _ in 0..rows / 2 {
        let own: Vec<String> = (0..20).map(|_| word(&mut random)).collect();
        let mut copy = own.clone();
        let at = random.below(copy.len());
        copy[at] = word(&mut random);
        texts.extend([own.join(" "), copy.join(" ")]);
    }
    let array = StringArray::from_iter_values(&texts);
    for shingles in [Shingles::Words(3), Shingles::Characters(5)] {
        let begin = Instant::now();
        let sets = TokenSets::of_texts(&[Values::Utf8(&array)], shingles, texts.len())?;
        told(&format!("{shingles:?}"), &sets, begin)?;
    }
    let begin = Instant::now();
    let mut sets = TokenSets::default();
    for _ in 0..rows / 2 {
        let own: Vec<u64> =
            (0..20_u64).map(|column| column * 1000 + random.below(2 + 10 * column as usize) as u64).collect();
        let mut copy = own.clone();
        let at = random.below(copy.len());
        copy[at] = at as u64 * 1000 + random.below(2 + 10 * at) as u64;
        for mut row in [own, copy] {
            row.iter_mut().for_each(|value| *value = value.wrapping_mul(0x9E37_79B9_7F4A_7C15));
            sets.push(&mut row)?;
        }
    }
    told("categories", &sets, begin)?;
    Ok(())
}
