//! BLEU, ROUGE, exact match.

use serde_json::Value;
use statistics::answer;
use statistics::bleu::{BleuCounts, corpus_bleu, sentence_bleu, tokenize_13a};
use statistics::bootstrap::statistic_interval;
use statistics::rouge::{Tokenizer, rouge_l, rouge_n};

use crate::check::{Case, Check};

fn strings(value: &Value) -> Vec<&str> {
    value.as_array().map(|a| a.iter().map(|s| s.as_str().unwrap()).collect()).unwrap_or_default()
}

pub fn run(check: &mut Check) {
    for case in check.cases("text_overlap") {
        match case.id.trim_start_matches("text_overlap/") {
            "rouge_bootstrap_aggregate" => rouge(check, &case),
            "squad_em_f1" => squad(check, &case),
            id if id.contains("bleu") => bleu(check, &case),
            _ => {}
        }
    }
}

fn bleu(check: &mut Check, case: &Case) {
    let hypotheses = strings(&case.input["hyps"]);
    let streams: Vec<Vec<&str>> = case.input["refs"].as_array().unwrap().iter().map(strings).collect();
    let references: Vec<Vec<&str>> =
        (0..hypotheses.len()).map(|i| streams.iter().map(|s| s[i]).collect()).collect();
    let got = corpus_bleu(&hypotheses, &references).unwrap();
    for key in ["corpus_bleu", "corpus_bleu_13a"] {
        let expected = &case.expected[key];
        if expected.is_null() {
            continue;
        }
        check.number(&case.id, "score", &expected["score"], &Ok(got.score), case.tolerance);
        check.number(&case.id, "bp", &expected["bp"], &Ok(got.brevity_penalty), case.tolerance);
        for order in 0..4 {
            let precision = Ok(got.precisions[order]);
            check.number(&case.id, "precision", &expected["precisions"][order], &precision, case.tolerance);
            check.truth(&case.id, "counts", expected["counts"][order] == got.counts.matches[order]);
            check.truth(&case.id, "totals", expected["totals"][order] == got.counts.totals[order]);
        }
        check.truth(&case.id, "lengths", expected["ref_len"] == got.counts.reference_length);
    }
    if case.expected["sentence_bleu"].is_number() {
        let got = sentence_bleu(hypotheses[0], &references[0]).map(|b| b.score);
        check.value(case, "sentence_bleu", &got);
    }
    for (key, effective) in
        [("sentence_bleu_13a_exp_effective_order", true), ("sentence_bleu_13a_exp_no_effective_order", false)]
    {
        for (i, expected) in case.expected[key].as_array().into_iter().flatten().enumerate() {
            let got = BleuCounts::of(hypotheses[i], &references[i]).map(|c| c.score(effective).score);
            check.number(&case.id, key, expected, &got, case.tolerance);
        }
    }
    for (text, want) in hypotheses.iter().zip(strings(&case.expected["tokenized_13a"])) {
        check.truth(&case.id, "tokens", tokenize_13a(text) == want);
    }
    check.leave(&case.id, "chrF, TER, other tokenizers and smoothings");
}

fn rouge(check: &mut Check, case: &Case) {
    let pairs: Vec<Vec<&str>> =
        case.input["target_prediction"].as_array().unwrap().iter().map(strings).collect();
    let one: Vec<f64> = pairs.iter().map(|p| rouge_n(p[0], p[1], 1, Tokenizer::Ascii).f1).collect();
    let long: Vec<f64> = pairs.iter().map(|p| rouge_l(p[0], p[1], Tokenizer::Ascii).f1).collect();
    for (key, scores) in [("rouge1", one), ("rougeL", long)] {
        let n = scores.len();
        let interval = statistic_interval(0.95, 20_000, 2, |rng| {
            Ok((0..n).map(|_| scores[rng.below(n)]).sum::<f64>() / n as f64)
        })
        .unwrap();
        let expected = &case.expected[key];
        check.number(&case.id, key, &expected["low_f1"], &Ok(interval.lower), case.tolerance);
        check.number(&case.id, key, &expected["high_f1"], &Ok(interval.upper), case.tolerance);
        let mean = scores.iter().sum::<f64>() / n as f64;
        check.number(&case.id, key, &expected["mid_f1"], &Ok(mean), case.tolerance);
    }
}

fn squad(check: &mut Check, case: &Case) {
    for (i, pair) in case.input["prediction_references"].as_array().unwrap().iter().enumerate() {
        let (text, references) = (pair[0].as_str().unwrap(), strings(&pair[1]));
        check.number(&case.id, "em", &case.expected["em"][i], &answer::exact_match(text, &references), 1e-9);
        check.number(&case.id, "f1", &case.expected["f1"][i], &answer::token_f1(text, &references), 1e-9);
        check.truth(&case.id, "normalised", case.expected["normalized"][i] == answer::normalise(text));
    }
}
