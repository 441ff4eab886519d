//! Classification and fairness.

use std::collections::BTreeMap;

use serde_json::Value;
use statistics::calibration::{Binning, reliability};
use statistics::classification::{Average, ConfusionMatrix, KappaWeights, ZeroDivision};
use statistics::error::Result;
use statistics::fairness::{self, GroupCounts, Rate};
use statistics::probability::{RowSum, brier, log_loss, top_k_accuracy};

use crate::check::{Case, Check, bools, floats, indices, optional_floats, rows, undefined};

pub fn run(check: &mut Check) {
    for case in check.cases("classification") {
        let id = case.id.clone();
        if id.contains("multilabel") {
            continue;
        }
        if id.contains("top_k") {
            let (truth, scores) = (indices(&case.input["y_true"]), rows(&case.input["y_score"]));
            for k in 1..=5 {
                let key = format!("top_{k}_accuracy");
                if !case.expected[&key].is_null() {
                    check.value(&case, &key, &top_k_accuracy(&truth, &scores, k));
                }
            }
        } else if id.contains("log_loss") {
            let (truth, p) = (indices(&case.input["y_true"]), rows(&case.input["y_prob"]));
            check.value(&case, "log_loss", &log_loss(&truth, &p, RowSum::Normalise));
            let raw = "log_loss_raw_rows_not_summing_to_1";
            if !case.expected[raw].is_null() {
                check.value(&case, raw, &log_loss(&truth, &p, RowSum::AsGiven));
            }
        } else {
            classification(check, &case);
        }
    }
    for case in check.cases("fairness") {
        fairness(check, &case);
    }
}

fn classification(check: &mut Check, case: &Case) {
    let weights = optional_floats(&case.input["sample_weight"]);
    let matrix = if case.input["y_true"][0].is_string() {
        let text = |v: &Value| -> Vec<String> {
            v.as_array().unwrap().iter().map(|s| s.as_str().unwrap().to_owned()).collect()
        };
        let (t, p) = (text(&case.input["y_true"]), text(&case.input["y_pred"]));
        ConfusionMatrix::from_labels(&t, &p, None, weights.as_deref()).unwrap().1
    } else {
        let whole = |v: &Value| -> Vec<i64> { floats(v).into_iter().map(|x| x as i64).collect() };
        let (t, p) = (whole(&case.input["y_true"]), whole(&case.input["y_pred"]));
        let labels = case.input["labels"].is_array().then(|| whole(&case.input["labels"]));
        ConfusionMatrix::from_labels(&t, &p, labels.as_deref(), weights.as_deref()).unwrap().1
    };
    let keys: Vec<String> = case.expected.as_object().unwrap().keys().cloned().collect();
    for key in keys {
        match named(&matrix, &key) {
            Some(got) => check.value(case, &key, &got),
            None if key == "confusion_matrix" => {
                for (t, row) in rows(&case.expected[&key]).iter().enumerate() {
                    for (p, want) in row.iter().enumerate() {
                        check.truth(&case.id, "confusion matrix", (matrix.cell(t, p) - want).abs() < 1e-9);
                    }
                }
            }
            None if key == "warnings" => {}
            None => check.leave(&case.id, &key),
        }
    }
}

fn named(m: &ConfusionMatrix, key: &str) -> Option<Result<f64>> {
    Some(match key {
        "accuracy" => Ok(m.accuracy()),
        "balanced_accuracy" => m.balanced_accuracy(),
        "matthews_corrcoef" => Ok(m.matthews()),
        "cohen_kappa" => m.kappa(KappaWeights::None),
        "cohen_kappa_quadratic" => m.kappa(KappaWeights::Quadratic),
        "zero_one_loss" | "hamming_loss" => Ok(1.0 - m.accuracy()),
        _ => {
            let (name, zero) = key.split_once("@zd=").unwrap_or((key, "0"));
            let zero = match zero {
                "0" => ZeroDivision::Zero,
                "1" => ZeroDivision::One,
                _ => ZeroDivision::Undefined,
            };
            let (metric, average) = name.rsplit_once('_')?;
            let average = match average {
                "macro" => Average::Macro,
                "micro" => Average::Micro,
                "weighted" => Average::Weighted,
                "binary" => Average::Class(1),
                _ => return None,
            };
            match metric {
                "precision" => m.precision(average, zero),
                "recall" => m.recall(average, zero),
                "f1" => m.f1(average, zero),
                "f2" => m.f_beta(2.0, average, zero),
                "f0.5" => m.f_beta(0.5, average, zero),
                "jaccard" => m.jaccard(average, zero),
                _ => return None,
            }
        }
    })
}

