//! Two-sample tests, distances, MMD, CBPE, e-processes, proportions.

use serde_json::Value;
use statistics::betting::BettingTest;
use statistics::contingency::{fisher_less, g_test, goodness_of_fit, homogeneity};
use statistics::drift;
use statistics::eprocess::beta_mixture_log_e;
use statistics::estimated::{estimate, estimated_auroc};
use statistics::histogram::{Histogram, quantile_edges, width_edges};
use statistics::interval::{Share, clopper_pearson, wilson};
use statistics::kernel::mmd;
use statistics::ks;
use statistics::rank_test::{cramer_von_mises, mann_whitney_normal};

use crate::check::{Check, bools, floats, rows};

const TOLERANCE: f64 = 1e-9;

pub fn run(check: &mut Check) {
    let inputs = check.json("drift/inputs.json");
    let scipy = check.json("drift/scipy.json")["cases"].clone();
    for (name, expected) in scipy.as_object().unwrap() {
        match name.split_once('|') {
            Some((x, y)) if name.starts_with("cat_") => {
                categories(check, name, expected, &inputs[x], &inputs[y]);
            }
            Some((x, y)) => samples(check, name, expected, &floats(&inputs[x]), &floats(&inputs[y])),
            None => {}
        }
    }
    discrepancy(check, &scipy["mmd"], &inputs);
    labels_unseen(check, &scipy["cbpe_closed_form_no_recalibration"], &inputs);
    evidence(check, &scipy["eprocess_bernoulli"], &inputs);
    proportions(check, &scipy["proportions"]);
    check.leave("drift/scipy", "asymptotic confidence sequences, Boschloo");
}

fn samples(check: &mut Check, name: &str, expected: &Value, x: &[f64], y: &[f64]) {
    let id = format!("drift/{name}");
    let small = x.len().max(y.len()) <= 20;
    let exact = ks::two_sample(x, y, ks::Method::Exact).unwrap();
    let mut number = |key: &str, want: &Value, got: f64| check.number(&id, key, want, &Ok(got), TOLERANCE);
    number("ks", &expected["ks"]["stat"], exact.statistic);
    number("ks p", &expected["ks"]["p_exact"], exact.p_value);
    number("w1", &expected["wasserstein_1"], drift::wasserstein(x, y).unwrap());
    number("energy", &expected["energy_distance"], drift::energy(x, y).unwrap());
    let u = mann_whitney_normal(x, y).unwrap();
    number("u", &expected["mannwhitney"]["u"], u.statistic);
    number("u p", &expected["mannwhitney"]["p"], u.p_value);
    let cvm = cramer_von_mises(x, y).unwrap();
    number("cvm", &expected["cvm"]["stat"], cvm.statistic);
    if !small {
        number("cvm p", &expected["cvm"]["p"], cvm.p_value);
    }
    for (key, edges) in
        [("quantile10", quantile_edges(x, 10).unwrap()), ("width10", width_edges(x, 10).unwrap())]
    {
        binned(check, &id, &expected[key], &edges, x, y);
    }
    check.leave(&id, "ks p_asymp, anderson_k");
    if small {
        check.leave(&id, "exact p of Cramer-von Mises");
    }
}

fn binned(check: &mut Check, id: &str, expected: &Value, edges: &[f64], x: &[f64], y: &[f64]) {
    let count = |values: &[f64]| {
        let mut histogram = Histogram::new(edges).unwrap();
        for value in values {
            histogram.add(*value);
        }
        histogram.counts().to_vec()
    };
    let (p, q) = (count(x), count(y));
    for (i, edge) in edges.iter().enumerate() {
        check.number(id, "edge", &expected["inner_edges"][i], &Ok(*edge), TOLERANCE);
    }
    let mut number = |key: &str, got| check.number(id, key, &expected[key], &got, TOLERANCE);
    number("psi_eps1e_4", drift::psi_floored(&p, &q, 1e-4));
    number("js_distance_base2", drift::jensen_shannon_distance(&p, &q));
    number("js_divergence_base2", drift::jensen_shannon_divergence(&p, &q));
    number("tv", drift::total_variation(&p, &q));
    number("hellinger", drift::hellinger(&p, &q));
}

