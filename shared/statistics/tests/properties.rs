//! Sentences that are true for every input.
#![allow(clippy::unwrap_used, clippy::many_single_char_names, clippy::expect_used, missing_docs)]

use proptest::collection::vec;
use proptest::prelude::*;
use statistics::calibration::{Binning, reliability};
use statistics::classification::{Average, ConfusionMatrix, ZeroDivision};
use statistics::drift;
use statistics::fairness::{GroupCounts, Rate, bounded_gap};
use statistics::interval::{Share, clopper_pearson, newcombe, wilson};
use statistics::ks;
use statistics::multiplicity::{Correction, adjust};
use statistics::percentile::percentile;
use statistics::random::SplitMix64;
use statistics::ranking::auroc;
use statistics::sample_size::{Standing, standing};
use statistics::special::{beta_cdf, beta_quantile, normal_cdf, normal_quantile};
use statistics::{CanaryTest, ErrorBudgetTest, LatencySketch, Moments};

fn share() -> impl Strategy<Value = Share> {
    (1_u64..5000).prop_flat_map(|n| (0..=n, Just(n))).prop_map(|(k, n)| Share::new(k, n).unwrap())
}

fn counts(bins: usize) -> impl Strategy<Value = Vec<u64>> {
    vec(0_u64..1000, bins).prop_filter("not empty", |c| c.iter().sum::<u64>() > 0)
}