fn fairness(check: &mut Check, case: &Case) {
    let sensitive = &case.input["sensitive"];
    if case.id.contains("calibration_within") {
        calibration_within(check, case);
        return;
    }
    let text = |v: &Value| -> Vec<String> {
        v.as_array()
            .unwrap()
            .iter()
            .map(|s| s.as_str().map_or_else(|| s.to_string(), str::to_owned))
            .collect()
    };
    let group: Vec<String> = if sensitive.is_array() {
        text(sensitive)
    } else {
        let (site, age) = (text(&sensitive["site"]), text(&sensitive["age"]));
        site.iter().zip(&age).map(|(s, a)| format!("{s}|{a}")).collect()
    };
    let (truth, predicted) = (bools(&case.input["y_true"]), bools(&case.input["y_pred"]));
    if case.input["control"].is_array() {
        let keys: Vec<String> =
            text(&case.input["control"]).iter().zip(&group).map(|(c, g)| format!("{c}|{g}")).collect();
        let groups = fairness::by_group(&truth, &predicted, &keys).unwrap();
        rates(check, case, &groups);
        for (control, expected) in case.expected["difference_between_groups"].as_object().unwrap() {
            let inside = groups.iter().filter(|(k, _)| k.split('|').next() == Some(control)).map(|(_, g)| g);
            let parity = fairness::demographic_parity(inside).map(|g| g.difference);
            check.number(&case.id, control, &expected["selection_rate"], &parity, case.tolerance);
        }
        return;
    }
    let groups = fairness::by_group(&truth, &predicted, &group).unwrap();
    if case.id.contains("reference_group_forms") {
        let parity = fairness::demographic_parity(groups.values()).unwrap();
        let want = case.expected["aif360_statistical_parity_difference"].as_f64().unwrap();
        check.truth(&case.id, "parity difference", (parity.difference + want).abs() < case.tolerance);
        check.value(case, "aif360_disparate_impact", &parity.ratio.ok_or(undefined()));
        return;
    }
    rates(check, case, &groups);
    let single = groups.len() < 2;
    let no_positives = groups.values().any(|g| g.share(Rate::TruePositive).is_err());
    let parity = fairness::demographic_parity(groups.values());
    let key = |name: &str| format!("{name}@between_groups");
    if single {
        // fairlearn answers 0 and 1; a single group is undefined here (ARCHITECTURE, reading 1)
        check.truth(&case.id, "single group is undefined", parity.is_err());
        return;
    }
    if groups.values().all(|g| g.true_positives + g.false_positives == 0) {
        check.truth(&case.id, "nobody selected is undefined", parity.is_err());
        return;
    }
    let parity = parity.unwrap();
    check.value(case, &key("demographic_parity_difference"), &Ok(parity.difference));
    check.value(case, &key("demographic_parity_ratio"), &parity.ratio.ok_or(undefined()));
    let opportunity = fairness::equal_opportunity(groups.values());
    if no_positives {
        // fairlearn gives such a group a rate of 0, a false alarm; undefined here
        check.truth(&case.id, "no positives is undefined", opportunity.is_err());
        return;
    }
    let opportunity = opportunity.unwrap();
    check.value(case, &key("equal_opportunity_difference"), &Ok(opportunity.difference));
    check.value(case, &key("equal_opportunity_ratio"), &opportunity.ratio.ok_or(undefined()));
    if groups.values().all(|g| g.share(Rate::FalsePositive).is_ok()) {
        let odds = fairness::equalized_odds_difference(groups.values());
        check.value(case, &key("equalized_odds_difference_worst"), &odds);
    }
}

fn rates(check: &mut Check, case: &Case, groups: &BTreeMap<String, GroupCounts>) {
    for (name, counts) in groups {
        let expected = &case.expected["by_group"][name];
        for (key, rate) in [
            ("selection_rate", Rate::Selection),
            ("tpr", Rate::TruePositive),
            ("fpr", Rate::FalsePositive),
            ("accuracy", Rate::Accuracy),
        ] {
            // a rate over nobody is an error here and 0 in fairlearn
            if let Ok(share) = counts.share(rate) {
                check.number(&case.id, key, &expected[key], &Ok(share.value()), case.tolerance);
            }
        }
    }
}

fn calibration_within(check: &mut Check, case: &Case) {
    let truth = bools(&case.input["y_true"]);
    let probability = floats(&case.input["p_positive"]);
    let group = case.input["sensitive"].as_array().unwrap();
    for name in ["A", "B"] {
        let mine = |i: &usize| group[*i] == name;
        let rows: Vec<usize> = (0..truth.len()).filter(mine).collect();
        let t: Vec<bool> = rows.iter().map(|i| truth[*i]).collect();
        let p: Vec<f64> = rows.iter().map(|i| probability[*i]).collect();
        let ece = reliability(&p, &t, Binning::LeftClosed(10)).map(|r| r.expected_error());
        let expected = &case.expected[name];
        check.number(&case.id, name, &expected["ece10_left_closed"], &ece, case.tolerance);
        check.number(&case.id, name, &expected["brier"], &brier(&t, &p), case.tolerance);
    }
}
