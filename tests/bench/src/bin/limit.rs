//! The limit: rows a second of ONNX Runtime alone, one run after the other on one thread; and the right answers.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Parser;
use serde_json::json;
use serving_bench::latency::Histogram;
use serving_bench::model::{Model, environment};
use serving_bench::{input, process};

/// Prints a line of JSON for each batch size.
#[derive(Debug, Parser)]
struct Args {
    /// An ONNX file with one FP32 input and output.
    model: PathBuf,
    /// Sizes of one row: `64` or `3,64,64`.
    #[arg(long)]
    shape: String,
    /// Rows of a run.
    #[arg(long, value_delimiter = ',', default_value = "1,8,32,64")]
    batches: Vec<i64>,
    /// Seconds for each batch size.
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Threads inside one operator.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// `cpu`, `cuda` or `tensorrt`.
    #[arg(long, default_value = "cpu")]
    provider: String,
    /// Measure nothing: write here what the first of `--batches` rows answer to each of `--variants` requests of
    /// `bench-load`.
    #[arg(long)]
    answers: Option<PathBuf>,
    /// Different requests.
    #[arg(long, default_value_t = 16)]
    variants: u64,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let mut model = Model::open(&environment()?, &args.model, &args.provider, args.threads)?;
    if let Some(file) = &args.answers {
        let rows = *args.batches.first().context("--batches is empty")?;
        let shape = input::shape(rows, &args.shape)?;
        let mut answers = Vec::new();
        for variant in 0..args.variants {
            let answer =
                model.run(&shape, &input::values(&shape, variant), |_, values| input::raw(values))?;
            answers.extend_from_slice(&answer);
        }
        return std::fs::write(file, answers).with_context(|| format!("cannot write {}", file.display()));
    }
    for rows in &args.batches {
        println!("{}", measured(&args, &mut model, *rows)?);
    }
    Ok(())
}

fn measured(args: &Args, model: &mut Model, rows: i64) -> anyhow::Result<serde_json::Value> {
    let shape = input::shape(rows, &args.shape)?;
    let values = input::values(&shape, 0);
    for _ in 0..5 {
        model.run(&shape, &values, |_, _| ())?;
    }
    let load_average = process::load_average();
    let before = process::taken(std::process::id())?;
    let (mut runs, mut took, begin) = (0_u64, Histogram::default(), Instant::now());
    while begin.elapsed() < Duration::from_secs_f64(args.seconds) {
        let at = Instant::now();
        model.run(&shape, &values, |_, _| ())?;
        took.note(at.elapsed());
        runs += 1;
    }
    let elapsed = begin.elapsed().as_secs_f64();
    let cpu = process::taken(std::process::id())?.cpu.saturating_sub(before.cpu);
    let total = runs as f64 * rows as f64;
    Ok(json!({
        "kind": "limit",
        "model": args.model.file_stem().map(|name| name.to_string_lossy()),
        "provider": args.provider,
        "threads": args.threads,
        "rows": rows,
        "rows_s": total / elapsed,
        "p50_us": took.quantile_us(0.5),
        "p99_us": took.quantile_us(0.99),
        "cpu_us_row": cpu.as_secs_f64() * 1e6 / total,
        "load_average": load_average,
    }))
}