proptest! {
    /// An interval lies in 0..=1 and holds the observed share; the exact one holds Wilson's point too.
    #[test]
    fn intervals_hold_their_point(s in share(), confidence in 0.5_f64..0.999) {
        for interval in [wilson(s, confidence).unwrap(), clopper_pearson(s, confidence).unwrap()] {
            prop_assert!(0.0 <= interval.lower && interval.lower <= s.value() + 1e-12);
            prop_assert!(s.value() <= interval.upper + 1e-12 && interval.upper <= 1.0);
        }
    }

    /// Swapping the shares mirrors Newcombe's interval.
    #[test]
    fn newcombe_is_antisymmetric(a in share(), b in share()) {
        let (ab, ba) = (newcombe(a, b, 0.95).unwrap(), newcombe(b, a, 0.95).unwrap());
        prop_assert!((ab.lower + ba.upper).abs() < 1e-12 && (ab.upper + ba.lower).abs() < 1e-12);
    }

    /// A share is never on both sides of a threshold, and never decided by its own value.
    #[test]
    fn a_share_is_not_decided_against_itself(s in share()) {
        let undecided = matches!(standing(s, s.value(), 0.95).unwrap(), Standing::Undecided { sample_size: None });
        // all or nothing has a bound on one side only, which equals the threshold
        prop_assert!(undecided);
    }

    /// Quantile functions invert their distribution functions.
    #[test]
    fn quantiles_invert(p in 1e-6_f64..0.999_999, a in 0.5_f64..200.0, b in 0.5_f64..200.0) {
        prop_assert!((normal_cdf(normal_quantile(p)) - p).abs() < 1e-12);
        prop_assert!((beta_cdf(a, b, beta_quantile(a, b, p)) - p).abs() < 1e-8);
    }

    /// A sketch's quantile is within its accuracy of the observed one, however the stream was split.
    #[test]
    fn sketches_merge_and_stay_accurate(values in vec(0.001_f64..1e6, 1..300), cut in 0_usize..300, q in 0.0_f64..=1.0) {
        let mut all = LatencySketch::default();
        let (mut left, mut right) = (all.clone(), all.clone());
        for (i, v) in values.iter().enumerate() {
            all.add(*v).unwrap();
            if i < cut { left.add(*v).unwrap() } else { right.add(*v).unwrap() }
        }
        left.merge(&right).unwrap();
        prop_assert_eq!(&left, &all);
        let (got, exact) = (all.quantile(q).unwrap(), percentile(&values, q).unwrap());
        prop_assert!((got / exact - 1.0).abs() <= 0.01 + 1e-9, "{} {}", got, exact);
        let copy = LatencySketch::from_pairs(0.01, all.zeros(), &all.to_pairs(), all.range().unwrap()).unwrap();
        prop_assert_eq!(copy, all);
    }

    /// Moments of parts are the moments of the whole.
    #[test]
    fn moments_merge(values in vec(-1e6_f64..1e6, 2..200), cut in 0_usize..200) {
        let cut = cut.min(values.len());
        let all: Moments = values.iter().copied().collect();
        let mut left: Moments = values[..cut].iter().copied().collect();
        left.merge(&values[cut..].iter().copied().collect());
        prop_assert!((left.mean().unwrap() - all.mean().unwrap()).abs() < 1e-6);
        let (a, b) = (left.variance().unwrap(), all.variance().unwrap());
        prop_assert!((a - b).abs() <= 1e-9 * b.max(1.0));
    }

    /// Distances are 0 for equal histograms, symmetric, and inside their range.
    #[test]
    fn distances_are_distances((p, q) in (2_usize..12).prop_flat_map(|n| (counts(n), counts(n)))) {
        for distance in [drift::jensen_shannon_distance, drift::hellinger, drift::total_variation] {
            let d = distance(&p, &q).unwrap();
            prop_assert!((0.0..=1.0 + 1e-12).contains(&d));
            prop_assert!((d - distance(&q, &p).unwrap()).abs() < 1e-12);
            prop_assert!(distance(&p, &p).unwrap() < 1e-7);
        }
        prop_assert!(drift::psi(&p, &q).unwrap() >= 0.0);
    }

    /// The KS p-value is a probability, and moving both samples changes nothing.
    #[test]
    fn ks_ignores_the_order(x in vec(-50_i32..50, 1..40), y in vec(-50_i32..50, 1..40)) {
        let float = |v: &[i32], s: f64| v.iter().map(|i| s * f64::from(*i)).collect::<Vec<f64>>();
        let a = ks::two_sample(&float(&x, 1.0), &float(&y, 1.0), ks::Method::Exact).unwrap();
        let b = ks::two_sample(&float(&y, -2.0), &float(&x, -2.0), ks::Method::Exact).unwrap();
        prop_assert!((0.0..=1.0).contains(&a.p_value));
        prop_assert!((a.statistic - b.statistic).abs() < 1e-12 && (a.p_value - b.p_value).abs() < 1e-9);
    }

    /// Corrections never lower a p-value, and Holm is never weaker than Bonferroni.
    #[test]
    fn corrections_only_raise(p in vec(0.0_f64..=1.0, 1..50)) {
        let of = |c| adjust(&p, c).unwrap();
        let (bonferroni, holm, bh) =
            (of(Correction::Bonferroni), of(Correction::Holm), of(Correction::BenjaminiHochberg));
        for i in 0..p.len() {
            prop_assert!(p[i] <= bh[i] + 1e-15 && bh[i] <= holm[i] + 1e-12 && holm[i] <= bonferroni[i] + 1e-12);
        }
    }

    /// Turning the scores round turns the area round.
    #[test]
    fn auroc_mirrors(rows in vec((any::<bool>(), -20_i32..20), 2..60)) {
        let truth: Vec<bool> = rows.iter().map(|r| r.0).collect();
        let score: Vec<f64> = rows.iter().map(|r| f64::from(r.1)).collect();
        let turned: Vec<f64> = score.iter().map(|s| -s).collect();
        match (auroc(&truth, &score, None), auroc(&truth, &turned, None)) {
            (Ok(a), Ok(b)) => prop_assert!((a + b - 1.0).abs() < 1e-12),
            (a, b) => prop_assert!(a.is_err() && b.is_err()),
        }
    }

    /// Micro-averaged recall is accuracy; every rate is a share.
    #[test]
    fn micro_recall_is_accuracy(rows in vec((0_usize..4, 0_usize..4), 1..60)) {
        let (t, p): (Vec<usize>, Vec<usize>) = rows.into_iter().unzip();
        let m = ConfusionMatrix::from_indices(&t, &p, 4, None).unwrap();
        let recall = m.recall(Average::Micro, ZeroDivision::Undefined).unwrap();
        prop_assert!((recall - m.accuracy()).abs() < 1e-12 && (-1.0..=1.0).contains(&m.matthews()));
    }

    /// A calibration error is a share, whatever the binning.
    #[test]
    fn calibration_error_is_a_share(rows in vec((0.0_f64..=1.0, any::<bool>()), 1..80), bins in 1_usize..20) {
        let (c, hit): (Vec<f64>, Vec<bool>) = rows.into_iter().unzip();
        for b in [Binning::LeftClosed(bins), Binning::RightClosed(bins), Binning::OneApart(bins), Binning::EqualMass(bins)] {
            let r = reliability(&c, &hit, b).unwrap();
            prop_assert!((0.0..=1.0).contains(&r.expected_error()));
            prop_assert_eq!(r.bins.iter().map(|bin| bin.count).sum::<u64>(), c.len() as u64);
        }
    }

    /// The bounds of a gap hold its point.
    #[test]
    fn gap_bounds_hold_their_point(cells in vec((1_u64..300, 0_u64..300, 0_u64..300, 0_u64..300), 2..6)) {
        let groups: Vec<GroupCounts> = cells.into_iter().map(|(tp, fp, fneg, tn)| GroupCounts {
            true_positives: tp, false_positives: fp, false_negatives: fneg, true_negatives: tn,
        }).collect();
        prop_assume!(groups.iter().any(|one| one.true_positives + one.false_positives > 0));
        let b = bounded_gap(&groups, Rate::Selection, 0.95).unwrap();
        prop_assert!(b.difference.lower <= b.gap.difference && b.gap.difference <= b.difference.upper);
        prop_assert!(b.parity.lower <= b.gap.parity && b.difference.lower >= 0.0);
    }

    /// However a stream is split over gateways, the merged evidence is that of the whole, and survives a restart.
    #[test]
    fn evidence_merges(parts in vec((0_u64..20, 0_u64..200), 1..6)) {
        let mut whole = ErrorBudgetTest::new(0.05).unwrap();
        let mut merged = whole.clone();
        for (errors, successes) in parts {
            let mut part = ErrorBudgetTest::new(0.05).unwrap();
            part.observe(errors, errors + successes).unwrap();
            whole.observe(errors, errors + successes).unwrap();
            let text = serde_json::to_string(&part).unwrap();
            merged.merge(&serde_json::from_str(&text).unwrap()).unwrap();
        }
        prop_assert!((whole.log_e() - merged.log_e()).abs() < 1e-9 && whole.peak_log_e() >= whole.log_e());
    }
}

