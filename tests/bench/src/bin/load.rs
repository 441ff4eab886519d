//! The load client: callers over HTTP/2, each answer checked, one line of JSON at the end.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use bytes::Bytes;
use clap::Parser;
use serde_json::{Value, json};
use serving_bench::answer::{self, Right};
use serving_bench::call::{Failure, Link};
use serving_bench::drive::{Pace, Plan, Tally, caller};
use serving_bench::input;
use serving_bench::process::{self, Taken};
use tokio::task::JoinSet;

/// Measures a server of the Open Inference Protocol over gRPC with one FP32 input in the raw form.
#[derive(Debug, Parser)]
struct Args {
    /// The server.
    #[arg(long)]
    addr: SocketAddr,
    /// Name of the model.
    #[arg(long)]
    model: String,
    /// Name of its input.
    #[arg(long, default_value = "X")]
    input: String,
    /// Sizes of one row: `64` or `3,64,64`.
    #[arg(long)]
    shape: String,
    /// Rows of a request.
    #[arg(long, default_value_t = 1)]
    rows: i64,
    /// Different requests, so that an answer given to the wrong caller is seen.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u64).range(1..=4096))]
    variants: u64,
    /// Callers; with `--rate` the requests at a time at most.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=65536))]
    concurrency: u64,
    /// Connections that the callers share.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=4096))]
    connections: u64,
    /// Seconds that are measured.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Seconds before, that are not.
    #[arg(long, default_value_t = 1.0)]
    warm: f64,
    /// Requests a second at fixed times, whatever the server does; without it each caller waits for its answer.
    #[arg(long)]
    rate: Option<f64>,
    /// Process of the server: its CPU time and memory are counted, those of its children too.
    #[arg(long)]
    pid: Option<u32>,
    /// API key.
    #[arg(long, env = "WLP_KEY", hide_env_values = true)]
    key: Option<String>,
    /// Right answers, from `bench-limit --answers`; without it those that the server gives to a single caller.
    #[arg(long)]
    expect: Option<PathBuf>,
    /// Largest difference of a right answer's elements.
    #[arg(long, default_value_t = 1e-4)]
    tolerance: f32,
    /// Seconds after which an answer, or the turn of a request to be sent, is given up.
    #[arg(long, default_value_t = 30.0)]
    timeout: f64,
    /// Seconds that the server may take to be ready.
    #[arg(long, default_value_t = 0.0)]
    wait: f64,
    /// Shown in the line.
    #[arg(long, default_value = "")]
    label: String,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let times = [args.seconds, args.warm, args.timeout, args.wait, args.rate.unwrap_or(1.0)];
    anyhow::ensure!(
        times.iter().all(|time| (0.0..1e6).contains(time)) && args.seconds > 0.0 && args.rate != Some(0.0),
        "times and the rate must be numbers from 0 to 1000000, --seconds and --rate above 0"
    );
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    println!("{}", runtime.block_on(measure(&args))?);
    Ok(())
}

async fn measure(args: &Args) -> anyhow::Result<Value> {
    let (cases, parameters) = cases(args).await?;
    let mut links = Vec::new();
    for _ in 0..args.connections {
        links.push(open(args).await?);
    }
    let load_average = process::load_average();
    let from = Instant::now() + Duration::from_secs_f64(args.warm);
    let until = from + Duration::from_secs_f64(args.seconds);
    let plan = Arc::new(Plan { cases, tolerance: args.tolerance, from, until });
    let pace = match args.rate {
        Some(rate) => Pace::open(rate, until)?,
        None => Pace::Closed(until),
    };
    let mut callers = JoinSet::new();
    for at in 0..args.concurrency as usize {
        let link = links[at % links.len()].clone();
        callers.spawn(caller(plan.clone(), link, pace.clone(), at));
    }
    tokio::time::sleep_until(from.into()).await;
    let before = (server(args)?, process::taken(std::process::id())?);
    tokio::time::sleep_until(until.into()).await;
    let after = (server(args)?, process::taken(std::process::id())?);
    let mut tally = Tally::default();
    while let Some(kept) = callers.join_next().await {
        tally.add(kept?);
    }
    let mut line = shown(args, &tally);
    let spent = |after: Taken, before: Taken| {
        let spent = after.cpu.saturating_sub(before.cpu).as_secs_f64() * 1e6;
        (tally.answered > 0).then(|| spent / tally.answered as f64)
    };
    line["client_cpu_us"] = spent(after.1, before.1).into();
    if let (Some(before), Some(after)) = (before.0, after.0) {
        line["server_cpu_us"] = spent(after, before).into();
        line["resident_kib"] = json!([before.resident_kib, after.resident_kib]);
        line["anonymous_kib"] = json!([before.anonymous_kib, after.anonymous_kib]);
    }
    line["load_average"] = load_average.into();
    line["parameters"] = parameters;
    Ok(line)
}

