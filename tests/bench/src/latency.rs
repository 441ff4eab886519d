//! Latencies in a fixed amount of memory.

use std::time::Duration;

/// Buckets in each doubling, as a power of two: a quantile is at most 1/256 too high.
const FINE: u32 = 8;

/// How often each latency was seen, in buckets whose width grows with the latency.
#[derive(Debug, Clone, Default)]
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
    largest: u64,
}

impl Histogram {
    /// Counts one latency.
    pub fn note(&mut self, latency: Duration) {
        let nanos = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        let bucket = bucket(nanos);
        if self.counts.len() <= bucket {
            self.counts.resize(bucket + 1, 0);
        }
        self.counts[bucket] += 1;
        self.total += 1;
        self.largest = self.largest.max(nanos);
    }

    /// Adds what another one counted.
    pub fn add(&mut self, other: &Self) {
        if self.counts.len() < other.counts.len() {
            self.counts.resize(other.counts.len(), 0);
        }
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
        self.total += other.total;
        self.largest = self.largest.max(other.largest);
    }

    /// Microseconds that a share of the latencies (0..=1) does not exceed; 1 is the largest itself. 0 if there are none.
    pub fn quantile_us(&self, share: f64) -> f64 {
        let rank = ((self.total as f64 * share).ceil() as u64).clamp(1, self.total.max(1));
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return top(bucket).min(self.largest) as f64 / 1e3;
            }
        }
        0.0
    }
}

/// Below 512 ns each value has its bucket; above, a doubling has 256 of them.
fn bucket(nanos: u64) -> usize {
    let shift = (u64::BITS - nanos.leading_zeros()).saturating_sub(FINE + 1);
    ((u64::from(shift) << FINE) + (nanos >> shift)) as usize
}

/// The largest value of a bucket.
fn top(bucket: usize) -> u64 {
    let shift = (bucket as u64 >> FINE).saturating_sub(1);
    let lead = bucket as u64 - (shift << FINE);
    ((u128::from(lead + 1) << shift) - 1) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_holds_its_values() {
        for nanos in [0_u64, 1, 255, 256, 511, 512, 513, 1023, 1024, 1_000_000, 123_456_789_012, u64::MAX] {
            let at = bucket(nanos);
            assert!(nanos <= top(at), "{nanos}");
            assert!(at == 0 || nanos > top(at - 1), "{nanos}");
            assert!(top(at) as f64 <= nanos as f64 * (1.0 + 1.0 / 256.0), "{nanos}");
        }
    }

    #[test]
    fn quantiles_of_a_ramp() {
        let (mut odd, mut even) = (Histogram::default(), Histogram::default());
        for micros in 1..=1000_u64 {
            let half = if micros % 2 == 0 { &mut even } else { &mut odd };
            half.note(Duration::from_micros(micros));
        }
        odd.add(&even);
        for (share, expected) in [(0.5, 500.0), (0.9, 900.0), (0.99, 990.0), (0.999, 999.0)] {
            let found = odd.quantile_us(share);
            assert!((expected..=expected * 1.004).contains(&found), "{share}: {found}");
        }
        assert!((odd.quantile_us(1.0) - 1000.0).abs() < f64::EPSILON);
        assert!((Histogram::default().quantile_us(0.5)).abs() < f64::EPSILON);
    }
}