/// Outcomes of requests, what share of them H0 allows to fail, and where steps of the ladder begin.
fn history() -> impl Strategy<Value = Vec<(bool, f64, bool)>> {
    let outcome = prop_oneof![4 => Just(false), 1 => Just(true)];
    vec((outcome, 0.001_f64..0.2, prop_oneof![20 => Just(false), 1 => Just(true)]), 0..400)
}

fn after(history: &[(bool, f64, bool)]) -> ErrorBudgetTest {
    let mut test = ErrorBudgetTest::new(0.05).unwrap();
    for (error, within, _) in history {
        test.observe_within(u64::from(*error), 1, *within).unwrap();
    }
    test
}

proptest! {
    /// Whatever was seen, and however small the true rate is: the evidence is not expected to grow under H0, neither with a
    /// request nor with a batch. That is what makes it a supermartingale, hence the bound of Ville.
    #[test]
    fn evidence_is_not_expected_to_grow(
        history in history(), within in 0.001_f64..0.2, part in 0.0_f64..=1.0, batch in 1_u64..12,
    ) {
        let test = after(&history);
        let now = test.e_value();
        let rate = part * within.min(0.05);
        let mut expected = 0.0;
        let mut probability = (1.0 - rate).powi(batch as i32);
        for errors in 0..=batch {
            let mut next = test.clone();
            next.observe_within(errors, batch, within).unwrap();
            expected += probability * next.e_value();
            probability *= (batch - errors) as f64 / (errors + 1) as f64 * rate / (1.0 - rate);
        }
        prop_assert!(expected <= now * (1.0 + 1e-9), "{expected} after {now}");
        if part >= 1.0 {
            prop_assert!(expected >= now * (1.0 - 1e-9), "at the edge nothing is given away");
        }
    }

    /// An error never speaks for a canary, and an answer never against it.
    #[test]
    fn errors_are_evidence_and_answers_are_none(history in history(), within in 0.001_f64..0.2) {
        let test = after(&history);
        let (mut error, mut answer) = (test.clone(), test.clone());
        error.observe_within(1, 1, within).unwrap();
        answer.observe_within(0, 1, within).unwrap();
        prop_assert!(error.e_value() >= test.e_value() && test.e_value() >= answer.e_value());
        prop_assert!(error.peak_log_e() >= test.peak_log_e());
    }

    /// A rollout that is written down and read again at any request goes on as if nothing had been.
    #[test]
    fn a_written_test_goes_on(history in history(), at in 0_usize..400) {
        let mut whole = CanaryTest::new(0.05, 0.01).unwrap();
        let mut kept = whole.clone();
        for (n, (error, within, step)) in history.iter().enumerate() {
            for test in [&mut whole, &mut kept] {
                if *step {
                    test.step();
                }
                test.observe_stable(u64::from(*within < 0.01), 3).unwrap();
                test.observe_canary(u64::from(*error), 1).unwrap();
            }
            if n == at {
                kept = serde_json::from_str(&serde_json::to_string(&kept).unwrap()).unwrap();
            }
        }
        prop_assert!((whole.log_e() - kept.log_e()).abs() < 1e-6, "{} {}", whole.log_e(), kept.log_e());
        prop_assert!((whole.peak_log_e() - kept.peak_log_e()).abs() < 1e-6);
    }
}

