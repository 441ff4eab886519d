//! Intervals, bootstrap, paired tests, corrections, percentiles, gates.

use statistics::bootstrap;
use statistics::interval::{Share, wilson};
use statistics::ks;
use statistics::multiplicity::{Correction, adjust};
use statistics::paired::{PairedCounts, clustered_standard_error};
use statistics::percentile::{interpolated, percentile, rank_interval};
use statistics::rank_test::mann_whitney;
use statistics::sample_size::{Standing, standing};

use crate::check::{Case, Check, bools, floats, rows};

pub fn run(check: &mut Check) {
    for case in check.cases("statistics") {
        match case.id.trim_start_matches("statistics/") {
            "bootstrap_own_rng" => own_bootstrap(check, &case),
            "bootstrap_fairness_cells" => cells(check, &case),
            "compare_real_models" => compare(check, &case),
            "multiplicity" => multiplicity(check, &case),
            "paired_scores" => scores(check, &case),
            "clustered_stderr" => {
                let cluster: Vec<i64> =
                    floats(&case.input["cluster"]).into_iter().map(|c| c as i64).collect();
                let got = clustered_standard_error(&floats(&case.input["items"]), &cluster);
                check.value(&case, "se_clustered", &got);
            }
            "latency_percentiles" => percentiles(check, &case),
            "quantile_order_statistic_ci" => ranks(check, &case),
            "gate_verdicts" => gates(check, &case),
            id if id.starts_with("mcnemar") => mcnemar(check, &case),
            _ => {}
        }
    }
}

fn own_bootstrap(check: &mut Check, case: &Case) {
    let got = bootstrap::mean_interval(&floats(&case.input["correct"]), 0.95, 20_000, 1).unwrap();
    let expected = &case.expected["percentile"];
    check.number(&case.id, "lower", &expected[0], &Ok(got.lower), case.tolerance);
    check.number(&case.id, "upper", &expected[1], &Ok(got.upper), case.tolerance);
    check.leave(&case.id, "bca");
}

fn cells(check: &mut Check, case: &Case) {
    let groups = case.input["cells_group_y_pred"].as_array().unwrap();
    let flat: Vec<u64> =
        groups.iter().flat_map(|g| rows(g).into_iter().flatten()).map(|c| c as u64).collect();
    let rate = |cells: &[u64], g: usize| {
        (cells[4 * g + 1] + cells[4 * g + 3]) as f64 / cells[4 * g..4 * g + 4].iter().sum::<u64>() as f64
    };
    let ratio = |cells: &[u64]| {
        let rates: Vec<f64> = (0..3).map(|g| rate(cells, g)).collect();
        rates.iter().copied().fold(1.0, f64::min) / rates.iter().copied().fold(0.0, f64::max)
    };
    check.value(case, "dp_ratio", &Ok(ratio(&flat)));
    let interval = bootstrap::statistic_interval(0.95, 10_000, 5, |rng| {
        Ok(ratio(&bootstrap::resample_cells(&flat, rng)))
    })
    .unwrap();
    check.number(&case.id, "lower", &case.expected["dp_ratio_ci"][0], &Ok(interval.lower), case.tolerance);
    check.number(&case.id, "upper", &case.expected["dp_ratio_ci"][1], &Ok(interval.upper), case.tolerance);
}

fn mcnemar(check: &mut Check, case: &Case) {
    let table = floats(&case.input["table_aRight_bRight__aRight_bWrong__aWrong_bRight__bothWrong"]);
    let counts = PairedCounts {
        both: table[0] as u64,
        only_first: table[1] as u64,
        only_second: table[2] as u64,
        neither: table[3] as u64,
    };
    check.value(case, "exact_p", &Ok(counts.exact_p()));
    check.value(case, "mid_p", &Ok(counts.mid_p()));
    check.value(case, "chi2", &counts.chi_square().map(|c| c.0));
    check.value(case, "p", &counts.chi_square().map(|c| c.1));
    check.leave(&case.id, "continuity correction");
}

