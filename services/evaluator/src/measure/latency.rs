//! §7.1 latency and throughput: single-row requests one after another, and rows of the batch run by time in the model.

use crate::evaluation::{Data, Report};
use crate::metric::in_unit;
use crate::{Error, Limits, predict::Answer, predict::Model};
use contracts::common::v1::Measurement;
use lifecycle::evaluation::Slot;
use statistics::percentile::{percentile, percentile_interval};
use std::time::{Duration, Instant};

/// Requests before the clock counts.
const WARM_UP: usize = 10;

/// Rows per second of the model's own time over the main run.
pub fn throughput(data: &Data, model: &Model, report: &mut Report) {
    let scale = data.plan.scale();
    let (rows, busy) = model.take_work();
    let convention = format!("rows of the accuracy run by time in the model/batch {}", model.batch());
    let measured = if rows == 0 || busy.is_zero() {
        scale.undefined("throughput", 0, "no row ran")
    } else {
        scale.bare("throughput", rows as f64 / busy.as_secs_f64(), rows as usize, &convention)
    };
    report.fill(Slot::Throughput, vec![in_unit(measured, "rows/s")], "");
}

/// Percentiles of single-row requests in a closed loop, by nearest rank, with order-statistic intervals.
///
/// # Errors
/// [`Error::Cancelled`] or a host that fails.
pub async fn latency(
    data: &Data<'_>,
    model: &Model,
    limits: &Limits,
    report: &mut Report,
) -> Result<(), Error> {
    for row in 0..WARM_UP {
        model.timed(&data.samples[row % data.len()]).await?;
    }
    let (mut times, mut failed) = (Vec::with_capacity(data.plan.latency_requests), 0_usize);
    let (began, most) = (Instant::now(), Duration::from_secs(limits.latency_s));
    let mut asked = 0;
    while times.len() < data.plan.latency_requests
        && asked < 2 * data.plan.latency_requests
        && (asked < data.plan.latency_min || began.elapsed() < most)
    {
        let (answer, took) = model.timed(&data.samples[asked % data.len()]).await?;
        asked += 1;
        // A request that fails at once must not make the model look fast.
        match answer {
            Answer::Failed(_) => failed += 1,
            Answer::Class { .. } | Answer::Value(_) => times.push(took.as_secs_f64() * 1000.0),
        }
    }
    model.take_work();
    let note = match failed {
        0 => String::new(),
        failed => format!("{failed} of {asked} timed requests failed inside the model and are left out"),
    };
    let quantiles = [("latency_p50_ms", 0.50), ("latency_p95_ms", 0.95), ("latency_p99_ms", 0.99)];
    let measured =
        quantiles.iter().map(|(name, quantile)| quantile_of(data, name, &times, *quantile)).collect();
    report.fill(Slot::Latency, measured, note);
    Ok(())
}

fn quantile_of(data: &Data, name: &str, times: &[f64], quantile: f64) -> Measurement {
    let scale = data.plan.scale();
    let convention = "closed loop/1 row/nearest rank/order statistics";
    let found = percentile(times, quantile)
        .and_then(|value| Ok((value, percentile_interval(times, quantile, scale.confidence)?)));
    let measured = match found {
        Ok((value, (lower, upper))) => {
            Measurement { lower, upper, ..scale.bare(name, value, times.len(), convention) }
        }
        Err(why) => scale.undefined(name, times.len(), why),
    };
    in_unit(measured, "ms")
}