/// Share of streams of `length` at error rate `rate` that are rejected at any look.
fn rejected(rate: f64, alpha: f64, streams: u32, length: u32, seed: u64) -> f64 {
    let mut rng = SplitMix64::new(seed);
    let hits = (0..streams)
        .filter(|_| {
            let mut test = ErrorBudgetTest::new(0.05).unwrap();
            (0..length).any(|_| {
                test.observe(u64::from(rng.next_f64() < rate), 1).unwrap();
                test.rejects(alpha)
            })
        })
        .count();
    hits as f64 / f64::from(streams)
}

/// At the limit itself, looked at after every request, alarms stay below alpha.
#[test]
fn continuous_looking_keeps_alpha() {
    assert!(rejected(0.05, 0.05, 2_000, 1_000, 11) <= 0.05);
    assert!(rejected(0.05, 0.001, 4_000, 1_000, 12) <= 0.002);
}

/// Rollouts of `runs` that are taken off: at each step of the ladder `requests` of the canary, looked at after each, with
/// error rates (canary, stable) by step.
fn taken_off(runs: u32, requests: u32, rates: [(f64, f64); 4], seed: u64) -> usize {
    let mut rng = SplitMix64::new(seed);
    let mut failed = |rate: f64, of: u64| (0..of).filter(|_| rng.next_f64() < rate).count() as u64;
    (0..runs)
        .filter(|_| {
            let mut test = CanaryTest::new(0.05, 0.01).unwrap();
            for ((canary, stable), beside) in rates.into_iter().zip([19, 3, 1, 0]) {
                test.step();
                for _ in 0..requests {
                    test.observe_stable(failed(stable, beside), beside).unwrap();
                    test.observe_canary(failed(canary, 1), 1).unwrap();
                    if test.rejects(0.001) {
                        return true;
                    }
                }
            }
            false
        })
        .count()
}

/// ARCHITECTURE, reading 5: a canary with 1 % errors is taken off in at most one of a thousand rollouts, over the whole
/// ladder and beside a stable version without a single error.
#[test]
fn a_healthy_canary_is_kept() {
    let aborts = taken_off(4_000, 400, [(0.01, 0.0); 4], 13);
    assert!(aborts <= 4, "{aborts} of 4000");
}

/// The whole evidence, both parts and all steps, keeps every level, not only the one that is used.
#[test]
fn at_every_level_a_healthy_canary_is_seldom_rejected() {
    let mut rng = SplitMix64::new(18);
    let (runs, levels) = (2_000, [0.2, 0.05, 0.01]);
    let mut rejected = [0_u32; 3];
    for _ in 0..runs {
        let mut test = CanaryTest::new(0.05, 0.01).unwrap();
        for beside in [19_u64, 3, 1, 0] {
            test.step();
            for _ in 0..100 {
                test.observe_stable(0, beside).unwrap();
                test.observe_canary(u64::from(rng.next_f64() < 0.01), 1).unwrap();
            }
        }
        for (count, level) in rejected.iter_mut().zip(levels) {
            *count += u32::from(test.rejects(level));
        }
    }
    for (count, level) in rejected.into_iter().zip(levels) {
        assert!(f64::from(count) <= level * f64::from(runs), "{count} of {runs} at {level}");
    }
    assert!(rejected[0] > 0, "the evidence moves");
}

/// A canary as good as stable is kept where both get worse: in all, and from one step to the next.
#[test]
fn trouble_of_both_takes_no_canary_off() {
    assert_eq!(taken_off(300, 500, [(0.03, 0.03); 4], 16), 0);
    let later = [(0.002, 0.002), (0.002, 0.002), (0.03, 0.03), (0.03, 0.03)];
    assert_eq!(taken_off(300, 500, later, 17), 0);
}

/// At 100 % errors four requests reject the budget; at 30 % the median is below 40 requests.
#[test]
fn failing_canaries_go_soon() {
    assert!((rejected(1.0, 0.001, 1, 4, 1) - 1.0).abs() < 1e-12);
    assert!(rejected(0.30, 0.001, 400, 40, 14) > 0.5);
    assert!(rejected(0.10, 0.001, 200, 1_500, 15) > 0.9);
}
