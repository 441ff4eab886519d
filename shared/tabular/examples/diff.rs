//! What the difference of two files costs: `cargo run --release -p tabular --example diff BEFORE AFTER KEY...`.

use std::path::Path;

use features::diff::{Options, compare};
use tabular::Limits;
use tabular::stream::Stream;

/// Processor seconds and peak memory in MiB of this process, where the system tells (Linux).
fn used() -> (f64, f64) {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let stat = read("/proc/self/stat");
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).unwrap_or(f64::NAN);
    let status = read("/proc/self/status");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    let peak = peak.trim().trim_end_matches(" kB").parse::<f64>().unwrap_or(f64::NAN);
    ((ticks(11) + ticks(12)) / 100.0, peak / 1024.0)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let given: Vec<String> = std::env::args().skip(1).collect();
    let [before, after, key @ ..] = given.as_slice() else { return Err("give BEFORE AFTER KEY...".into()) };
    let mut before = Stream::open(Path::new(before), Limits::default())?;
    let mut after = Stream::open(Path::new(after), Limits::default())?;
    let options = Options { key: key.to_vec(), ..Options::default() };
    let found = loop {
        match compare(&before, &after, &options) {
            Ok(found) => break found,
            Err(error) if !(before.recover()? | after.recover()?) => return Err(error.into()),
            Err(_) => {}
        }
    };
    println!("{:?}\n{:?}", found.rows, found.schema);
    for one in &found.columns {
        let drift = one.drift.map(|drift| (drift.distances.psi, drift.p_value, drift.drifted));
        println!(
            "{}: {} changed, missing {} → {}, {drift:?}",
            one.column, one.changed, one.missing_before, one.missing_after
        );
    }
    let (seconds, peak) = used();
    println!("{seconds:.2} CPU seconds, peak {peak:.0} MiB, {} passes", found.passes);
    let rows = &found.rows;
    // The last line is what a bench asks for.
    println!(
        "{}",
        serde_json::json!({ "added": rows.added, "removed": rows.removed, "changed": rows.changed })
    );
    Ok(())
}
