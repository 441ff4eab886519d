//! Maximum mean discrepancy of two samples of vectors, Gaussian kernel, with a permutation test.

use crate::error::{Error, Result, finite};
use crate::random::SplitMix64;

/// Most vectors (both samples together) that the quadratic cost is accepted for; draw a sample of more.
pub const MOST_VECTORS: usize = 4_000;

/// Squared maximum mean discrepancy with its permutation p-value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Discrepancy {
    /// Bandwidth of the kernel: the median distance of all pairs of different vectors.
    pub bandwidth: f64,
    /// Unbiased estimate; may be below 0.
    pub unbiased: f64,
    /// Biased estimate, 0 or more.
    pub biased: f64,
    /// (1 + permutations at least as large) / (1 + permutations).
    pub p_value: f64,
}

/// MMD of `x` and `y` (rows of equal dimension, two rows each at least) with `permutations` seeded relabelings.
///
/// O(n²) per permutation by nature; refused above [`MOST_VECTORS`]. Source: Gretton et al. 2012.
pub fn mmd(x: &[Vec<f64>], y: &[Vec<f64>], permutations: usize, seed: u64) -> Result<Discrepancy> {
    let rows: Vec<&Vec<f64>> = x.iter().chain(y).collect();
    let dimension = rows.first().map_or(0, |r| r.len());
    if x.len() < 2 || y.len() < 2 || permutations == 0 {
        return Err(Error::Undefined { what: "MMD", why: "needs two rows on each side and a permutation" });
    }
    if rows.len() > MOST_VECTORS {
        return Err(Error::OutOfRange {
            what: "rows",
            value: rows.len() as f64,
            expected: "at most MOST_VECTORS",
        });
    }
    for row in &rows {
        finite("row", row)?;
        crate::error::same_length(dimension, row.len())?;
    }
    let n = rows.len();
    let squared = |i: usize, j: usize| rows[i].iter().zip(rows[j]).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
    let mut distances: Vec<f64> =
        (0..n).flat_map(|i| (0..i).map(move |j| (i, j))).map(|(i, j)| squared(i, j).sqrt()).collect();
    distances.sort_unstable_by(f64::total_cmp);
    let middle = distances.len() / 2;
    let bandwidth = if distances.len() % 2 == 1 {
        distances[middle]
    } else {
        distances[middle - 1].midpoint(distances[middle])
    };
    if bandwidth <= 0.0 {
        return Err(Error::Undefined { what: "MMD", why: "more than half of the rows are equal" });
    }
    let mut kernel = vec![0.0; n * n];
    for i in 0..n {
        for j in 0..n {
            kernel[i * n + j] = (-squared(i, j) / (2.0 * bandwidth * bandwidth)).exp();
        }
    }
    let mut order: Vec<usize> = (0..n).collect();
    let (unbiased, biased) = estimates(&kernel, &order, x.len());
    let mut rng = SplitMix64::new(seed);
    let mut at_least = 0_u64;
    for _ in 0..permutations {
        for i in (1..n).rev() {
            // the remainder, so that the sequence is the same in other languages; its bias is below 2^-50
            order.swap(i, (rng.next_u64() % (i as u64 + 1)) as usize);
        }
        at_least += u64::from(estimates(&kernel, &order, x.len()).0 >= unbiased);
    }
    let p_value = (1 + at_least) as f64 / (1 + permutations) as f64;
    Ok(Discrepancy { bandwidth, unbiased, biased, p_value })
}

/// Unbiased and biased squared MMD when the first `m` of `order` are the first sample.
fn estimates(kernel: &[f64], order: &[usize], m: usize) -> (f64, f64) {
    let total = order.len();
    let (mut xx, mut yy, mut xy) = (0.0, 0.0, 0.0);
    for (a, &i) in order.iter().enumerate() {
        let row = &kernel[i * total..(i + 1) * total];
        for (b, &j) in order.iter().enumerate().take(a) {
            match (a < m, b < m) {
                (true, true) => xx += row[j],
                (false, false) => yy += row[j],
                _ => xy += row[j],
            }
        }
    }
    let (m, n) = (m as f64, (total - m) as f64);
    let cross = 2.0 * xy / (m * n);
    let unbiased = 2.0 * xx / (m * (m - 1.0)) + 2.0 * yy / (n * (n - 1.0)) - cross;
    let biased = (2.0 * xx + m) / (m * m) + (2.0 * yy + n) / (n * n) - cross;
    (unbiased, biased)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_apart_are_told_apart() {
        let x: Vec<Vec<f64>> = (0..20).map(|i| vec![f64::from(i) * 0.01]).collect();
        let y: Vec<Vec<f64>> = (0..20).map(|i| vec![5.0 + f64::from(i) * 0.01]).collect();
        let got = mmd(&x, &y, 99, 1).unwrap();
        assert!(got.unbiased > 0.5 && (got.p_value - 0.01).abs() < 1e-12);
        assert!(mmd(&x[..1], &y, 9, 1).is_err());
    }
}