fn server(args: &Args) -> anyhow::Result<Option<Taken>> {
    args.pid.map(process::taken).transpose()
}

async fn open(args: &Args) -> anyhow::Result<Link> {
    Link::open(args.addr, args.key.as_deref(), Duration::from_secs_f64(args.timeout)).await
}

/// The requests with their right answers, and the parameters of one answer. A single caller asks for each before anything
/// is measured.
async fn cases(args: &Args) -> anyhow::Result<(Vec<(Bytes, Right)>, Value)> {
    let shape = input::shape(args.rows, &args.shape)?;
    let frame = |variant| input::frame(&args.model, &args.input, &shape, &input::values(&shape, variant));
    let (mut link, first) = ready(args, frame(0)).await?;
    let known: Vec<Option<Vec<f32>>> = match &args.expect {
        Some(file) => answer::read(file, args.variants as usize)?.into_iter().map(Some).collect(),
        None => vec![None; args.variants as usize],
    };
    let mut cases = Vec::new();
    for (variant, known) in known.into_iter().enumerate() {
        let frame = frame(variant as u64);
        let seen = link.call(frame.clone(), Instant::now()).await.map_err(told)?;
        cases.push((frame, Right::new(seen, known)?));
    }
    Ok((cases, answer::parameters(first).into()))
}

/// A connection on which the first request is answered.
async fn ready(args: &Args, frame: Bytes) -> anyhow::Result<(Link, Bytes)> {
    let until = Instant::now() + Duration::from_secs_f64(args.wait);
    loop {
        let answered = match open(args).await {
            Ok(mut link) => match link.call(frame.clone(), Instant::now()).await {
                Ok(answer) => Ok((link, answer)),
                Err(failure) => Err(told(failure)),
            },
            Err(error) => Err(error),
        };
        if answered.is_ok() || Instant::now() >= until {
            return answered.with_context(|| format!("{} does not answer for {}", args.addr, args.model));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn told(failure: Failure) -> anyhow::Error {
    anyhow::anyhow!("{}: {}", failure.kind(), failure.message())
}

fn shown(args: &Args, tally: &Tally) -> Value {
    let rate = tally.answered as f64 / args.seconds;
    json!({
        "kind": "load",
        "label": args.label,
        "model": args.model,
        "shape": args.shape,
        "rows": args.rows,
        "concurrency": args.concurrency,
        "connections": args.connections,
        "rate": args.rate,
        "seconds": args.seconds,
        "answered": tally.answered,
        "requests_s": rate,
        "rows_s": rate * args.rows as f64,
        "p50_us": tally.latency.quantile_us(0.5),
        "p90_us": tally.latency.quantile_us(0.9),
        "p99_us": tally.latency.quantile_us(0.99),
        "p99_9_us": tally.latency.quantile_us(0.999),
        "max_us": tally.latency.quantile_us(1.0),
        "errors": tally.errors,
        "error": tally.error,
        "mismatches": tally.mismatches,
        // JSON has no infinity: an answer of other length or with NaN is null.
        "max_difference": tally.distance,
    })
}
