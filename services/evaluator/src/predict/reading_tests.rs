#![allow(clippy::unwrap_used, clippy::float_cmp)]

use super::*;
use engine::{DataType, Dim, ModelSignature, TensorSpec};

fn outputs(labelled: bool) -> Outputs {
    let spec =
        |name: &str, datatype, dims: Vec<Dim>| TensorSpec { name: name.into(), datatype, dims: Some(dims) };
    let mut given = vec![spec("scores", DataType::Fp32, vec![Dim::Any(()), Dim::Any(())])];
    if labelled {
        given.push(spec("label", DataType::Int64, vec![Dim::Any(())]));
    }
    let signature = ModelSignature { outputs: given, ..ModelSignature::default() };
    Outputs::resolve(&signature, &crate::plan::tests::plan(), 2).unwrap()
}

fn classes(names: &[&str]) -> Classes {
    Classes::new(&[], names.iter().copied(), []).unwrap()
}

fn raw(label: Option<&str>, scores: &[f64]) -> Raw {
    Raw::Class { label: label.map(str::to_owned), scores: scores.to_vec() }
}

fn read(rows: &[Raw], labelled: bool, classes: &Classes) -> Vec<Answer> {
    let reading = Reading::of(rows, &outputs(labelled), classes).unwrap();
    rows.iter().map(|row| reading.answer(row.clone(), classes)).collect()
}

fn found(answers: &[Answer]) -> Vec<Option<usize>> {
    answers.iter().map(Answer::class).collect()
}

/// A logit of 0.3 is above its cut of 0, a probability of 0.3 below its cut of 0.5.
#[test]
fn one_score_is_a_logit_where_one_of_them_leaves_the_unit() {
    let two = classes(&["0", "1"]);
    let logits = [raw(None, &[0.3]), raw(None, &[-2.0]), raw(None, &[3.0])];
    let answers = read(&logits, false, &two);
    assert_eq!(found(&answers), [Some(1), Some(0), Some(1)]);
    assert!(answers.iter().all(|one| one.scores().unwrap().iter().all(|p| (0.0..=1.0).contains(p))));
    assert_eq!(found(&read(&[raw(None, &[0.3]), raw(None, &[0.7])], false, &two)), [Some(0), Some(1)]);
}

#[test]
fn several_scores_are_made_probabilities_and_rounding_is_taken_off() {
    let two = classes(&["0", "1"]);
    let answers = read(&[raw(None, &[-1e-7, 1.000_000_119_2]), raw(None, &[0.4, 0.6])], false, &two);
    assert_eq!(answers[0].scores().unwrap(), [0.0, 1.0]);
    let answers = read(&[raw(None, &[-3.0, 5.0]), raw(None, &[2.0, 1.0])], false, &two);
    assert_eq!(found(&answers), [Some(1), Some(0)]);
    assert!((answers[1].scores().unwrap().iter().sum::<f64>() - 1.0).abs() < 1e-12);
    let answers = read(&[raw(None, &[0.9, 0.8]), raw(None, &[0.1, 0.2])], false, &two);
    assert!((answers[0].scores().unwrap()[0] - 0.9 / 1.7).abs() < 1e-12);
}

#[test]
fn whole_labels_are_places_or_names_and_never_mixed() {
    let credit = classes(&["1", "2"]);
    let places = [raw(Some("0"), &[0.9, 0.1]), raw(Some("1"), &[0.2, 0.8])];
    assert_eq!(found(&read(&places, true, &credit)), [Some(0), Some(1)]);
    let names = [raw(Some("1"), &[0.9, 0.1]), raw(Some("2"), &[0.2, 0.8])];
    assert_eq!(found(&read(&names, true, &credit)), [Some(0), Some(1)]);
    // Only "1" was given: the scores tell which of the two it is.
    let second = [raw(Some("1"), &[0.1, 0.9]), raw(Some("1"), &[0.3, 0.7])];
    assert_eq!(found(&read(&second, true, &credit)), [Some(1), Some(1)]);
    let grades = classes(&["3", "4", "5", "6", "7", "8"]);
    let six: Vec<Raw> = (0..6).map(|at| raw(Some(&at.to_string()), &[])).collect();
    assert_eq!(found(&read(&six, true, &grades)), (0..6).map(Some).collect::<Vec<_>>());
}

#[test]
fn one_column_of_whole_floats_is_a_label() {
    let digits = classes(&["0", "1", "2", "3"]);
    assert_eq!(found(&read(&[raw(None, &[3.0]), raw(None, &[0.0])], false, &digits)), [Some(3), Some(0)]);
    let signs = classes(&["-1", "1"]);
    assert_eq!(found(&read(&[raw(None, &[-1.0]), raw(None, &[1.0])], false, &signs)), [Some(0), Some(1)]);
}

#[test]
fn scores_that_are_not_one_for_each_class_are_refused() {
    let nine = classes(&["0", "1", "2", "3", "4", "5", "6", "7", "8"]);
    assert!(Reading::of(&[raw(None, &[0.1; 10])], &outputs(false), &nine).is_err());
    assert!(
        Reading::of(&[raw(Some("1"), &[0.1; 10])], &outputs(true), &nine).is_err(),
        "which column is which?"
    );
    let named = Classes::new(&["a".into(), "b".into(), "c".into(), "d".into()], ["a"], []).unwrap();
    let reading = Reading::of(&[raw(Some("a"), &[0.5; 6])], &outputs(true), &named).unwrap();
    assert!(!reading.scored() && reading.notes()[0].starts_with("label only"));
}