fn categories(check: &mut Check, name: &str, expected: &Value, x: &Value, y: &Value) {
    let id = format!("drift/{name}");
    let levels: Vec<&str> =
        expected["levels"].as_array().unwrap().iter().map(|l| l.as_str().unwrap()).collect();
    let count = |v: &Value| -> Vec<u64> { levels.iter().map(|l| v[*l].as_u64().unwrap_or(0)).collect() };
    let (p, q) = (count(x), count(y));
    let chi = homogeneity(&p, &q).unwrap();
    let mut number = |key: &str, want: &Value, got: f64| check.number(&id, key, want, &Ok(got), TOLERANCE);
    let want = &expected["chi2_homogeneity"];
    number("chi2", &want["stat"], chi.statistic);
    number("chi2 p", &want["p"], chi.p_value);
    number("chi2 v", &want["cramers_v"], chi.cramers_v);
    number("g", &expected["g_test"]["stat"], g_test(&p, &q).unwrap().statistic);
    number("g p", &expected["g_test"]["p"], g_test(&p, &q).unwrap().p_value);
    number("psi", &expected["psi_eps1e_4"], drift::psi_floored(&p, &q, 1e-4).unwrap());
    number("js", &expected["js_distance_base2"], drift::jensen_shannon_distance(&p, &q).unwrap());
    number("tv", &expected["tv"], drift::total_variation(&p, &q).unwrap());
    number("linf", &expected["linf"], drift::largest_shift(&p, &q).unwrap());
    let total = p.iter().sum::<u64>() as f64;
    let shares: Vec<f64> = p.iter().map(|c| *c as f64 / total).collect();
    if let Some(want) = expected.get("chi2_goodness_of_fit_vs_ref_props") {
        let fit = goodness_of_fit(&q, &shares).unwrap();
        number("fit", &want["stat"], fit.statistic);
        number("fit p", &want["p"], fit.p_value);
    }
}

fn discrepancy(check: &mut Check, expected: &Value, inputs: &Value) {
    let got = mmd(&rows(&inputs["mmd_x"]), &rows(&inputs["mmd_y"]), 999, 42).unwrap();
    let mut number =
        |key: &str, want: &Value, got: f64| check.number("drift/mmd", key, want, &Ok(got), TOLERANCE);
    number("sigma", &expected["sigma_median_pooled"], got.bandwidth);
    number("unbiased", &expected["mmd2_unbiased"], got.unbiased);
    number("biased", &expected["mmd2_biased"], got.biased);
    // the order of the labels before each shuffle is not stated, so the count may differ by its own noise
    check.number("drift/mmd", "p", &expected["perm"]["p"], &Ok(got.p_value), 0.006);
}

fn labels_unseen(check: &mut Check, expected: &Value, inputs: &Value) {
    let p = floats(&inputs["cbpe_cur_p"]);
    let e = estimate(&p, 0.5).unwrap();
    let mut number = |key: &str, got| check.number("drift/cbpe", key, &expected[key], &got, TOLERANCE);
    number("tp", Ok(e.true_positives));
    number("fp", Ok(e.false_positives));
    number("accuracy", Ok(e.accuracy()));
    number("precision", e.precision());
    number("recall", e.recall());
    number("f1", e.f1());
    check.number("drift/cbpe", "roc_auc", &expected["roc_auc"], &estimated_auroc(&p), TOLERANCE);
}

fn evidence(check: &mut Check, expected: &Value, inputs: &Value) {
    let stream = bools(&inputs["stream_bern"]);
    let mut bettor = BettingTest::new(0.05).unwrap();
    let mut events = 0;
    for (i, event) in stream.iter().enumerate() {
        bettor.observe(*event);
        events += u64::from(*event);
        let t = (i + 1).to_string();
        if let Some(want) = expected["log_e"].get(&t) {
            let got = beta_mixture_log_e(events, i as u64 + 1, 0.05, 1.0, 1.0);
            check.number("drift/eprocess", &t, want, &got, TOLERANCE);
        }
        if let Some(want) = expected["betting_one_sided"]["e"].get(&t) {
            check.number("drift/eprocess betting", &t, want, &Ok(bettor.e_value()), TOLERANCE);
        }
    }
}

fn proportions(check: &mut Check, expected: &Value) {
    let id = "drift/proportions";
    check.number(id, "fisher", &expected["fisher_less_p"], &fisher_less([[9, 991], [24, 976]]), TOLERANCE);
    let share = Share::new(24, 1000).unwrap();
    for (key, interval) in [
        ("wilson95_24_of_1000", wilson(share, 0.95).unwrap()),
        ("clopper95_24_of_1000", clopper_pearson(share, 0.95).unwrap()),
    ] {
        check.number(id, key, &expected[key][0], &Ok(interval.lower), TOLERANCE);
        check.number(id, key, &expected[key][1], &Ok(interval.upper), TOLERANCE);
    }
}
