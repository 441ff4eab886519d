//! Ranking, regression, calibration, and what of safety and out-of-distribution rests on them.

use statistics::calibration::{self, Binning, reliability};
use statistics::error::Result;
use statistics::probability::brier_multiclass;
use statistics::ranking;
use statistics::regression::Regression;

use crate::check::{Case, Check, bools, floats, indices, optional_floats, rows};

pub fn run(check: &mut Check) {
    for case in check.cases("ranking") {
        if case.id.contains("ndcg") {
            continue;
        }
        if case.id.contains("multiclass") {
            let (truth, scores) = (indices(&case.input["y_true"]), rows(&case.input["y_score"]));
            check.value(&case, "auroc_ovr_macro", &ranking::auroc_one_vs_rest(&truth, &scores, 10));
            check.leave(&case.id, "ovo, weighted and micro averages");
        } else if case.id.contains("delong") {
            delong(check, &case);
        } else {
            binary(check, &case);
        }
    }
    for case in check.cases("regression") {
        if !case.id.contains("multioutput") {
            regression(check, &case);
        }
    }
    for case in check.cases("calibration") {
        calibration(check, &case);
    }
    for case in check.cases("safety") {
        if case.id.contains("membership") {
            let (inside, outside) =
                (floats(&case.input["p_true_members"]), floats(&case.input["p_true_nonmembers"]));
            let truth: Vec<bool> = inside.iter().map(|_| true).chain(outside.iter().map(|_| false)).collect();
            let score: Vec<f64> = inside.iter().chain(&outside).map(|p| p.max(1e-7)).collect();
            check.value(&case, "auc_neg_loss", &ranking::auroc(&truth, &score, None));
            check.value(&case, "tpr_at_fpr_0_01", &ranking::tpr_at_fpr(&truth, &score, 0.01));
            check.value(&case, "tpr_at_fpr_0_1", &ranking::tpr_at_fpr(&truth, &score, 0.1));
        }
    }
    for file in ["explainability", "ood", "robustness", "uncertainty"] {
        check.cases(file);
    }
}

fn binary(check: &mut Check, case: &Case) {
    let (truth, score) = (bools(&case.input["y_true"]), floats(&case.input["y_score"]));
    let weights = optional_floats(&case.input["sample_weight"]);
    let weights = weights.as_deref();
    check.value(case, "auroc", &ranking::auroc(&truth, &score, weights));
    check.value(case, "auroc_max_fpr_0.1_mcclish", &ranking::partial_auroc(&truth, &score, weights, 0.1));
    check.value(case, "average_precision", &ranking::average_precision(&truth, &score, weights));
}

fn delong(check: &mut Check, case: &Case) {
    let truth = bools(&case.input["y_true"]);
    let (a, b) = (floats(&case.input["score_a"]), floats(&case.input["score_b"]));
    let d = ranking::delong(&truth, &a, &b).unwrap();
    let (z, p) = d.test().unwrap();
    let interval = d.first_interval(0.95).unwrap();
    for (key, got) in [
        ("auc_a", d.first),
        ("auc_b", d.second),
        ("se_a", d.first_error),
        ("se_b", d.second_error),
        ("cov", d.covariance),
        ("z", z),
        ("p_two_sided", p),
    ] {
        check.value(case, key, &Ok(got));
    }
    check.number(&case.id, "lower", &case.expected["ci95_a"][0], &Ok(interval.lower), case.tolerance);
    check.number(&case.id, "upper", &case.expected["ci95_a"][1], &Ok(interval.upper), case.tolerance);
}

fn regression(check: &mut Check, case: &Case) {
    let (truth, predicted) = (floats(&case.input["y_true"]), floats(&case.input["y_pred"]));
    let weights = optional_floats(&case.input["sample_weight"]);
    let made = Regression::new(&truth, &predicted, weights.as_deref());
    let of = |f: &dyn Fn(&Regression) -> Result<f64>| made.as_ref().map_err(Clone::clone).and_then(f);
    let weighted = weights.is_some();
    for (key, got) in [
        ("mae", of(&|r| Ok(r.mean_absolute_error()))),
        ("mse", of(&|r| Ok(r.mean_squared_error()))),
        ("rmse", of(&|r| Ok(r.root_mean_squared_error()))),
        ("median_ae", of(&|r| Ok(r.median_absolute_error()))),
        ("mape", of(&|r| Ok(r.mean_absolute_percentage_error()))),
        ("r2", of(&Regression::r_squared)),
        ("explained_variance", of(&|r| Ok(r.explained_variance()))),
        ("msle", of(&Regression::mean_squared_log_error)),
        ("pinball_0.1", of(&|r| r.pinball(0.1))),
        ("pinball_0.9", of(&|r| r.pinball(0.9))),
        ("max_error", of(&|r| Ok(r.max_error()))),
    ] {
        check.value(case, key, &got);
    }
    check.value(case, "bias_mean_pred_minus_true", &of(&|r| Ok(r.bias())));
    // the file computes this one without the weights
    let plain = Regression::new(&truth, &predicted, None).map(|r| r.symmetric_percentage_error());
    check.value(case, "smape_0_to_200", &plain);
    if weighted {
        check.leave(&case.id, "d2 and deviances");
    }
}

fn calibration(check: &mut Check, case: &Case) {
    let (confidence, correct) = if case.input["confidence"].is_array() {
        (floats(&case.input["confidence"]), bools(&case.input["correct"]))
    } else {
        let (truth, p) = (indices(&case.input["y_true"]), rows(&case.input["y_prob"]));
        let key = "classwise_ece_10_left_closed_mean_over_classes";
        check.value(case, key, &calibration::classwise_error(&truth, &p, Binning::LeftClosed(10)));
        check.value(case, "brier_multiclass_sum_over_classes_mean_over_rows", &brier_multiclass(&truth, &p));
        calibration::top_label(&truth, &p).unwrap()
    };
    let keys: Vec<String> = case.expected.as_object().unwrap().keys().cloned().collect();
    for key in keys {
        let bins = if key.contains("_15_") { 15 } else { 10 };
        let binning = match key.as_str() {
            k if k.starts_with("equal_mass") => Binning::EqualMass(bins),
            k if k.ends_with("left_closed") => Binning::LeftClosed(bins),
            k if k.ends_with("right_closed") => Binning::RightClosed(bins),
            k if k.ends_with("torchmetrics") => Binning::OneApart(bins),
            _ => continue,
        };
        let got = reliability(&confidence, &correct, binning).unwrap();
        let expected = &case.expected[&key];
        for (name, value) in [
            ("ece", got.expected_error()),
            ("mce", got.maximum_error()),
            ("ace_mean_over_nonempty_bins", got.average_error()),
            ("rmsce", got.root_mean_squared_error()),
        ] {
            check.number(&case.id, &format!("{key} {name}"), &expected[name], &Ok(value), case.tolerance);
        }
        let none = Vec::new();
        let bins = expected["bins"].as_array().unwrap_or(&none);
        check.truth(&case.id, &format!("{key} number of bins"), bins.len() == got.bins.len());
        for (want, bin) in bins.iter().zip(&got.bins) {
            let same = want["bin"].as_u64() == Some(bin.index as u64) && want["count"] == bin.count;
            check.truth(&case.id, &format!("{key} bin {}", bin.index), same);
        }
    }
}