fn compare(check: &mut Check, case: &Case) {
    let (a, b) = (bools(&case.input["correct_a_digits_mlp"]), bools(&case.input["correct_b_digits_linear"]));
    let counts = PairedCounts::of(&a, &b).unwrap();
    let (difference, error) = counts.difference().unwrap();
    check.value(case, "mcnemar_exact_p", &Ok(counts.exact_p()));
    check.value(case, "mcnemar_p", &counts.chi_square().map(|c| c.1));
    check.value(case, "paired_diff", &Ok(difference));
    check.value(case, "paired_se", &Ok(error));
    let share = Share::new(a.iter().filter(|x| **x).count() as u64, a.len() as u64).unwrap();
    let interval = wilson(share, 0.95).unwrap();
    check.number(&case.id, "wilson", &case.expected["wilson_a"][0], &Ok(interval.lower), case.tolerance);
    check.number(&case.id, "wilson", &case.expected["wilson_a"][1], &Ok(interval.upper), case.tolerance);
    check.leave(&case.id, "Cochran's Q, unpaired error, detectable difference");
}

fn multiplicity(check: &mut Check, case: &Case) {
    let p = floats(&case.input["p"]);
    for (key, correction) in [
        ("bonferroni", Correction::Bonferroni),
        ("holm", Correction::Holm),
        ("fdr_bh", Correction::BenjaminiHochberg),
        ("fdr_by", Correction::BenjaminiYekutieli),
    ] {
        let got = adjust(&p, correction).unwrap();
        for (i, value) in got.iter().enumerate() {
            let expected = &case.expected[key];
            check.number(&case.id, key, &expected["adjusted"][i], &Ok(*value), case.tolerance);
            check.truth(&case.id, key, expected["reject"][i].as_bool() == Some(*value <= 0.05));
        }
    }
}

fn scores(check: &mut Check, case: &Case) {
    let (a, b) = (floats(&case.input["a"]), floats(&case.input["b"]));
    let ks = ks::two_sample(&a, &b, ks::Method::Exact).unwrap();
    let u = mann_whitney(&a, &b).unwrap();
    check.value(case, "ks", &Ok(ks.statistic));
    check.value(case, "ks_p_exact", &Ok(ks.p_value));
    check.value(case, "mannwhitney_u", &Ok(u.statistic));
    check.value(case, "mannwhitney_p", &Ok(u.p_value));
    check.leave(&case.id, "t, Wilcoxon, Cohen's d");
}

fn percentiles(check: &mut Check, case: &Case) {
    for key in ["n101", "n1", "n2", "n20", "ties"] {
        let values = floats(&case.input[key]);
        let mut sorted = values.clone();
        sorted.sort_by(f64::total_cmp);
        for (name, q) in [("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99), ("p99.9", 0.999)] {
            let expected = &case.expected[key];
            let rank = &expected["inverted_cdf"][name];
            check.number(&case.id, &format!("{key} {name}"), rank, &percentile(&values, q), case.tolerance);
            let linear = &expected["linear"][name];
            check.number(
                &case.id,
                &format!("{key} {name}"),
                linear,
                &interpolated(&sorted, q),
                case.tolerance,
            );
        }
    }
}

fn ranks(check: &mut Check, case: &Case) {
    let pairs = rows(&case.input["n_q"]);
    for (i, pair) in pairs.iter().enumerate() {
        let got = rank_interval(pair[0] as u64, pair[1], 0.95).unwrap();
        let expected = &case.expected["rank_lo_rank_hi_coverage"][i];
        check.truth(&case.id, "lower rank", expected[0].as_u64() == Some(got.lower.unwrap_or(0)));
        check.truth(&case.id, "upper rank", expected[1].as_u64() == got.upper);
        check.number(&case.id, "coverage", &expected[2], &Ok(got.coverage), case.tolerance);
    }
}

fn gates(check: &mut Check, case: &Case) {
    for (i, gate) in case.input["gates"].as_array().unwrap().iter().enumerate() {
        let (threshold, above) = (gate[2].as_f64().unwrap(), gate[1] == ">");
        let share = Share::new(gate[3].as_u64().unwrap(), gate[4].as_u64().unwrap()).unwrap();
        let interval = wilson(share, 0.9).unwrap();
        let expected = &case.expected["verdicts"][i];
        check.number(&case.id, "lower", &expected["wilson90"][0], &Ok(interval.lower), case.tolerance);
        check.number(&case.id, "upper", &expected["wilson90"][1], &Ok(interval.upper), case.tolerance);
        if gate[1] == "<=" {
            continue; // "0 %" is decided by a minimum sample and an upper bound, in lifecycle
        }
        let verdict = match standing(share, threshold, 0.95).unwrap() {
            Standing::Above if above => "pass",
            Standing::Below if !above => "pass",
            Standing::Undecided { .. } => "inconclusive",
            _ => "fail",
        };
        check.truth(&case.id, verdict, expected["confident_verdict"] == verdict);
    }
}
